"""A running Keras optimizer's state, brought here, and taken back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import optax

from jopt._core import trees
from jopt.interop import slots

PyTree = Any

FIELDS = {
    "mu": ("average_gradient", "momentum"),
    "nu": ("velocity", "norm"),
    "nu_max": ("velocity_hat",),
    "trace": ("momentum",),
    "sum_of_squares": ("accumulator",),
    "e_g": ("accumulated_grad",),
    "e_x": ("accumulated_delta_var",),
    "ema": ("average",),
}
KEYS = {
    "SGD": {"trace": "momentum"},
    "RMSprop": {"nu": "velocity", "mu": "average_gradient", "trace": "momentum"},
    "Adam": {"mu": "momentum", "nu": "velocity", "nu_max": "velocity_hat"},
    "Adadelta": {"e_g": "accumulated_grad", "e_x": "accumulated_delta_var"},
    "Adagrad": {"sum_of_squares": "accumulator"},
    "Adamax": {"mu": "momentum", "nu": "norm"},
    "Lion": {"mu": "momentum"},
}
KEYS |= dict.fromkeys(("AdamW", "Lamb", "Nadam"), KEYS["Adam"])
KEYS = {name: keys | {"ema": "average"} for name, keys in KEYS.items()}


def load_state(
    variables: Mapping[str, Any],
    tx: optax.GradientTransformation,
    params: PyTree,
    *,
    name_map: Mapping[str, str],
) -> PyTree:
    """The state of `tx` that goes on where a Keras optimizer stopped.

    Args:
        variables: `{v.path: np.asarray(v) for v in optimizer.variables}`. Only arrays
            are read.
        tx: The same optimizer here, such as `jopt.interop.keras.Adam(...)`.
        params: The parameters. Flax keeps them in Keras's layout.
        name_map: From the path of a Keras variable to the name of the leaf, such as
            `{"sequential/dense/kernel": "dense/kernel"}`.

    Returns:
        The state to give to `tx.update`.

    Raises:
        ValueError: If a slot has no array, an array no slot, a name no leaf, or a
            shape is wrong. The states of Adafactor, Muon and ScheduleFreeAdamW do not
            fit.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> from jopt.interop import keras
        >>> saved = {
        ...     "adam/iteration": np.array(7),
        ...     "adam/dense_kernel_momentum": np.full((3, 4), 0.5),
        ...     "adam/dense_kernel_velocity": np.full((3, 4), 0.1),
        ... }
        >>> params = {"dense": {"kernel": jnp.zeros((3, 4))}}
        >>> names = {"dense/kernel": "dense/kernel"}
        >>> state = keras.load_state(saved, keras.Adam(), params, name_map=names)
        >>> state[0].count
        Array(7, dtype=int32)
    """
    known = trees.names(params)
    for name in name_map.values():
        if name not in known:
            raise ValueError(
                f"`name_map` has {name!r}, which is no leaf of `params`. Leaves: "
                f"{', '.join(known)}."
            )
    entries: slots.Entries = {name: {} for name in name_map.values()}
    numbers: dict[str, Any] = {}
    for path, value in variables.items():
        last, array = path.rpartition("/")[2], np.asarray(value)
        owner = _owner(last, name_map)
        if owner is not None:
            entries[name_map[owner]][last.removeprefix(_flat(owner) + "_")] = array
        elif array.ndim == 0:
            numbers[last] = array
        else:
            raise ValueError(
                f"`{path}` belongs to no variable of `name_map`, which has "
                f"{', '.join(name_map)}."
            )
    count = numbers.get("iteration")
    mass = 1.0 - numbers.get("variable", 1.0)  # Nadam's product has no name of its own
    return slots.fill(tx.init(params), entries, FIELDS, {"count": count, "mass": mass})


def to_variables(
    state: PyTree, optimizer: str, *, name_map: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """The state in Keras's words: the arrays to assign to `optimizer.variables`.

    Args:
        state: The state of an optimizer of `jopt.interop.keras`.
        optimizer: Keras's name of it, such as `"Adam"`.
        name_map: As in `load_state`.

    Returns:
        A dict by the last part of a variable's path, such as `"iteration"` and
        `"dense_kernel_momentum"`.

    Raises:
        ValueError: If the optimizer is not known here.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt.interop import keras
        >>> state = keras.Adam().init({"kernel": jnp.zeros((3, 2))})
        >>> sorted(keras.to_variables(state, "Adam", name_map={"kernel": "kernel"}))
        ['iteration', 'kernel_momentum', 'kernel_velocity']
    """
    if optimizer not in KEYS:
        raise ValueError(
            f"`optimizer` must be one of {', '.join(sorted(KEYS))}, got {optimizer!r}."
        )
    numbers = {"count": "iteration", "mass": "mass"}
    entries, found = slots.read(state, KEYS[optimizer], numbers)
    if "mass" in found:
        found["variable"] = 1.0 - found.pop("mass")
    arrays = {
        f"{_flat(path)}_{slot}": array
        for path, name in name_map.items()
        for slot, array in entries.get(name, {}).items()
    }
    return found | arrays


def _flat(path: str) -> str:
    return path.replace("/", "_")


def _owner(last: str, name_map: Mapping[str, str]) -> str | None:
    """The variable whose slot a name is: the longest that it begins with."""
    owners = [path for path in name_map if last.startswith(_flat(path) + "_")]
    return max(owners, key=len, default=None)
