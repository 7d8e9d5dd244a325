"""What the benchmarks share: rows with bars, timing by turns, model shapes."""

import argparse
import json
import math
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

PyTree = Any
ShapeTree = Any


class Row(NamedTuple):
    """One line of a report. `ok` is None where there is no bar."""

    what: str
    jopt: str
    optax: str
    bar: str = ""
    ok: bool | None = None


def machine() -> dict[str, Any]:
    """The processor, the number of cores, and the versions that matter."""
    names = ("jopt", "jax", "optax")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: _version(name) for name in names},
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        match = re.search(r"model name\s*: (.*)", info.read_text())
        if match:
            return match[1]
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    if name == "jopt":
        import jopt

        return jopt.__version__
    return metadata.version(name)


def verdict(row: Row) -> str:
    """OK, MISS, or nothing where there is no bar."""
    return "" if row.ok is None else "OK" if row.ok else "MISS"


def report(title: str, measure: Callable[[], list[Row]]) -> int:
    """Measure, print a table, store it where `--json` says; the count of misses."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    rows = measure()
    here = machine()
    print(title)
    print(", ".join(f"{name} {value}" for name, value in here.items()))
    head = Row("", "jopt", "optax", "bar")
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(4)]
    for row in (head, *rows):
        cells = (str(c).ljust(w) for c, w in zip(row[:4], widths, strict=True))
        print("  ".join((*cells, verdict(row))).rstrip())
    if args.json:
        stored = {"title": title, "machine": here, "rows": [r._asdict() for r in rows]}
        args.json.write_text(json.dumps(stored, indent=1) + "\n")
    return sum(row.ok is False for row in rows)


def by_turns(jobs: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """The median seconds of each job, run in turns so that all see the same noise.

    One round more comes first and is not counted.
    """
    seconds: list[list[float]] = [[] for _ in jobs]
    for r in range(rounds + 1):
        for job, times in zip(jobs, seconds, strict=True):
            start = time.perf_counter()
            job()
            if r:
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def one_leaf(size: int = 2**24) -> ShapeTree:
    """The shape of one vector of 16.8 million parameters."""
    return {"w": jax.ShapeDtypeStruct((size,), jnp.float32)}


def gpt_shapes(layers: int, width: int, words: int, positions: int) -> ShapeTree:
    """The shapes of a GPT-2: 12 leaves a layer and 4 more."""
    d = width
    block = {
        "ln_1": {"scale": (d,), "bias": (d,)},
        "attn": {"kernel": (d, 3 * d), "bias": (3 * d,)},
        "attn_out": {"kernel": (d, d), "bias": (d,)},
        "ln_2": {"scale": (d,), "bias": (d,)},
        "mlp": {"kernel": (d, 4 * d), "bias": (4 * d,)},
        "mlp_out": {"kernel": (4 * d, d), "bias": (d,)},
    }
    tree = {f"h_{i:02}": block for i in range(layers)}
    ends = {"wte": (words, d), "wpe": (positions, d)}
    shapes = {**tree, **ends, "ln_f": {"scale": (d,), "bias": (d,)}}
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )


def count(tree: ShapeTree) -> int:
    """The number of parameters."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def filled(shapes: ShapeTree, value: float) -> PyTree:
    """Arrays of these shapes."""
    return jax.tree.map(lambda s: jnp.full(s.shape, value, s.dtype), shapes)


def donating_step(tx: optax.GradientTransformation) -> Any:
    """A jitted update and apply; parameters and state are donated and come back."""

    def step(params: PyTree, state: PyTree, grads: PyTree) -> tuple[PyTree, PyTree]:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def compiled_step(tx: optax.GradientTransformation, shapes: ShapeTree) -> Any:
    """`donating_step`, lowered and compiled for these shapes; nothing is allocated."""
    state = jax.eval_shape(tx.init, shapes)
    return donating_step(tx).lower(shapes, state, shapes).compile()


_BITS = {"pred": 8, "s32": 32, "u32": 32, "f32": 32, "bf16": 16, "s64": 64, "f64": 64}
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while"}
_LINE = re.compile(r"^\s*(?:ROOT )?%(\S+) = (.*?) ([a-z][a-z\-]*)\(([^)]*)\)")


def _shape_bytes(text: str) -> int:
    total = 0
    for kind, dims in re.findall(r"([a-z]+\d*)\[([\d,]*)\]", text):
        elements = math.prod(int(n) for n in dims.split(",") if n)
        total += _BITS[kind] // 8 * elements
    return total


def bytes_that_run(compiled: Any) -> int:
    """Bytes that the entry of a program reads and writes, without its loops.

    XLA's own count, `cost_analysis()["bytes accessed"]`, takes the body of each loop as
    run once. The rescue of an overflowing norm is a loop that does not run as a rule.
    Where there is no loop both counts agree.
    """
    text = compiled.as_text()
    sizes, total = {}, 0
    for line in text[text.index("\nENTRY ") :].splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, shape, operation, operands = match.groups()
        sizes[name] = _shape_bytes(shape)
        if operation not in _FREE:
            read = re.findall(r"%([\w.\-]+)", operands)
            total += sizes[name] + sum(sizes[other] for other in read)
    return total
