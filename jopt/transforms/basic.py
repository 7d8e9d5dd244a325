"""The simplest stages: nothing, zero, and gradients without their mean."""

import jax
import jax.numpy as jnp

from jopt._core import trees
from jopt._core.transform import transform
from jopt._core.types import no_state, Pair


@transform
def identity() -> Pair:
    """Leave updates as they are.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import identity
        >>> tx = identity()
        >>> tx.update(jnp.array([1.0, 2.0]), tx.init(jnp.zeros(2)))[0]
        Array([1., 2.], dtype=float32)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        return updates, state

    return Pair(no_state, update)


@transform
def set_to_zero() -> Pair:
    """Replace updates by zero, NaN too: what it is applied to stays as it is.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import set_to_zero
        >>> tx = set_to_zero()
        >>> tx.update(jnp.array([1.0, 2.0]), tx.init(jnp.zeros(2)))[0]
        Array([0., 0.], dtype=float32)
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        # zeros laid out as the updates are
        return jax.tree.map(lambda u: trees.full_like(u, 0.0, u.dtype), updates), state

    return Pair(no_state, update)


@transform
def centralize(*, unit_axis: int = -1) -> Pair:
    """Subtract from the gradient of each unit its mean.

    A unit is one output: a column of an `(in, out)` kernel, or one output channel of
    a convolution kernel. Leaves of fewer than two dimensions are left as they are.

    Args:
        unit_axis: The axis that counts the units: the last in JAX, where kernels are
            `(in, out)` and HWIO; 0 in PyTorch.

    Returns:
        A stage without state.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import centralize
        >>> tx, g = centralize(), jnp.array([[1.0, 2.0], [3.0, 6.0]])
        >>> tx.update(g, tx.init(g))[0]
        Array([[-1., -2.],
               [ 1.,  2.]], dtype=float32)

    Differs from optax in: optax takes the mean over all axes but the first, which is
    the paper's rule for PyTorch's layout; `unit_axis=0` does the same.

    Reference:
        Yong et al., "Gradient Centralization: A New Optimization Technique for Deep
        Neural Networks", ECCV 2020, arXiv:2004.01461, Equation 1.
    """

    def leaf(u):
        if u.ndim < 2 or not u.size:
            return u
        unit = range(u.ndim)[unit_axis]
        axes = tuple(axis for axis in range(u.ndim) if axis != unit)
        return u - jnp.mean(u, axis=axes, keepdims=True)

    def update(updates, state, params=None, **extra):
        del params, extra
        return jax.tree.map(leaf, updates), state

    return Pair(no_state, update)
