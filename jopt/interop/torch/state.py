"""A running PyTorch optimizer's state, brought here, and taken back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optax

from jopt._core import trees
from jopt.interop import slots

PyTree = Any
Layout = Callable[[str, np.ndarray], np.ndarray]
NameMap = Sequence[str] | Mapping[str, str]

FIELDS = {
    "mu": ("exp_avg", "grad_avg", "momentum_buffer"),
    "nu": ("exp_avg_sq", "square_avg", "exp_inf"),
    "nu_max": ("max_exp_avg_sq",),
    "trace": ("momentum_buffer",),
    "sum_of_squares": ("sum",),
    "e_g": ("square_avg",),
    "e_x": ("acc_delta",),
    "v_row": ("row_var",),
    "v_col": ("col_var",),
    "v": ("variance",),
}
KEYS = {
    "SGD": {"trace": "momentum_buffer"},
    "Adam": {"mu": "exp_avg", "nu": "exp_avg_sq", "nu_max": "max_exp_avg_sq"},
    "Adamax": {"mu": "exp_avg", "nu": "exp_inf"},
    "Adagrad": {"sum_of_squares": "sum"},
    "Adadelta": {"e_g": "square_avg", "e_x": "acc_delta"},
    "RMSprop": {"nu": "square_avg", "mu": "grad_avg", "trace": "momentum_buffer"},
    "Muon": {"mu": "momentum_buffer"},
}
KEYS |= dict.fromkeys(("AdamW", "NAdam", "RAdam", "SparseAdam"), KEYS["Adam"])
STEPPED = set(KEYS) - {"SGD", "Muon"}


def transposed(name: str, array: np.ndarray) -> np.ndarray:
    """The default layout: the axes of each leaf called `kernel` in reverse order.

    PyTorch keeps the kernel of a dense layer as (out, in) and that of a convolution as
    (out, in, height, width); Flax as (in, out) and (height, width, in, out).
    """
    if name.rpartition("/")[2] != "kernel" or array.ndim < 2:
        return array
    return np.moveaxis(array, (0, 1), (-1, -2))


def load_state(
    state_dict: Mapping[str, Any],
    tx: optax.GradientTransformation,
    params: PyTree,
    *,
    name_map: NameMap,
    layout: Layout = transposed,
    step: int | None = None,
) -> PyTree:
    """The state of `tx` that goes on where a PyTorch optimizer stopped.

    Args:
        state_dict: `optimizer.state_dict()`, with tensors or NumPy arrays; or flat, as
            safetensors holds it, with keys such as `"state.0.exp_avg"`. Only arrays
            are read.
        tx: The same optimizer here, such as `jopt.interop.torch.AdamW(...)`.
        params: The parameters.
        name_map: The names of the leaves in the order of the PyTorch parameters, as
            `model.named_parameters()` has them; or a dict from PyTorch's name (or
            index) to the leaf's. Leaves are called as in `"dense/kernel"`.
        layout: `(name of leaf, array) -> array`, from PyTorch's layout to that of the
            leaf. The default turns kernels.
        step: Steps taken. Defaults to what the state says; SGD and Muon say nothing,
            and need it for a scheduled rate.

    Returns:
        The state to give to `tx.update`.

    Raises:
        ValueError: If a slot has no array, an array no slot, a name no leaf, or a
            shape is wrong; or if the state is of `LBFGS`.

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> from jopt.interop import torch
        >>> tx = torch.SGD(lr=0.1, momentum=0.9)
        >>> saved = {"state": {0: {"momentum_buffer": np.full((2, 3), 5.0)}}}
        >>> params = {"dense": {"kernel": jnp.zeros((3, 2))}}
        >>> state = torch.load_state(saved, tx, params, name_map=["dense/kernel"])
        >>> [slot.shape for slot in jax.tree.leaves(state)]
        [(3, 2)]
    """
    names = _checked(name_map, params)
    entries: slots.Entries = {name: {} for name in names.values()}
    numbers: dict[str, Any] = {}
    for key, own in _nested(state_dict).items():
        if "func_evals" in own:
            raise ValueError(
                "`state_dict` is of `LBFGS`, whose state is not brought here: its "
                "vectors run over all parameters. Begin with `tx.init(params)`; its "
                "memory is there again after a few iterations."
            )
        if str(key) not in names:
            raise ValueError(
                f"`name_map` has no entry for PyTorch's parameter {key!r}. It has "
                f"{', '.join(names)}."
            )
        name = names[str(key)]
        for slot, value in own.items():
            array = np.asarray(value)
            if array.ndim == 0:
                numbers[slot] = array
            else:
                entries[name][slot] = layout(name, array)
    count = step if step is not None else numbers.get("step")
    known = {"count": count, "mass": 1.0 - numbers.get("mu_product", 1.0)}
    return slots.fill(tx.init(params), _axes(entries), FIELDS, known)


def to_state_dict(
    state: PyTree,
    optimizer: str,
    *,
    name_map: NameMap,
    layout: Layout = transposed,
) -> dict[str, Any]:
    """The state in PyTorch's words, as NumPy arrays.

    Args:
        state: The state of an optimizer of `jopt.interop.torch`.
        optimizer: PyTorch's name of it, such as `"AdamW"`.
        name_map: As in `load_state`.
        layout: `(name of leaf, array) -> array`, from the layout of the leaf to
            PyTorch's. The default turns kernels.

    Returns:
        `{"state": {parameter: {slot: array}}}`. Make tensors of the arrays, add the
        `"param_groups"` of a new PyTorch optimizer, and give it to its
        `load_state_dict`.

    Raises:
        ValueError: If the optimizer is not known here.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt.interop import torch
        >>> tx = torch.AdamW()
        >>> state = tx.init({"kernel": jnp.zeros((3, 2))})
        >>> saved = torch.to_state_dict(state, "AdamW", name_map=["kernel"])
        >>> {slot: array.shape for slot, array in saved["state"][0].items()}
        {'exp_avg': (2, 3), 'exp_avg_sq': (2, 3), 'step': ()}
    """
    if optimizer not in KEYS:
        raise ValueError(
            f"`optimizer` must be one of {', '.join(sorted(KEYS))}, got {optimizer!r}."
        )
    numbers = {"count": "step"} if optimizer in STEPPED else {}
    if optimizer == "NAdam":
        numbers["mass"] = "mass"
    entries, found = slots.read(state, KEYS[optimizer], numbers)
    if "mass" in found:
        found["mu_product"] = 1.0 - found.pop("mass")
    found = {slot: np.asarray(value, np.float32) for slot, value in found.items()}
    order = _in_order(name_map)
    arrays = {
        key: {slot: layout(name, a) for slot, a in entries.get(name, {}).items()}
        for key, name in order.items()
    }
    return {"state": {key: own | found for key, own in arrays.items()}}


def _in_order(name_map: NameMap) -> dict[Any, str]:
    if isinstance(name_map, Mapping):
        return dict(name_map)
    return dict(enumerate(name_map))


def _checked(name_map: NameMap, params: PyTree) -> dict[str, str]:
    known = trees.names(params)
    names = {str(key): name for key, name in _in_order(name_map).items()}
    for name in names.values():
        if name not in known:
            raise ValueError(
                f"`name_map` has {name!r}, which is no leaf of `params`. Leaves: "
                f"{', '.join(known)}."
            )
    return names


def _nested(state_dict: Mapping[str, Any]) -> dict[Any, dict[str, Any]]:
    """The part by parameter of a state dict, nested or flat."""
    if "state" in state_dict:
        return dict(state_dict["state"])
    out: dict[Any, dict[str, Any]] = {}
    for key, value in state_dict.items():
        if key.startswith("state."):
            parameter, _, slot = key.removeprefix("state.").rpartition(".")
            out.setdefault(parameter, {})[slot] = value
    return out


def _axes(entries: slots.Entries) -> slots.Entries:
    """Adafactor's rows and columns, which change places where a kernel is turned."""
    for own in entries.values():
        if "row_var" in own and own["row_var"].shape[-1] != 1:
            own["row_var"], own["col_var"] = own["col_var"], own["row_var"]
    return entries
