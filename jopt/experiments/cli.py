"""The command line `jopt`, also `python -m jopt`; here of `race`."""

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

USAGE, INTERRUPTED = 2, 130
COMMANDS = {
    "train": ("jopt.experiments.train_cli", "train a model, with checkpoints"),
    "export": ("jopt.experiments.export", "write the trained model of a run"),
    "predict": ("jopt.release", "what a model that was exported says of rows"),
}

_EPILOG = """examples:
  jopt race
  jopt race --optimizers adamw,muon,"chain(clip_by_global_norm(1.0), adamw)"
  jopt race --model convnet --rates 1e-3,1e-2 --seeds 1 --out results
  jopt race --task tinyimagenet10 --data DIR --optimizers adamw,muon --rates 3
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the closest option."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {' '.join(message.split())}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(_unknown_option(rest[0], list(self._option_string_actions)))
        return found, rest


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        0, or 2 for wrong input, or 130 after Ctrl-C; others as a command says.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments and arguments[0] in COMMANDS:
        module, _ = COMMANDS[arguments[0]]
        return importlib.import_module(module).main(arguments[1:])
    try:
        options = _parser().parse_args(arguments)
        return options.run(options, arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def _parser() -> _Parser:
    import jopt
    from jopt.experiments import study_cli

    parser = _Parser(
        prog="jopt", description="Optimizers and schedules for JAX.", allow_abbrev=False
    )
    version = f"jopt {jopt.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, (_, about) in COMMANDS.items():  # these parse for themselves
        commands.add_parser(name, help=about)
    race = commands.add_parser(
        "race",
        help="find the optimizer and learning rate that train a model best",
        description="Train a model with many optimizers at many learning rates; rank "
        "them in the terminal, in results.json and in report.html.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_what(race)
    _add_how(race)
    race.set_defaults(run=_race)
    study_cli.add(commands)
    return parser


def _add_what(race: argparse.ArgumentParser) -> None:
    add = race.add_argument_group("what is raced").add_argument
    add("--task", default="digits", help="digits (default), images or tinyimagenet10")
    add("--model", default="mlp", help="mlp (default) or convnet")
    add("--data", metavar="DIR", help="folder of images (default: $JOPT_DATA)")
    add(
        "--optimizers",
        metavar="LIST",
        help="names and calls, separated by commas; the race sets their learning rate "
        "(default: twelve well-known ones)",
    )
    add(
        "--rates",
        default="8",
        metavar="N|LIST",
        help="how many learning rates for each optimizer, spread over the range worth "
        "searching, or the rates (default: 8)",
    )
    add("--seeds", default="3", metavar="N", help="how many seeds (default: 3)")
    add("--seed", default="0", metavar="N", help="the first seed (default: 0)")
    add("--steps", default="300", metavar="N", help="steps of training (default: 300)")
    add("--batch-size", default="64", metavar="N", help="rows a step (default: 64)")
    add(
        "--target",
        metavar="SCORE",
        help="validation score to be reached (default: 95%% of the way from the "
        "untrained score to the best)",
    )


def _add_how(race: argparse.ArgumentParser) -> None:
    add = race.add_argument_group("how").add_argument
    add(
        "--batch",
        metavar="N",
        help="rates and seeds trained at the same time (default: all, or what suits "
        "the model)",
    )
    add(
        "--out",
        metavar="DIR",
        help="new or empty folder for results.json and report.html (default: "
        "race-TASK-MODEL, numbered)",
    )
    add("--resume", action="store_true", help="go on with the race in --out")
    add("--quiet", action="store_true", help="no progress, no table")


def _race(options: argparse.Namespace, arguments: list[str]) -> int:
    try:
        from jopt.experiments import outdir, terminal
        from jopt.experiments.race import race, RaceInterrupted
    except ImportError as error:
        return _fail(f"{error}. It comes with: pip install 'jopt[experiments]'.")
    try:
        settings = _settings(options)
        if options.resume and options.out is None:
            raise ValueError("`resume` needs --out DIR, the folder to go on with.")
        out = options.out or outdir.fresh(f"race-{options.task}-{options.model}")
        result = race(**settings, out=out, resume=options.resume, quiet=options.quiet)
    except RaceInterrupted as stop:
        print(f"\njopt race: {stop}", file=sys.stderr)
        if stop.result.entries:
            command = outdir.resume_command(arguments, out)
            print(f"Go on with: {command}", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        print("\njopt race: interrupted before it began.", file=sys.stderr)
        return INTERRUPTED
    except (TypeError, ValueError, ImportError) as error:
        return _fail(_optioned(str(error)))
    if not options.quiet:
        terminal.show(result)
        print(f"\n{out}/report.html\n{out}/results.json")
    return 0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `race` that the options mean."""
    from jopt._core.parse import split_list

    whole = {"seeds", "seed", "steps", "batch_size", "batch"}
    settings = {name: _number(name, getattr(options, name), int) for name in whole}
    settings["target"] = _number("target", options.target, float)
    settings["rates"] = _rates(options.rates)
    named = None if options.optimizers is None else split_list(options.optimizers)
    if named and "" in named:
        raise ValueError(f"`optimizers` has an empty item: {options.optimizers!r}.")
    settings["optimizers"] = named
    for name in ("task", "model", "data"):
        settings[name] = getattr(options, name)
    return settings


def _rates(text: str) -> int | list[float]:
    items = text.split(",")
    if len(items) == 1 and text.strip().lstrip("+-").isdigit():
        return int(text)
    return [float(_number("rates", item, float)) for item in items]  # pyright: ignore


def _number(name: str, text: str | None, kind: type) -> Any:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"`{name}` must be {wanted}, got {text.strip()!r}.") from None


def _optioned(message: str) -> str:
    """The message with `name` at its start or before a verb written as `--name`."""
    for name in (
        *("batch_size", "optimizers", "rates", "seeds", "seed", "steps", "task"),
        *("model", "batch", "target", "out", "resume", "points"),
    ):
        message = message.replace(f"`{name}`", f"--{name.replace('_', '-')}")
    return message


def _fail(message: str) -> int:
    print(f"jopt race: {' '.join(message.split())}", file=sys.stderr)
    return USAGE


def _unknown_option(given: str, known: list[str]) -> str:
    name = given.split("=")[0]
    if not name.startswith("-"):
        return f"unexpected argument {given!r}; lists take commas without blanks."
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}?" if close else "See --help."
    return f"unknown option {name}. {hint}"
