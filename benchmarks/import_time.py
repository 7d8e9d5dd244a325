"""Time of `import jopt` in a fresh process, beside `import optax`."""

import subprocess
import sys

from benchmarks import _common as common


def _rows() -> list[common.Row]:
    def fresh(name: str) -> None:
        subprocess.run([sys.executable, "-c", f"import {name}"], check=True)

    jobs = [lambda: fresh("jopt"), lambda: fresh("optax"), lambda: fresh("jax.numpy")]
    ours, theirs, base = common.by_turns(jobs, 11)
    return [
        common.Row(
            "import in a fresh process",
            f"{ours:.2f} s ({ours / theirs:.2f}x)",
            f"{theirs:.2f} s",
            "<= 1.1x",
            ours <= 1.1 * theirs,
        ),
        common.Row("of which jax.numpy alone", f"{base:.2f} s", f"{base:.2f} s"),
    ]


def main() -> int:
    """Alternate fresh processes."""
    return common.report(__doc__ or "", _rows)


if __name__ == "__main__":
    raise SystemExit(main())
