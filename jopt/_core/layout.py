"""Layouts of arrays over explicit mesh axes, where JAX leaves the choice to us."""

import math
from typing import Any

import jax
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
