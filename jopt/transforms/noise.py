"""Gaussian noise added to gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jopt._core import numerics as nx
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import NonNegative, Pair, PyTree


@transform
def add_noise(eta: NonNegative, gamma: NonNegative, key: jax.Array | int) -> Pair:
    """Add Gaussian noise whose variance falls with the step.

    With `t` counting steps from 0::

        g = g + normal(0, variance = eta / (1 + t)^gamma)

    A complex gradient gets half the variance in each part.

    Args:
        eta: Variance at the first step. The paper uses 0.01, 0.3 or 1.
        gamma: How fast the variance falls. The paper uses 0.55.
        key: A key of `jax.random.key`, an integer seed, or a legacy `uint32` key. It
            moves into the state, where each step splits it.

    Returns:
        A stage that holds a step count and a key.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import add_noise
        >>> tx = add_noise(0.01, 0.55, key=0)
        >>> u, state = tx.update(jnp.zeros(1000), tx.init(jnp.zeros(1000)))
        >>> bool(abs(u.std() - 0.1) < 0.01)
        True
        >>> tx
        add_noise(eta=0.01, gamma=0.55, key=0)

    Differs from optax in: the numbers drawn (each leaf has its own key).

    Reference:
        Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep
        Networks", 2015, arXiv:1511.06807, Equation 1.
    """
    check_key(key)

    def init(params):
        del params
        return optax.AddNoiseState(jnp.zeros((), jnp.int32), own_key(key))

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        dtype = jnp.result_type(float)
        power = t.astype(dtype) ** (-0.5 * nx.cast(gamma, dtype))
        deviation = nx.sqrt(jnp.asarray(eta, dtype)) * power
        following, now = jax.random.split(state.rng_key)
        noise = normal_like(now, updates)
        noisy = jax.tree.map(lambda u, n: u + times(n, deviation), updates, noise)
        return noisy, optax.AddNoiseState(t, following)

    return Pair(init, update)


def normal_like(key: jax.Array, tree: PyTree) -> PyTree:
    """Standard normal numbers for each leaf, in its dtype, from a key of its own.

    A complex number has half the variance in each part.
    """
    leaves, structure = jax.tree.flatten(tree)
    keys = (jax.random.fold_in(key, i) for i in range(len(leaves)))
    drawn = (
        jax.random.normal(k, x.shape, x.dtype)
        for k, x in zip(keys, leaves, strict=True)
    )
    return jax.tree.unflatten(structure, drawn)


def drawn(key: jax.Array, tree: PyTree) -> tuple[jax.Array, PyTree]:
    """The key of the next step, and numbers of unit variance for each leaf.

    The real and the imaginary part of a complex number count as two.
    """
    following, now = jax.random.split(key)

    def unit(x: jax.Array) -> jax.Array:
        return times(x, 2.0**0.5) if jnp.iscomplexobj(x) else x

    return following, jax.tree.map(unit, normal_like(now, tree))


def check_key(key: jax.Array | int) -> None:
    """Raise unless `key` is an int or one key of `jax.random`."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return
    allowed = "`key` must be a key of `jax.random.key` or an integer"
    if not isinstance(key, jax.Array | np.ndarray):
        raise TypeError(f"{allowed}, got {key!r} of type {type(key).__name__}.")
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed and key.dtype != jnp.uint32:
        raise TypeError(f"{allowed}, got an array of {key.dtype}.")
    if key.ndim != (0 if typed else 1):
        raise ValueError(f"{allowed}, got an array of shape {key.shape}: give one key.")


def own_key(key: jax.Array | int) -> jax.Array:
    """A new-style key that shares no buffer: the state may be donated, `key` not."""
    if isinstance(key, int | np.integer):
        return jax.random.key(int(key))
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        data = jnp.array(jax.random.key_data(key), copy=True)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(key))
    return jax.random.wrap_key_data(jnp.array(key, copy=True))
