"""Seed one bug at a time into a copy of jopt, and see whether a test notices.

    python -m tests.mutants [NAME ...]

It works in temporary copies; the working tree stays as it is. It fails if a bug goes
unnoticed; else it writes what noticed them into docs/mutants.md.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants_table import Mutant, MUTANTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "mutants.md"
COPIED = ("jopt", "tests", "docs", "README.md", "pyproject.toml")
WORKERS = 2

PASSED, FAILED = 0, 1  # exit codes of pytest; others mean that nothing was tried

HEAD = """\
# Seeded bugs

A test that never fails says nothing. So bugs are seeded into jopt, one at a time, and
for each a small selection of the tests has to notice. `python -m tests.mutants` seeds
them in a temporary copy and writes this page; the working tree stays as it is. All of
these are noticed.

| bug | what was seeded | where | noticed by |
|---|---|---|---|
"""


def copy(to: Path) -> Path:
    """A copy of what the tests need."""
    skip = shutil.ignore_patterns("__pycache__", "_build", "api", "notebooks")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=skip)
        else:
            shutil.copy2(ROOT / name, to / name)
    return to


def mutated(text: str, mutant: Mutant) -> str:
    """The source with the bug in it."""
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"`{mutant.name}`: {mutant.file} has its text {text.count(mutant.old)} "
            f"times, not once:\n{mutant.old}"
        )
    return text.replace(mutant.old, mutant.new)


def pytest(folder: Path, selection: list[str]) -> tuple[int, str]:
    """The exit code and the output of some tests in a copy."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *selection],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def witness(output: str) -> str:
    """The test that failed first."""
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    return found[1] if found else ""


def tried(mutant: Mutant, folder: Path) -> tuple[int, str]:
    """Seed a bug in a copy, run its tests, and take it out again."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(mutated(text, mutant), encoding="utf-8")
    try:
        return pytest(folder, shlex.split(mutant.tests))
    finally:
        shutil.copy2(ROOT / mutant.file, path)  # with its old date: nothing is stale


def sound(folder: Path, tests: list[str]) -> bool:
    """Whether tests pass where nothing is seeded: else they notice nothing."""
    code, output = pytest(folder, sorted(set(tests)))
    if code != PASSED:
        print(f"without any bug pytest ends with {code}:\n{output[-2000:]}")
    return code == PASSED


def row(mutant: Mutant, by: str) -> str:
    """One line of the page."""
    path = mutant.file.removeprefix("jopt/")
    by = by.removeprefix("tests/").replace("|", "\\|")
    seeded = mutant.seeded.replace("|", "\\|")
    return f"| {mutant.name} | {seeded} | `{path}` | `{by}` |\n"


def write(noticed: dict[str, str]) -> None:
    """Write the page; bugs that were not tried now keep their line."""
    old = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    lines = {line.split(" | ")[0].removeprefix("| "): line + "\n" for line in old}
    lines |= {m.name: row(m, noticed[m.name]) for m in MUTANTS if m.name in noticed}
    body = (lines[mutant.name] for mutant in MUTANTS if mutant.name in lines)
    PAGE.write_text(HEAD + "".join(body), encoding="utf-8")


def run(mutants: list[Mutant]) -> dict[str, str]:
    """By name, the test that notices, or nothing."""
    noticed: dict[str, str] = {}
    folders: SimpleQueue[Path] = SimpleQueue()

    def one(mutant: Mutant) -> None:
        folder = folders.get()
        code, output = tried(mutant, folder)
        folders.put(folder)
        noticed[mutant.name] = by = witness(output) if code == FAILED else ""
        print(f"{mutant.name}: {by or f'SURVIVES (pytest ends with {code})'}")
        if code not in (PASSED, FAILED):
            print(output[-2000:])

    with tempfile.TemporaryDirectory() as temporary:
        for i in range(WORKERS):
            (Path(temporary) / str(i)).mkdir()
            folders.put(copy(Path(temporary) / str(i)))
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(one, mutants))
    return noticed


def main(names: list[str]) -> int:
    chosen = [m for m in MUTANTS if not names or m.name in names]
    if not chosen:
        print(f"No such bug. There are {', '.join(m.name for m in MUTANTS)}.")
        return 2
    for mutant in chosen:  # before anything runs
        mutated((ROOT / mutant.file).read_text(encoding="utf-8"), mutant)
    noticed = run(chosen)
    survivors = [name for name, by in noticed.items() if not by]
    print(f"{len(chosen)} bugs, {len(survivors)} unnoticed: {', '.join(survivors)}")
    with tempfile.TemporaryDirectory() as temporary:
        witnesses = [by for by in noticed.values() if by]
        if not sound(copy(Path(temporary)), witnesses) or survivors:
            return 1
    write(noticed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
