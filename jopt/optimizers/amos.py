"""Amos: steps and weight decay that fall as parameters near their expected scale."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Momentum,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers import blocks, moments
from jopt.optimizers.blocks import BlockAxis
from jopt.transforms.momentum import ema

Eta = float | Callable[[str, Any], float] | None

_EPS = 2.0**-125  # near the least normal float32


class ScaleByAmosState(NamedTuple):
    """State of `scale_by_amos`."""

    count: jax.Array
    nu: PyTree  # mean squares of gradients, one number for each block
    fall: PyTree  # `b`: how far step and decay have come down, for each block


@optimizer(rates=(1e-3, 1e-1), tags=("adaptive", "memory"))
def amos(
    learning_rate: LearningRate,
    eta: Eta = None,
    beta: DecayRate = 0.999,
    momentum: Momentum = None,
    extra_l2: Switch = 0.0,
    d_coef: NonNegative = 0.25,
    c_coef: NonNegative = 0.25,
    eps: Epsilon = _EPS,
    *,
    block_axis: BlockAxis = -1,
) -> Transform:
    """Amos: adaptive weight decay towards the scale a model expects of its parameters.

    Where the scale of each parameter is known beforehand, it takes the place of a
    schedule and of tuned weight decay: a constant learning rate, of about one over the
    root of the number of batches in the data, comes down by itself. It keeps two
    numbers per block and, without momentum, no slot of a parameter's size. Each step,
    per block, with `xi` for the learning rate and `t` counting from 1::

        v = beta * v + (1 - beta) * mean(g^2)
        v_hat = max(v, eps) / (1 - beta^t)
        c = (1 + c_coef * sqrt(xi) * b)^(-1/2)
        d = (1 + d_coef * sqrt(xi * eta) * b)^(-1)
        gamma = c * xi^2 * mean(g^2) / v_hat
        u = d * (xi * eta * g / sqrt(v_hat) + (gamma / 2 + extra_l2) * params)
        b = b + gamma * (1 + b)
        params -= u                       # with momentum, an average of u

    The authors clip gradients before: put `jopt.clip` in front.

    Args:
        learning_rate: The first step relative to the scale; it also sets how fast step
            and decay fall.
        eta: The scale to which the entries of a leaf converge: a number, or a function
            of the leaf's name and the leaf. Defaults to the authors' choice for BERT:
            1 for vectors called "scale", 0.5 for other vectors, `sqrt(2 / columns)` for
            embeddings, `sqrt(1 / inputs)` for other matrices and kernels. They take
            twice that inside the root after an activation such as ReLU.
        beta: Decay rate of the average of mean squares, in [0, 1).
        momentum: Decay of an average of the updates. `None` or 0 is none.
        extra_l2: More weight decay, which the learning rate does not multiply.
        d_coef: How fast the step falls.
        c_coef: How fast the decay falls.
        eps: The least mean square.
        block_axis: The axis of matrices and kernels whose every index is a block;
            vectors are one block. `None`: every leaf is one. A function of a leaf's
            name and the leaf returns the axis or `None`; the authors' choice for
            embeddings is 0.

    Returns:
        A transform with two numbers per block, and with momentum one slot per
        parameter. It needs `params`.

    Raises:
        ValueError: If a scale is not above 0, or a leaf has no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import amos
        >>> tx, p = amos(0.1, eta=0.5), {"w": jnp.array([[1.0], [1.0]])}
        >>> u, state = tx.update({"w": jnp.array([[3.0], [4.0]])}, tx.init(p), p)
        >>> u["w"].round(3)
        Array([[-0.047],
               [-0.062]], dtype=float32)

    Differs from the authors' code in: a schedule's first step is its step 0, not 1.

    Reference:
        Tian and Parikh, "Amos: An Adam-style Optimizer with Adaptive Weight Decay
        towards Model-Oriented Scale", 2022, arXiv:2210.11693.
    """
    step = scale_by_amos(
        learning_rate, eta, beta, extra_l2, d_coef, c_coef, eps, block_axis=block_axis
    )
    if momentum is None or is_off(momentum):
        return chain(step)
    return chain(step, ema(momentum, debias=False))


@transform
def scale_by_amos(
    learning_rate: LearningRate,
    eta: Eta = None,
    beta: DecayRate = 0.999,
    extra_l2: Switch = 0.0,
    d_coef: NonNegative = 0.25,
    c_coef: NonNegative = 0.25,
    eps: Epsilon = _EPS,
    *,
    block_axis: BlockAxis = -1,
) -> Pair:
    """Turn gradients into steps, with decay, towards parameters of a known scale.

    The stage of `amos` that holds its state; see there for the rule. The learning rate
    is part of the rule, so that its results are ready to be added.

    Args:
        learning_rate: The first step relative to the scale.
        eta: The scale of a leaf's entries: a number, or a function of name and leaf.
        beta: Decay rate of the average of mean squares, in [0, 1).
        extra_l2: More weight decay, which the learning rate does not multiply.
        d_coef: How fast the step falls.
        c_coef: How fast the decay falls.
        eps: The least mean square.
        block_axis: The axis whose every index is a block: see `amos`.

    Returns:
        A transform with two numbers per block. It needs `params`.

    Raises:
        ValueError: If a scale is not above 0, or a leaf has no such axis.

    Reference:
        Tian and Parikh, "Amos: An Adam-style Optimizer with Adaptive Weight Decay
        towards Model-Oriented Scale", 2022, arXiv:2210.11693.
    """
    guard = moments.may_vanish(eps)

    def init(params):
        def slot(name: str, p: Any) -> jax.Array:
            _scale(eta, name, p)  # says what is wrong before the first step
            others = blocks.others(name, p, block_axis)
            return blocks.means(trees.real_zeros_like(p), others)

        count = jnp.zeros((), jnp.int32)
        nu, fall = (trees.map_with_names(slot, params) for _ in range(2))
        return ScaleByAmosState(count, nu, fall)

    def second(g: jax.Array, v: jax.Array) -> jax.Array:
        return nx.average(blocks.means_like(nx.square(g), v), v, beta)

    def gain(g: jax.Array, v: jax.Array, b: jax.Array, correction: jax.Array):
        """`gamma`: how much this step adds to the fall."""
        rate = jnp.asarray(nx.cast(learning_rate, v.dtype), v.dtype)
        square = blocks.means_like(nx.square(g), v) * correction.astype(v.dtype)
        share = moments.quotient(square, _floored(v, eps), guard)
        c = jax.lax.rsqrt(1.0 + nx.cast(c_coef, v.dtype) * nx.sqrt(rate) * b)
        return c * rate * rate * share

    def leaf(name: str, *arrays: jax.Array) -> jax.Array:
        g, v, b, gamma, p, correction = arrays
        scale = _scale(eta, name, p)
        rate = scale * jnp.asarray(nx.cast(learning_rate, v.dtype), v.dtype)
        unit = times(g, nx.sqrt(correction).astype(v.dtype))
        unit = moments.quotient(unit, nx.sqrt(_floored(v, eps)), guard)
        shrink = 0.5 * gamma
        if not is_off(extra_l2):
            shrink = shrink + nx.cast(extra_l2, v.dtype)
        d = 1.0 / (1.0 + nx.cast(d_coef, v.dtype) * nx.sqrt(rate) * b)
        u = times(unit, rate) + times(p.astype(g.dtype), shrink)
        return times(u, -d)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_amos")
        t = nx.increment(state.count)
        correction = nx.bias_correction(beta, t)
        nu = jax.tree.map(second, updates, state.nu)
        gammas = jax.tree.map(
            lambda g, v, b: gain(g, v, b, correction), updates, nu, state.fall
        )
        out = trees.map_with_names(
            lambda name, *rest: leaf(name, *rest, correction),
            updates,
            nu,
            state.fall,
            gammas,
            params,
        )
        fall = jax.tree.map(lambda b, gamma: b + gamma * (1.0 + b), state.fall, gammas)
        return out, ScaleByAmosState(t, nu, fall)

    return Pair(init, update)


def _floored(v: jax.Array, eps: Any) -> jax.Array:
    return v if is_off(eps) else jnp.maximum(v, nx.cast(eps, v.dtype))


def _scale(eta: Eta, name: str, leaf: Any) -> float:
    """The scale to which the entries of a leaf are to converge."""
    if eta is None:
        return _usual(name, leaf)
    scale = eta(name, leaf) if callable(eta) else eta
    if not scale > 0:
        raise ValueError(
            f"`eta` must be above 0, got {scale} for `{name}`. It is the magnitude "
            "which the entries of a leaf are expected to have in the end."
        )
    return float(scale)


def _usual(name: str, leaf: Any) -> float:
    shape, word = leaf.shape, name.lower()
    if len(shape) < 2:
        return 1.0 if word.endswith("scale") else 0.5
    if "embed" in word:
        return math.sqrt(2 / max(shape[-1], 1))
    return math.sqrt(1 / max(math.prod(shape[:-1]), 1))
