"""Kahan summation: what rounding takes from a step is given to the next one."""

from typing import cast, NamedTuple

import jax

from jopt._core import extras, trees
from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Pair, PyTree
from jopt.precision.rounding import is_half, keep_half, reach, rounded


class KahanState(NamedTuple):
    """State of `kahan`."""

    compensation: PyTree  # what the 16-bit parameters still lack, in their dtype
    inner_state: PyTree


@transform
def kahan(inner: Inner) -> Pair:
    """Train 16-bit parameters with Kahan summation.

    What rounding takes from a step is kept, in 16 bits too, and added to the next
    step. So steps far below the spacing of the parameters add up. Each step, in
    float32 but for the rounding to the parameter's dtype::

        u = inner(g) + c
        p' = round(p + u)
        c = round(u - (p' - p))

    The returned update is `p' - p`, so any loop that adds it to the parameters will
    do. Where that difference has too many digits for the dtype (after steps longer
    than the parameter itself) it is rounded, and `c` holds what that costs as well.

    Args:
        inner: The optimizer. Nothing may change the update after it: place `kahan`
            outermost, but for guards and accumulation.

    Returns:
        A transform with one 16-bit slot per 16-bit parameter; wider ones pass without.
        It reads `params`.

    Raises:
        ValueError: In `update`, if `params` is not given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import kahan, sgd
        >>> tx, p = kahan(sgd(1e-3)), jnp.ones((), jnp.bfloat16)
        >>> state = tx.init(p)
        >>> for _ in range(10):
        ...     u, state = tx.update(-jnp.ones((), jnp.bfloat16), state, p)
        ...     p = p + u
        >>> p, state.compensation  # 1.01 is between 1.0078125 and 1.015625
        (Array(1.00781, dtype=bfloat16), Array(0.00221252, dtype=bfloat16))

    Reference:
        Zamirai et al., "Revisiting BFloat16 Training", 2021, arXiv:2010.06192,
        SGD with Kahan summation.

        Kahan, "Pracniques: Further Remarks on Reducing Truncation Errors",
        Communications of the ACM 1965.
    """
    pair = cast(Transform, inner).raw

    def init(params):
        compensation = jax.tree.map(
            lambda p: trees.full_like(p, 0.0, p.dtype), keep_half(params)
        )
        return KahanState(compensation, pair.init(params))

    def update(updates, state, params=None, **extra):
        params = extras.need_params(params, "kahan")
        updates, inner_state = pair.update(updates, state.inner_state, params, **extra)
        leaves, tree = jax.tree.flatten(params)
        steps = [
            _step(u, p, c) if is_half(p) else (u, c)
            for p, u, c in zip(
                leaves,
                tree.flatten_up_to(updates),
                tree.flatten_up_to(state.compensation),
                strict=True,
            )
        ]
        out = jax.tree.unflatten(tree, [u for u, _ in steps])
        compensation = jax.tree.unflatten(tree, [c for _, c in steps])
        return out, KahanState(compensation, inner_state)

    return Pair(init, update)


def _step(u: jax.Array, p: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    total = u + c.astype(u.dtype)
    wide = p.astype(u.dtype)
    out = reach(rounded(wide + total, p.dtype), p)
    landed = rounded(wide + out, p.dtype)  # where the loop will find the parameter
    return out, (total - (landed - wide)).astype(c.dtype)
