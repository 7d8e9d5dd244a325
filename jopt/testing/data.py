"""The parameters and gradients that the laws are tried on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

PyTree = Any

SHAPES = {"b": (3,), "w": (4, 3)}


def example() -> dict[str, jax.ShapeDtypeStruct]:
    """The tree that transforms are tried on: a small matrix and a vector."""
    return {
        name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in SHAPES.items()
    }


def params(like: PyTree, dtype: DTypeLike = jnp.float32) -> PyTree:
    """Parameters of the shapes of `like`: of both signs, none of them 0."""
    draws = np.random.default_rng(7)

    def draw(leaf: Any) -> jax.Array:
        size = draws.uniform(0.5, 2.0, leaf.shape)
        sign = draws.choice([-1.0, 1.0], leaf.shape)
        return jnp.asarray(exact(size * sign), dtype)

    return jax.tree.map(draw, like)


def gradients(like: PyTree, steps: int, dtype: DTypeLike = jnp.float32) -> list[PyTree]:
    """Heavy-tailed gradients around a steady one.

    Each leaf has gradients four times as large as the one before, so that a number
    that leaves share shows.
    """
    draws = np.random.default_rng(11)
    leaves, structure = jax.tree.flatten(like)

    def draw(i: int, leaf: Any) -> np.ndarray:
        numbers = draws.standard_t(2.0, leaf.shape)
        return np.clip(numbers, -30.0, 30.0) * 4.0**i

    def drawn() -> list[np.ndarray]:
        return [draw(i, leaf) for i, leaf in enumerate(leaves)]

    steady = drawn()
    every = [
        [b + 0.5 * n for b, n in zip(steady, drawn(), strict=True)]
        for _ in range(steps)
    ]
    return [
        jax.tree.unflatten(structure, [jnp.asarray(exact(x), dtype) for x in step])
        for step in every
    ]


def filled(like: PyTree, value: float, dtype: DTypeLike = jnp.float32) -> PyTree:
    """A tree of one number."""
    return jax.tree.map(lambda leaf: jnp.full(leaf.shape, value, dtype), like)


def scaled(tree: PyTree, factor: float) -> PyTree:
    """A tree times a number."""
    return jax.tree.map(lambda x: x * jnp.asarray(factor, x.dtype), tree)


def shifted(tree: PyTree, offset: float) -> PyTree:
    """A tree plus a number."""
    return jax.tree.map(lambda x: x + jnp.asarray(offset, x.dtype), tree)


def exact(numbers: np.ndarray) -> np.ndarray:
    """Numbers rounded to seven bits, so that they are the same in every dtype."""
    mantissa, exponent = np.frexp(numbers)
    return np.ldexp(np.round(mantissa * 128.0) / 128.0, exponent)
