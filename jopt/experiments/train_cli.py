"""The command `jopt train`: settings from flags and files, and what it returns."""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

DONE, FAILED, USAGE, INTERRUPTED, ASKED = 0, 1, 2, 130, 143

_ABOUT = """Train a model on a task, into a folder from which the run can go on.

  jopt train --task digits --steps 500 --schedule cosine
  jopt train --config run.toml --learning-rate 0.01 --out RUN
  jopt train --resume RUN

--config FILE takes settings from a TOML file; flags win. --out DIR names the folder of
the run (default: train-TASK, numbered). --resume RUN goes on with a run, by its own
settings. --quiet shows nothing.

Exit codes: 0 done; 1 the run failed; 2 wrong input, nothing was written; 130 after
Ctrl-C and 143 after SIGTERM: a checkpoint was written, go on by --resume."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"jopt train: {' '.join(message.split())}\n")


def main(argv: Sequence[str]) -> int:
    """Run `jopt train`.

    Args:
        argv: The arguments after `train`.

    Returns:
        The exit code; see `--help`.
    """
    try:
        from jopt.experiments.checkpoints import CorruptCheckpointError, RunInUseError
        from jopt.experiments.train_run import run
        from jopt.experiments.training import Asked

        with Asked(signal.SIGTERM, signal.SIGINT) as asked:
            own, config, out = _settings(argv)
            resume = own.resume is not None
            found, result = run(config, out, resume=resume, quiet=own.quiet)
    except SystemExit as stop:  # of the parsers
        return int(stop.code or 0)
    except ImportError as error:
        return _end(USAGE, f"{error}. It comes with: pip install 'jopt[experiments]'.")
    except KeyboardInterrupt:
        return _end(INTERRUPTED, "interrupted; go on from the last checkpoint.")
    except (
        CorruptCheckpointError,
        RunInUseError,
        FloatingPointError,
        OSError,
    ) as error:
        return _end(FAILED, str(error))
    except (TypeError, ValueError) as error:
        return _end(USAGE, str(error))
    if found.stopped == "signal":
        code = INTERRUPTED if asked.number == signal.SIGINT else ASKED
        said = f"ended after step {found.step}; go on by: jopt train --resume {out}"
        return _end(code, said)
    if not own.quiet:
        _show(result, out)
    return DONE


def _settings(argv: Sequence[str]):
    """What is not of the run itself, its settings, and its folder."""
    from jopt.experiments import outdir, train_config
    from jopt.experiments.train_run import saved

    own, rest = _parser().parse_known_args(argv)
    if own.resume is not None:
        if own.config or own.out or rest:
            other = "--config" if own.config else "--out" if own.out else rest[0]
            raise train_config.ConfigError(
                f"--resume takes all settings of {own.resume}; leave out {other}."
            )
        return own, saved(own.resume), own.resume
    config = train_config.TrainConfig()
    if own.config is not None:
        config = train_config.read(own.config)
    config = _flags(config, rest)
    name, _ = train_config.called(config.task, "task")
    return own, config, own.out or outdir.fresh(f"train-{name}")


def _parser() -> argparse.ArgumentParser:
    """Of the flags that are no settings."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for flag in ("--config", "--out", "--resume"):
        parser.add_argument(flag)
    parser.add_argument("--quiet", action="store_true")
    return parser


def _flags(config, rest: Sequence[str]):
    """The settings with those that the flags name."""
    import tyro

    from jopt.experiments.train_config import ConfigError, TrainConfig

    named = [word.split("=")[0] for word in rest if word.startswith("--")]
    for flag in named:
        if named.count(flag) > 1:
            raise ConfigError(f"{flag} is given twice; give it once.")
    return tyro.cli(
        TrainConfig, args=rest, default=config, prog="jopt train", description=_ABOUT
    )


def _show(result, out: str) -> None:
    from jopt.experiments import wording

    def said(value: float) -> str:
        return wording.score(value, result.metric)

    if result.valid is not None:
        at = f"after step {result.best_step}"
        print(f"valid {result.metric} {said(result.valid)} {at}")
    print(f"test {result.metric} {said(result.test)}\n\n{out}/report.html")


def _end(code: int, message: str) -> int:
    print(f"jopt train: {' '.join(message.split())}", file=sys.stderr)
    return code
