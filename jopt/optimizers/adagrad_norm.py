"""AdaGrad-Norm and WNGrad: SGD at a rate that the norms of its gradients set."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import LearningRate, Mask, Pair, Positive, Switch
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByAdagradNormState(NamedTuple):
    """State of `scale_by_adagrad_norm`."""

    b: jax.Array  # what gradients are divided by


@optimizer(rates=(1e-2, 10.0), tags=("adaptive",))
def adagrad_norm(
    learning_rate: LearningRate,
    initial_accumulator_value: Positive = 1.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """AdaGrad-Norm: one number for all parameters, which only grows.

    SGD that needs no knowledge of the smoothness of the loss, nor of the noise, to
    converge, though these tell how fast it does. Each step, with the norm of all
    gradients together::

        b = sqrt(b^2 + norm(g)^2)
        params -= learning_rate * (g / b + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        initial_accumulator_value: The first `b`.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one number in its state. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adagrad_norm
        >>> tx, g = adagrad_norm(2.5, 3.0), jnp.array([4.0, 0.0])
        >>> tx.update(g, tx.init(g))[0].round()
        Array([-2., -0.], dtype=float32)
        >>> tx
        adagrad_norm(learning_rate=2.5, initial_accumulator_value=3.0)

    Reference:
        Ward, Wu and Bottou, "AdaGrad Stepsizes: Sharp Convergence Over Nonconvex
        Landscapes", ICML 2019, arXiv:1806.01811, Algorithm 1.
    """
    return chain(
        scale_by_adagrad_norm(initial_accumulator_value),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-2, 10.0), tags=("adaptive",))
def wngrad(
    learning_rate: LearningRate,
    initial_accumulator_value: Positive = 1.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
) -> Transform:
    """WNGrad: AdaGrad-Norm's forerunner, from the gradient of weight normalization.

    Each step, with the norm of all gradients together::

        params -= learning_rate * (g / b + weight_decay * params)
        b = b + norm(g)^2 / b

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            paper has 1.
        initial_accumulator_value: The first `b`: one over the first rate.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.

    Returns:
        A transform with one number in its state. It needs `params` unless
        `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import wngrad
        >>> tx, g = wngrad(1.0, 4.0), jnp.array([4.0, -2.0])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, state[0].b
        (Array([-1. ,  0.5], dtype=float32), Array(9., dtype=float32))
        >>> tx
        wngrad(learning_rate=1.0, initial_accumulator_value=4.0)

    Reference:
        Wu, Ward and Bottou, "WNGrad: Learn the Learning Rate in Gradient Descent",
        2018, arXiv:1803.02865, Algorithm 1.
    """
    return chain(
        scale_by_adagrad_norm(initial_accumulator_value, growth="after"),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adagrad_norm(
    initial_accumulator_value: Positive = 1.0,
    *,
    growth: Literal["before", "after"] = "before",
) -> Pair:
    """Divide all gradients by one number that grows with their norm.

    The stage of `adagrad_norm` and `wngrad`; see there for the rules.

    Args:
        initial_accumulator_value: What the number starts from.
        growth: Whether the number grows by AdaGrad's rule before it divides, or by
            WNGrad's rule after it did.

    Returns:
        A transform with one number in its state. It does not read `params`.
    """

    def init(params):
        dtype = norms.norm_dtype(params)
        first = jnp.asarray(initial_accumulator_value).astype(dtype)
        return ScaleByAdagradNormState(first)

    def update(updates, state, params=None, **extra):
        del params, extra
        size, b = norms.global_norm(updates), state.b
        dtype = jnp.promote_types(size.dtype, b.dtype)
        size, old = size.astype(dtype), b.astype(dtype)
        if growth == "before":
            new = divisor = jnp.hypot(old, size)
        else:
            new, divisor = old + size * (size / old), old
        new = jnp.minimum(new, jnp.finfo(dtype).max)
        u = jax.tree.map(lambda g: nx.times(g, 1.0 / divisor), updates)
        return u, ScaleByAdagradNormState(new.astype(b.dtype))

    return Pair(init, update)
