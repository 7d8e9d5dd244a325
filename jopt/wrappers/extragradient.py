"""Extragradient: step from here by the gradient of where a step would lead."""

from typing import cast, NamedTuple

import jax

from jopt._core import extras
from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Pair, PyTree
from jopt.transforms import average


class ExtragradientState(NamedTuple):
    """State of `extragradient`."""

    inner_state: PyTree


@transform
def extragradient(inner: Inner, *, both_halves: bool = False) -> Pair:
    """Look one step ahead, and step from here by the gradient found there.

    For games and saddle points, where plain descent circles; it costs two gradients a
    step. Each step::

        q = p + inner(g(p))
        u = inner(g(q))

    For a game, give the gradient of each player's own loss as gradient and `grad_fn`.

    Args:
        inner: The optimizer.
        both_halves: Whether the look ahead leaves its mark in the inner state, as in
            ExtraAdam; schedules inside then count halves. By default it is forgotten.

    Returns:
        A transform without slots of its own. Its `update` needs `params` and
        `grad_fn`: `jopt.make_step` passes it, or give
        `tx.update(g, state, p, grad_fn=jax.grad(loss))`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import extragradient, sgd
        >>> tx, p = extragradient(sgd(0.5)), jnp.array([1.0, 0.0])
        >>> turn = lambda p: jnp.array([p[1], -p[0]])    # min over x, max over y of x y
        >>> tx.update(turn(p), tx.init(p), p, grad_fn=turn)[0]
        Array([-0.25,  0.5 ], dtype=float32)

    Reference:
        Korpelevich, "The Extragradient Method for Finding Saddle Points and Other
        Problems", 1976; Gidel et al., "A Variational Inequality Perspective on
        Generative Adversarial Networks", ICLR 2019, arXiv:1802.10551, Algorithm 4.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        return ExtragradientState(pair.init(params))

    def update(updates, state, params=None, **extra):
        extras.need_params(params, "extragradient")
        ahead, after = pair.update(updates, state.inner_state, params, **extra)
        there = jax.tree.map(_stepped, params, ahead)
        g = extras.gradient_at(extra, there, updates, "extragradient")
        before = after if both_halves else state.inner_state
        out, inner_state = pair.update(g, before, params, **extra)
        return out, ExtragradientState(inner_state)

    return Pair(init, update)


def _stepped(p: jax.Array, u: jax.Array) -> jax.Array:
    return average.stored(p, u)
