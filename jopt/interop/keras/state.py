"""A running Keras optimizer's state, brought here, and taken back."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import optax

from jopt._core import trees
from jopt._core.transform import Transform
from jopt.interop import slots
from jopt.values.hyper import hyperparams

PyTree = Any
FACTORS = ("r", "c")
"""Adafactor's means of rows and of columns, which Keras calls as their variable."""

FIELDS = {
    "mu": ("average_gradient", "momentum"),
    "nu": ("velocity", "norm"),
    "nu_max": ("velocity_hat",),
    "trace": ("momentum",),
    "sum_of_squares": ("accumulator",),
    "e_g": ("accumulated_grad",),
    "e_x": ("accumulated_delta_var",),
    "v_row": ("r",),
    "v_col": ("c",),
    "v": ("velocity",),
    "z": ("momentum",),
    "accumulator": ("accumulator",),
    "linear": ("linear",),
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
    "Adafactor": {"v_row": "r", "v_col": "c", "v": "velocity"},
    "Ftrl": {"accumulator": "accumulator", "linear": "linear"},
    "ScheduleFreeAdamW": {"z": "momentum", "nu": "velocity"},
}
KEYS |= dict.fromkeys(("AdamW", "Lamb", "Muon", "Nadam"), KEYS["Adam"])
KEYS = {name: keys | {"ema": "average"} for name, keys in KEYS.items()}


def load_state(
    variables: Mapping[str, Any] | Iterable[tuple[str, Any]],
    tx: optax.GradientTransformation,
    params: PyTree,
    *,
    name_map: Mapping[str, str],
) -> PyTree:
    """The state of `tx` that goes on where a Keras optimizer stopped.

    Args:
        variables: `[(v.path, np.asarray(v)) for v in optimizer.variables]`, or a dict
            of the same; not a dict for Adafactor, in which several variables have one
            path. Only arrays are read.
        tx: The same optimizer here, such as `jopt.interop.keras.Adam(...)`.
        params: The parameters. Flax keeps them in Keras's layout.
        name_map: From the path of a Keras variable to the name of the leaf, such as
            `{"sequential/dense/kernel": "dense/kernel"}`.

    Returns:
        The state to give to `tx.update`.

    Raises:
        ValueError: If a slot has no array, an array no slot, a name no leaf, or a
            shape is wrong.

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
    pairs: Any = variables.items() if isinstance(variables, Mapping) else variables
    entries, numbers = _sorted(pairs, name_map)
    beta = _muon_momentum(tx)
    for own in entries.values():
        if set(FACTORS) <= own.keys():
            own.pop("velocity", None)  # Keras makes it of the two at every step
        if beta is not None and "momentum" in own and "velocity" not in own:
            own["momentum"] = own["momentum"] * (1.0 - beta)
    count = numbers.get("iteration")
    known = {
        "count": count,
        "mass": 1.0 - numbers.get("variable", 1.0),  # Nadam's product has no own name
        "weight_sum": count,  # every step weighs 1 in the average of ScheduleFreeAdamW
    }
    return slots.fill(tx.init(params), entries, FIELDS, known)


def to_variables(
    state: PyTree,
    optimizer: str,
    *,
    name_map: Mapping[str, str],
    momentum: float = 0.95,
) -> dict[str, np.ndarray]:
    """The state in Keras's words: the arrays to assign to `optimizer.variables`.

    Args:
        state: The state of an optimizer of `jopt.interop.keras`.
        optimizer: Keras's name of it, such as `"Adam"`.
        name_map: As in `load_state`.
        momentum: That of Muon, which Keras adds up and jopt averages.

    Returns:
        A dict by the last part of a variable's path, such as `"iteration"` and
        `"dense_kernel_momentum"`. The means of Adafactor, which Keras keeps without a
        name of their own, are `"dense_kernel_r"` and `"dense_kernel_c"`.

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
    if optimizer == "Muon":
        for own in entries.values():
            if "velocity" not in own:
                own["momentum"] = own["momentum"] / (1.0 - momentum)
    arrays = {
        f"{_flat(path)}_{slot}": array
        for path, name in name_map.items()
        for slot, array in entries.get(name, {}).items()
        if array.size
    }
    return found | arrays


def _sorted(
    pairs: Iterable[tuple[str, Any]], name_map: Mapping[str, str]
) -> tuple[slots.Entries, dict[str, Any]]:
    """The arrays by leaf and slot, and the numbers by name."""
    entries: slots.Entries = {name: {} for name in name_map.values()}
    numbers: dict[str, Any] = {}
    loose: list[tuple[str, np.ndarray]] = []
    for path, value in pairs:
        last, array = path.rpartition("/")[2], np.asarray(value)
        owner = _owner(last, name_map)
        if owner is None and array.ndim == 0:
            numbers[last] = array
        elif owner is None:
            loose.append((path, array))
        else:
            own, slot = entries[name_map[owner]], last.removeprefix(_flat(owner) + "_")
            own[slot] = array
            if slot == "velocity" and len(loose) == len(FACTORS):
                # Adafactor's stand before it, under the name of their variable
                own.update(zip(FACTORS, (a for _, a in loose), strict=True))
                loose = []
    if loose:
        raise ValueError(
            f"`{loose[0][0]}` belongs to no variable of `name_map`, which has "
            f"{', '.join(name_map)}. Of Adafactor give all variables, in their order: "
            "`[(v.path, np.asarray(v)) for v in optimizer.variables]`."
        )
    return entries, numbers


def _muon_momentum(tx: Any) -> float | None:
    """The decay of Muon's momentum, if it is Muon."""
    if not isinstance(tx, Transform):
        return None
    found = hyperparams(tx).items()
    return next((b for path, b in found if path.endswith("matrix.beta")), None)


def _flat(path: str) -> str:
    return path.replace("/", "_")


def _owner(last: str, name_map: Mapping[str, str]) -> str | None:
    """The variable whose slot a name is: the longest that it begins with."""
    owners = [path for path in name_map if last.startswith(_flat(path) + "_")]
    return max(owners, key=len, default=None)
