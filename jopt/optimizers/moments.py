"""What the adaptive optimizers share: averages, corrections, safe quotients."""

from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import norms, numerics as nx, trees
from jopt._core.numerics import parts, times
from jopt._core.spec import is_off

PyTree = Any

_TINY = 1e-20  # a smaller epsilon may round to 0 once it is scaled, in float32


def average(new: jax.Array, old: jax.Array, decay: Any) -> jax.Array:
    """The moving average `b * old + (1 - b) * new`, in the dtype of `new`."""
    return nx.average(new, old.astype(new.dtype), decay)


def averages(new: PyTree, old: PyTree, decay: Any) -> PyTree:
    """The moving average of each leaf, in the dtype of `new`."""
    return jax.tree.map(lambda o, n: average(n, o, decay), old, new)


def squares(updates: PyTree) -> PyTree:
    """The squared magnitude of each leaf."""
    return jax.tree.map(nx.square, updates)


def deviations(updates: PyTree, mean: PyTree) -> PyTree:
    """The squared magnitude of each leaf less its average."""
    return jax.tree.map(lambda g, m: nx.square(g - m.astype(g.dtype)), updates, mean)


def raised(nu: PyTree, eps: Any) -> PyTree:
    """Second moments, to each of which an epsilon is added."""
    return nu if is_off(eps) else jax.tree.map(lambda v: v + nx.cast(eps, v.dtype), nu)


def like(values: PyTree, slots: PyTree) -> PyTree:
    """The values in the dtypes in which the state holds them."""
    return jax.tree.map(lambda s, x: x.astype(s.dtype), slots, values)


def momentum_weights(
    b1: Any, count: Any, nesterov: bool = False
) -> tuple[jax.Array, jax.Array | None]:
    """The factors of the first moment and of the gradient in the direction.

    With Nesterov's look-ahead the moment is corrected as of the next step, and the
    gradient takes the place of its last term.
    """
    correction = nx.bias_correction(b1, count)
    if not nesterov:
        return 1.0 / correction, None
    c = complement(b1, correction.dtype)
    ahead = nx.bias_correction(b1, nx.increment(count))
    return (1.0 - c) / ahead, c / correction


def rescale(
    updates: PyTree,
    mu: PyTree,
    nu: PyTree,
    weights: tuple[Any, Any],
    correction: jax.Array,
    eps: Any,
    eps_root: Any = 0.0,
    *,
    eps_hat: bool = False,
) -> PyTree:
    """`(a m + b g) / (sqrt(v / correction + eps_root) + eps)`, leaf by leaf.

    The correction is moved out of the leaves: numerator and denominator are
    multiplied by its root, a scalar. With `eps_hat`, `eps` is not.
    """
    root = jnp.sqrt(correction)
    inside = _times(eps_root, correction)
    outside = eps if eps_hat else _times(eps, root)
    a, b = (None if w is None else w * root for w in weights)
    guard = may_vanish(eps, eps_root)

    def leaf(g: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        return quotient(mix(m, g, a, b), denominator(v, outside, inside), guard)

    return jax.tree.map(leaf, updates, mu, nu)


def mix(m: jax.Array, g: jax.Array, a: Any, b: Any = None) -> jax.Array:
    """`a m + b g` for scalars `a` and `b`; without `b`, `a m`."""
    return times(m, a) if b is None else times(m, a) + times(g, b)


def denominator(v: jax.Array, outside: Any, inside: Any = 0.0) -> jax.Array:
    """`sqrt(v + inside) + outside`."""
    v = v if is_off(inside) else v + nx.cast(inside, v.dtype)
    root = nx.sqrt(v)
    return root if is_off(outside) else root + nx.cast(outside, v.dtype)


def quotient(x: jax.Array, y: jax.Array, guard: bool) -> jax.Array:
    """`x / y` for a real `y`; with `guard`, 0 where `y` is 0."""
    divide = nx.divide if guard else jnp.divide
    return parts(lambda x: divide(x, y.astype(x.dtype)), x)


def may_vanish(*epsilons: Any) -> bool:
    """Whether no epsilon is known to keep the denominator away from 0."""
    return not any(isinstance(e, int | float) and e >= _TINY for e in epsilons)


def _times(eps: Any, factor: jax.Array) -> Any:
    return 0.0 if is_off(eps) else nx.cast(eps, factor.dtype) * factor


def direction(x: jax.Array, axes: tuple[int, ...] | None = None) -> jax.Array:
    """The array over its norm, or over its norms along axes; 0 where that is 0."""
    root, scale = norms.scaled_norm(x, axes)
    return quotient(times(x, scale), root, guard=True)


def complement(decay: Any, dtype: Any) -> Any:
    """One minus a decay rate, in the dtype of the arithmetic it enters."""
    return nx.cast(decay.complement, dtype)


def real_full_like(params: PyTree, value: Any) -> PyTree:
    """Real slots of one value for each parameter, in float32 or wider."""

    def full(p: Any) -> jax.Array:
        dtype = jnp.finfo(trees.accumulation_dtype(p.dtype)).dtype
        return trees.full_like(p, value, dtype)

    return jax.tree.map(full, params)
