"""One of two processes that train one model, on eight devices in all.

    python -m tests.training_processes PORT PROCESS FOLDER STEPS

It prints each step it took, and at the end its log. Run by `tests/test_processes.py`.
"""

import json
import pathlib
import sys

import jax

PROCESSES = 2


def main() -> None:
    port, process, folder, steps = sys.argv[1:]
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        f"127.0.0.1:{port}",
        PROCESSES,
        int(process),
        initialization_timeout=120,
        heartbeat_timeout_seconds=10,
        shutdown_timeout_seconds=10,
    )
    run(pathlib.Path(folder), int(steps))


def run(folder: pathlib.Path, steps: int) -> None:
    from jopt.experiments.training import train
    from tests.test_training import BATCHES, EVERYTHING, first, loss, score

    def batches(step: int):
        print(step, flush=True)
        return BATCHES(step)

    found = train(
        *(loss, first(), EVERYTHING, batches, steps),
        evaluate=score,
        eval_every=9,
        save_every=10,
        out=folder,
        resume=True,
        data_parallel=True,
    )
    print(json.dumps({"log": found.log, "stopped": found.stopped}), flush=True)


if __name__ == "__main__":
    main()
