"""The laws on every configuration of a catalogue, in several processes.

A catalogue is a module with `TRANSFORMS`, the cases of each name, `SCHEDULES` and
`SCHEDULE_SKIPS`, as `tests.cases` has them.
"""

import concurrent.futures
import functools as ft
import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from jopt.testing.check import check_schedule, check_transform
from jopt.testing.law import chosen
from jopt.testing.report import Report

BATCH = 8  # names for a process: one that lives on grows


def sweep(
    module: str, names: Sequence[str], *, full: bool, jobs: int
) -> Iterator[tuple[str, list[Report]]]:
    """The reports of each name, as they come.

    Args:
        module: The module of the catalogue.
        names: What to try.
        full: Whether to try all configurations of a name, and all cases of the laws.
        jobs: How many processes share the work.
    """
    work = ft.partial(_work, module, full)
    if jobs == 1:
        _settings()
        yield from zip(names, map(work, names), strict=True)
        return
    batches = [names[i : i + BATCH] for i in range(0, len(names), BATCH)]
    with concurrent.futures.ThreadPoolExecutor(jobs) as threads:
        every = {threads.submit(_alone, work, batch): batch for batch in batches}
        for done in concurrent.futures.as_completed(every):
            yield from zip(every[done], done.result(), strict=True)


def _alone(
    work: Callable[[str], list[Report]], names: Sequence[str]
) -> list[list[Report]]:
    """The reports of some names by a process of their own, which then ends.

    A pool that replaces its processes would be shorter, but that of Python 3.11 may
    wait for ever for a new one.
    """
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn, _settings) as process:
        return list(process.map(work, names))


def _settings() -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")


def _work(module: str, full: bool, name: str) -> list[Report]:
    """The reports of the configurations of one name."""
    catalogue = importlib.import_module(module)
    jax.clear_caches()  # a process can hold only so many programs
    if name in catalogue.TRANSFORMS:
        cases = catalogue.TRANSFORMS[name]
        return [_tried(case, full) for case in (cases if full else cases[:1])]
    skips = catalogue.SCHEDULE_SKIPS.get(name, {})
    ids = [law.id for law in chosen(None, "schedule") if law.id not in skips]
    return [check_schedule(s, laws=ids) for s in catalogue.SCHEDULES[name]]


def _tried(case: Any, full: bool) -> Report:
    return check_transform(
        case.tx,
        needs=case.needs,
        tags=case.tags,
        params=case.like,
        state_multiple=case.memory,
        full=full,
        laws=[law.id for law in chosen(None) if law.id not in case.skips],
    )


def skips(catalogue: Any) -> list[tuple[str, str, str]]:
    """Name, law and reason of each check that the records leave out."""
    out = [
        (name, law, reason)
        for name, cases in catalogue.TRANSFORMS.items()
        for case in cases
        for law, reason in case.skips.items()
    ]
    for name, left in catalogue.SCHEDULE_SKIPS.items():
        times = len(catalogue.SCHEDULES[name])
        out += [(name, law, reason) for law, reason in left.items()] * times
    return out
