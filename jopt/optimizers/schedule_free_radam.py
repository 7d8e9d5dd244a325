"""Schedule-Free with RAdam's rectification in the place of a warm-up."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.optimizers.moments import (
    averages,
    denominator,
    like,
    may_vanish,
    quotient,
    squares,
)
from jopt.optimizers.radam import rectifier
from jopt.transforms.primal import interpolated_step, primal_average


class ScheduleFreeRAdamState(NamedTuple):
    """State of `scale_by_schedule_free_radam`."""

    count: jax.Array
    weight_sum: jax.Array  # of the averaging weights so far
    max_lr: jax.Array  # the largest rectified learning rate so far
    b1_complement: jax.Array  # 1 - b1, with which the average is found
    z: PyTree  # where the steps are taken, shaped like the parameters
    nu: PyTree  # second moment of the gradients

    def averaged(self, params: PyTree) -> PyTree:
        """The averaged parameters `x = (y - (1 - b1) z) / b1`; `params` is `y`."""
        return primal_average(params, self.z, self.b1_complement)


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "schedule-free"))
def schedule_free_radam(
    learning_rate: LearningRate = 0.0025,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    weight_lr_power: NonNegative = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    r: NonNegative = 0.0,
    silent_sgd_phase: bool = True,
) -> Transform:
    """Schedule-free AdamW without even a warm-up: RAdam's factor takes its place.

    `schedule_free_adamw` with the learning rate multiplied by the factor `c` of
    `radam`; evaluate the parameters that `jopt.averaged_params(state, params)` gives.
    While the second moment is too short to count, nothing moves, or, without
    `silent_sgd_phase`, the gradient itself is the direction. With `c` as in `radam`::

        v = b2 * v + (1 - b2) * g^2
        u = g / (sqrt(v / (1 - b2^t)) + eps) + weight_decay * y
        lr = learning_rate * c
        z = z - lr * u
        w = t^r * max(lr so far)^weight_lr_power
        x = x + w / sum(w) * (z - x)
        y = (1 - b1) * z + b1 * x

    Args:
        learning_rate: The size of the steps at last.
        b1: Weight of the average in `y`, in (0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        weight_decay: Decay, taken at `y` and multiplied by the learning rate.
        weight_lr_power: How strongly a low learning rate lowers the averaging weight.
        state_dtype: Dtype of `z`. Defaults to float32 or wider.
        r: Power of the step in the averaging weight; above 0, late steps count more.
        silent_sgd_phase: Whether the first steps move nothing.

    Returns:
        A transform with two buffers per parameter. It needs `params`.

    Raises:
        ValueError: If `b1` is 0: the average could not be found again.

    Example:
        >>> from jopt import schedule_free_radam
        >>> tx = schedule_free_radam(0.5, silent_sgd_phase=False)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.25,  1.5 ], dtype=float32)

    Reference:
        Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682;
        `RAdamScheduleFree` of their package `schedulefree`.
    """
    return chain(
        scale_by_schedule_free_radam(
            learning_rate,
            b1,
            b2,
            eps,
            weight_decay,
            weight_lr_power,
            state_dtype,
            r=r,
            silent_sgd_phase=silent_sgd_phase,
        )
    )


@transform
def scale_by_schedule_free_radam(
    learning_rate: LearningRate = 0.0025,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    weight_lr_power: NonNegative = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    r: NonNegative = 0.0,
    silent_sgd_phase: bool = True,
) -> Pair:
    """All of `schedule_free_radam`; see there for the rule.

    Args:
        learning_rate: The size of the steps at last.
        b1: Weight of the average in `y`, in (0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        weight_decay: Decay, taken at `y` and multiplied by the learning rate.
        weight_lr_power: How strongly a low learning rate lowers the averaging weight.
        state_dtype: Dtype of `z`. Defaults to float32 or wider.
        r: Power of the step in the averaging weight.
        silent_sgd_phase: Whether the first steps move nothing.

    Returns:
        A transform whose result is to be added to the parameters. It needs `params`.

    Raises:
        ValueError: If `b1` is 0: the average could not be found again.
    """
    complement = cast(Decay, b1).complement
    if isinstance(complement, float) and complement == 1.0:
        raise ValueError(
            "`b1` must lie in (0, 1), got 0.0: the average is found from `y` and `z`, "
            "which would be equal. Set `b1=0.9`."
        )

    def init(params):
        return ScheduleFreeRAdamState(
            count=jnp.zeros((), jnp.int32),
            weight_sum=number(0.0),
            max_lr=number(0.0),
            b1_complement=jnp.array(number(complement), copy=True),
            z=trees.copy_like(params, state_dtype),
            nu=trees.real_zeros_like(params),
        )

    def direction(updates, nu, params, t, counts):
        root = jnp.sqrt(number(nx.bias_correction(b2, t)))
        floor: Any = 0.0 if is_off(eps) else number(eps) * root

        def leaf(g, v, p):
            u = times(quotient(g, denominator(v, floor), may_vanish(eps)), root)
            u = jnp.where(counts, u, g)
            if is_off(weight_decay):
                return u
            return u + times(p.astype(u.dtype), weight_decay)

        return jax.tree.map(leaf, updates, nu, params)

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_schedule_free_radam")
        t = nx.increment(state.count)
        nu = like(averages(squares(updates), state.nu, b2), state.nu)
        counts, factor = rectifier(b2, t, 4.0)
        early = 0.0 if silent_sgd_phase else 1.0
        lr = number(learning_rate) * jnp.where(counts, number(factor), early)
        top = jnp.maximum(state.max_lr, lr)
        w = top ** number(weight_lr_power) * number(t) ** number(r)
        total, mix = state.weight_sum + w, number(complement)
        u = direction(updates, nu, params, t, counts)
        steps = jax.tree.map(lambda u: times(u, -lr), u)
        change, z = interpolated_step(steps, params, state.z, mix, nx.divide(w, total))
        return change, ScheduleFreeRAdamState(t, total, top, mix, z, nu)

    return Pair(init, update)
