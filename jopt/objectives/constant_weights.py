"""The mean of the gradients, or their sum under fixed weights."""

import jax
import jax.numpy as jnp

from jopt._core.transform import aggregator
from jopt._core.types import no_state, Pair, Preference
from jopt.objectives.jacobian import weighted
from jopt.objectives.quadratic import preferences

__all__ = ["constant_weights"]


@aggregator
def constant_weights(preference: Preference = ()) -> Pair:
    """The mean of the gradients, or their sum under fixed weights.

    The measure of the others. Where nothing else is wanted of the Jacobian, the
    gradient of the weighted loss is the same at the cost of one pass back::

        d = sum_i w_i g_i

    Args:
        preference: The weight of each objective, at least 0. Defaults to `1 / k`.

    Returns:
        A transform without state that takes a Jacobian.

    Raises:
        ValueError: In `update`, if there is not one weight for each objective.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jacobian = jnp.array([[2.0, 0.0], [0.0, 4.0]])
        >>> jopt.aggregate(jopt.constant_weights(), jacobian)
        Array([1., 2.], dtype=float32)
        >>> jopt.constant_weights([0.9, 0.1])
        constant_weights(preference=(0.9, 0.1))
    """

    def update(updates, state, params=None, **extra):
        del params, extra

        def leaf(x: jax.Array) -> jax.Array:
            dtype = jnp.finfo(x.dtype).dtype
            w = preferences(preference, len(x), dtype, "constant_weights")
            return weighted(x, w)

        return jax.tree.map(leaf, updates), state

    return Pair(no_state, update)
