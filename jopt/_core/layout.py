"""Layouts of arrays over explicit mesh axes, where JAX leaves the choice to us."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def explicit(x: jax.Array) -> bool:
    """Whether the array's type says how it is split over a mesh."""
    sharding: Any = jax.typeof(x).sharding
    return AxisType.Explicit in sharding.mesh.axis_types and any(sharding.spec)


def spec_of(x: jax.Array) -> tuple[Any, ...]:
    """The mesh axes over which each axis is split: `None`, a name or several."""
    spec: Any = jax.typeof(x).sharding.spec
    return tuple(spec) + (None,) * (x.ndim - len(spec))


def over(x: jax.Array, *spec: Any) -> NamedSharding:
    """A layout over the mesh of `x`, by the mesh axes of each axis."""
    traced = isinstance(x, Tracer)
    sharding: Any = jax.typeof(x).sharding if traced else x.sharding
    return NamedSharding(sharding.mesh, PartitionSpec(*spec))


def parts(x: jax.Array, axes: Any) -> int:
    """Into how many parts the mesh axes `axes` split an axis."""
    names = axes if isinstance(axes, tuple) else (axes,)
    shape: Any = jax.typeof(x).sharding.mesh.shape
    return math.prod(shape[name] for name in names)


def whole(x: jax.Array) -> jax.Array:
    """The array on every device, where its type says that it is split."""
    if not explicit(x):
        return x
    return jax.sharding.reshard(x, over(x, *[None] * x.ndim))


def like(x: jax.Array, other: jax.Array) -> jax.Array:
    """The array split as another of its shape, where types say how."""
    if not (explicit(x) or explicit(other)):
        return x
    mesh = other if explicit(other) else x
    return jax.sharding.reshard(x, over(mesh, *spec_of(other)))


def matmul(x: jax.Array, y: jax.Array) -> jax.Array:
    """`x @ y` of two matrices: rows are split as those of `x`, columns as of `y`."""
    if not (explicit(x) or explicit(y)):
        return x @ y
    mesh = x if explicit(x) else y
    (rows, inner), (other, columns) = spec_of(x), spec_of(y)
    inner = inner or _unless(other, rows)
    columns = _unless(columns, rows, inner)
    x = jax.sharding.reshard(x, over(mesh, rows, inner))
    y = jax.sharding.reshard(y, over(mesh, inner, columns))
    return jnp.matmul(x, y, out_sharding=over(mesh, rows, columns))


def _unless(axes: Any, *taken: Any) -> Any:
    """The mesh axes, unless others have one of them."""
    names = [set(a if isinstance(a, tuple) else (a,)) - {None} for a in (axes, *taken)]
    return None if names[0] & set().union(*names[1:]) else axes
