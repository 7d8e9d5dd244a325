"""Gradients of three objectives made of one, so that the laws may try aggregators."""

import jax
import jax.numpy as jnp

import jopt

# Of three functions of an entry's mantissa, which are smooth where that begins anew: no
# place, sign or power of two matters to them.
FACTORS = ((1.0, -1.0, 0.0), (-0.1, 1.1, 0.0), (0.0, -0.1, 9.0))
LOSSES = (3.0, 1.0, 0.5)


@jopt.transform
def as_objectives(inner: jopt.Inner) -> jopt.Pair:
    """Give an inner transform the gradients, and the losses, of three objectives."""

    def update(updates, state, params=None, **extra):
        values = jnp.asarray(LOSSES, jnp.result_type(float))
        stacked = jax.tree.map(_stacked, updates)
        return inner.raw.update(stacked, state, params, values=values, **extra)

    return jopt.Pair(inner.raw.init, update)


def bumped(g: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mantissas of numbers, and a smooth function of them that is 0 at both ends.

    No place, sign or power of two matters to them.
    """
    size = jnp.abs(g)
    fixed = jax.lax.stop_gradient(size)
    safe = jnp.where(fixed > 0, fixed, 1)
    mantissa = size * (jnp.frexp(safe)[0] / safe)
    return mantissa, (16 * (mantissa - 0.5) * (1 - mantissa)) ** 2


def _stacked(g: jax.Array) -> jax.Array:
    mantissa, bump = bumped(g)
    parts = (
        g,
        g * bump.astype(g.dtype),
        g * (bump * (mantissa - 0.75)).astype(g.dtype),
    )

    def row(factors: tuple[float, ...]) -> jax.Array:
        first, second, third = (
            f * part for f, part in zip(factors, parts, strict=True)
        )
        return first + second + third

    return jnp.stack(list(map(row, FACTORS)))
