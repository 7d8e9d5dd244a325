"""One of two processes that share a mesh: tries law D3 and prints a line for each name.

    python -m tests.devices_run PORT PROCESS NAME...

Run by `tests/test_laws_devices.py`, once for process 0 and once for process 1.
"""

import argparse
import json

import jax

from jopt.testing import check_transform

PROCESSES = 2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("process", type=int)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        f"127.0.0.1:{options.port}",
        PROCESSES,
        options.process,
        initialization_timeout=120,
    )
    for name in options.names:  # the catalogue has arrays, so it comes after
        verdict = tried(name)
        line = {"name": name, "verdict": verdict.verdict, "witness": verdict.witness}
        print(json.dumps(line), flush=True)


def tried(name: str):
    from tests.cases import TRANSFORMS
    from tests.devices_breaches import IN_PROCESSES

    if name in IN_PROCESSES:
        return check_transform(IN_PROCESSES[name], laws=["D3"])["D3"]
    case = TRANSFORMS[name][0]
    report = check_transform(
        case.tx, needs=case.needs, tags=case.tags, params=case.like, laws=["D3"]
    )
    return report["D3"]


if __name__ == "__main__":
    main()
