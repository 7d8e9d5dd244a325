"""A process that knows a run only from a file, and finishes it: law C1.

    python -m tests.resume_run FOLDER

`FOLDER/run.json` has, by name, the config of a transform and the first cut of its run;
`FOLDER/NAME.json` is written with how it ends. Run by `tests/test_resume.py`.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.testing import data
from jopt.testing.compare import host
from jopt.testing.subject import Subject
from tests import fitted, stacked

OF_TESTS = fitted, stacked  # they register transforms that records use

STEPS, CUT = 6, 3


def written(tree):
    """A tree as JSON: its leaves as dtype, shape and bits."""
    arrays = map(host, jax.tree.leaves(tree))
    return [(str(x.dtype), list(x.shape), x.tobytes().hex()) for x in arrays]


def read(like, rows):
    """A tree shaped like another, with the leaves of JSON."""
    leaves, structure = jax.tree.flatten(like)
    out = []
    for leaf, (dtype, shape, bits) in zip(leaves, rows, strict=True):
        flat = np.frombuffer(bytes.fromhex(bits), jnp.dtype(dtype))
        array = jnp.asarray(flat.reshape(shape))
        key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        out.append(jax.random.wrap_key_data(array) if key else array)
    return jax.tree.unflatten(structure, out)


def finished(config, needs, params, state):
    """The rest of a run that was cut."""
    like = data.example()
    tx = jopt.from_dict(config)
    s = Subject(tx, needs)
    state = read(jax.eval_shape(tx.init, like), state)
    rest = s.gradients(STEPS)[CUT:]
    return s.run(rest, read(like, params), state, start=CUT)


def main(folder: Path) -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    rows = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for name, row in rows.items():
        run = finished(**row)
        end = {"params": written(run.params[-1]), "state": written(run.states[-1])}
        (folder / f"{name}.json").write_text(json.dumps(end), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
