"""AdaHessian: Adam with the Hessian's diagonal in the place of the gradient."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.spec import is_off
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.optimizers import blocks, moments
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate

AveragedAxes = (
    Literal["kernels", "rows"] | Callable[[str, jax.Array], Sequence[int]] | None
)


class ScaleByAdaHessianState(NamedTuple):
    """State of `scale_by_adahessian`."""

    count: jax.Array  # steps
    estimates: jax.Array  # how many of them brought an estimate of the diagonal
    mu: PyTree  # average of gradients
    nu: PyTree  # average of squared estimates


@optimizer(rates=(1e-3, 1.0), tags=("adaptive", "second order"))
def adahessian(
    learning_rate: LearningRate,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-4,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    hessian_power: Positive = 1.0,
    averaged_axes: AveragedAxes = "kernels",
) -> Transform:
    """AdaHessian: a momentum over the root mean square of the Hessian's diagonal.

    The curvature comes from you, in the argument `hessian` of `update`: an estimate of
    the Hessian's diagonal, a tree like the gradients, as `jopt.hutchinson` makes it.
    Give it in every step, or every few, and `None` in between. A Hessian product costs
    about what two gradients do. Step t, with s estimates so far::

        m = b1 * m + (1 - b1) * g
        d = mean(|hessian|)                       # over the averaged axes
        v = b2 * v + (1 - b2) * d^2               # where an estimate is given
        u = m / (1 - b1^t) / ((v / (1 - b2^s))^(hessian_power / 2) + eps)
        params -= learning_rate * (u + weight_decay * params)

    Until the first estimate the diagonal counts as 1: plain momentum.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number. The
            authors use 0.15 for images.
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared estimates, in [0, 1).
        eps: Added to the root of the average.
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        hessian_power: The power of the diagonal, above 0; with 1 it is a Newton step,
            less than 1 is more careful.
        averaged_axes: Where the magnitudes of an estimate are averaged, against its
            noise. `"kernels"`: the first two axes of leaves with four, such as
            convolutions. `"rows"`: these, and the last axis of matrices. A function
            `(name, leaf) -> axes` decides for each leaf. `None` averages nowhere.

    Returns:
        A transform with two slots per parameter; the second is one number for what is
        averaged. It needs `params` unless `weight_decay` is 0.

    Raises:
        ValueError: In `init`, if a leaf has no such axes.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jopt import adahessian, hutchinson
        >>> grad = jax.grad(lambda p: 50.0 * p[0] ** 2 + 0.5 * p[1] ** 2)
        >>> p, tx = jnp.array([1.0, 1.0]), adahessian(0.5)
        >>> h = hutchinson(grad, p, jax.random.key(0))
        >>> tx.update(grad(p), tx.init(p), hessian=h)[0].round(3)
        Array([-0.5, -0.5], dtype=float32)

    Differs from the authors' code in: `s` counts estimates, not steps, which matters
    where some steps bring none; and convolutions are those of Flax, whose first axes
    are those in space.

    Reference:
        Yao et al., "ADAHESSIAN: An Adaptive Second Order Optimizer for Machine
        Learning", AAAI 2021, arXiv:2006.00719, Algorithm 1.
    """
    return chain(
        scale_by_adahessian(
            b1, b2, eps, hessian_power=hessian_power, averaged_axes=averaged_axes
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_adahessian(
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-4,
    *,
    hessian_power: Positive = 1.0,
    averaged_axes: AveragedAxes = "kernels",
) -> Pair:
    """Divide a momentum by the root mean square of the Hessian's diagonal.

    The stage of `adahessian` that holds the state; see there for the rule, and for the
    argument `hessian` of its update.

    Args:
        b1: Decay rate of the average of gradients, in [0, 1).
        b2: Decay rate of the average of squared estimates, in [0, 1).
        eps: Added to the root of the average.
        hessian_power: The power of the diagonal, above 0.
        averaged_axes: Where the magnitudes of an estimate are averaged.

    Returns:
        A transform with two slots per parameter; the second is one number for what is
        averaged. It does not read `params`.

    Raises:
        ValueError: If `averaged_axes` is none of those named; in `init`, if a leaf has
            no such axes.
    """
    if isinstance(averaged_axes, str) and averaged_axes not in ("kernels", "rows"):
        raise ValueError(
            '`averaged_axes` must be "kernels", "rows", `None` or a function '
            f"(name, leaf) -> axes, got {averaged_axes!r}."
        )

    def init(params):
        def slot(name: str, p: Any) -> jax.Array:
            axes = _axes(name, p, averaged_axes)
            return blocks.means(trees.real_zeros_like(p), axes)

        zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        nu = trees.map_with_names(slot, params)
        return ScaleByAdaHessianState(zero, none, trees.zeros_like(params), nu)

    def update(updates, state, params=None, *, hessian=None, **extra):
        del params, extra
        t, s, nu = nx.increment(state.count), state.estimates, state.nu
        mu = moments.averages(updates, state.mu, b1)
        if hessian is not None:
            s = nx.increment(s)
            nu = jax.tree.map(lambda v, h: _second(h, v, b2), nu, hessian)
        u = _directions(mu, nu, t, s, b1, b2, eps, hessian_power)
        return u, ScaleByAdaHessianState(t, s, moments.like(mu, state.mu), nu)

    return Pair(init, update)


def _axes(name: str, p: Any, averaged_axes: AveragedAxes) -> tuple[int, ...]:
    """The axes of a leaf that are averaged, all at least 0."""
    ndim = len(p.shape)
    if callable(averaged_axes):
        axes = tuple(averaged_axes(name, p))
    elif averaged_axes is not None and ndim == 4:
        axes = (0, 1)
    else:
        axes = (-1,) if averaged_axes == "rows" and ndim == 2 else ()
    if not all(-ndim <= axis < ndim for axis in axes):
        raise ValueError(
            f"`averaged_axes` must be axes of each leaf, got {axes} for `{name}` of "
            f"shape {tuple(p.shape)}. Give a function `(name, leaf) -> axes`."
        )
    return tuple(axis % ndim for axis in axes)


def _second(hessian: jax.Array, v: jax.Array, b2: Any) -> jax.Array:
    """The average of squares with one more estimate in it."""
    d = blocks.means_like(jnp.abs(hessian).astype(v.dtype), v)
    return nx.average(nx.square(d), v, b2)


def _directions(
    mu: PyTree, nu: PyTree, t: Any, s: Any, b1: Any, b2: Any, eps: Any, power: Any
) -> PyTree:
    """The corrected momentum over the corrected diagonal."""
    guard = moments.may_vanish(eps)
    weight = 1.0 / nx.bias_correction(b1, t)
    none = s == 0
    correction = jnp.where(none, 1.0, nx.bias_correction(b2, s))
    half = 0.5 * nx.cast(power, correction.dtype)
    factor = correction**-half

    def leaf(m: jax.Array, v: jax.Array) -> jax.Array:
        root = nx.times(_power(v, power), factor)
        root = jnp.where(none, jnp.ones_like(root), root)
        d = root if is_off(eps) else root + nx.cast(eps, root.dtype)
        d = jnp.broadcast_to(d, m.shape)
        return moments.quotient(nx.times(m, weight), d, guard)

    return jax.tree.map(leaf, mu, nu)


def _power(v: jax.Array, power: Any) -> jax.Array:
    """The square root to a power; 0 and flat at 0."""
    if isinstance(power, int | float) and power == 1:
        return nx.sqrt(v)
    some = v > 0
    safe = jnp.where(some, v, jnp.ones_like(v))
    half = jnp.asarray(0.5 * nx.cast(power, v.dtype), v.dtype)
    return jnp.where(some, safe**half, jnp.zeros_like(v))
