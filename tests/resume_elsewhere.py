"""Resume stored runs: `python -m tests.resume_elsewhere FOLDER`, for law C1.

Each run is a file of numbers and one of words. What comes out of it is stored beside.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.testing.compare import host
from jopt.testing.resume import restored, saved
from jopt.testing.subject import Subject

STEPS, CUT = 6, 3


def store(path: Path, *trees: Any) -> None:
    """Write the numbers of some trees."""
    numbers = [host(leaf) for leaf in jax.tree.leaves(trees)]
    np.savez(path, *numbers)


def load(path: Path) -> list[np.ndarray]:
    """The numbers of some trees, in their order."""
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in file.files]


def leave(folder: Path, name: str, tx: Any, needs: Any) -> list[np.ndarray]:
    """Run, store what it was after a few steps, and return what it is at the end."""
    subject = Subject(tx, needs)
    run = subject.run(subject.gradients(STEPS))
    store(folder / f"{name}.npz", run.states[CUT - 1], run.params[CUT - 1])
    words = {"tx": jopt.to_dict(tx), "needs": sorted(needs)}
    (folder / f"{name}.json").write_text(json.dumps(words), encoding="utf-8")
    ends = run.states[-1], run.params[-1]
    return [host(leaf) for leaf in jax.tree.leaves(ends)]


def resume(folder: Path, name: str) -> None:
    """Run the rest of a stored run, and store its end."""
    words = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    subject = Subject(jopt.from_dict(words["tx"]), words["needs"])
    numbers = load(folder / f"{name}.npz")
    structure = jax.tree.structure(subject.params())
    count = len(numbers) - structure.num_leaves
    state = restored(subject.tx, subject.params(), saved(numbers[:count]))
    params = jax.tree.unflatten(structure, map(jnp.asarray, numbers[count:]))
    run = subject.run(subject.gradients(STEPS)[CUT:], params, state, start=CUT)
    store(folder / f"{name}.end.npz", run.states[-1], run.params[-1])


def main() -> None:
    folder = Path(sys.argv[1])
    for file in sorted(folder.glob("*.json")):
        resume(folder, file.stem)


if __name__ == "__main__":
    main()
