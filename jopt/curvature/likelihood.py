"""What outputs say of a label: draws from the model, and the loss's slope there."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

Likelihood = Literal["categorical", "bernoulli", "normal"]
_KNOWN = ("categorical", "bernoulli", "normal")


def number_of_outputs(outputs: Any) -> int:
    """How many labels there are: the product of all axes but the last.

    Raises:
        ValueError: If the outputs have no axes.
    """
    if not jnp.ndim(outputs):
        raise ValueError(
            "The outputs must have a last axis of logits, or of means, got a number. "
            "Return the outputs of the model, not its loss."
        )
    return max(math.prod(outputs.shape[:-1]), 1)


def drawn_residual(
    outputs: jax.Array, key: jax.Array, likelihood: Likelihood
) -> jax.Array:
    """The slope of each negative log likelihood at a label drawn from the model.

    For all three families it is the mean less the label.

    Raises:
        ValueError: If there is no such likelihood.
    """
    if likelihood == "categorical":
        label = jax.random.categorical(key, outputs)
        hot = jax.nn.one_hot(label, outputs.shape[-1], dtype=outputs.dtype)
        return jax.nn.softmax(outputs) - hot
    if likelihood == "bernoulli":
        mean = jax.nn.sigmoid(outputs)
        return mean - jax.random.bernoulli(key, mean).astype(outputs.dtype)
    if likelihood == "normal":
        return -jax.random.normal(key, outputs.shape, outputs.dtype)
    known = ", ".join(f'"{name}"' for name in _KNOWN)
    raise ValueError(f"`likelihood` must be one of {known}, got {likelihood!r}.")
