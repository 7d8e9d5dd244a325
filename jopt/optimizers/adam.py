"""Adam and AdamW: a momentum, divided by the root of the second moment."""

import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jopt._core import numerics as nx, trees
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


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adam(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
) -> Transform:
    """Adam: per-parameter steps from averages of the gradient and of its square.

    AdamW without weight decay. The first choice where nothing is known of the
    problem. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        params -= learning_rate * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    A typical element moves by at most about `learning_rate` a step, whatever the
    scale of the loss.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment. With 0, an element whose
            gradients were all zero stays where it is.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        nesterov: Whether to look ahead by one step of momentum, with a constant
            `b1`. Dozat's schedule of the momentum is `nadam`.

    Returns:
        A transform. It does not read `params`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adam
        >>> tx, g = adam(0.5), jnp.array([4.0, -1.0])
        >>> tx.update(g, tx.init(g))[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        adam(learning_rate=0.5)

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
        arXiv:1412.6980, Algorithm 1.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive",))
def adamw(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Switch = 1e-4,
    mask: Mask = None,
    *,
    nesterov: bool = False,
) -> Transform:
    """Adam with decoupled weight decay.

    The baseline of deep learning. The decay shrinks the parameters directly, at a
    rate that the second moment does not change. At step t::

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        weight_decay: Strength of the decay, multiplied by the learning rate; 0 turns
            it off. PyTorch's default is 0.01.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        nesterov: Whether to look ahead by one step of momentum, with a constant
            `b1`. Dozat's schedule of the momentum is `nadamw`.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamw
        >>> tx, p = adamw(0.5, weight_decay=0.5), jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([4.0, -1.0]), tx.init(p), p)[0].round(4)
        Array([-0.75,  1.  ], dtype=float32)
        >>> tx
        adamw(learning_rate=0.5, weight_decay=0.5)

    Reference:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
        arXiv:1711.05101, Algorithm 2.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adam(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    eps_root: Epsilon = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    eps_hat: bool = False,
) -> Pair:
    """Divide an average of the gradients by the root of that of their squares.

    The stage of `adam` and `adamw` that holds the state; see there for the rule.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared gradients, in [0, 1).
        eps: Added to the root of the second moment.
        eps_root: Added inside the root, to the corrected second moment.
        mu_dtype: Dtype in which the first moment is kept. Defaults to that of the
            parameter, float32 or wider.
        nesterov: Whether to look ahead by one step of momentum.
        eps_hat: Whether `eps` is added to the root before the bias correction, as in
            Keras and in the note after Algorithm 1 of the paper: `m sqrt(1 - b2^t) /
            (1 - b1^t) / (sqrt(v) + eps)`.

    Returns:
        A transform with two slots per parameter. It does not read `params`.
    """

    def init(params):
        return init_adam(params, mu_dtype)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        mu = moments.averages(updates, state.mu, b1)
        nu = moments.averages(moments.squares(updates), state.nu, b2)
        weights = moments.momentum_weights(b1, t, nesterov)
        correction = nx.bias_correction(b2, t)
        u = moments.rescale(
            updates, mu, nu, weights, correction, eps, eps_root, eps_hat=eps_hat
        )
        mu, nu = moments.like(mu, state.mu), moments.like(nu, state.nu)
        return u, optax.ScaleByAdamState(t, mu, nu)

    return Pair(init, update)


def init_adam(
    params: PyTree, mu_dtype: DTypeLike | None = None
) -> optax.ScaleByAdamState:
    """Two slots of zeros for each parameter, and a count."""
    return optax.ScaleByAdamState(
        count=jnp.zeros((), jnp.int32),
        mu=trees.zeros_like(params, mu_dtype),
        nu=trees.real_zeros_like(params),
    )
