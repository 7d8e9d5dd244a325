"""K-FAC: the natural gradient, with a Kronecker-factored Fisher matrix."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jopt._core import layout, norms, numerics as nx, select, trees
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Count,
    DecayRate,
    LearningRate,
    Mask,
    Momentum,
    OptionalPositive,
    Pair,
    Positive,
    PyTree,
    Switch,
)
from jopt.curvature.kronecker import KroneckerFactors
from jopt.optimizers.sgd import momentum_stage
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class KFACLayerState(NamedTuple):
    """What `scale_by_kfac` holds of one layer."""

    count: jax.Array  # estimates in the averages
    age: jax.Array  # estimates since that of the inverses
    a: jax.Array  # average of the inputs' factor
    s: jax.Array  # average of the slopes' factor
    a_inverse: jax.Array  # of the damped factor; at first the identity
    s_inverse: jax.Array


class ScaleByKFACState(NamedTuple):
    """State of `scale_by_kfac`."""

    layers: dict[str, KFACLayerState]


@optimizer(rates=(1e-2, 1.0), tags=("second order", "matrix"))
def kfac(
    learning_rate: LearningRate,
    momentum: Momentum = 0.9,
    damping: Positive = 1e-3,
    decay: DecayRate = 0.95,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    norm_constraint: OptionalPositive = None,
    refresh_every: Count = 1,
    nesterov: bool = False,
    layers: Mask = None,
    accumulator_dtype: DTypeLike | None = None,
) -> Transform:
    """K-FAC: the gradient over the Fisher matrix, in blocks of Kronecker products.

    For small and middling dense and convolutional networks, where steps are dear and
    the batch is large. The factors of each layer come from you, in the argument
    `factors` of `update`, as `jopt.kronecker_factors` makes them of a Flax linen model.
    Give them in every step or every few, and `None` in between. For a layer whose
    gradients of kernel and bias are the rows of `G`, with `n` estimates so far::

        A, S = decay * (A, S) + (1 - decay) * factors     # where they are given
        A', S' = (A, S) / (1 - decay^n)
        pi = sqrt((tr A' / rows) / (tr S' / columns))
        U = (A' + pi sqrt(damping) I)^-1 G (S' + sqrt(damping) / pi I)^-1
        u = U * min(1, sqrt(norm_constraint / <U, G>))    # over all leaves
        m = momentum * m + u
        params -= learning_rate * (m + weight_decay * params)

    All other leaves pass as plain gradients, as do all until the first factors.

    Args:
        learning_rate: A number >= 0, or a schedule from step count to number.
        momentum: Weight of the past, in [0, 1). 0 or `None` turns it off.
        damping: Added to the Fisher matrix, above 0. The number that matters most: the
            less, the longer the steps along flat directions. Try 1e-4 to 1e-1. What
            rounding makes of a factor is the least that is added.
        decay: Decay rate of the averages of factors, in [0, 1).
        weight_decay: Strength of the decoupled decay; 0 turns it off.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        norm_constraint: The greatest square of a direction in the metric of the Fisher
            matrix, above 0: a step then changes the model's distribution by a
            Kullback-Leibler divergence of about half of it times the squared rate.
            Without it steps may be too long while damping is small.
        refresh_every: Which estimates bring new inverses: every first, or every tenth.
        nesterov: Whether to look one step of momentum ahead.
        layers: Which leaves called `kernel` are those of layers, with the `bias` beside
            them. Defaults to kernels of two, four and five axes.
        accumulator_dtype: Dtype of the momentum. Defaults to float32 or wider.

    Returns:
        A transform with two square matrices for each layer and for each of its inverses
        one, and a slot per parameter with momentum. It needs `params` unless
        `weight_decay` is 0.

    Raises:
        ValueError: In `update`, if factors are given and none is of a layer, or one
            does not fit its layer.

    Example:
        >>> import flax.linen as nn, jax, jax.numpy as jnp, jopt
        >>> model = nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(1)])
        >>> x = jnp.linspace(-1.0, 1.0, 32)[:, None]
        >>> outputs = lambda p: model.apply(p, x)
        >>> loss = lambda p: jnp.mean((outputs(p) - jnp.sin(3.0 * x)) ** 2) / 2
        >>> params = model.init(jax.random.key(0), x)
        >>> tx = jopt.kfac(0.5, damping=1e-2, norm_constraint=1.0)
        >>> @jax.jit
        ... def step(params, state, key):
        ...     factors = jopt.kronecker_factors(
        ...         outputs, params, key, likelihood="normal"
        ...     )
        ...     g = jax.grad(loss)(params)
        ...     updates, state = tx.update(g, state, params, factors=factors)
        ...     return jax.tree.map(jnp.add, params, updates), state
        >>> state = tx.init(params)
        >>> for key in jax.random.split(jax.random.key(1), 60):
        ...     params, state = step(params, state, key)
        >>> bool(loss(params) < 1e-2)
        True

    Differs from kfac-jax in: the norm constraint is on the direction, before the rate,
    so that a schedule shortens steps (kfac-jax's number over the squared rate is the
    same); the damping is given, not adapted; and leaves without factors pass as they
    are.

    Reference:
        Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored
        Approximate Curvature", ICML 2015, arXiv:1503.05671, Section 6.3; for the norm
        constraint Ba et al., "Distributed Second-Order Optimization using
        Kronecker-Factored Approximations", ICLR 2017, Section 5.
    """
    return chain(
        scale_by_kfac(
            damping,
            decay,
            norm_constraint=norm_constraint,
            refresh_every=refresh_every,
            layers=layers,
        ),
        momentum_stage(momentum, nesterov, accumulator_dtype, None),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_kfac(
    damping: Positive = 1e-3,
    decay: DecayRate = 0.95,
    *,
    norm_constraint: OptionalPositive = None,
    refresh_every: Count = 1,
    layers: Mask = None,
) -> Pair:
    """Multiply gradients by the inverse of a Kronecker-factored Fisher matrix.

    The stage of `kfac` that holds the state; see there for the rule, and for the
    argument `factors` of its update. An estimate that is not finite is left out, and
    an inverse that cannot be found leaves the last one in its place.

    Args:
        damping: Added to the Fisher matrix, above 0.
        decay: Decay rate of the averages of factors, in [0, 1).
        norm_constraint: The greatest square of a direction in the metric of the Fisher
            matrix, above 0.
        refresh_every: Which estimates bring new inverses.
        layers: Which leaves called `kernel` are those of layers.

    Returns:
        A transform with four square matrices for each layer. It does not read `params`.

    Raises:
        ValueError: In `update`, if factors are given and none is of a layer, or one
            does not fit its layer.
    """

    def init(params):
        return ScaleByKFACState(
            {
                name: _first(sides, refresh_every)
                for name, sides in _sides(params, layers).items()
            }
        )

    def update(updates, state, params=None, *, factors=None, **extra):
        del params, extra
        known = state.layers
        if factors:
            _check(factors, known)
            known = {
                name: _estimated(layer, factors[name], damping, decay, refresh_every)
                if name in factors
                else layer
                for name, layer in known.items()
            }
        if norm_constraint is None:
            return _natural(updates, known), ScaleByKFACState(known)
        u = _constrained(updates, known, norm_constraint)
        return u, ScaleByKFACState(known)

    return Pair(init, update)


# -- layers ------------------------------------------------------------------------


class _Sides(NamedTuple):
    """How large the factors of a layer are, and their dtype."""

    rows: int
    columns: int
    dtype: Any


def _sides(params: PyTree, layers: Mask) -> dict[str, _Sides]:
    """The layers among parameters, by name."""
    chosen = jax.tree.leaves(select.resolve(layers, params, "layers"))
    leaves = dict(zip(trees.names(params), jax.tree.leaves(params), strict=True))
    found = {}
    for (path, leaf), flag in zip(leaves.items(), chosen, strict=True):
        name, _, last = path.rpartition("/")
        ndim = len(leaf.shape)
        usual = ndim in (2, 4, 5) or (layers is not None and ndim > 1)
        real = jnp.issubdtype(leaf.dtype, jnp.floating)
        if last != "kernel" or not (flag and usual and real):
            continue
        rows = leaf.size // max(leaf.shape[-1], 1)
        dtype = trees.accumulation_dtype(leaf.dtype)
        bias = leaves.get(f"{name}/bias".lstrip("/"))
        real = bias is not None and jnp.issubdtype(bias.dtype, jnp.floating)
        found[name] = _Sides(rows + real, leaf.shape[-1], dtype)
    return found


def _first(sides: _Sides, refresh_every: int) -> KFACLayerState:
    """The state of a layer of which nothing is known: its inverses are the identity."""
    rows, columns, dtype = sides
    return KFACLayerState(
        jnp.zeros((), jnp.int32),
        jnp.full((), refresh_every - 1, jnp.int32),
        jnp.zeros((rows, rows), dtype),
        jnp.zeros((columns, columns), dtype),
        jnp.eye(rows, dtype=dtype),
        jnp.eye(columns, dtype=dtype),
    )


def _check(
    factors: Mapping[str, KroneckerFactors], known: dict[str, KFACLayerState]
) -> None:
    """Raise unless factors are of layers, and fit them."""
    if not factors.keys() & known.keys():
        raise ValueError(
            f"`factors` are of {', '.join(map(repr, factors))}, but the layers are "
            f"{', '.join(map(repr, known)) or 'none'}. Give `kronecker_factors` the "
            "parameters that `init` got."
        )
    for name in factors.keys() & known.keys():
        given = tuple(x.shape for x in factors[name])
        wanted = (known[name].a.shape, known[name].s.shape)
        if given != wanted:
            raise ValueError(
                f"`factors` of the layer {name!r} have shapes {given}, but its "
                f"parameters ask for {wanted}. Give K-FAC the layer's kernel and bias, "
                "and `kronecker_factors` the same parameters."
            )


# -- factors and inverses ----------------------------------------------------------


def _estimated(
    layer: KFACLayerState, new: Any, damping: Any, decay: Any, refresh_every: int
) -> KFACLayerState:
    """The layer with one more estimate in the averages, and inverses if due."""
    a, s = (x.astype(layer.a.dtype) for x in new)
    good = jnp.isfinite(jnp.sum(a)) & jnp.isfinite(jnp.sum(s))
    due = good & (layer.age >= refresh_every - 1)

    def kept(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(good, new, old)

    after = layer._replace(
        count=kept(nx.increment(layer.count), layer.count),
        age=kept(jnp.where(due, 0, nx.increment(layer.age)), layer.age),
        a=kept(nx.average(a, layer.a, decay), layer.a),
        s=kept(nx.average(s, layer.s, decay), layer.s),
    )
    correction = nx.bias_correction(decay, jnp.maximum(after.count, 1))

    def refreshed(_: None) -> tuple[jax.Array, jax.Array]:
        return _inverses(after, correction, damping)

    def left(_: None) -> tuple[jax.Array, jax.Array]:
        return layer.a_inverse, layer.s_inverse

    a_inverse, s_inverse = jax.lax.cond(due, refreshed, left, None)
    return after._replace(a_inverse=a_inverse, s_inverse=s_inverse)


def _inverses(
    layer: KFACLayerState, correction: jax.Array, damping: Any
) -> tuple[jax.Array, jax.Array]:
    """The inverses of both damped factors; the last ones where there are none."""
    correction = correction.astype(layer.a.dtype)
    a, s = layer.a / correction, layer.s / correction
    mean_a, mean_s = (jnp.trace(x) / max(len(x), 1) for x in (a, s))
    some = (mean_a > 0) & (mean_s > 0)
    ratio = nx.sqrt(jnp.where(some, mean_a, 1)) / nx.sqrt(jnp.where(some, mean_s, 1))
    root = nx.sqrt(jnp.asarray(damping, a.dtype))
    new = _inverse(a, mean_a, ratio * root), _inverse(s, mean_s, root / ratio)
    good = jnp.isfinite(jnp.sum(new[0])) & jnp.isfinite(jnp.sum(new[1]))
    return (
        jnp.where(good, new[0], layer.a_inverse),
        jnp.where(good, new[1], layer.s_inverse),
    )


def _inverse(x: jax.Array, mean: jax.Array, ridge: jax.Array) -> jax.Array:
    """The inverse of `x + ridge I` for a factor whose diagonal's mean is known.

    What is inverted has a diagonal near 1, and a ridge that rounding cannot undo.
    """
    n = len(x)
    unit = mean + ridge
    least = 4 * n * jnp.finfo(x.dtype).eps * mean
    eye = jnp.eye(n, dtype=x.dtype)
    scaled = x / unit + (jnp.maximum(ridge, least) / unit) * eye
    with jax.default_matmul_precision("highest"):
        factor = jax.scipy.linalg.cho_factor(scaled, lower=True)
        return jax.scipy.linalg.cho_solve(factor, eye) / unit


# -- directions --------------------------------------------------------------------


def _natural(updates: PyTree, known: dict[str, KFACLayerState]) -> PyTree:
    """The gradients of layers between the inverses of their factors."""
    leaves, tree = jax.tree.flatten(updates)
    places = {name: i for i, name in enumerate(trees.names(updates))}
    for name, layer in known.items():
        kernel = places.get(f"{name}/kernel".lstrip("/"))
        if kernel is None:
            continue
        bias = places.get(f"{name}/bias".lstrip("/"))
        own = [kernel]
        if bias is not None and len(layer.a) * len(layer.s) > leaves[kernel].size:
            own.append(bias)
        for i, u in zip(own, _between([leaves[i] for i in own], layer), strict=True):
            leaves[i] = u
    return jax.tree.unflatten(tree, leaves)


def _between(parts: list[jax.Array], layer: KFACLayerState) -> list[jax.Array]:
    """The natural gradient of a kernel, and of a bias."""
    columns, dtype = parts[0].shape[-1], norms.norm_dtype([*parts, layer.a])
    rows = [layout.whole(g).reshape(-1, columns).astype(dtype) for g in parts]
    g = jnp.concatenate(rows) if len(rows) > 1 else rows[0]
    with jax.default_matmul_precision("highest"):
        u = layer.a_inverse.astype(dtype) @ g @ layer.s_inverse.astype(dtype)
    both = u[: len(rows[0])], u[len(rows[0]) :]
    like = zip(both, parts, strict=False)
    shaped = (u.reshape(g.shape).astype(g.dtype) for u, g in like)
    return [layout.like(u, g) for u, g in zip(shaped, parts, strict=True)]


def _constrained(
    updates: PyTree, known: dict[str, KFACLayerState], bound: Any
) -> PyTree:
    """The natural gradient, shortened so that its product with the gradient is less.

    It is linear in the gradient: taken of the gradient over its norm, nothing
    overflows.
    """
    unit = norms.normalized(updates)
    u = _natural(unit, known)
    size = norms.global_norm(updates)
    square = norms.inner_product(u, unit)
    some = square > 0
    limit = nx.sqrt(jnp.asarray(bound, square.dtype) / jnp.where(some, square, 1))
    length = jnp.where(some, jnp.minimum(size, limit), size)
    return jax.tree.map(lambda x: nx.times(x, length), u)
