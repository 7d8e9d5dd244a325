"""Rounding to 16 bits: to nearest, at random, and the update that lands on a number."""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jopt._core import trees

__all__ = ["stochastic_round"]

PyTree = Any

_DTYPES = (jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float16))
_TINY = 2.0**-14  # the smallest normal float16
_STEP = 2.0**-24  # the distance of two float16 below it


def stochastic_round(x: jax.Array, dtype: DTypeLike, key: jax.Array) -> jax.Array:
    """Round to one of the two neighbours in 16 bits, at random, right on average.

    The upper neighbour is taken with a probability that grows linearly from 0 at the
    lower one to 1 at the upper one, so that the mean of the result is `x`. A number
    that the dtype has is kept. NaN and infinity stay; a finite number becomes infinite
    only where rounding to nearest makes it so. The derivative is 1.

    Args:
        x: A real array. Wider than float32, it is first rounded to that.
        dtype: `bfloat16` or `float16`.
        key: A key of `jax.random.key`. Equal keys round alike, on any devices.

    Returns:
        An array of `dtype`.

    Raises:
        TypeError: If `x` is not real floats, or `key` is no key.
        ValueError: If `dtype` is another.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jopt import stochastic_round
        >>> x = jnp.full(10_000, 1.001)  # between 1 and 1.0078125
        >>> y = stochastic_round(x, jnp.bfloat16, jax.random.key(0))
        >>> y.dtype, bool(abs(y.astype(float).mean() - 1.001) < 1e-4)
        (dtype(bfloat16), True)

    Reference:
        Gupta et al., "Deep Learning with Limited Numerical Precision", ICML 2015,
        arXiv:1502.02551, Section 3.
    """
    dtype = jnp.dtype(dtype)
    x = jnp.asarray(x)
    if dtype not in _DTYPES:
        raise ValueError(f"`dtype` must be bfloat16 or float16, got {dtype}.")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"`x` must be an array of real floats, got {x.dtype}.")
    check_key(key)
    if x.dtype == dtype:
        return x
    width = jnp.uint16 if dtype == _DTYPES[0] else jnp.uint32
    noise = jax.random.bits(key, x.shape, width).astype(jnp.uint32)
    return _at_random(x.astype(jnp.float32), noise, dtype)


def check_key(key: Any) -> None:
    """Raise unless `key` is one key, new-style or legacy."""
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not typed and dtype != jnp.uint32:
        raise TypeError(
            f"`key` must be a key of `jax.random.key`, got {key!r}. Use a new one at "
            "each step: `jax.random.fold_in(key, step)`."
        )
    if key.ndim != (0 if typed else 1):
        raise ValueError(f"`key` must be one key, got an array of shape {key.shape}.")


@ft.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _at_random(x: jax.Array, noise: jax.Array, dtype: Any) -> jax.Array:
    """`x` in float32 with 16 (bfloat16) or 32 random bits, rounded to `dtype`."""
    drop = 23 - jnp.finfo(dtype).nmant
    low = np.uint32(2**drop - 1)
    # Adding noise below the last bit that stays carries into it as often as it should.
    bits = (lax.bitcast_convert_type(x, jnp.uint32) + (noise & low)) & ~low
    y = lax.bitcast_convert_type(bits, jnp.float32)
    if dtype == jnp.float16:
        y = jnp.where(jnp.abs(x) < _TINY, _tiny_at_random(x, noise), y)
    largest = float(jnp.finfo(dtype).max)
    y = jnp.where(jnp.abs(y) > largest, jnp.copysign(largest, y), y)
    nearest = rounded(x, dtype)
    return jnp.where(jnp.isfinite(nearest), y, nearest).astype(dtype)


@_at_random.defjvp
def _at_random_jvp(dtype, primals, tangents):
    return _at_random(*primals, dtype), tangents[0].astype(dtype)


def _tiny_at_random(x: jax.Array, noise: jax.Array) -> jax.Array:
    """The same below the normal numbers of float16, whose steps are even there."""
    steps = jnp.abs(x) / _STEP
    whole = jnp.floor(steps)
    chance = jnp.minimum((steps - whole) * 2.0**32, 2.0**32 - 256)
    up = noise < chance.astype(jnp.uint32)
    return jnp.copysign((whole + up.astype(x.dtype)) * _STEP, x)


@ft.partial(jax.custom_jvp, nondiff_argnums=(1,))
def rounded(x: jax.Array, dtype: Any) -> jax.Array:
    """The nearest number that `dtype` has, in the dtype of `x`; the derivative is 1.

    XLA may leave out a cast to a narrow dtype and back, but not this.
    """
    info = jnp.finfo(dtype)
    near = lax.reduce_precision(x, info.nexp, info.nmant)
    if dtype != jnp.float16:
        return near
    # `reduce_precision` has no numbers below the normal ones; float16 has.
    return jnp.where(jnp.abs(x) < _TINY, jnp.round(x / _STEP) * _STEP, near)


@rounded.defjvp
def _rounded_jvp(dtype, primals, tangents):
    return rounded(*primals, dtype), tangents[0]


def reach(target: jax.Array, param: jax.Array) -> jax.Array:
    """The update that takes `param` to `target`, as a number of the parameter's dtype.

    The difference of two numbers within a factor 2 of each other is exact (Sterbenz's
    lemma), and then `param + update` is `target` to the bit. A longer step may miss by
    up to one unit in the last place of the update; mostly no other update does better.
    """
    return rounded(target - param.astype(target.dtype), param.dtype)


def is_half(leaf: Any) -> bool:
    """Whether a leaf has one of the 16-bit dtypes."""
    return leaf.dtype in _DTYPES


def keep_half(params: PyTree) -> PyTree:
    """The tree with `MaskedNode` for the leaves that are not of 16 bits."""
    return trees.hide(params, jax.tree.map(is_half, params))
