"""Warnings about optimizers that will not do what was meant, given at `init`."""

import contextlib
import contextvars
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jopt._core import checks, select, trees
from jopt._core.types import Child

PyTree = Any


class JoptWarning(UserWarning):
    """An optimizer that will not do what was probably meant.

    Every warning of jopt is of this class. Its message has a cure, and goes away with
    it. Python shows each once for each line of your program. To turn one off::

        warnings.filterwarnings("ignore", message=..., category=jopt.JoptWarning)
    """


_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("inside", default=False)
_muted: contextvars.ContextVar[bool] = contextvars.ContextVar("muted", default=False)

LIBRARIES = ("jopt", "jax", "flax", "optax", "equinox", "contextlib", "functools")


@contextlib.contextmanager
def outermost() -> Iterator[bool]:
    """Whether this is the outermost of nested uses: the one that sees the whole."""
    was = _inside.get() or _muted.get()
    token = _inside.set(True)
    try:
        yield not was
    finally:
        _inside.reset(token)


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Where `init` runs only to learn what it would make."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def warn(message: str) -> None:
    """Give a `JoptWarning` at the line of the user's program."""
    if not _muted.get():
        warnings.warn(message, JoptWarning, stacklevel=_user_level())


def _user_level() -> int:
    """How far up the stack the first line stands that no library is made of."""
    level, frame = 1, sys._getframe(1)  # of `warn`
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in LIBRARIES:
            return level
        level, frame = level + 1, frame.f_back
    return 2


def of_init(runner: Any, params: PyTree) -> None:
    """Warn of what can be told from a transform and its parameters.

    Args:
        runner: The outermost transform's.
        params: Its parameters, without integer leaves.
    """
    _of_raw_gradients(runner.spec, params)
    _of_lost_updates(runner, params)


# -- a masked optimizer whose other leaves keep their gradient ---------------------

# Stages after which an update is one to be added: they have the rate, or stop it.
SCALES = (
    "foreign",
    "scale",
    "scale_by_learning_rate",
    "scale_by_relative_step",
    "scale_by_schedule",
    "set_to_zero",
)
CHAINS = ("chain", "named_chain")


def _of_raw_gradients(spec: Any, params: PyTree) -> None:
    if not any(_masks_a_rate(s) for s in _walk(spec)):
        return
    names = trees.names(params)
    done = _scaled(spec, params)
    rest = [name for name in names if name not in done]
    if not done or not rest:
        return
    shown = ", ".join(f"`{name}`" for name in rest[:3])
    more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
    warn(
        f"`{spec.name}`: no learning rate reaches {shown}{more}, so the update there "
        "is the plain gradient, which ascends: `masked` passes the leaves it does not "
        "choose through. To hold them fixed use "
        "`jopt.selective_transform(tx, freeze_mask=...)`, or add `jopt.freeze(...)`; "
        "to train them otherwise use `jopt.partition`."
    )


def _walk(spec: Any) -> Iterator[Any]:
    """A call and the calls that stand among its arguments."""
    yield spec
    for _, child in spec.children():
        yield from _walk(child.spec)


def _masks_a_rate(spec: Any) -> bool:
    """Whether it masks a whole optimizer; a masked `scale` may be a mere stage."""
    return spec.name == "masked" and any(
        s.factory.kind == "optimizer" or s.name == "scale_by_learning_rate"
        for s in _walk(spec)
    )


def _is_complete(spec: Any) -> bool:
    own = spec.factory.function.__module__.partition(".")[0] == "jopt"
    return spec.factory.kind == "optimizer" or spec.name in SCALES or not own


def _scaled(spec: Any, params: PyTree) -> set[str]:
    """Names of the leaves whose update some stage scales by a rate, or stops."""
    every = set(trees.names(params))
    if _is_complete(spec) or spec.name in ("partition", "selective_transform"):
        return every
    if spec.name == "freeze":
        return _chosen(spec, params)
    inner = [_scaled(child.spec, params) for _, child in _transforms(spec)]
    found = set[str]().union(*inner)
    return found & _chosen(spec, params) if spec.name == "masked" else found


def _transforms(spec: Any) -> Iterator[tuple[str, Any]]:
    marks = spec.factory.marks.values()
    if any(isinstance(mark, Child) and mark.of == "transforms" for mark in marks):
        yield from spec.children()


def _chosen(spec: Any, params: PyTree) -> set[str]:
    keep = select.resolve(spec.arguments["mask"], params)
    pairs = zip(trees.names(params), jax.tree.leaves(keep), strict=True)
    return {name for name, flag in pairs if flag}


# -- 16-bit parameters whose updates are rounded away ------------------------------

COMPENSATED = ("kahan", "master_weights", "round_stochastically")
UNBOUNDED = {"large batch", "matrix", "memory", "parameter-free", "schedule-free"}
SMALL = 4096  # the largest leaf that is read back from its device


def _of_lost_updates(runner: Any, params: PyTree) -> None:
    half = [
        (name, leaf)
        for name, leaf in zip(trees.names(params), jax.tree.leaves(params), strict=True)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
        and jnp.finfo(leaf.dtype).bits == 16
        and _is_at_hand(leaf)
    ]
    if not half or runner.has_foreign:
        return
    if any(s.name in COMPENSATED for s in _walk(runner.spec)):
        return
    rate = _step_size(runner.spec)
    if not rate:
        return
    stuck = [(name, leaf) for name, leaf in half if rate < _least_gap(leaf) / 2]
    if stuck:
        name, leaf = stuck[0]
        more = f" and {len(stuck) - 1} more leaves" if len(stuck) > 1 else ""
        warn(
            f"`{runner.spec.name}`: a step of the learning rate, {rate:g}, is rounded "
            f"away in every entry of `{name}`{more}, whose {leaf.dtype} numbers are at "
            f"least {_least_gap(leaf):g} apart. Wrap the optimizer in "
            "`jopt.master_weights` or `jopt.kahan`. If you add updates by "
            "`jopt.apply_updates(..., key=key)`, all is well: filter this warning."
        )


def _is_at_hand(leaf: Any) -> bool:
    if isinstance(leaf, Tracer) or not isinstance(leaf, jax.Array):
        return False
    return 0 < leaf.size <= SMALL and leaf.is_fully_addressable


def _least_gap(leaf: jax.Array) -> float:
    """The least distance from an entry to the next number nearer to zero."""
    size = np.abs(np.asarray(leaf).astype(np.float64))
    info = jnp.finfo(leaf.dtype)
    if not (np.isfinite(size) & (size > float(info.tiny))).all():
        return 0.0  # some entry can make tiny steps, or none at all
    fraction, exponent = np.frexp(size)
    gap = np.ldexp(float(info.eps), exponent - 1)
    return float(np.where(fraction == 0.5, gap / 2, gap).min())


def _step_size(spec: Any) -> float | None:
    """The greatest step of an entry, where it is known to be some learning rate."""
    if spec.name in CHAINS:
        stages = [child.spec for _, child in spec.children()]
        return _step_size(stages[-1]) if stages else None
    tags = set(spec.factory.facts.get("tags", ()))
    if not tags & {"adaptive", "sign"} or tags & UNBOUNDED:
        return None
    if spec.factory.facts["rates"][1] > 0.1:  # its steps are not its learning rate
        return None
    return checks.greatest(spec.arguments.get("learning_rate"))
