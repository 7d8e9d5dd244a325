"""Mechanic: any optimizer, with its learning rate found while training."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, sums, trees
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import Transform, transform
from jopt._core.types import Count, Epsilon, Inner, Pair, Positive, PyTree, Switch


class MechanicState(NamedTuple):
    """State of `mechanize`."""

    inner_state: PyTree
    delta: PyTree  # minus the sum of the inner updates
    r: jax.Array  # the rewards; these four have a number for each decay rate
    m: jax.Array  # the largest products so far
    v: jax.Array  # the sums of squared products
    s: jax.Array  # the scales, whose sum multiplies `delta`


@transform
def mechanize(
    inner: Inner,
    weight_decay: Switch = 1e-2,
    eps: Epsilon = 1e-8,
    s_init: Positive = 1e-6,
    num_betas: Count = 6,
) -> Pair:
    """Learn the scale of the updates of any optimizer.

    Give the inner optimizer a learning rate, or a schedule, whose peak is 1. Not for
    optimizers that normalise by the size of the parameters, such as LARS and LAMB.
    With decay rates `b` of 0.9, 0.99, ..., a number of each for `m`, `v`, `r`, `s`,
    and `S` the sum of `s`::

        D' = D - inner(g)
        h = <g + weight_decay * S * |g| / |params| * params, D>
        m = max(b * m, |h| + eps)
        v = b^2 * v + h^2
        r = b * r + clip(h, -m before, m before) * s
        s = (s_init / num_betas * m + max(r, 0)) / (sqrt(v) + eps)
        params = params0 - S * D'

    Args:
        inner: The optimizer whose updates are scaled.
        weight_decay: Pulls the scale, through the products, towards small parameters.
            It is not the decay of the inner optimizer.
        eps: Added to products and to the roots.
        s_init: The first scale.
        num_betas: How many decay rates to try: 0.9, 0.99 and so on.

    Returns:
        A transform with one more buffer per parameter than `inner`. It needs `params`.

    Differs from optax in:
        `D` is kept in the state, in the place of the first parameters. optax finds it
        as `(params0 - params) / (S + eps)`, which loses digits while `S` is small, and
        shrinks it at every step.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import mechanize, sgd
        >>> tx, params = mechanize(sgd(1.0), s_init=0.1), jnp.array([2.0])
        >>> state = tx.init(params)
        >>> for _ in range(20):
        ...     updates, state = tx.update(params, state, params)
        ...     params = params + updates
        >>> bool(abs(params[0]) < 1.0)
        True
        >>> tx
        mechanize(inner=sgd(learning_rate=1.0), s_init=0.1)

    Reference:
        Cutkosky, Defazio and Mehta, "Mechanic: A Learning Rate Tuner", NeurIPS 2023,
        arXiv:2306.00144, Algorithm 1, with the clipped products of the authors' code
        in optax.
    """
    pair = cast(Transform, inner).raw
    complement = jnp.asarray([0.1**i for i in range(1, num_betas + 1)], float)

    def init(params):
        r, m, v = (number(jnp.zeros(num_betas)) for _ in range(3))
        s = jnp.ones_like(r) * number(s_init)
        return MechanicState(pair.init(params), trees.zeros_like(params), r, m, v, s)

    def product(g, delta, params, total):
        h = sums.dot(g, delta)
        if is_off(weight_decay):
            return h
        length = number(norms.global_norm(params))
        length = length if is_off(eps) else length + number(eps)
        pull = number(weight_decay) * total * number(norms.global_norm(g))
        return h + nx.divide(pull, length) * sums.dot(delta, params)

    def tuned(state, h):
        """The state with the product in it."""
        c, small = number(complement), number(eps)
        clipped = jnp.clip(h, -state.m, state.m)
        m = jnp.maximum(state.m - c * state.m, jnp.abs(h) + small)
        v = state.v - c * (2.0 - c) * state.v + nx.square(h)
        r = state.r - c * state.r + clipped * state.s
        wealth = number(s_init) / num_betas * m + jnp.maximum(r, 0.0)
        s = nx.divide(wealth, nx.sqrt(v) + small)
        return state._replace(r=r, m=m, v=v, s=s)

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "mechanize")
        before = jnp.sum(state.s)
        u, inner_state = pair.update(updates, state.inner_state, params, **extra)
        after = tuned(state, product(updates, state.delta, params, before))
        scale = jnp.sum(after.s)

        def step(u, d):
            wide = d.astype(u.dtype)
            return times(u, scale) - times(wide, scale - before)

        out = jax.tree.map(step, u, state.delta)
        delta = jax.tree.map(lambda u, d: d - u.astype(d.dtype), u, state.delta)
        return out, after._replace(inner_state=inner_state, delta=delta)

    return Pair(init, update)
