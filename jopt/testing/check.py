"""Running the laws on a transform or a schedule."""

import time
import warnings
from collections.abc import Collection
from typing import Any

import optax

from jopt._core.warn import JoptWarning
from jopt.testing.law import Broken, chosen, Law, NotApplicable
from jopt.testing.report import FAILED, Report, Verdict
from jopt.testing.schedules import Timetable
from jopt.testing.subject import NEEDS, Subject

PyTree = Any


def check_transform(
    tx: optax.GradientTransformation,
    *,
    needs: Collection[str] = (),
    tags: Collection[str] | None = None,
    laws: str | Collection[str] | None = None,
    params: PyTree = None,
    state_multiple: float | None = None,
    full: bool = False,
) -> Report:
    """Try the laws of optimizers on a transform: jopt's, optax's or your own.

    It runs on a matrix of 4 by 3 and a vector of 3, in a few seconds, and leaves no
    trace. `docs/laws.md` tells what each law says and why.

    Args:
        tx: A pair `(init, update)`.
        needs: What the update needs beside gradients: `"params"`, `"value"`; or
            `"value_fn"`, `"grad_fn"`, `"residual_fn"`, which are then those of a bowl.
        tags: The properties it claims, such as `"elementwise"`: each is then tried both
            ways, so that neither a false claim nor a missing one passes. Without it
            the report tells which properties were found.
        laws: Ids of laws such as `"N4"`, or families such as `"N"`. Defaults to all.
        params: A tree of arrays or shapes to try it on instead.
        state_multiple: Numbers in the state per parameter.
        full: Whether to try more cases of the laws that have many.

    Returns:
        A report. It prints as a table; `report.failures` lists what fails,
        `report.assert_ok()` raises for it.

    Raises:
        TypeError: If `tx` is no transform.
        ValueError: If there is no such need, tag or law.

    Example:
        >>> import optax
        >>> from jopt.testing import check_transform
        >>> report = check_transform(optax.adam(0.1), laws=["N1", "N4"])
        >>> [failure.law.id for failure in report.failures]
        ['N1', 'N4']
    """
    wanted = chosen(laws)
    subject = subject_of(
        tx,
        needs=needs,
        tags=tags,
        params=params,
        state_multiple=state_multiple,
        full=full,
    )
    verdicts = tuple(judge(law, subject) for law in wanted)
    return Report(name_of(subject), verdicts)


def subject_of(
    tx: Any,
    *,
    needs: Collection[str] = (),
    tags: Collection[str] | None = None,
    params: PyTree = None,
    state_multiple: float | None = None,
    full: bool = False,
) -> Subject:
    """A transform to be tried, its options checked."""
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise TypeError(f"`tx` must be a pair (init, update), got {tx!r}.")
    _known("needs", needs, NEEDS)
    if tags is not None:
        _known("tags", tags, known_tags())
    return Subject(tx, needs, tags, params, state_multiple, full)


def name_of(subject: Subject) -> str:
    """The transform as text."""
    if subject.ours:
        return repr(subject.tx)
    return getattr(subject.tx.update, "__qualname__", "transform").split(".")[0]


def check_schedule(
    schedule: optax.Schedule, *, laws: str | Collection[str] | None = None
) -> Report:
    """Try the laws of schedules on a function from step to number.

    Args:
        schedule: A schedule of jopt or optax, or your own.
        laws: Ids of laws such as `"S1"`. Defaults to all.

    Returns:
        A report, as `check_transform` gives.

    Raises:
        TypeError: If `schedule` cannot be called.
        ValueError: If there is no such law.

    Example:
        >>> import jopt
        >>> from jopt.testing import check_schedule
        >>> bool(check_schedule(jopt.linear_schedule(0.0, 1.0, 10)))
        True
    """
    if not callable(schedule) or hasattr(schedule, "factory"):
        raise TypeError(f"`schedule` must map a step to a number, got {schedule!r}.")
    subject = Timetable(schedule)
    wanted = chosen(laws, "schedule")
    return Report(repr(schedule), tuple(judge(law, subject) for law in wanted))


def judge(law: Law, subject: Any) -> Verdict:
    """The verdict of one law on one subject."""
    start = time.process_time()
    holds, witness = True, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JoptWarning)  # laws go to the limits
            law.check(subject)
    except NotApplicable as reason:
        return Verdict(law, "does not apply", str(reason), _since(start))
    except Broken as broken:
        holds, witness = False, str(broken)
    except Exception as error:  # the transform's own: that it raises is the witness
        lines = str(error).strip().splitlines() or [""]
        holds, witness = False, f"{type(error).__name__}: {lines[0][:200]}"
    if law.tag and subject.tags is None:
        return Verdict(law, "has it" if holds else "lacks it", witness, _since(start))
    expected = law.expected(subject.tags or frozenset())
    if holds == expected:
        return Verdict(law, "holds" if holds else "not claimed", "", _since(start))
    if holds:
        witness = f"it holds, but the tags {_declares(law)}"
    return Verdict(law, FAILED, witness, _since(start))


def known_tags() -> list[str]:
    """Every tag that a law knows."""
    own = {law.tag.removeprefix("!") for law in chosen(None) if law.tag}
    return sorted(own | {"matrix_only"})


def _declares(law: Law) -> str:
    if law.tag.startswith("!"):
        return f"declare `{law.tag[1:]}`"
    return f"do not declare `{law.tag}`"


def _since(start: float) -> float:
    return time.process_time() - start


def _known(argument: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise ValueError(
                f"`{argument}` has {name!r}. Known: {', '.join(sorted(known))}."
            )
