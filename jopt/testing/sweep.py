"""The laws on every configuration of a catalogue, in several processes.

A catalogue is a module with `TRANSFORMS`, the cases of each name, `SCHEDULES` and
`SCHEDULE_SKIPS`, as `tests.cases` has them.
"""

import concurrent.futures
import functools as ft
import importlib
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from jopt.testing.check import check_schedule, check_transform
from jopt.testing.law import chosen
from jopt.testing.report import Report

PER_PROCESS = 8  # names, whose programs a process keeps


def sweep(
    module: str, names: Sequence[str], *, full: bool, jobs: int
) -> Iterator[tuple[str, list[Report]]]:
    """The reports of each name, in order.

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
    pool = concurrent.futures.ProcessPoolExecutor(
        jobs,
        multiprocessing.get_context("spawn"),
        _settings,
        max_tasks_per_child=PER_PROCESS,
    )
    with pool:
        yield from zip(names, pool.map(work, names), strict=True)


def _settings() -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")


def _work(module: str, full: bool, name: str) -> list[Report]:
    """The reports of the configurations of one name."""
    catalogue = importlib.import_module(module)
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
