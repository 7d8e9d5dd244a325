"""Numbers that stay right: averages, bias correction, norms, roots, counters."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike, DTypeLike

from jopt._core import layout

PyTree = Any


def increment(count: jax.Array) -> jax.Array:
    """The count plus one; it stays at the largest integer."""
    return jnp.asarray(optax.safe_increment(count))


def cast(value: Any, dtype: DTypeLike) -> Any:
    """A hyperparameter in the dtype of the arithmetic it enters.

    Python numbers stay: they take the dtype of the array beside them.
    """
    if isinstance(value, int | float):
        return value
    dtype = jnp.finfo(dtype).dtype  # the real dtype of a complex one
    array = jnp.asarray(value)
    return array if array.dtype == dtype else array.astype(dtype)


def parts(fn: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Apply a real function; to the real and the imaginary parts of complex arrays."""
    if not any(map(jnp.iscomplexobj, arrays)):
        return fn(*arrays)
    real, imag = (a.real for a in arrays), (a.imag for a in arrays)
    return jax.lax.complex(fn(*real), fn(*imag))


def times(x: jax.Array, number: Any) -> jax.Array:
    """The array times a real number, or an array of them, in the array's dtype."""
    return parts(lambda part: cast(number, part.dtype) * part, x)


def average(new: jax.Array, old: jax.Array, decay: Any) -> jax.Array:
    """The moving average `b * old + (1 - b) * new`, formed from the nearer of the two.

    As `old + (1 - b)(new - old)`, and for `b` below a half as `new + b (old - new)`.
    So it holds a steady value exactly, however near to 1 `b` is, and at a decay of 0 it
    is `new` to the last digit, however large `old` was. The result has the dtype of
    `old`; the arithmetic is that of `new`.
    """

    def lerp(new: jax.Array, old: jax.Array) -> jax.Array:
        old = old.astype(new.dtype)
        c = cast(decay.complement, new.dtype)
        if isinstance(c, int | float):
            return new + (1.0 - c) * (old - new) if c > 0.5 else old + c * (new - old)
        near = c > 0.5
        choose = jnp.where if jnp.ndim(near) else jax.lax.select  # any layout
        nearer = choose(near, new, old)
        return nearer + jnp.where(near, c - 1.0, c) * (new - old)

    return parts(lerp, new, old).astype(old.dtype)


def square(x: jax.Array) -> jax.Array:
    """The squared magnitude, held at the largest finite number where it overflows."""
    if jnp.iscomplexobj(x):
        squared = x.real * x.real + x.imag * x.imag
    else:
        squared = x * x
    largest = np.asarray(jnp.finfo(squared.dtype).max, squared.dtype)
    return jnp.minimum(squared, largest)


LOG_OF_ZERO = -1e9
"""In the place of minus infinity, so that 0 steps of it are 0."""


def bias_correction(decay: Any, count: ArrayLike) -> jax.Array:
    """`1 - b^t`, as `-expm1(t * log1p(-(1 - b)))`: right for `b` near 1 too."""
    dtype = jnp.result_type(float)
    c = decay.complement
    if isinstance(c, float):
        log_b = math.log1p(-c) if c < 1.0 else LOG_OF_ZERO
    else:
        c = jnp.asarray(cast(c, dtype))
        inside = c < 1.0  # at a decay of 0 the slope of the logarithm is infinite
        log_b = jnp.where(inside, jnp.log1p(-jnp.where(inside, c, 0.5)), LOG_OF_ZERO)
    return -jnp.expm1(jnp.asarray(count, dtype) * log_b)


@jax.custom_jvp
def sqrt(x: jax.Array) -> jax.Array:
    """The square root, whose derivative at 0 is 0 rather than infinite."""
    return jnp.sqrt(x)


@sqrt.defjvp
def _sqrt_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    root = jnp.sqrt(x)
    safe = jnp.where(root > 0, root, jnp.ones_like(root))
    return root, jnp.where(root > 0, 0.5 * t / safe, jnp.zeros_like(t))


def divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """The quotient, with 0/0 = 0."""
    zero = denominator == 0
    safe = jnp.where(zero, jnp.ones_like(denominator), denominator)
    quotient = numerator / safe
    if layout.explicit(quotient):  # a choice wants all three laid out alike
        zero = zero | jnp.zeros_like(quotient, bool)
    return jnp.where(zero, jnp.zeros_like(quotient), quotient)
