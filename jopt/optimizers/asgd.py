"""ASGD: gradient descent with a falling rate, and the average of its iterates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jopt._core import extras, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import LearningRate, Mask, NonNegative, Pair, PyTree, Switch
from jopt.transforms.decay import add_decayed_weights


class ScaleByAsgdState(NamedTuple):
    """State of `scale_by_asgd`."""

    count: jax.Array
    ax: PyTree  # the averaged parameters

    def averaged(self, params: PyTree) -> PyTree:
        """The average, in the dtypes of the parameters."""
        return jax.tree.map(
            lambda a, p: p if _is_masked(a) else a.astype(p.dtype),
            self.ax,
            params,
            is_leaf=_is_masked,
        )


@optimizer(rates=(1e-3, 1.0), tags=("averaging",))
def asgd(
    learning_rate: LearningRate,
    lambd: NonNegative = 1e-4,
    alpha: NonNegative = 0.75,
    t0: NonNegative = 1e6,
    *,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """Averaged stochastic gradient descent.

    For problems that are convex or nearly so: the average of the iterates converges
    where they themselves keep jumping. Evaluate with `averaged_params(state, params)`.
    At step t, counted from 1::

        eta = learning_rate / (1 + lambd * learning_rate * (t - 1))^alpha
        params -= eta * (g + weight_decay * params + lambd * params)
        ax += (params - ax) / max(1, t - 1 - t0)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        lambd: Decay of the parameters, and how fast the rate falls.
        alpha: Power of the fall.
        t0: The step up to which the average is the last iterate.
        weight_decay: Strength of the L2 penalty, added to the gradient; 0 turns it
            off.
        mask: Which leaves decay by `weight_decay`: see `jopt.masked`.

    Returns:
        A transform with one slot per parameter. Its `update` needs `params`. Nothing
        may change the update after it: place it last in a chain.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import asgd, averaged_params
        >>> tx, p = asgd(1.0, lambd=0.0, t0=0), jnp.zeros(1)
        >>> state = tx.init(p)
        >>> for _ in range(3):
        ...     u, state = tx.update(-jnp.ones(1), state, p)
        ...     p = p + u
        >>> p, averaged_params(state, p)
        (Array([3.], dtype=float32), Array([2.5], dtype=float32))
        >>> tx
        asgd(learning_rate=1.0, lambd=0.0, t0=0.0)

    Differs from PyTorch in: a scheduled rate counts in the step it is given for.
    PyTorch's `eta` is made at the end of a step, for the next one.

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging",
        SIAM Journal on Control and Optimization 1992. Bottou, "Large-Scale Machine
        Learning with Stochastic Gradient Descent", COMPSTAT 2010.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_asgd(learning_rate, lambd, alpha, t0),
    )


@transform
def scale_by_asgd(
    learning_rate: LearningRate,
    lambd: NonNegative = 1e-4,
    alpha: NonNegative = 0.75,
    t0: NonNegative = 1e6,
) -> Pair:
    """Descend at a falling rate, and average the parameters.

    All of `asgd` but its weight decay, with the sign; see there for the rule.

    Args:
        learning_rate: The first rate.
        lambd: Decay of the parameters, and how fast the rate falls.
        alpha: Power of the fall.
        t0: The step up to which the average is the last iterate.

    Returns:
        A transform with one slot per parameter. It needs `params`.
    """

    def init(params):
        return ScaleByAsgdState(jnp.zeros((), jnp.int32), trees.copy_like(params))

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_asgd")
        lr, decay, power, start = map(number, (learning_rate, lambd, alpha, t0))
        t = number(state.count)
        eta = lr * jnp.exp(-power * jnp.log1p(decay * lr * t))
        share = 1.0 / jnp.maximum(t - start, 1.0)

        def step(g: jax.Array, p: jax.Array) -> jax.Array:
            return -times(g + times(p.astype(g.dtype), decay), eta)

        def towards(a: jax.Array, u: jax.Array, p: jax.Array) -> jax.Array:
            gap = (p.astype(a.dtype) - a) + u.astype(a.dtype)
            return a + times(gap, share)

        u = jax.tree.map(step, updates, params)
        ax = jax.tree.map(towards, state.ax, u, params)
        return u, ScaleByAsgdState(nx.increment(state.count), ax)

    return Pair(init, update)


def _is_masked(leaf: Any) -> bool:
    return isinstance(leaf, optax.MaskedNode)
