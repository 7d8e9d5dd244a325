"""`jopt export`: the model of a run as files that need no training code."""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt import release
from jopt.experiments import checkpoints, train_config, wording
from jopt.experiments.run import Run, Watch
from jopt.experiments.task import Task
from jopt.experiments.train_plan import Plan, plan
from jopt.experiments.train_run import RESULT, saved
from jopt.experiments.training import guarded

PyTree = Any
PLATFORMS = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True)
class Weights:
    """The weights that are released."""

    params: PyTree
    rest: PyTree
    step: int
    best: bool


def export(
    run: str | os.PathLike[str], out: str | os.PathLike[str], *, last: bool = False
) -> pathlib.Path:
    """Write the trained model of a run: program, arrays and model card.

    Args:
        run: The folder of a run of `jopt train`.
        out: A new folder.
        last: Whether to take the last weights, and not those of the best evaluation.

    Returns:
        The folder; `jopt.release.load` reads it.

    Raises:
        ValueError: If `run` holds no run, or `out` is there already.
        CorruptCheckpointError: If no checkpoint is whole.
    """
    out = pathlib.Path(out)
    if out.exists():
        raise ValueError(f"`out`: {out} is there already; name another folder.")
    made = plan(saved(run))
    weights = _weights(made, pathlib.Path(run), last)
    program, told, arrays = _program(made.task, weights)
    held = out.with_name(f".{out.name}.part")
    shutil.rmtree(held, ignore_errors=True)
    held.mkdir(parents=True)
    try:
        (held / release.PROGRAM).write_bytes(program)
        names = (f"{number:04d}" for number in range(len(arrays)))
        np.savez(
            held / release.PARAMS,
            allow_pickle=False,
            **dict(zip(names, arrays, strict=True)),
        )
        told["files"] = {
            name: release.digest((held / name).read_bytes())
            for name in (release.PROGRAM, release.PARAMS)
        }
        (held / release.TOLD).write_text(json.dumps(told, indent=1) + "\n")
        card = _card(made, pathlib.Path(run), weights, told)
        (held / release.CARD).write_text(card, encoding="utf-8")
        os.rename(held, out)
    finally:
        shutil.rmtree(held, ignore_errors=True)
    return out


def main(argv: Sequence[str]) -> int:
    """Run `jopt export`.

    Args:
        argv: The arguments after `export`.

    Returns:
        0, or 2 for wrong input.
    """
    parser = _Parser(
        prog="jopt export",
        description="Write the trained model of a run, to be used without the training "
        "code: see `jopt predict`.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the folder of the run")
    parser.add_argument("--out", metavar="DIR", required=True, help="a new folder")
    parser.add_argument(
        "--last", action="store_true", help="the last weights, not the best"
    )
    try:
        given = parser.parse_args(argv)
        export(given.run, given.out, last=given.last)
    except SystemExit as stop:
        return int(stop.code or 0)
    except (ValueError, OSError, ImportError) as error:
        print(f"jopt export: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{given.out}/{release.CARD}")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"jopt export: {' '.join(message.split())}\n")


def _weights(made: Plan, run: pathlib.Path, last: bool) -> Weights:
    """The weights of the newest checkpoint."""
    params, rest = made.task.init(jax.random.key(made.config.seed))
    tx = guarded(made.tx, params) if made.config.guard else made.tx
    like = Run(tx, params, rest, Watch(True, None, 0.0), keep=True).tree()
    step, tree, notes = checkpoints.restore(run / "checkpoints", like)
    best, best_step, _ = notes["best"]
    if best is not None and not last:
        return Weights(tree["best"], tree["best_rest"], best_step, True)
    params = tree["params"]
    if made.config.ema is not None:
        params = jopt.averaged_params(tree["state"], params)
    return Weights(params, tree["rest"], step, False)


def _program(
    task: Task, weights: Weights
) -> tuple[bytes, dict[str, Any], list[np.ndarray]]:
    """The model as StableHLO, what is to be told of it, and its arrays."""
    leaves, structure = jax.tree.flatten((weights.params, weights.rest))
    paths = jax.tree_util.tree_leaves_with_path((weights.params, weights.rest))
    held = [not _is_key(leaf) for leaf in leaves]  # a key has no say outside training
    blank = [None if h else jax.random.key(0) for h in held]
    arrays = [np.asarray(x) for x, h in zip(leaves, held, strict=True) if h]
    outputs: list[str] = []

    def said(arrays: list[jax.Array], rows: Mapping[str, Any]) -> list[jax.Array]:
        given = iter(arrays)
        full = [next(given) if h else key for h, key in zip(held, blank, strict=True)]
        params, rest = jax.tree.unflatten(structure, full)
        found = jax.tree_util.tree_leaves_with_path(task.forward(params, rest, rows))
        outputs[:] = [jax.tree_util.keystr(path) or "outputs" for path, _ in found]
        return [leaf for _, leaf in found]

    example = _taken(task, weights)
    exported, any_size = _exported(said, arrays, example)
    told = {
        "format": release.FORMAT,
        "jopt": jopt.__version__,
        "jax": jax.__version__,
        "task": task.name,
        "rows": {
            name: {"shape": list(x.shape[1:]), "dtype": str(x.dtype)}
            for name, x in example.items()
        },
        "any_size": any_size,
        "outputs": outputs,
        "platforms": list(exported.platforms),
        "arrays": [
            {"path": jax.tree_util.keystr(path), "dtype": str(leaf.dtype)}
            for (path, leaf), h in zip(paths, held, strict=True)
            if h
        ],
    }
    return exported.serialize(), told, [release.raw(array) for array in arrays]


def _exported(said: Any, arrays: list[np.ndarray], example: Any) -> tuple[Any, bool]:
    """The program, and whether it takes any number of rows."""
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]

    def rows(size: Any) -> dict[str, jax.ShapeDtypeStruct]:
        return {
            name: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype)
            for name, x in example.items()
        }

    make = jax.export.export(jax.jit(said), platforms=PLATFORMS)
    try:
        (size,) = jax.export.symbolic_shape("b")
        return make(specs, rows(size)), True
    except Exception:  # a model may ask for the number of rows: then whole blocks only
        return make(specs, rows(release.BLOCK)), False


def _taken(task: Task, weights: Weights) -> dict[str, jax.ShapeDtypeStruct]:
    """The rows that the model looks at: not the labels."""
    shapes = {
        name: jax.ShapeDtypeStruct(
            (2, *np.shape(x)[1:]), jax.dtypes.canonicalize_dtype(np.asarray(x).dtype)
        )
        for name, x in task.parts["test"].items()
    }
    seen: set[str] = set()

    def look(params: PyTree, rest: PyTree, rows: Any) -> Any:
        return task.forward(params, rest, _Seen(rows, seen))

    jax.eval_shape(look, weights.params, weights.rest, shapes)
    return {name: shape for name, shape in shapes.items() if name in seen}


class _Seen(Mapping[str, Any]):
    """Rows that note which of them are looked at."""

    def __init__(self, rows: Mapping[str, Any], seen: set[str]):
        self.rows, self.seen = rows, seen

    def __getitem__(self, name: str) -> Any:
        value = self.rows[name]
        self.seen.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _card(
    made: Plan, run: pathlib.Path, weights: Weights, told: Mapping[str, Any]
) -> str:
    """The model card: what it is, how it was made, how good it is, how to use it."""
    path = run / RESULT
    result = json.loads(path.read_text()) if path.is_file() else {}
    metric, test = made.task.metric, result.get("test")
    rows = [
        f"| `{name}` | {one['dtype']} | (rows, {', '.join(map(str, one['shape']))}) |"
        for name, one in told["rows"].items()
    ]
    parts = ", ".join(
        f"{len(next(iter(part.values())))} {name}"
        for name, part in made.task.parts.items()
    )
    kept = f"the best validation {metric}" if weights.best else "the last step"
    lines = [
        f"# {made.task.name}",
        "",
        f"A model for the task `{made.task.name}` of jopt, trained by `jopt train`.",
        "",
        "## Score",
        "",
        f"- weights: after step {weights.step}, {kept}",
    ]
    if test is not None and weights.best:
        valid = wording.score(result["valid"], metric)
        lines.append(f"- test {metric}: {wording.score(test, metric)}")
        lines.append(f"- validation {metric}, on which they were chosen: {valid}")
    else:
        lines.append("- not scored on the test part")
    versions = ", ".join(f"{k} {v}" for k, v in result.get("versions", {}).items())
    return "\n".join(
        [
            *lines,
            *("", "## Data", ""),
            f"Rows: {parts}. Digest: `{result.get('data', 'not known')}`. It is scored "
            "on rows drawn like those it was trained on; of others nothing is known.",
            *("", "## Training", "", "```toml"),
            train_config.text(made.config).rstrip(),
            *("```", "", f"Made with {versions or 'versions not known'}."),
            *(
                "",
                "## Use",
                "",
                "| input | dtype | shape |",
                "|---|---|---|",
                *rows,
                "",
            ),
            "```shell",
            "jopt predict DIR --input rows.npz --out said.npz",
            "```",
            "",
            "or `jopt.release.load(DIR).predict(rows)` in Python. It needs JAX and "
            "flatbuffers. "
            f"Outputs: {', '.join(f'`{name}`' for name in told['outputs'])}.",
            "",
        ]
    )
