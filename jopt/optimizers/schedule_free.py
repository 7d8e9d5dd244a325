"""Schedule-Free: averaging in place of a learning-rate schedule."""

from typing import cast, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    Inner,
    LearningRate,
    NonNegative,
    Pair,
    PyTree,
    Steps,
    Switch,
)
from jopt.optimizers.rmsprop import scale_by_rms
from jopt.transforms.basic import identity
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.primal import interpolated_step, primal_average


class ScheduleFreeState(NamedTuple):
    """State of `scale_by_schedule_free`."""

    count: jax.Array
    weight_sum: jax.Array  # of the averaging weights so far
    max_lr: jax.Array  # the largest learning rate so far
    b1_complement: jax.Array  # 1 - b1, with which the average is found
    z: PyTree  # where the steps are taken, shaped like the parameters
    inner_state: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The averaged parameters `x = (y - (1 - b1) z) / b1`; `params` is `y`."""
        return primal_average(params, self.z, self.b1_complement)


@optimizer(rates=(1e-4, 3e-2), tags=("adaptive", "schedule-free"))
def schedule_free_adamw(
    learning_rate: LearningRate = 0.0025,
    warmup_steps: Steps = 0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    weight_lr_power: NonNegative = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    r: NonNegative = 0.0,
) -> Transform:
    """AdamW that needs no learning-rate schedule, only a warm-up.

    As good as AdamW with a well-set schedule, without the length of training being
    known. Train on the parameters as they are; evaluate, and keep, those that
    `jopt.averaged_params(state, params)` gives. Set `warmup_steps` to 2 to 5% of a
    run. Each step, with gradients taken at `y`, which are the parameters::

        v = b2 * v + (1 - b2) * g^2
        u = g / (sqrt(v / (1 - b2^t)) + eps) + weight_decay * y
        lr = learning_rate * min(1, t / warmup_steps)
        z = z - lr * u
        w = t^r * max(lr so far)^weight_lr_power
        x = x + w / sum(w) * (z - x)
        y = (1 - b1) * z + b1 * x

    Args:
        learning_rate: The size of the steps after the warm-up. A schedule, if given,
            should not fall.
        warmup_steps: Steps over which the learning rate rises linearly.
        b1: Weight of the average in `y`, in (0, 1). 0.95 to 0.98 for long runs.
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root of the second moment.
        weight_decay: Decay, taken at `y` and multiplied by the learning rate.
        weight_lr_power: How strongly a low learning rate lowers the averaging weight.
        state_dtype: Dtype of `z`. Defaults to float32 or wider.
        r: Power of the step in the averaging weight; above 0, late steps count more.

    Returns:
        A transform with two buffers per parameter. It needs `params`.

    Raises:
        ValueError: If `b1` is 0: the average could not be found again.

    Differs from optax in:
        In warm-up the first step has rate `learning_rate / warmup_steps`, as in the
        official package, and is averaged with that weight. optax takes a first step
        of 0 and the weight of the step after. optax has no `r`.

    Example:
        >>> from jopt import schedule_free_adamw
        >>> tx = schedule_free_adamw(0.5)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0].round(4)
        Array([-0.5,  0.5], dtype=float32)
        >>> tx
        schedule_free_adamw(learning_rate=0.5)

    Reference:
        Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682,
        Algorithm 1.
    """
    direction = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay),
    )
    return chain(
        scale_by_schedule_free(
            direction,
            learning_rate,
            warmup_steps,
            b1,
            weight_lr_power,
            state_dtype,
            r=r,
        )
    )


@optimizer(rates=(1e-2, 10.0), tags=("schedule-free",))
def schedule_free_sgd(
    learning_rate: LearningRate = 1.0,
    warmup_steps: Steps = 0,
    b1: DecayRate = 0.9,
    weight_decay: Switch = None,
    weight_lr_power: NonNegative = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    r: NonNegative = 0.0,
) -> Transform:
    """SGD that needs no learning-rate schedule, only a warm-up.

    In place of momentum SGD with a schedule; the learning rate is 10 to 50 times that
    of momentum SGD. Train on the parameters as they are; evaluate those that
    `jopt.averaged_params(state, params)` gives. The rule is that of
    `schedule_free_adamw`, with::

        u = g + weight_decay * y

    Args:
        learning_rate: The size of the steps after the warm-up.
        warmup_steps: Steps over which the learning rate rises linearly.
        b1: Weight of the average in `y`, in (0, 1).
        weight_decay: Decay, taken at `y` and multiplied by the learning rate.
        weight_lr_power: How strongly a low learning rate lowers the averaging weight.
        state_dtype: Dtype of `z`. Defaults to float32 or wider.
        r: Power of the step in the averaging weight; above 0, late steps count more.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Raises:
        ValueError: If `b1` is 0: the average could not be found again.

    Differs from optax in:
        The warm-up: see `schedule_free_adamw`.

    Example:
        >>> from jopt import schedule_free_sgd
        >>> tx = schedule_free_sgd(0.1)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(params), params)[0]
        Array([-0.05,  0.3 ], dtype=float32)
        >>> tx
        schedule_free_sgd(learning_rate=0.1)

    Reference:
        Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682,
        equations 1 to 3.
    """
    decay = identity() if weight_decay is None else add_decayed_weights(weight_decay)
    return chain(
        scale_by_schedule_free(
            decay, learning_rate, warmup_steps, b1, weight_lr_power, state_dtype, r=r
        )
    )


@transform
def scale_by_schedule_free(
    inner: Inner,
    learning_rate: LearningRate,
    warmup_steps: Steps = 0,
    b1: DecayRate = 0.9,
    weight_lr_power: NonNegative = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    r: NonNegative = 0.0,
) -> Pair:
    """Take the steps of any direction at `z`, and average them.

    See `schedule_free_adamw` for the rule, of which `inner` gives `u`.

    Args:
        inner: A transform from gradients to the direction `u`: without momentum,
            learning rate and change of sign.
        learning_rate: The size of the steps after the warm-up.
        warmup_steps: Steps over which the learning rate rises linearly.
        b1: Weight of the average in `y`, in (0, 1).
        weight_lr_power: How strongly a low learning rate lowers the averaging weight.
        state_dtype: Dtype of `z`. Defaults to float32 or wider.
        r: Power of the step in the averaging weight.

    Returns:
        A transform whose result is to be added to the parameters. It needs `params`.

    Raises:
        ValueError: If `b1` is 0: the average could not be found again.

    Differs from optax in:
        `inner` has no learning rate; in `optax.contrib.schedule_free` it has.

    Reference:
        Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682,
        Algorithm 1.
    """
    complement = cast(Decay, b1).complement
    pair = cast(Transform, inner).raw
    if isinstance(complement, float) and complement == 1.0:
        raise ValueError(
            "`b1` must lie in (0, 1), got 0.0: the average is found from `y` and `z`, "
            "which would be equal. For plain averaging use `jopt.ema_params`."
        )

    def init(params):
        dtype = jnp.result_type(float)
        return ScheduleFreeState(
            count=jnp.zeros((), jnp.int32),
            weight_sum=jnp.zeros((), dtype),
            max_lr=jnp.zeros((), dtype),
            b1_complement=jnp.asarray(complement, dtype),
            z=trees.copy_like(params, state_dtype),
            inner_state=pair.init(params),
        )

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "scale_by_schedule_free")
        dtype, count = state.weight_sum.dtype, nx.increment(state.count)
        t = count.astype(dtype)
        lr = jnp.asarray(learning_rate).astype(dtype)
        if warmup_steps:
            lr = lr * jnp.minimum(t / warmup_steps, 1)
        top = jnp.maximum(state.max_lr, lr)
        w = top ** nx.cast(weight_lr_power, dtype) * t ** nx.cast(r, dtype)
        total = state.weight_sum + w
        c = nx.divide(w, total)
        mix = jnp.asarray(complement).astype(dtype)
        u, inner_state = pair.update(updates, state.inner_state, params, **extra)
        w = jax.tree.map(lambda u: times(u, -lr), u)
        change, z = interpolated_step(w, params, state.z, mix, c)
        return change, ScheduleFreeState(count, total, top, mix, z, inner_state)

    return Pair(init, update)
