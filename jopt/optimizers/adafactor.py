"""Adafactor: second moments kept as the row and column means of a matrix."""

import functools as ft
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx
from jopt._core.norms import norm
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Count,
    Epsilon,
    LearningRate,
    Mask,
    no_state,
    NonNegative,
    OptionalDecay,
    OptionalPositive,
    OptionalRate,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers.factors import divided, mean, slot
from jopt.transforms.clip import clip_by_block_rms
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.momentum import ema
from jopt.transforms.scale import scale, scale_by_learning_rate

EpsPlacement = Literal["square", "root"]


class FactoredState(NamedTuple):
    """State of `scale_by_factored_rms`; the slots a leaf does not use are empty."""

    count: jax.Array
    v_row: PyTree  # mean over the last axis, of factored leaves
    v_col: PyTree  # mean over the axis before, of factored leaves
    v: PyTree  # the second moment itself, of the other leaves


@optimizer(rates=(1e-4, 1.0), tags=("adaptive", "memory"))
def adafactor(
    learning_rate: OptionalRate = None,
    min_dim_size_to_factor: Count = 128,
    decay_rate: NonNegative = 0.8,
    decay_offset: NonNegative = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: OptionalPositive = 1.0,
    momentum: OptionalDecay = None,
    dtype_momentum: DTypeLike | None = None,
    weight_decay_rate: Switch = None,
    eps: Epsilon = 1e-30,
    factored: bool = True,
    weight_decay_mask: Mask = None,
    *,
    relative_step: bool = False,
    eps_placement: EpsPlacement = "square",
    min_parameter_scale: NonNegative = 1e-3,
) -> Transform:
    """Adaptive steps with almost no state: second moments in factored form.

    For a matrix of m by n it keeps m + n numbers where Adam keeps 2 m n. Use it where
    memory is short; AdamW is as good or better where it is not. Each step, for a
    matrix, with means along its rows and columns and `rms` the root mean square::

        b = 1 - t^-decay_rate
        r = b * r + (1 - b) * mean(g^2 + eps, columns)
        c = b * c + (1 - b) * mean(g^2 + eps, rows)
        u = g / sqrt(r * c / mean(r))
        u = u / max(1, rms(u) / clipping_threshold)
        size = max(min_parameter_scale, rms(params))
        params -= learning_rate * size * u + weight_decay_rate * params

    The rule of `torch.optim.Adafactor` is `adafactor(lr, 1, relative_step=True,
    eps_placement="root", eps=eps1, weight_decay_rate=lr * weight_decay)`, with
    `eps1` the machine epsilon unless given.

    Args:
        learning_rate: Multiplies the step; `None` is 1. The paper's is the schedule
            `min(0.01, t^-0.5)`, here `learning_rate=0.01, relative_step=True`.
        min_dim_size_to_factor: Leaves whose last two axes are both at least this long
            are factored over these two.
        decay_rate: Exponent of the decay of the second moment.
        decay_offset: Steps to subtract from the count, for fine-tuning.
        multiply_by_parameter_scale: Whether a step is relative to the parameter's
            root mean square.
        clipping_threshold: The largest root mean square of the update of a leaf;
            `None` does not clip.
        momentum: Decay of a moving average of the steps, in [0, 1); `None` keeps none.
        dtype_momentum: Dtype of that average. Defaults to float32 or wider.
        weight_decay_rate: Decay per step, not multiplied by the learning rate.
        eps: See `eps_placement`.
        factored: Whether to factor at all.
        weight_decay_mask: Which leaves decay. Defaults to all.
        relative_step: Whether the learning rate is capped by `t^-0.5`.
        eps_placement: `"square"` adds `eps` to the squared gradient, as the paper
            does; `"root"` keeps the root of the second moment above `eps`, as torch.
        min_parameter_scale: The least size of a parameter that counts.

    Returns:
        A transform. It needs `params` if steps are relative to them or decay is on.

    Differs from optax in:
        The state is float32 or wider, also of 16-bit parameters. Leaves of rank above
        2 are factored over their last two axes, as the paper's matrices stacked and
        as torch does, not over the two longest.

    Example:
        >>> from jopt import adafactor
        >>> tx = adafactor(0.1)
        >>> params = jnp.array([3.0, -3.0])
        >>> tx.update(jnp.array([0.5, -5.0]), tx.init(params), params)[0]
        Array([-0.3,  0.3], dtype=float32)
        >>> tx
        adafactor(learning_rate=0.1)

    Reference:
        Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory
        Cost", ICML 2018, arXiv:1804.04235, Algorithms 4 and 5.
    """
    stages = [
        scale_by_factored_rms(
            factored,
            decay_rate,
            decay_offset,
            min_dim_size_to_factor,
            eps,
            eps_placement=eps_placement,
        )
    ]
    if clipping_threshold is not None:
        stages.append(clip_by_block_rms(clipping_threshold))
    if relative_step:
        cap = 1.0 if learning_rate is None else learning_rate
        stages.append(scale_by_relative_step(cap))
    elif learning_rate is not None:
        stages.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        stages.append(scale_by_param_block_rms(min_parameter_scale))
    if momentum is not None:
        stages.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    decay = add_decayed_weights(weight_decay_rate, weight_decay_mask)
    return chain(*stages, decay, scale(-1.0))


@transform
def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: NonNegative = 0.8,
    step_offset: NonNegative = 0,
    min_dim_size_to_factor: Count = 128,
    epsilon: Epsilon = 1e-30,
    *,
    eps_placement: EpsPlacement = "square",
) -> Pair:
    """Divide by the root of a factored second moment.

    The stage of `adafactor` that holds the state; see there for the rule.

    Args:
        factored: Whether to factor at all.
        decay_rate: Exponent of the decay of the second moment.
        step_offset: Steps to subtract from the count, for fine-tuning.
        min_dim_size_to_factor: The least length of the last two axes of leaves that
            are factored.
        epsilon: See `eps_placement`.
        eps_placement: `"square"` adds `epsilon` to the squared gradient, `"root"`
            keeps the root of the second moment above it.

    Returns:
        A transform with one number per row and per column of a factored leaf, and one
        per parameter of the others. It does not read `params`.

    Reference:
        Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory
        Cost", ICML 2018, arXiv:1804.04235, Algorithms 4 and 5.
    """
    outside = eps_placement == "root"

    def factors(shape: tuple[int, ...]) -> bool:
        return factored and len(shape) > 1 and min(shape[-2:]) >= min_dim_size_to_factor

    def init(params):
        def slots(drop):
            return jax.tree.map(lambda p: slot(p, factors(p.shape), drop), params)

        count = jnp.zeros((), jnp.int32)
        return FactoredState(count, slots(-1), slots(-2), slots(None))

    def one(fresh, g, row, col, v):
        fresh, eps = fresh.astype(v.dtype), nx.cast(epsilon, v.dtype)
        square = nx.square(g) if outside else nx.square(g) + eps
        if not factors(g.shape):
            v = v + fresh * (square - v)
            floor = jnp.maximum(v, eps * eps) if outside else v
            return nx.divide(g, nx.sqrt(floor).astype(g.dtype)), row, col, v
        row = row + fresh * (mean(square, -1) - row)
        col = col + fresh * (mean(square, -2) - col)
        if outside:
            middle = jnp.broadcast_to(mean(row, -1, keepdims=True), row.shape)
            middle = jnp.maximum(middle, eps)
            product = nx.divide(row, middle)[..., None] * col[..., None, :]
            root = nx.sqrt(jnp.maximum(product, eps * eps)).astype(g.dtype)
            return nx.divide(g, root), row, col, v
        return divided(g, row, col), row, col, v

    def update(updates, state, params=None, **extra):
        del params, extra
        count = nx.increment(state.count)
        dtype = jnp.result_type(float)
        step = count.astype(dtype) - nx.cast(step_offset, dtype)
        fresh = jnp.maximum(step, 1) ** (-nx.cast(decay_rate, dtype))
        out = jax.tree.map(
            ft.partial(one, fresh), updates, state.v_row, state.v_col, state.v
        )
        parts = [jax.tree.map(lambda _, o, i=i: o[i], updates, out) for i in range(4)]
        return parts[0], FactoredState(count, *parts[1:])

    return Pair(init, update)


class RelativeStepState(NamedTuple):
    """State of `scale_by_relative_step`."""

    count: jax.Array


@transform
def scale_by_relative_step(learning_rate: LearningRate) -> Pair:
    """Multiply by a learning rate that is capped by the inverse root of the step.

    The factor at step t, counted from 1, is `min(learning_rate, t^-0.5)`. The sign
    stays.

    Args:
        learning_rate: The largest factor.

    Returns:
        A transform.

    Reference:
        Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory
        Cost", ICML 2018, arXiv:1804.04235, section 8.
    """

    def init(params: PyTree) -> RelativeStepState:
        del params
        return RelativeStepState(jnp.zeros((), jnp.int32))

    def update(updates, state, params=None, **extra):
        del params, extra
        count = nx.increment(state.count)
        dtype = jnp.result_type(float)
        cap = jax.lax.rsqrt(count.astype(dtype))
        rate = jnp.minimum(nx.cast(learning_rate, dtype), cap)
        scaled = jax.tree.map(lambda u: times(u, rate), updates)
        return scaled, RelativeStepState(count)

    return Pair(init, update)


@transform
def scale_by_param_block_rms(min_scale: NonNegative = 1e-3) -> Pair:
    """Multiply the update of each leaf by the parameter's root mean square.

    Args:
        min_scale: The least factor.

    Returns:
        A transform without state. It needs `params`.

    Reference:
        Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory
        Cost", ICML 2018, arXiv:1804.04235, section 8.
    """

    def scaled(u: jax.Array, p: jax.Array) -> jax.Array:
        if not p.size:
            return u
        rms = norm(p.astype(u.dtype)) / math.sqrt(p.size)
        return times(u, jnp.maximum(rms, nx.cast(min_scale, rms.dtype)))

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_param_block_rms")
        return jax.tree.map(scaled, updates, params), state

    return Pair(no_state, update)
