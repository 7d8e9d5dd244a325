"""Matrix factorisation: what a user thinks of an item."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jopt.experiments.models.layers import counted, dropout, Style
from jopt.experiments.models.mlp import MLP


class Factors(nnx.Module):
    """A rating as a mean, a bias of the user, one of the item, and their product.

    Args:
        shape: How many users and how many items there are.
        classes: The number of outputs: 1.
        rngs: Where the initial weights come from.
        width: Factors of each user and item; 0 leaves the biases alone.
        depth: With more than 0, a perceptron of so many hidden layers sees the factors
            of both, and what it says is added.
        mean: The mean rating, a constant.
        spread: The standard deviation of the first factors.
        style: See `jopt.experiments.models.layers.Style`; its dropout is also that of
            the factors.

    Raises:
        TypeError: If an option is of the wrong kind.
        ValueError: If an option is out of range, or names nothing.

    Example:
        >>> model = Factors((3, 4), 1, rngs=nnx.Rngs(0), mean=3.5, spread=0.0)
        >>> model(jnp.array([[0, 1], [2, 3]]))
        Array([3.5, 3.5], dtype=float32)

    Reference:
        Koren, Bell, Volinsky, "Matrix Factorization Techniques for Recommender
        Systems", Computer 42(8), 2009, Equation 4.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        classes: int = 1,
        *,
        rngs: nnx.Rngs,
        width: int = 16,
        depth: int = 0,
        mean: float = 0.0,
        spread: float = 0.1,
        **style: Any,
    ):
        if classes != 1:
            raise ValueError(f"`classes` must be 1, the rating, got {classes}.")
        look = Style.of(style)
        self.mean = float(mean)
        first = nnx.initializers.normal(spread)
        users, items = shape
        counted("width", width, 0)
        self.users = nnx.Param(first(rngs.params(), (users, width)))
        self.items = nnx.Param(first(rngs.params(), (items, width)))
        self.users_bias = nnx.Param(jnp.zeros(users))
        self.items_bias = nnx.Param(jnp.zeros(items))
        self.dropout = dropout(look.dropout, rngs=rngs)
        counted("depth", depth, 0)
        both = (2 * width,)
        self.deep = MLP(both, 1, rngs=rngs, depth=depth, **style) if depth else None

    def __call__(self, pairs: jax.Array) -> jax.Array:
        """The ratings of rows of a user and an item."""
        user, item = pairs[:, 0], pairs[:, 1]
        p, q = self.users[...][user], self.items[...][item]
        p, q = self.dropout(p), self.dropout(q)
        rating = self.mean + self.users_bias[...][user] + self.items_bias[...][item]
        rating = rating + (p * q).sum(-1)
        if self.deep is None:
            return rating
        return rating + self.deep(jnp.concatenate([p, q], -1))[:, 0]
