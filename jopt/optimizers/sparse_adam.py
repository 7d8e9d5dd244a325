"""SparseAdam: Adam that leaves rows alone while their gradient is zero."""

import jax
import jax.numpy as jnp
import optax

from jopt._core import layout, numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, Pair
from jopt.optimizers import moments
from jopt.optimizers.adam import init_adam
from jopt.transforms.scale import scale_by_learning_rate


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "sparse"))
def sparse_adam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
) -> Transform:
    """Adam for embeddings, known as lazy Adam: rows not looked up stay as they are.

    Plain Adam goes on moving a row by its momentum after the row was last used, and
    lets its second moment fade. Here a row whose gradient is exactly zero keeps its
    parameters and its moments. A row is an index of the first axis: a token of a
    `(vocabulary, features)` table; of a vector it is an entry. Use it through
    `partition` for the tables alone. At step t, for the other rows::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        params -= learning_rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)

    The count `t` is that of all steps, as in PyTorch. Gradients are dense arrays: it
    saves no arithmetic.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before that is corrected.

    Returns:
        A transform with two slots per parameter. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import sparse_adam
        >>> tx, table = sparse_adam(0.5), jnp.zeros((2, 2))
        >>> u, state = tx.update(jnp.ones((2, 2)), tx.init(table))
        >>> tx.update(jnp.array([[1.0, 0.0], [0.0, 0.0]]), state)[0].round(2)
        Array([[-0.5 , -0.34],
               [-0.  , -0.  ]], dtype=float32)
        >>> tx
        sparse_adam(learning_rate=0.5)

    Reference:
        `torch.optim.SparseAdam`; Kingma and Ba, "Adam: A Method for Stochastic
        Optimization", ICLR 2015, arXiv:1412.6980, Section 2.
    """
    return chain(
        scale_by_sparse_adam(b1, b2, eps), scale_by_learning_rate(learning_rate)
    )


@transform
def scale_by_sparse_adam(
    b1: DecayRate = 0.9, b2: DecayRate = 0.999, eps: Epsilon = 1e-8
) -> Pair:
    """Adam's rescaling of the rows whose gradient is not zero.

    The stage of `sparse_adam` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment, before that is corrected.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)

        def kept(g: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(_used(g), new, old.astype(new.dtype))

        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        mu = jax.tree.map(kept, updates, mu, state.mu)
        nu = jax.tree.map(kept, updates, nu, state.nu)
        weights = moments.momentum_weights(b1, t)
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(updates, mu, nu, weights, correction, eps, eps_hat=True)
        u = jax.tree.map(
            lambda g, u: jnp.where(_used(g), u, jnp.zeros_like(u)), updates, u
        )
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init_adam, update)


def _used(g: jax.Array) -> jax.Array:
    """Whether each row has a gradient other than 0, shaped like the array."""
    axes = tuple(range(1, g.ndim))
    used = jnp.any(g != 0, axis=axes, keepdims=True)
    return layout.like(jnp.broadcast_to(used, g.shape), g)
