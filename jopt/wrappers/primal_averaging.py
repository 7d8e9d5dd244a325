"""Schedule-Free and Generalized Primal Averaging, around any optimizer."""

from typing import Any, cast, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import extras, numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.sums import number
from jopt._core.transform import Transform, transform
from jopt._core.types import (
    DecayRate,
    Inner,
    LearningRate,
    NonNegative,
    Pair,
    PyTree,
)
from jopt.transforms.primal import interpolated_step, primal_average


class ScheduleFreeWrapperState(NamedTuple):
    """State of `schedule_free`."""

    count: jax.Array
    weight_sum: jax.Array  # of the averaging weights so far
    max_lr: jax.Array  # the largest learning rate so far
    b1_complement: jax.Array  # 1 - b1, with which the average is found
    z: PyTree  # where the steps are taken, shaped like the parameters
    inner_state: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The averaged parameters `x = (y - (1 - b1) z) / b1`; `params` is `y`."""
        return primal_average(params, self.z, self.b1_complement)


class GPAState(NamedTuple):
    """State of `gpa`."""

    mu_y_complement: jax.Array  # 1 - mu_y, with which the average is found
    z: PyTree  # where the steps are taken, shaped like the parameters
    inner_state: PyTree

    def averaged(self, params: PyTree) -> PyTree:
        """The averaged parameters `x = (y - (1 - mu_y) z) / mu_y`; `params` is `y`."""
        return primal_average(params, self.z, self.mu_y_complement)


@transform
def schedule_free(
    inner: Inner,
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    weight_lr_power: NonNegative = 2.0,
    state_dtype: DTypeLike | None = None,
    *,
    r: NonNegative = 0.0,
) -> Pair:
    """Make any optimizer schedule-free: average in place of a falling learning rate.

    Train on the parameters as they are; evaluate those of
    `jopt.averaged_params(state, params)`. `schedule_free_adamw` and `_sgd` are ready
    made. Each step, with gradients taken at `y`, which are the parameters::

        z = z + inner(g)
        w = t^r * max(learning_rate so far)^weight_lr_power
        x = x + w / sum(w) * (z - x)
        y = (1 - b1) * z + b1 * x

    Args:
        inner: The optimizer, without momentum, with its learning rate: constant, or
            with a warm-up.
        learning_rate: The rate of `inner` again, for the weights of the average.
        b1: Weight of the average in `y`, in (0, 1).
        weight_lr_power: How strongly a low learning rate lowers the averaging weight.
        state_dtype: Dtype of `z`. Defaults to float32 or wider.
        r: Power of the step in the averaging weight; above 0, late steps count more.

    Returns:
        A transform with one more buffer per parameter than `inner`. It needs `params`.

    Raises:
        ValueError: If `b1` is 0: the average could not be found again.

    Differs from optax in:
        A scheduled `learning_rate` weights the step taken with it. optax weights
        that step by the rate of the one after.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import averaged_params, schedule_free, sgd
        >>> tx, y = schedule_free(sgd(1.0), 1.0, b1=0.5), jnp.zeros(1)
        >>> state = tx.init(y)
        >>> for _ in range(2):
        ...     u, state = tx.update(-jnp.ones(1), state, y)
        ...     y = y + u
        >>> y, averaged_params(state, y)
        (Array([1.75], dtype=float32), Array([1.5], dtype=float32))

    Reference:
        Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682,
        Algorithm 1.
    """
    pair, complement = cast(Transform, inner).raw, _positive("b1", b1)

    def init(params):
        return ScheduleFreeWrapperState(
            count=jnp.zeros((), jnp.int32),
            weight_sum=number(0.0),
            max_lr=number(0.0),
            b1_complement=jnp.array(number(complement), copy=True),
            z=trees.copy_like(params, state_dtype),
            inner_state=pair.init(params),
        )

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "schedule_free")
        count = nx.increment(state.count)
        top = jnp.maximum(state.max_lr, number(learning_rate))
        w = top ** number(weight_lr_power) * number(count) ** number(r)
        total, mix = state.weight_sum + w, number(complement)
        steps, inner_state = pair.update(updates, state.inner_state, params, **extra)
        c = nx.divide(w, total)
        change, z = interpolated_step(steps, params, state.z, mix, c)
        after = count, total, top, mix, z, inner_state
        return change, ScheduleFreeWrapperState(*after)

    return Pair(init, update)


@transform
def gpa(
    inner: Inner,
    mu_x: DecayRate = 0.9967,
    mu_y: DecayRate = 0.7,
    state_dtype: DTypeLike | None = None,
) -> Pair:
    """Generalized Primal Averaging: a smooth form of Lookahead and of outer momentum.

    `schedule_free` with a constant weight, around a whole optimizer with its momentum
    and its schedule. Train on the parameters as they are; evaluate those of
    `jopt.averaged_params(state, params)`. Each step, with gradients taken at `y`, which
    are the parameters, and the decay of `inner` at `z`::

        z = z + inner(g)
        x = mu_x * x + (1 - mu_x) * z
        y = mu_y * x + (1 - mu_y) * z

    Args:
        inner: The optimizer, such as AdamW with a learning-rate schedule.
        mu_x: Decay of the average, in [0, 1): it spans about `1 / (1 - mu_x)` steps.
        mu_y: Weight of the average in `y`, in (0, 1).
        state_dtype: Dtype of `z`. Defaults to float32 or wider.

    Returns:
        A transform with one more buffer per parameter than `inner`. It needs `params`.

    Raises:
        ValueError: If `mu_y` is 0: the average could not be found again.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import averaged_params, gpa, sgd
        >>> tx, y = gpa(sgd(1.0), mu_x=0.5, mu_y=0.5), jnp.zeros(1)
        >>> state = tx.init(y)
        >>> for _ in range(2):
        ...     u, state = tx.update(-jnp.ones(1), state, y)
        ...     y = y + u
        >>> y, averaged_params(state, y)
        (Array([1.625], dtype=float32), Array([1.25], dtype=float32))

    Reference:
        Defazio, Mishchenko, Raman, Shi and Xiao, "Smoothing DiLoCo with Primal
        Averaging for Faster Training of LLMs", 2025, arXiv:2512.17131.
    """
    pair, complement = cast(Transform, inner).raw, _positive("mu_y", mu_y)

    def init(params):
        return GPAState(
            jnp.array(number(complement), copy=True),
            trees.copy_like(params, state_dtype),
            pair.init(params),
        )

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "gpa")
        mix, c = number(complement), number(cast(Decay, mu_x).complement)
        steps, inner_state = pair.update(updates, state.inner_state, state.z, **extra)
        change, z = interpolated_step(steps, params, state.z, mix, c)
        return change, GPAState(mix, z, inner_state)

    return Pair(init, update)


def _positive(name: str, decay: Any) -> Any:
    """The complement of a rate that must not be 0."""
    complement = cast(Decay, decay).complement
    if isinstance(complement, float) and complement == 1.0:
        raise ValueError(
            f"`{name}` must lie in (0, 1), got 0.0: the average is found from `y` and "
            "`z`, which would be equal. For plain averaging use `jopt.ema_params`."
        )
    return complement
