"""Carrying an optimizer's state over to a changed chain."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jopt._core import trees
from jopt._core.transform import Transform
from jopt.values import walk

PyTree = Any
Key = tuple[str, str, str]  # stage, slot, leaf


@dataclasses.dataclass(frozen=True)
class Migration:
    """What `migrate` did.

    Attributes:
        state: The state for the new transform.
        carried: Slots taken from the old state.
        created: Slots of the new state that the old one does not have; as `init` made.
        dropped: Slots of the old state that the new one does not have.
    """

    state: PyTree
    carried: tuple[str, ...]
    created: tuple[str, ...]
    dropped: tuple[str, ...]

    def __str__(self) -> str:
        parts = []
        for title in ("carried", "created", "dropped"):
            slots = getattr(self, title)
            parts.append(f"{title}: {len(slots)} arrays")
            parts.extend(f"  {line}" for line in _grouped(slots))
        return "\n".join(parts)


def migrate(
    old_state: PyTree,
    old_tx: Transform,
    new_tx: Transform,
    params: PyTree,
    *,
    rename: Mapping[str, str] | None = None,
) -> Migration:
    """Carry a state across a changed optimizer.

    A slot is carried where the innermost stage's name, the slot's name and the leaf's
    path are the same in both, wherever the stage stands in its chain.

    Args:
        old_state: A state of `old_tx`, or what a checkpoint made of one: lists for
            tuples and dicts for named tuples are understood.
        old_tx: The transform it belongs to.
        new_tx: The transform to carry it to.
        params: The parameters, or their shapes.
        rename: Old stage name to new, for stages that hold the same thing under
            another name, such as `{"scale_by_adam": "scale_by_nadam"}`.

    Returns:
        The new state, and a report of what was carried, created and dropped.

    Raises:
        ValueError: If `old_state` does not fit `old_tx`, or a carried array has another
            shape. The message names the slot.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adamw, chain, clip_by_global_norm, migrate
        >>> params = {"w": jnp.ones(3)}
        >>> old = adamw(1e-3)
        >>> new = chain(clip_by_global_norm(1.0), adamw(1e-4))
        >>> print(migrate(old.init(params), old, new, params))
        carried: 3 arrays
          scale_by_adam: count, mu, nu
        created: 3 arrays
          clip_by_global_norm: clipped, count, norm
        dropped: 0 arrays
    """
    skeleton = jax.eval_shape(old_tx.init, params)
    restored = _as_skeleton(skeleton, old_state, "state")
    renamed = dict(rename or {})
    old = {
        (renamed.get(stage, stage), slot, leaf): value
        for (stage, slot, leaf), value in _slots(old_tx, restored).items()
    }
    leaves, treedef = jax.tree.flatten(new_tx.init(params))
    new = _slots(new_tx, treedef.unflatten(range(len(leaves))))
    for key in set(new) & set(old):
        leaves[new[key]] = _carry(key, old[key], leaves[new[key]])
    return Migration(
        treedef.unflatten(leaves),
        carried=tuple(sorted(map(_text, set(new) & set(old)))),
        created=tuple(sorted(map(_text, set(new) - set(old)))),
        dropped=tuple(sorted(map(_text, set(old) - set(new)))),
    )


def _slots(tx: Transform, state: PyTree) -> dict[Key, Any]:
    """Every array of a state by stage, slot and leaf path."""
    found: dict[Key, Any] = {}
    seen: dict[str, int] = {}
    for stage in walk.stages(tx, state):
        name = stage.transform.spec.name
        seen[name] = seen.get(name, 0) + 1
        label = name if seen[name] == 1 else f"{name}_{seen[name]}"
        if stage.scheduled is not None:
            parts = stage.scheduled._replace(inner_state=())
            _collect(found, f"{label}.schedule", parts)
        _collect(found, label, walk.own(stage))
    return found


def _collect(found: dict[Key, Any], stage: str, state: PyTree) -> None:
    if hasattr(state, "_fields"):
        slots = state._asdict().items()
    elif isinstance(state, Mapping):
        slots = state.items()
    else:
        slots = [("", state)]
    for slot, tree in slots:
        for name, leaf in zip(trees.names(tree), jax.tree.leaves(tree), strict=True):
            found[stage, str(slot), name] = leaf


def _as_skeleton(skeleton: PyTree, state: PyTree, path: str) -> PyTree:
    """`state` in the containers of `skeleton`, which a checkpoint may have lost."""
    flat, treedef = jax.tree_util.tree_flatten_with_path(skeleton)
    leaves = []
    for keys, expected in flat:
        node, shape_of = state, skeleton
        where = path + jax.tree_util.keystr(keys)
        for key in keys:
            part = trees.part(key)
            node = _child(node, shape_of, part, where)
            shape_of = _child(shape_of, shape_of, part, where)
        if jnp.shape(node) != expected.shape:
            raise ValueError(
                f"`{where}` has shape {jnp.shape(node)}, but the old transform's has "
                f"{expected.shape}."
            )
        leaves.append(node)
    return treedef.unflatten(leaves)


def _child(node: Any, like: Any, part: str, where: str) -> Any:
    """The child of `node` that stands where `part` does in `like`."""
    fields = getattr(like, "_fields", ())
    if isinstance(node, Mapping):
        for name in (part, int(part) if part.isdigit() else part):
            if name in node:
                return node[name]
    elif isinstance(node, list | tuple):
        at = fields.index(part) if part in fields else part
        if str(at).isdigit() and int(at) < len(node):
            return node[int(at)]
    elif hasattr(node, part):
        return getattr(node, part)
    raise ValueError(
        f"The old state has nothing at `{where}`: it is not a state of the old "
        "transform."
    )


def _carry(key: Key, old: Any, new: Any) -> Any:
    if jnp.shape(old) != new.shape:
        raise ValueError(
            f"`{_text(key)}` has shape {jnp.shape(old)} in the old state and "
            f"{new.shape} in the new one."
        )
    return old if old.dtype == new.dtype else jnp.asarray(old, new.dtype)


def _text(key: Key) -> str:
    return ".".join(part for part in key[:2] if part) + (
        f"[{key[2]}]" if key[2] else ""
    )


def _grouped(slots: tuple[str, ...]) -> list[str]:
    """One line a stage: its slots."""
    stages: dict[str, list[str]] = {}
    for text in slots:
        stage, _, slot = text.split("[")[0].rpartition(".")
        names = stages.setdefault(stage or slot, [])
        if stage and slot not in names:
            names.append(slot)
    return [f"{k}: {', '.join(v)}" if v else k for k, v in stages.items()]
