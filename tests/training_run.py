"""A run that may be killed at any moment: `python -m tests.training_run FOLDER`.

It prints the step that it goes on from, then each step that is saved, and at the end
writes the bits of all it holds to `FOLDER/end`. Run by `tests/test_training.py`.
"""

import pathlib
import sys

import jax

from jopt.experiments import checkpoints
from jopt.experiments.training import train
from tests.test_training import BATCHES, bits, EVERYTHING, first, loss, score

STEPS = 4000


def main(folder: pathlib.Path) -> None:
    saved = folder / "checkpoints"
    steps = checkpoints.steps_in(saved) if saved.exists() else []
    print(steps[-1] if steps else 0, flush=True)
    save = checkpoints.Checkpoints.save

    def told(self, step, *rest):
        save(self, step, *rest)
        print(step, flush=True)

    checkpoints.Checkpoints.save = told
    found = train(
        loss,
        first(),
        EVERYTHING,
        BATCHES,
        STEPS,
        evaluate=jax.jit(score),
        out=folder,
        resume=True,
        save_every=20,
    )
    (folder / "end").write_bytes(b"".join(bits((found.params, found.state))))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
