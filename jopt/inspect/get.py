"""Reading any slot of any state by its name."""

from typing import Any

from jopt._core import registry, slots
from jopt._core.types import Hyper, PyTree


def get(state: PyTree, name: str) -> Any:
    """Read a slot of a state, however deep it lies.

    Reads the norm that clipping saw, the current value of a scheduled learning rate,
    a moment, a counter, what a `monitor` keeps. It needs no optimizer, and works under
    `jit`. Constant hyperparameters are no state: for them see `hyperparams`.

    Args:
        state: A state of jopt or optax; or an `nnx.Optimizer`, or a train state.
        name: The name of a field, of a property, or of a scheduled hyperparameter. If
            several stages have it, put before it, with a dot, the name of the stage,
            of the `monitor`, or any other part of its path.

    Returns:
        What stands there: an array or a tree.

    Raises:
        KeyError: If there is nothing of that name.
        ValueError: If several slots have that name; the message has their paths.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import chain, get, linear_schedule, monitor, sgd
        >>> tx = chain(monitor("grads"), sgd(linear_schedule(0.5, 0.0, 10)))
        >>> params = {"w": jnp.ones(2)}
        >>> _, state = tx.update({"w": jnp.array([3.0, 4.0])}, tx.init(params), params)
        >>> get(state, "grads.norm")
        Array(5., dtype=float32)
        >>> get(state, "learning_rate")
        Array(0.5, dtype=float32)
    """
    if not isinstance(name, str):
        raise TypeError(f"`name` must be a string such as 'mu', got {name!r}.")
    hits = slots.find(state, name)
    if not hits:
        raise KeyError(f"Nothing named `{name}` in this state.{_hint(state, name)}")
    return slots.one_of(hits, f"`{name}`", "Write one of these.")


def _hint(state: PyTree, name: str) -> str:
    last = name.split(".")[-1]
    if any(isinstance(f.marks.get(last), Hyper) for f in registry.entries()):
        return (
            f" `{last}` is a hyperparameter. Unless it follows a schedule, it lives in "
            "the optimizer: read it by `jopt.hyperparams(tx, state)`."
        )
    return slots.suggestion(state, name)
