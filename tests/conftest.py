"""Settings of every test: CPU, eight devices, no promotion by accident."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# a process can hold 65,530 maps of memory, of which a program takes some
MAPS = pathlib.Path("/proc/self/maps")
MOST_MAPS, EVERY = 30_000, 500
compiled = [0]  # programs since the maps were counted


def count_programs(event: str, seconds: float, **kwargs: object) -> None:
    """Hear of each program that is compiled."""
    compiled[0] += event == "/jax/core/compile/backend_compile_duration"


jax.monitoring.register_event_duration_secs_listener(count_programs)

# they register transforms, and doctests would import them under other names
collect_ignore = ["fitted.py", "given.py", "stacked.py"]


def pytest_runtest_teardown() -> None:
    """Forget old programs before there are too many, or the process would end."""
    if compiled[0] < EVERY:
        return
    compiled[0] = 0
    if not MAPS.exists() or MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `multidevice` tests where there is only one device."""
    if not any("multidevice" in item.keywords for item in items):
        return
    if jax.device_count() > 1:
        return
    for item in items:
        if "multidevice" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs more than one device"))
