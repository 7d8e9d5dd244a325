"""Decay rates, held as their complement."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


@jax.tree_util.register_pytree_with_keys_class
class Decay:
    """A decay rate `b` in [0, 1), held as `1 - b`.

    The complement is formed in float64 on the host. A float32 `b` near 1 leaves few
    digits of `1 - b`: at `b = 1 - 1e-7` the difference is 19% wrong.

    Args:
        complement: `1 - b`, a number, an array or a schedule.

    Example:
        >>> from jopt import Decay, scale_by_adam
        >>> scale_by_adam(b2=Decay(complement=1e-8))
        scale_by_adam(b2=0.99999999)
    """

    __slots__ = ("complement",)

    def __init__(self, complement: Any):
        self.complement = complement

    @classmethod
    def of(cls, rate: Any) -> "Decay":
        """The decay of `rate`, which may be a number, an array or a schedule."""
        if isinstance(rate, Decay):
            return rate
        if hasattr(rate, "complement"):  # a schedule knows its own
            return cls(rate.complement())
        if isinstance(rate, Tracer):
            return cls(1.0 - rate)
        if isinstance(rate, jax.Array | np.ndarray):
            exact = 1.0 - np.asarray(rate, np.float64)
            return cls(jnp.asarray(exact, rate.dtype) if exact.ndim else float(exact))
        return cls(1.0 - float(rate))

    @property
    def value(self) -> Any:
        """The rate `b` itself, to the precision that is left."""
        if hasattr(self.complement, "complement"):
            return self.complement.complement()
        if isinstance(self.complement, float):
            return float(f"{1.0 - self.complement:.15g}")
        return 1.0 - self.complement

    def root(self) -> "Decay":
        """The root of the rate: `1 - sqrt(1 - c)` without cancellation."""
        c = self.complement
        sqrt = math.sqrt if isinstance(c, float) else jnp.sqrt
        return Decay(c / (1 + sqrt(1 - c)))

    def tree_flatten_with_keys(self):
        key = jax.tree_util.GetAttrKey("complement")
        return ((key, self.complement),), None

    def tree_flatten(self):
        return (self.complement,), None

    @classmethod
    def tree_unflatten(cls, aux: None, children: tuple[Any]) -> "Decay":
        del aux
        return cls(*children)

    def __repr__(self) -> str:
        known = isinstance(self.complement, float) or hasattr(
            self.complement, "complement"
        )
        return repr(self.value) if known else f"1 - {self.complement!r}"
