"""Gradients of several objectives: their Jacobian, its Gramian, and what weighs it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import layout, norms, numerics as nx, select
from jopt._core.transform import aggregator, Transform
from jopt._core.types import Mask, no_state, Pair, PyTree

__all__ = [
    "aggregate",
    "aggregator",
    "gramian",
    "objective_weights",
    "value_and_jacobian",
]


class Gram(NamedTuple):
    """The Gramian of k gradients, in a form that no scale can spoil.

    The gradients are `top * sizes[i]` times unit vectors. Weights on unit vectors, in
    units of `top`, are what rules work out.
    """

    cosines: jax.Array  # k by k, with ones on the diagonal
    sizes: jax.Array  # norms over the greatest
    top: jax.Array  # the greatest norm

    @property
    def k(self) -> int:
        return len(self.sizes)


Rule = Callable[[Gram], jax.Array]
"""From a Gramian to weights on unit gradients."""


def value_and_jacobian(
    losses: Callable[..., Any], *, has_aux: bool = False
) -> Callable[..., tuple[Any, PyTree]]:
    """A function that returns several losses, and the gradient of each.

    One pass forward, and one pass back for each loss. To hold fewer activations at a
    time, stack single gradients yourself: any tree with an axis in front will do.

    Args:
        losses: A function of parameters, and more, that returns a vector of losses.
        has_aux: Whether it returns a pair `(losses, aux)`.

    Returns:
        A function of the same arguments that returns `(losses, jacobian)`, or
        `((losses, aux), jacobian)`. The Jacobian is a tree like the parameters; its
        leaves have an axis of objectives in front.

    Raises:
        ValueError: In a call, if the losses are not a vector.

    Example:
        >>> import jopt
        >>> losses = lambda p: jnp.stack([(p - 1.0) ** 2, (p + 1.0) ** 2])
        >>> values, jacobian = jopt.value_and_jacobian(losses)(jnp.float32(0.5))
        >>> print(values, jacobian)
        [0.25 2.25] [-1.  3.]
    """

    def call(params: PyTree, *args: Any, **kwargs: Any):
        def run(params: PyTree):
            return losses(params, *args, **kwargs)

        values, pull, *aux = jax.vjp(run, params, has_aux=has_aux)
        if jnp.ndim(values) != 1:
            raise ValueError(
                "`losses` must return a vector with one number for each objective, got "
                f"an array of shape {jnp.shape(values)}. Use `jnp.stack`."
            )
        (jacobian,) = jax.vmap(pull)(jnp.eye(len(values), dtype=values.dtype))
        return ((values, *aux) if has_aux else values), jacobian

    return call


def gramian(jacobian: PyTree) -> jax.Array:
    """The inner products of gradients that lie above each other.

    In float32 or wider, and real: of complex leaves the real part is taken.

    Args:
        jacobian: A tree with an axis of k objectives in front of each leaf.

    Returns:
        A matrix of k by k.

    Raises:
        ValueError: If there are no leaves.

    Example:
        >>> import jopt
        >>> jopt.gramian({"a": jnp.array([[1.0, 2.0], [0.0, 1.0]])})
        Array([[5., 2.],
               [2., 1.]], dtype=float32)
    """
    if not jax.tree.leaves(jacobian):
        raise ValueError("`jacobian` has no leaves, so no objectives can be told.")
    gram = measured(jacobian)
    norm = gram.sizes * gram.top
    return gram.cosines * norm[:, None] * norm[None, :]


def aggregate(tx: Transform, jacobian: PyTree, **extra: Any) -> PyTree:
    """One direction out of the gradients of several objectives, without a chain.

    Args:
        tx: An aggregator that holds no state of interest, such as `jopt.upgrad()`.
        jacobian: A tree with an axis of k objectives in front of each leaf.
        **extra: What its update takes beside, such as `gramian`.

    Returns:
        A tree without that axis: a gradient, to be descended.

    Example:
        >>> import jopt
        >>> jopt.aggregate(jopt.constant_weights(), jnp.array([[2.0, 0.0], [0.0, 1.0]]))
        Array([1. , 0.5], dtype=float32)
    """
    like = jax.tree.map(lambda g: jnp.zeros(g.shape[1:], g.dtype), jacobian)
    return tx.update(jacobian, tx.init(like), **extra)[0]


def objective_weights(tx: Transform, gramian: jax.Array, **extra: Any) -> jax.Array:
    """The weights that an aggregator gives to gradients of a known Gramian.

    Args:
        tx: An aggregator that holds no state of interest, such as `jopt.upgrad()`.
        gramian: The matrix of inner products, k by k.
        **extra: What its update takes beside.

    Returns:
        A vector of k: the direction is the sum of gradients so weighted.

    Example:
        >>> import jopt
        >>> w = jopt.objective_weights(jopt.mgda(), jnp.diag(jnp.array([4.0, 1.0])))
        >>> [f"{x:.2f}" for x in w]
        ['0.20', '0.80']
    """
    eye = jnp.eye(len(gramian), dtype=gramian.dtype)
    return aggregate(tx, eye, gramian=gramian, **extra)


# -- what the aggregators share ----------------------------------------------------


def weighing(rule: Rule, mask: Mask = None) -> Pair:
    """The pair of an aggregator without state."""

    def update(updates, state, params=None, *, gramian=None, **extra):
        del extra
        if not jax.tree.leaves(updates):
            return updates, state
        keep = shared(mask, updates, params)
        gram = measured(updates, keep, gramian)
        # a few numbers, that devices are not to multiply in fewer bits
        with jax.default_matmul_precision("highest"):
            weights = rule(gram)
        return combined(updates, gram, weights, keep), state

    return Pair(no_state, update)


def shared(mask: Mask, updates: PyTree, params: PyTree) -> PyTree:
    """Which leaves the objectives share, as a tree of bools."""
    single = jax.tree.map(lambda g: jax.ShapeDtypeStruct(g.shape[1:], g.dtype), updates)
    return select.resolve_updates(mask, single, params)


def measured(
    jacobian: PyTree, keep: PyTree = None, gramian: jax.Array | None = None
) -> Gram:
    """The Gramian of the leaves that are kept, or one that is known."""
    if gramian is not None:
        return _known(gramian)
    leaves = jax.tree.leaves(jacobian)
    if keep is not None:
        flags = jax.tree.leaves(keep)
        leaves = [x for x, flag in zip(leaves, flags, strict=True) if flag]
    leaves = [x for x in leaves if x.size]
    dtype = norms.norm_dtype(leaves)
    k = len(jax.tree.leaves(jacobian)[0])
    one, zero = jnp.ones(k, dtype), jnp.zeros((k, k), dtype)
    # Each gradient is brought near 1 before it is squared, by a power of two.
    largest = [_row_max(x).astype(dtype) for x in leaves]
    most = jnp.max(jnp.stack([*largest, 0 * one]), axis=0)
    most = jnp.where((most > 0) & jnp.isfinite(most), most, one)
    bound = 0.8 * jnp.finfo(dtype).maxexp
    scale = jnp.exp2(-jnp.clip(jnp.floor(jnp.log2(most)), -bound, bound))
    inner = sum((_products(x, scale).astype(dtype) for x in leaves), zero)
    return _gram(inner, scale)


def _known(gramian: jax.Array) -> Gram:
    """A Gramian that is given."""
    return _gram(gramian, jnp.ones(len(gramian), gramian.dtype))


def _gram(inner: jax.Array, scale: jax.Array) -> Gram:
    """From the inner products of gradients, each multiplied by its scale."""
    root = nx.sqrt(jnp.diagonal(inner))
    zero = root == 0
    safe = jnp.where(zero, jnp.ones_like(root), root)
    cosines = jnp.clip(inner / safe[:, None] / safe[None, :], -1.0, 1.0)
    eye = jnp.eye(len(root), dtype=root.dtype)
    cosines = jnp.where(eye > 0, eye + 0 * inner, cosines)
    # the greatest by its logarithm, as norms may overflow
    t = jnp.argmax(jnp.where(zero, -jnp.inf, jnp.log2(safe) - jnp.log2(scale)))
    sizes = (root / safe[t]) * (scale[t] / scale)
    return Gram(cosines, sizes, norms.unscaled(root[t], scale[t]))


def combined(
    jacobian: PyTree,
    gram: Gram,
    weights: jax.Array,
    keep: PyTree = None,
    *,
    others: bool = False,
) -> PyTree:
    """The sum of unit gradients under weights; of leaves not kept, the plain sum.

    NaN or infinity in any objective makes all of it NaN: that a guard may see it.

    Args:
        jacobian: The gradients.
        gram: Their Gramian.
        weights: On unit gradients, over the greatest norm.
        keep: Which leaves the weights are for. Defaults to all.
        others: Whether the leaves that are not kept are weighted too.
    """
    clean = jnp.all(jnp.isfinite(gram.cosines)) & jnp.all(jnp.isfinite(gram.sizes))
    weights = jnp.where(clean & jnp.isfinite(gram.top), weights, jnp.nan)
    zero = gram.sizes == 0
    over = jnp.where(zero, 0.0, 1.0 / jnp.where(zero, 1.0, gram.sizes))

    def leaf(x: jax.Array, flag: bool = True) -> jax.Array:
        if not (flag or others):
            return jnp.sum(x, axis=0)
        # in two steps, as the product of the factors may overflow
        return weighted(scaled(x, over), weights)

    trees = (jacobian,) if keep is None else (jacobian, keep)
    return jax.tree.map(leaf, *trees)


def scaled(x: jax.Array, factors: jax.Array) -> jax.Array:
    """Each of the gradients of a leaf times its factor."""
    return nx.times(x, factors.reshape((-1,) + (1,) * (x.ndim - 1)))


def weighted(x: jax.Array, weights: jax.Array) -> jax.Array:
    """The sum of the gradients of a leaf under weights."""
    return jnp.sum(scaled(x, weights), axis=0)


def _row_max(x: jax.Array) -> jax.Array:
    axes = tuple(range(1, x.ndim))
    return jnp.max(jnp.abs(lax.stop_gradient(x)), axis=axes)


def _products(x: jax.Array, scale: jax.Array) -> jax.Array:
    """The inner products of the rows of a leaf, each scaled."""
    x = scaled(x, scale)
    if jnp.iscomplexobj(x):
        return _dot(x.real) + _dot(x.imag)
    return _dot(x)


def _dot(x: jax.Array) -> jax.Array:
    axes = tuple(range(1, x.ndim))
    # where types tell the layout, that of the result has to be said
    out = layout.over(x, None, None) if layout.explicit(x) else None
    return lax.dot_general(
        x,
        x,
        ((axes, axes), ((), ())),
        precision=lax.Precision.HIGHEST,
        out_sharding=out,
    )
