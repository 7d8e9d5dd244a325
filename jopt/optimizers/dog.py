"""DoG, L-DoG and DoWG: step sizes from the distance travelled and the gradients."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import extras, norms, numerics as nx, sums, trees
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Epsilon,
    LearningRate,
    Mask,
    OptionalPositive,
    Pair,
    PyTree,
    Switch,
)
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate

InitStep = tuple[Literal["distance", "learning_rate", "heuristic"], float]


class DoGState(NamedTuple):
    """State of `scale_by_dog`."""

    is_init_step: jax.Array
    init_params: PyTree
    max_dist: PyTree  # the farthest from the start; one for each leaf if layerwise
    norm_grads: PyTree  # of all gradients so far, taken as one vector


class DoWGState(NamedTuple):
    """State of `scale_by_dowg`."""

    init_params: PyTree
    estim_dist: jax.Array  # the farthest from the start
    weighted_norm_grads: jax.Array  # of all gradients, each times the distance then


@optimizer(rates=(0.1, 10.0), tags=("parameter-free",))
def dog(
    learning_rate: LearningRate = 1.0,
    init_step: InitStep = ("heuristic", 1e-6),
    eps: Epsilon = 1e-8,
    weight_decay: Switch = None,
    mask: Mask = None,
) -> Transform:
    """SGD whose step is the distance from the start over the norm of all gradients.

    No learning rate to tune; leave `learning_rate` at 1. The authors evaluate an
    average of the parameters: see `power_ema_params`. Each step::

        r = max(r, |params - params0|)
        G = G + |g|^2
        params -= learning_rate * r / sqrt(G + eps) * g

    Args:
        learning_rate: Multiplies the step.
        init_step: A pair of a word and a number, above 0 and small. With
            `"heuristic"` the first `r` is the number times `1 + |params0|`; 1e-6, or
            1e-4 with batch normalisation. With `"distance"` it is the number. With
            `"learning_rate"` the number is the size of the first step.
        eps: Added to the sum of squares.
        weight_decay: Decay that is added to the gradient.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Raises:
        ValueError: If `init_step` is no such pair.

    Example:
        >>> from jopt import dog
        >>> tx = dog(init_step=("distance", 0.1))
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([3.0, -4.0]), tx.init(params), params)[0].round(4)
        Array([-0.06,  0.08], dtype=float32)
        >>> tx
        dog(init_step=('distance', 0.1))

    Reference:
        Ivgi, Hinder and Carmon, "DoG is SGD's Best Friend: A Parameter-Free Dynamic
        Step Size Schedule", ICML 2023, arXiv:2302.12022.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_dog(init_step, eps),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(0.1, 10.0), tags=("parameter-free",))
def ldog(
    learning_rate: LearningRate = 1.0,
    init_step: InitStep = ("heuristic", 1e-6),
    eps: Epsilon = 1e-8,
    weight_decay: Switch = None,
    mask: Mask = None,
) -> Transform:
    """Layer-wise DoG: each leaf has its own distance and its own sum of gradients.

    The rule of `dog`, applied to each leaf apart. The authors report it better than
    `dog` in fine-tuning, and less robust.

    Args:
        learning_rate: Multiplies the step.
        init_step: As in `dog`, for each leaf.
        eps: Added to the sums of squares.
        weight_decay: Decay that is added to the gradient.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Raises:
        ValueError: If `init_step` is no such pair.

    Example:
        >>> from jopt import ldog
        >>> tx = ldog(init_step=("distance", 0.1))
        >>> params = {"a": jnp.array(1.0), "b": jnp.array(-2.0)}
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(-4.0)}
        >>> updates, _ = tx.update(g, tx.init(params), params)
        >>> {name: f"{u:.3f}" for name, u in updates.items()}
        {'a': '-0.100', 'b': '0.100'}

    Reference:
        Ivgi, Hinder and Carmon, "DoG is SGD's Best Friend: A Parameter-Free Dynamic
        Step Size Schedule", ICML 2023, arXiv:2302.12022, Section 4.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_dog(init_step, eps, layerwise=True),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(0.1, 10.0), tags=("parameter-free",))
def dowg(
    learning_rate: LearningRate = 1.0,
    init_estim_sq_dist: OptionalPositive = None,
    eps: Epsilon = 1e-4,
    weight_decay: Switch = None,
    mask: Mask = None,
) -> Transform:
    """DoG with each gradient weighted by the distance at its time.

    Later gradients count more, so that its steps are larger than those of `dog`. Each
    step::

        r = max(r, |params - params0|)
        G = G + r^2 * |g|^2
        params -= learning_rate * r^2 / (sqrt(G) + eps) * g

    Args:
        learning_rate: Multiplies the step.
        init_estim_sq_dist: The square of the first `r`. Defaults to 1e-4, or `eps`.
        eps: Added to the root of the sum.
        weight_decay: Decay that is added to the gradient.
        mask: Which leaves decay. Defaults to all.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Example:
        >>> from jopt import dowg
        >>> tx = dowg(init_estim_sq_dist=0.01, eps=0.0)
        >>> params = jnp.array([1.0, -2.0])
        >>> tx.update(jnp.array([3.0, -4.0]), tx.init(params), params)[0].round(4)
        Array([-0.06,  0.08], dtype=float32)
        >>> tx
        dowg(init_estim_sq_dist=0.01, eps=0.0)

    Reference:
        Khaled, Mishchenko and Jin, "DoWG Unleashed: An Efficient Universal
        Parameter-Free Gradient Descent Method", NeurIPS 2023, arXiv:2305.16284,
        Algorithm 1.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_dowg(init_estim_sq_dist, eps),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_dog(
    init_step: InitStep = ("heuristic", 1e-6),
    eps: Epsilon = 1e-8,
    *,
    layerwise: bool = False,
) -> Pair:
    """Scale gradients by the distance from the start over the norm of all of them.

    The stage of `dog` and, with `layerwise`, of `ldog`; see there for the rule.

    Args:
        init_step: A pair of a word and a number: see `dog`.
        eps: Added to the sum of squares.
        layerwise: Whether each leaf has its own step size.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Raises:
        ValueError: If `init_step` is no such pair.

    Reference:
        Ivgi, Hinder and Carmon, "DoG is SGD's Best Friend: A Parameter-Free Dynamic
        Step Size Schedule", ICML 2023, arXiv:2302.12022.
    """
    word, size = _checked(init_step)

    def norm(tree: PyTree) -> PyTree:
        """One number for the tree, or for each leaf."""
        if layerwise:
            return jax.tree.map(lambda x: number(norms.norm(x)), tree)
        return number(norms.global_norm(tree))

    def init(params):
        start = trees.copy_like(params)
        if word == "heuristic":
            first = jax.tree.map(lambda n: size * (1.0 + n), norm(start))
        else:
            distance = size if word == "distance" else 0.0
            first = jax.tree.map(lambda n: jnp.full_like(n, distance), norm(start))
        zero = jax.tree.map(jnp.zeros_like, first)
        return DoGState(jnp.ones((), bool), start, first, zero)

    def rate(r, norm_grads, is_first):
        root = (
            norm_grads if is_off(eps) else hypotenuse(norm_grads, nx.sqrt(number(eps)))
        )
        eta = nx.divide(r, root)
        return jnp.where(is_first, size, eta) if word == "learning_rate" else eta

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_dog")
        start, first = state.init_params, state.is_init_step
        gone = norm(sums.displacement(params, start))
        r = jax.tree.map(jnp.maximum, state.max_dist, gone)
        total = jax.tree.map(hypotenuse, state.norm_grads, norm(updates))
        eta = jax.tree.map(lambda r, n: rate(r, n, first), r, total)
        if layerwise:
            out = jax.tree.map(times, updates, eta)
        else:
            out = jax.tree.map(lambda g: times(g, eta), updates)
        return out, DoGState(jnp.zeros((), bool), start, r, total)

    return Pair(init, update)


@transform
def scale_by_dowg(
    init_estim_sq_dist: OptionalPositive = None, eps: Epsilon = 1e-4
) -> Pair:
    """Scale gradients by the distance over the norm of the weighted gradients.

    The stage of `dowg`; see there for the rule.

    Args:
        init_estim_sq_dist: The square of the first distance. Defaults to `eps`, or
            1e-4 where that is 0.
        eps: Added to the root of the sum.

    Returns:
        A transform with one buffer per parameter. It needs `params`.

    Reference:
        Khaled, Mishchenko and Jin, "DoWG Unleashed: An Efficient Universal
        Parameter-Free Gradient Descent Method", NeurIPS 2023, arXiv:2305.16284,
        Algorithm 1.
    """

    def init(params):
        square: Any = init_estim_sq_dist
        if square is None:
            square = 1e-4 if is_off(eps) else eps
        first = jnp.sqrt(number(square))
        return DoWGState(trees.copy_like(params), first, jnp.zeros_like(first))

    def update(updates, state, params=None, **extra):
        del extra
        params = extras.need_params(params, "scale_by_dowg")
        gone = norms.global_norm(sums.displacement(params, state.init_params))
        r = jnp.maximum(state.estim_dist, number(gone))
        weighted = r * number(norms.global_norm(updates))
        total = hypotenuse(state.weighted_norm_grads, weighted)
        eta = nx.divide(r * r, total if is_off(eps) else total + number(eps))
        out = jax.tree.map(lambda g: times(g, eta), updates)
        return out, DoWGState(state.init_params, r, total)

    return Pair(init, update)


def hypotenuse(a: jax.Array, b: jax.Array) -> jax.Array:
    """`sqrt(a^2 + b^2)`, with neither overflow nor an infinite derivative at 0."""
    return norms.global_norm([a, b])


def _checked(init_step: Any) -> tuple[str, float]:
    words = ("distance", "learning_rate", "heuristic")
    ok = isinstance(init_step, tuple | list) and len(init_step) == 2
    if not ok or init_step[0] not in words or not init_step[1] > 0:
        raise ValueError(
            "`init_step` must be a pair of one of 'distance', 'learning_rate', "
            f"'heuristic' and a number above 0, got {init_step!r}. "
            "Set `init_step=('heuristic', 1e-6)`."
        )
    return init_step[0], float(init_step[1])
