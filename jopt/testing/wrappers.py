"""Laws W: what wrappers make of a transform."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.testing import data
from jopt.testing.compare import close, is_zero, same_bits
from jopt.testing.law import Broken, law, NotApplicable
from jopt.testing.subject import elements, Subject

PyTree = Any


def _optimizers_first(s: Subject) -> None:
    """Leave stages to the full run: these wrappers are slow to compile."""
    if not s.full and not s.has("descends"):
        raise NotApplicable("it is no optimizer; `full=True` tries it all the same")


@law(
    "W1",
    "k micro-batches accumulated are one batch; between steps nothing moves",
    why="Accumulation is how a large batch fits into memory; it must not be another "
    "optimizer.",
    cure="Do all that depends on time in the state, not by counting calls.",
)
def _accumulates(s: Subject) -> None:
    _optimizers_first(s)
    p = s.params()
    for k in (1, 2, 4, 7) if s.full else (4,):
        noise = [data.scaled(g, 0.5) for g in s.gradients(k)]
        wrapped = s.with_tx(jopt.accumulate(s.tx, k))
        state, here, plain, there = wrapped.tx.init(p), p, s.tx.init(p), p
        for t, big in enumerate(s.gradients(2)):
            micro = _around(big, noise)
            for i, g in enumerate(micro):
                u, state, here = wrapped.step(g, state, here, s.extra(t))
                if i < k - 1 and not is_zero(u):
                    raise Broken(f"micro-batch {i + 1} of {k} moves a parameter")
            mean = _mean(micro)
            v, plain, there = s.step(mean, plain, there, s.extra(t))
            rtol = 2e-5 if s.has("matrix") else 5e-6
            close(u, v, f"{k} micro-batches, step {t + 1}", rtol)


def _around(big: PyTree, noise: list[PyTree]) -> list[PyTree]:
    """Micro-batches whose mean is about `big`."""
    mean = _mean(noise)
    return [jax.tree.map(lambda b, n, m: b + (n - m), big, n, mean) for n in noise]


def _mean(trees: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *x: sum(x[1:], x[0]) * (1.0 / len(x)), *trees)


@law(
    "W2",
    "frozen leaves stay exactly and take no state",
    why="A frozen encoder that holds moments wastes the memory that freezing saves; "
    "one that decays is not frozen.",
    cure="Make state by `jax.tree.map` over the parameters given to `init`.",
)
def _freezes(s: Subject) -> None:
    p = {"held": jax.tree.map(jnp.copy, s.params()), "free": s.params()}
    tx = jopt.selective_transform(s.tx, freeze_mask="^held")
    g = s.gradients(1)[0]
    state = tx.init(p)
    alone = elements(s.tx.init(p["free"]))
    if elements(state) != alone:
        raise Broken(f"{elements(state)} numbers in the state instead of {alone}")
    with s.uncompiled():
        u: Any = tx.update({"held": g, "free": g}, state, p, **s.extra())[0]
    if not is_zero(u["held"]):
        raise Broken("a frozen leaf moves")


@law(
    "W4",
    "behind `apply_if_finite` a NaN changes nothing but the guard's counters",
    why="One bad batch must not end a run, nor advance the schedule of a step that was "
    "not made.",
    cure="Keep everything that changes in the state, so that it can be held back.",
)
def _guarded(s: Subject) -> None:
    _optimizers_first(s)
    p, (g, other) = s.params(), s.gradients(2)
    tx = s.with_tx(jopt.apply_if_finite(s.tx, max_consecutive_errors=2))
    _, state, here = tx.step(g, tx.tx.init(p), p, s.extra())
    for i, bad in enumerate((np.nan, np.inf)):
        u, after, there = tx.step(_spoilt(other, bad), state, here, s.extra(1))
        same_bits(there, here, f"the parameters after {bad}")
        same_bits(after.inner_state, state.inner_state, f"the state after {bad}")
        if not is_zero(u) or int(after.notfinite_count) != i + 1:
            raise Broken(f"{bad}: not skipped, or not counted")
        state = after
    if not bool(state.failed):
        raise Broken("two bad steps in a row do not set the flag `failed`")
    u, _, _ = tx.step(other, state, here, s.extra(1))
    close(u, s.base.updates[1], "the next good step", 2e-6)


def _spoilt(tree: PyTree, value: float) -> PyTree:
    """A tree with one entry replaced."""
    leaves, structure = jax.tree.flatten(tree)
    leaves[-1] = leaves[-1].at[(0,) * leaves[-1].ndim].set(value)
    return jax.tree.unflatten(structure, leaves)


@law(
    "W5",
    "a loss scaled by 2^k and gradients unscaled by it give the same bits",
    why="Loss scaling must not change a run, or its scale is one more thing to tune.",
    cure="Unscale before anything else, in float32 or wider.",
)
def _loss_scaling(s: Subject) -> None:
    scaled = s.with_tx(jopt.chain(jopt.scale(2.0**-12), s.tx))
    run = scaled.eager([data.scaled(g, 2.0**12) for g in s.gradients(2)])
    for t, u in enumerate(run.updates):
        same_bits(u, s.eager_base.updates[t], f"step {t + 1}")
