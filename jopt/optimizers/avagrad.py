"""AvaGrad: adaptive rates of unit size, from the gradients before this one."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAvagradState(NamedTuple):
    """State of `scale_by_avagrad`."""

    count: PyTree  # kept for bias correction only
    mu: PyTree
    nu: PyTree


@optimizer(rates=(1e-2, 1.0), tags=("adaptive",))
def avagrad(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 0.1,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    debias: bool = False,
) -> Transform:
    """AvaGrad: Adam whose adaptive rates have a mean square of 1 over all parameters.

    Between SGD and Adam: with a large `eps` it is SGD with momentum, with a small one
    Adam, and the learning rate need not be tuned anew for each `eps`, as it must be
    for Adam. The second moment does not see the present gradient. Each step, with `d`
    entries of all parameters together::

        m = b1 * m + (1 - b1) * g
        eta = 1 / (sqrt(v) + eps)
        u = eta * m / sqrt(sum(eta^2) / d)
        v = b2 * v + (1 - b2) * g^2
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: Of the order of SGD's; the authors start at 0.1.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment: how far from Adam.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay. Defaults to all.
        debias: Whether both moments are corrected for their start from 0.

    Returns:
        A transform with two slots per parameter. It needs `params` if it decays.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import avagrad
        >>> tx, p = avagrad(0.5, b1=0.5), jnp.array([1.0, -2.0])
        >>> u, state = tx.update(jnp.array([4.0, -8.0]), tx.init(p), p)
        >>> u
        Array([-1.,  2.], dtype=float32)
        >>> tx
        avagrad(learning_rate=0.5, b1=0.5)

    Differs from the authors' code in: that code skips the first step, corrects both
    moments, and divides by a mean square that is one step older than the rates. This
    is the paper's rule; `debias=True` adds the corrections.

    Reference:
        Savarese et al., "Domain-Independent Dominance of Adaptive Methods", CVPR 2021,
        arXiv:1912.01823, Algorithm 2.
    """
    return chain(
        scale_by_avagrad(b1, b2, eps, debias=debias),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_avagrad(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 0.1,
    *,
    debias: bool = False,
) -> Pair:
    """Multiply averaged gradients by adaptive rates whose mean square is 1.

    The stage of `avagrad` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment. With 0, an entry without gradients
            so far stays.
        debias: Whether both moments are corrected for their start from 0.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Reference:
        Savarese et al., "Domain-Independent Dominance of Adaptive Methods", CVPR 2021,
        arXiv:1912.01823, Algorithm 2.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        return ScaleByAvagradState(
            count=jnp.zeros((), jnp.int32) if debias else None,
            mu=trees.zeros_like(params),
            nu=trees.real_zeros_like(params),
        )

    def corrected(nu: PyTree, count: jax.Array) -> PyTree:
        past = nx.bias_correction(b2, jnp.maximum(count, 1))  # at 0 they are 0 as well
        return jax.tree.map(lambda v: v / past.astype(v.dtype), nu)

    def update(updates, state, params=None, **extra):
        del params, extra
        before, count, size = state.nu, None, jnp.ones((), jnp.result_type(float))
        mu = moments.averages(updates, state.mu, b1)
        if state.count is not None:
            count = nx.increment(state.count)
            before = corrected(before, state.count)
            size = 1.0 / nx.bias_correction(b1, count)
        roots = jax.tree.map(lambda v: moments.denominator(v, eps), before)
        factor = size * _unit(roots)
        out = jax.tree.map(  # in this order: a large `m` times the factor may overflow
            lambda m, root: times(moments.quotient(m, root, guard), factor), mu, roots
        )
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        return out, ScaleByAvagradState(count, mu, nu)

    return Pair(init, update)


def _unit(roots: PyTree) -> jax.Array:
    """One over the root mean square of the inverses of all entries."""
    entries = sum(math.prod(x.shape) for x in jax.tree.leaves(roots))
    rates = jax.tree.map(lambda x: nx.divide(jnp.ones_like(x), x), roots)
    root, scale = norms.scaled_global_norm(rates)
    return nx.divide(scale * math.sqrt(entries), root)
