"""The leaves of a checkpoint: what is told of each, and their arrays, by orbax."""

import contextlib
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any
Told = dict[str, Any]  # path; shape, dtype, and impl of a key; or value and type


def encoded(tree: PyTree) -> tuple[list[Told], dict[str, Any]]:
    """What the manifest says of each leaf, and the arrays by name."""
    leaves, arrays = [], {}
    for number, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(tree)):
        told = _told(jax.tree_util.keystr(path), leaf)
        if "value" not in told and 0 not in told["shape"]:  # orbax refuses empty ones
            name = f"{number:06d}"
            arrays[name] = jax.random.key_data(leaf) if "impl" in told else leaf
            told["name"] = name
        leaves.append(told)
    return leaves, arrays


def _told(path: str, leaf: Any) -> Told:
    """The path and the kind of a leaf."""
    if isinstance(leaf, bool | int | float):
        return {"path": path, "value": leaf, "type": type(leaf).__name__}
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        raise TypeError(
            f"The leaf at `{path}` is of type {type(leaf).__name__}; a checkpoint "
            "holds arrays, keys and numbers. Put it in `notes`, or leave it out."
        )
    told = {"path": path, "shape": list(leaf.shape), "dtype": str(leaf.dtype)}
    if isinstance(leaf, jax.Array) and _is_key(leaf):
        told["impl"] = str(jax.random.key_impl(leaf))
    return told


def decoded(arrays: pathlib.Path, leaves: list[Told], like: PyTree) -> PyTree:
    """A tree like another, with the leaves that were stored."""
    given, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = [_told(jax.tree_util.keystr(path), leaf) for path, leaf in given]
    _compare(leaves, wanted)
    placed = {
        told["name"]: _target(leaf)
        for told, (_, leaf) in zip(leaves, given, strict=True)
        if "name" in told
    }
    read = _read(arrays, placed) if placed else {}
    out = [
        _leaf(told, read, leaf) for told, (_, leaf) in zip(leaves, given, strict=True)
    ]
    return jax.tree.unflatten(structure, out)


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _target(leaf: Any) -> Any:
    """What orbax is to read an array as."""
    if _is_key(leaf):
        leaf = jax.random.key_data(leaf)
    sharding = getattr(leaf, "sharding", None)
    if sharding is None or jax.process_count() > 1:
        return np.empty(leaf.shape, leaf.dtype)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _leaf(told: Told, read: dict[str, Any], like: Any) -> Any:
    if "value" in told:
        return told["value"]
    if "name" not in told:
        return jax.tree.map(lambda x: x, like)  # empty: it has no values
    value = read[told["name"]]
    return (
        jax.random.wrap_key_data(value, impl=told["impl"]) if "impl" in told else value
    )


def _compare(stored: list[Told], wanted: list[Told]) -> None:
    """Raise unless the leaves are the same but for their values."""

    def kinds(leaves: list[Told]) -> dict[str, str]:
        return {leaf["path"]: _kind(leaf) for leaf in leaves}

    old, new = kinds(stored), kinds(wanted)
    lines = [f"{path}: stored {old[path]}, not asked for" for path in old.keys() - new]
    lines += [f"{path}: asked for {new[path]}, not stored" for path in new.keys() - old]
    lines += [
        f"{path}: stored {old[path]}, asked for {new[path]}"
        for path in old.keys() & new
        if old[path] != new[path]
    ]
    if lines:
        more = f" and {len(lines) - 8} more" if len(lines) > 8 else ""
        raise ValueError(
            "The checkpoint is of another tree: "
            + "; ".join(sorted(lines)[:8])
            + f"{more}. Build the model and the optimizer that it was saved with; "
            "`jopt.migrate` carries a state to another optimizer."
        )


def _kind(leaf: Told) -> str:
    if "value" in leaf:
        return leaf["type"]
    return f"{leaf['dtype']}[{','.join(map(str, leaf['shape']))}]"


def write(path: pathlib.Path, arrays: dict[str, Any]) -> None:
    """Write arrays into a new folder."""
    import orbax.checkpoint as ocp

    if jax.process_count() > 1:  # orbax would have all of them write their part
        arrays = {name: np.asarray(array) for name, array in arrays.items()}
    with contextlib.closing(ocp.StandardCheckpointer(**_alone())) as writer:
        writer.save(path, arrays)


def _alone() -> dict[str, Any]:
    """Options for a process among several: it does not wait for the others."""
    import orbax.checkpoint as ocp

    if jax.process_count() == 1:
        return {}
    own = jax.process_index()
    options = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"of-{own}"
    )
    return {"multiprocessing_options": options}


def _read(path: pathlib.Path, like: dict[str, Any]) -> dict[str, Any]:
    import orbax.checkpoint as ocp

    with contextlib.closing(ocp.StandardCheckpointer(**_alone())) as reader:
        return reader.restore(path, like)
