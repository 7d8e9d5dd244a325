"""The command `jopt study`."""

import argparse
import sys
from typing import Any

USAGE = 2

_EPILOG = """examples:
  jopt study --list
  jopt study learning_rate --quick
  jopt study momentum --out results
"""


def add(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    study = commands.add_parser(
        "study",
        help="test a claim of the textbooks on optimization",
        description="Run an experiment that tests a claim; print what was found, and "
        "write findings.json, table.md and figure.png.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    study.add_argument("name", nargs="?", metavar="NAME", help="the study to run")
    study.add_argument(
        "--list", action="store_true", help="name all studies and claims"
    )
    study.add_argument(
        "--quick", action="store_true", help="a small run, too small to judge the claim"
    )
    study.add_argument(
        "--out", metavar="DIR", help="where to write to (default: study-NAME, numbered)"
    )
    study.set_defaults(run=run)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run the command; 0, or 2 for wrong input."""
    del arguments
    from jopt.experiments import studies

    if options.list:
        width = max(map(len, studies.NAMES))
        for name in studies.NAMES:
            print(f"{name:{width}}  {studies.load(name).claim}")
        return 0
    if options.name is None:
        return _fail("NAME is missing; `jopt study --list` names all.")
    try:
        return _run(studies.load(options.name), options)
    except (ValueError, ImportError, OSError) as error:
        return _fail(str(error))


def _run(study: Any, options: argparse.Namespace) -> int:
    from jopt.experiments import outdir
    from jopt.experiments.studies.study import timed

    findings, seconds = timed(study, options.quick)
    text = findings.markdown()
    if options.quick:
        text += "\nA quick run: too small to judge the claim by.\n"
    print(f"{study.claim}\n\n{text}")
    out = options.out or outdir.fresh(f"study-{study.name}")
    facts = {"quick": options.quick, "seconds": round(seconds, 1)}
    for path in study.save(findings, out, **facts):
        print(path)
    return 0


def _fail(message: str) -> int:
    print(f"jopt study: {' '.join(message.split())}", file=sys.stderr)
    return USAGE
