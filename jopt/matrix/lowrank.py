"""Low-rank moments for matrices: GaLore, Fira and APOLLO."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jopt._core import norms, numerics as nx
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    Count,
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    NonNegative,
    Pair,
    PyTree,
    Switch,
)
from jopt.matrix.projection import (
    column_ratio,
    corrected,
    direction,
    down,
    drawn,
    is_low,
    leading,
    limited,
    low_slots,
    numbers,
    projector_slot,
    up,
)
from jopt.transforms import noise
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate


class ScaleByGaloreState(NamedTuple):
    """State of `scale_by_galore`."""

    count: jax.Array
    projector: PyTree  # orthonormal columns for the short side; empty for other leaves
    mu: PyTree  # in the low rank
    nu: PyTree
    residual_norm: PyTree  # of the latest residual, if it is added


@optimizer(rates=(1e-4, 3e-2), tags=("matrix", "adaptive", "low rank"))
def galore(
    learning_rate: LearningRate,
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: NonNegative = 1.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
) -> Transform:
    """GaLore: Adam whose moments live in the leading directions of each gradient.

    For large matrices that must train in little memory: of an m by n matrix with
    m <= n the moments take `2 n rank` numbers instead of `2 m n`. Every
    `update_proj_gap` steps P becomes the first `rank` left singular vectors of G::

        R = P^T G
        N = Adam(R)
        params -= learning_rate * (scale * P N + weight_decay * params)

    The moments are kept when P changes. Leaves that are no matrices, and those whose
    short side is at most `rank`, get Adam.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        rank: Directions that are kept.
        update_proj_gap: Steps from one projection to the next.
        scale: Multiplies the projected update. The authors take 0.25.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        b1: Decay rate of the first moment, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment, before its correction.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Differs from optax in: the short side of a matrix is projected, as in the paper;
    optax projects the long one. Matrices within the rank are left to Adam.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import galore
        >>> tx, p = galore(0.5, rank=1), jnp.zeros((2, 3))
        >>> g = jnp.array([[3.0, 3.0, 3.0], [0.0, 0.0, 0.0]])
        >>> abs(tx.update(g, tx.init(p), p)[0]).round(3)
        Array([[0.5, 0.5, 0.5],
               [0. , 0. , 0. ]], dtype=float32)

    Reference:
        Zhao et al., "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank
        Projection", ICML 2024, arXiv:2403.03507, Algorithm 2.
    """
    return chain(
        scale_by_galore(rank, update_proj_gap, scale, b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 3e-2), tags=("matrix", "adaptive", "low rank"))
def fira(
    learning_rate: LearningRate,
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: NonNegative = 1.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
) -> Transform:
    """Fira: GaLore that also steps along what the projection leaves out.

    The residual has no moments; each column of it is scaled as Adam scales the column
    of the projection, and its norm may grow by 1% a step. With P, R and N as in
    `galore`, and norms of columns::

        S = |N| / |R| * (G - P R)
        S = S * min(1, 1.01 * |S_before| / |S|)    # norms of matrices
        params -= learning_rate * (scale * P N + S + weight_decay * params)

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        rank: Directions that have moments.
        update_proj_gap: Steps from one projection to the next.
        scale: Multiplies the projected update.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        b1: Decay rate of the first moment, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment, before its correction.

    Returns:
        A transform with the slots of `galore` and a number per leaf.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import fira
        >>> tx, p = fira(0.5, rank=1), jnp.zeros((2, 2))
        >>> g = jnp.array([[4.0, 4.0], [0.0, 0.0]])
        >>> abs(tx.update(g, tx.init(p), p)[0]).round(3)
        Array([[0.5, 0.5],
               [0. , 0. ]], dtype=float32)

    Reference:
        Chen et al., "Fira: Can We Achieve Full-rank Training of LLMs Under Low-rank
        Constraint?", 2024, arXiv:2410.01623, Algorithm 1.
    """
    return chain(
        scale_by_galore(rank, update_proj_gap, scale, b1, b2, eps, residual=True),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@transform
def scale_by_galore(
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: NonNegative = 1.0,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-8,
    *,
    residual: bool = False,
) -> Pair:
    """Adam's direction with moments in the leading directions of each matrix.

    The stage of `galore`, and with `residual` of `fira`; see there for the rules.

    Args:
        rank: Directions that are kept.
        update_proj_gap: Steps from one projection to the next.
        scale: Multiplies the projected update.
        b1: Decay rate of the first moment, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        residual: Whether to add what the projection leaves out.

    Returns:
        A transform. It does not read `params`.
    """

    def init(params):
        count, adam = jnp.zeros((), jnp.int32), low_slots(params, rank)
        sizes = numbers(params) if residual else ()
        projector = jax.tree.map(lambda p: projector_slot(p, rank), params)
        return ScaleByGaloreState(count, projector, *adam, sizes)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)

        def fresh(old: PyTree) -> PyTree:
            return jax.tree.map(lambda g, q: leading(g, q, rank), updates, old)

        due = (t - 1) % update_proj_gap == 0
        projector = lax.cond(due, fresh, lambda old: old, state.projector)
        low = jax.tree.map(lambda g, q: down(g, q, rank), updates, projector)
        n, mu, nu = direction(low, state.mu, state.nu, b1, b2, eps)

        def projected(g: jax.Array, q: jax.Array, n: jax.Array) -> jax.Array:
            return times(up(n, q, g), scale) if is_low(g, rank) else n

        out = jax.tree.map(projected, updates, projector, n)
        sizes = state.residual_norm
        if residual:

            def rest(g, q, r, n):
                if not is_low(g, rank):
                    return jnp.zeros_like(g)
                return times(g - up(r, q, g), column_ratio(n, r, g))

            s = jax.tree.map(rest, updates, projector, low, n)
            s, sizes = limited(s, state.residual_norm)
            out = jax.tree.map(jnp.add, out, s)
        out = corrected(out, b1, b2, t)
        return out, ScaleByGaloreState(t, projector, mu, nu, sizes)

    return Pair(init, update)


class ScaleByApolloState(NamedTuple):
    """State of `scale_by_apollo`."""

    count: jax.Array
    rng_key: jax.Array  # the projections are drawn from it anew in each step
    mu: PyTree  # in the low rank
    nu: PyTree
    norm: PyTree  # of the latest update of each leaf


@optimizer(rates=(1e-4, 3e-2), tags=("matrix", "adaptive", "low rank"))
def apollo(
    learning_rate: LearningRate,
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: NonNegative = 1.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    scale_type: Literal["channel", "tensor"] = "channel",
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-6,
    key: jax.Array | int = 0,
) -> Transform:
    """APOLLO: gradients scaled per channel as Adam would, told from random projections.

    Moments of an m by n matrix with m <= n take `2 n rank` numbers, and no singular
    vectors are computed. P is random, normal with variance `1 / rank`, and drawn anew
    every `update_proj_gap` steps. With norms of columns::

        R = P^T G
        N = Adam(R)
        S = |N| / |R| * G
        S = S * min(1, 1.01 * |S_before| / |S|)    # norms of matrices
        params -= learning_rate * (sqrt(scale) * S + weight_decay * params)

    With "tensor" the ratio is one number for the matrix. Leaves that are no matrices,
    and those whose short side is at most `rank`, get Adam.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        rank: Size of the projection. The authors take a quarter of the short side.
        update_proj_gap: Steps from one projection to the next.
        scale: Its root multiplies the update.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        scale_type: Whether each column has a ratio of its own.
        b1: Decay rate of the first moment, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        key: A key of `jax.random.key`, or an integer seed.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import apollo
        >>> tx, p = apollo(0.1, rank=1), jnp.zeros((2, 3))
        >>> g = jnp.array([[3.0, 1.0, 2.0], [3.0, 1.0, -2.0]])
        >>> u, _ = tx.update(g, tx.init(p), p)
        >>> (u / g).round(6)[0] == (u / g).round(6)[1]
        Array([ True,  True,  True], dtype=bool)

    Reference:
        Zhu et al., "APOLLO: SGD-like Memory, AdamW-level Performance", MLSys 2025,
        arXiv:2412.05270, Algorithm 1.
    """
    return chain(
        scale_by_apollo(
            rank,
            update_proj_gap,
            scale,
            scale_type=scale_type,
            b1=b1,
            b2=b2,
            eps=eps,
            key=key,
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


@optimizer(rates=(1e-4, 3e-2), tags=("matrix", "adaptive", "low rank"))
def apollo_mini(
    learning_rate: LearningRate,
    update_proj_gap: Count = 200,
    scale: NonNegative = 128.0,
    weight_decay: Switch = 0.0,
    mask: Mask = None,
    *,
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-6,
    key: jax.Array | int = 0,
) -> Transform:
    """APOLLO-Mini: one ratio for each matrix, told from a projection of rank 1.

    `apollo` with `rank=1` and `scale_type="tensor"`: of an m by n matrix the state is
    `2 max(m, n)` numbers.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        update_proj_gap: Steps from one projection to the next.
        scale: Its root multiplies the update.
        weight_decay: Decoupled decay, multiplied by the learning rate.
        mask: Which leaves decay: see `jopt.masked`. Defaults to all.
        b1: Decay rate of the first moment, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        key: A key of `jax.random.key`, or an integer seed.

    Returns:
        A transform. Its `update` needs `params` unless `weight_decay` is 0.

    Example:
        >>> import jax
        >>> from jopt import apollo_mini
        >>> state = apollo_mini(0.1).init(jax.numpy.zeros((4, 3)))
        >>> state[0].mu.shape
        (4, 1)

    Reference:
        Zhu et al., "APOLLO: SGD-like Memory, AdamW-level Performance", MLSys 2025,
        arXiv:2412.05270, Section 4.2.
    """
    return apollo(
        learning_rate,
        1,
        update_proj_gap,
        scale,
        weight_decay,
        mask,
        scale_type="tensor",
        b1=b1,
        b2=b2,
        eps=eps,
        key=key,
    )


@transform
def scale_by_apollo(
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: NonNegative = 1.0,
    *,
    scale_type: Literal["channel", "tensor"] = "channel",
    b1: DecayRate = 0.9,
    b2: DecayRate = 0.999,
    eps: Epsilon = 1e-6,
    key: jax.Array | int = 0,
) -> Pair:
    """Scale each column of a gradient as Adam would, told from a random projection.

    The stage of `apollo` that holds the state; see there for the rule.

    Args:
        rank: Size of the projection.
        update_proj_gap: Steps from one projection to the next.
        scale: Its root multiplies the update.
        scale_type: Whether each column has a ratio of its own.
        b1: Decay rate of the first moment, in [0, 1).
        b2: Decay rate of the second moment, in [0, 1).
        eps: Added to the root of the second moment, before its correction.
        key: A key of `jax.random.key`, or an integer seed.

    Returns:
        A transform. It does not read `params`.
    """
    noise.check_key(key)

    def init(params):
        count, adam = jnp.zeros((), jnp.int32), low_slots(params, rank)
        own = noise.own_key(key)
        return ScaleByApolloState(count, own, *adam, numbers(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        epoch = jax.random.fold_in(state.rng_key, (t - 1) // update_proj_gap)
        leaves, tree = jax.tree.flatten(updates)
        keys = [jax.random.fold_in(epoch, i) for i in range(len(leaves))]
        projector = jax.tree.unflatten(
            tree,
            [drawn(k, g, rank) for k, g in zip(keys, leaves, strict=True)],
        )
        low = jax.tree.map(lambda g, q: down(g, q, rank), updates, projector)
        n, mu, nu = direction(low, state.mu, state.nu, b1, b2, eps)

        def scaled(g: jax.Array, r: jax.Array, n: jax.Array) -> jax.Array:
            if not is_low(g, rank):
                return jnp.zeros_like(g)
            if scale_type == "channel":
                return times(g, column_ratio(n, r, g))
            return times(g, nx.divide(norms.norm(n), norms.norm(r)))

        s, sizes = limited(jax.tree.map(scaled, updates, low, n), state.norm)
        root = nx.sqrt(jnp.asarray(scale, jnp.result_type(float)))

        def chosen(s: jax.Array, n: jax.Array) -> jax.Array:
            return times(s, root) if is_low(s, rank) else n

        out = corrected(jax.tree.map(chosen, s, n), b1, b2, t)
        return out, ScaleByApolloState(t, state.rng_key, mu, nu, sizes)

    return Pair(init, update)
