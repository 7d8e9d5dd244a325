"""What an optimizer keeps and touches, stage by stage, without allocating any of it."""

import dataclasses
import html
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jopt._core import display, select, trees
from jopt._core.transform import Transform, watch_init
from jopt.values import walk

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Slot:
    """One field of a stage's state."""

    name: str
    dtypes: tuple[str, ...]
    arrays: int
    bytes: int
    shape: tuple[int, ...] | None  # where it is a single array


@dataclasses.dataclass(frozen=True)
class StageInfo:
    """One stage: what it does, keeps and touches."""

    path: str
    call: str
    rule: str  # in one line
    group: str  # the label or mask it stands under
    slots: tuple[Slot, ...]
    leaves: int  # parameters' arrays that it sees
    parameters: int  # numbers in them
    names: tuple[str, ...]  # of those leaves

    @property
    def bytes(self) -> int:
        return sum(slot.bytes for slot in self.slots)


@dataclasses.dataclass(frozen=True)
class Description:
    """What `describe` returns; prints as a table, in a notebook too."""

    call: str
    stages: tuple[StageInfo, ...]
    bytes: int
    parameter_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        rows = [_HEAD, *map(_row, self.stages)]
        shown = [i for i in range(len(_HEAD)) if any(row[i] for row in rows[1:])]
        shown.remove(_RULE)  # on a line of its own: it would make the table too wide
        widths = {i: max(len(row[i]) for row in rows) for i in shown}
        lines = []
        for row in rows:
            cells = (
                row[i].rjust(widths[i]) if i in _RIGHT else row[i].ljust(widths[i])
                for i in shown
            )
            lines.append("  ".join(cells).rstrip())
            lines.append(f"  {row[_RULE]}" if row is not _HEAD else "")
        lines[1] = "-" * max(map(len, lines))
        return "\n".join([*lines, "", self._total()])

    __repr__ = __str__

    def _total(self) -> str:
        ratio = self.bytes / max(self.parameter_bytes, 1)
        return (
            f"state: {_size(self.bytes)}, {ratio:.2f} times the parameters' "
            f"{_size(self.parameter_bytes)}"
        )

    def _repr_html_(self) -> str:
        def cells(row: tuple[str, ...], tag: str) -> str:
            return "".join(
                f'<{tag} style="text-align:{"right" if i in _RIGHT else "left"};'
                f'padding:2px 10px;white-space:nowrap">{html.escape(cell)}</{tag}>'
                for i, cell in enumerate(row)
            )

        body = "".join(f"<tr>{cells(_row(s), 'td')}</tr>" for s in self.stages)
        return (
            f"<div><code>{html.escape(self.call)}</code>"
            '<table style="table-layout:auto"><thead><tr>'
            f"{cells(_HEAD, 'th')}</tr></thead><tbody>{body}</tbody></table>"
            f"<p>{html.escape(self._total())}</p></div>"
        )


_HEAD = ("stage", "what it does", "group", "state", "bytes", "leaves", "parameters")
_RULE = 1
_RIGHT = (4, 5, 6)


def describe(tx: Transform, params: PyTree) -> Description:
    """Tell what each stage does, keeps in its state, and touches.

    Args:
        tx: A transform.
        params: The parameters, or their shapes (`jax.ShapeDtypeStruct`). Nothing is
            allocated.

    Returns:
        A description that prints as a table; `.stages` and `.to_dict()` hold the data.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> info = jopt.describe(jopt.adamw(1e-3), {"w": jnp.zeros((4, 3))})
        >>> [stage.path for stage in info.stages]
        ['scale_by_adam', 'add_decayed_weights', 'scale_by_learning_rate']
        >>> info.stages[0].bytes, info.stages[0].parameters
        (100, 12)
    """
    shapes = jax.eval_shape(lambda p: p, params)
    seen: dict[int, dict[str, Any]] = {}

    def watch(spec: Any, given: PyTree) -> None:
        seen[id(spec)] = _reached(spec, given)

    with watch_init(watch):
        state = jax.eval_shape(tx.init, shapes)
    stages = tuple(
        _info(stage, seen.get(id(stage.transform.spec), {}))
        for stage in walk.stages(tx, state)
    )
    return Description(display.call(tx.spec), stages, _bytes(state), _bytes(shapes))


def state_bytes(tx: optax.GradientTransformation, params: PyTree) -> int:
    """The bytes that an optimizer's state takes, told without allocating it.

    Args:
        tx: A transform of jopt or optax.
        params: The parameters, or their shapes.

    Returns:
        The bytes of all arrays of the state.

    Example:
        >>> import jax.numpy as jnp, jopt
        >>> jopt.state_bytes(jopt.sgd(0.1, momentum=0.9), jnp.zeros(100))
        400
    """
    return _bytes(jax.eval_shape(tx.init, jax.eval_shape(lambda p: p, params)))


def _reached(spec: Any, given: PyTree) -> dict[str, Any]:
    """The leaves that a stage acts on: all it is given, or those of its own mask."""
    named = dict(zip(trees.names(given), jax.tree.leaves(given), strict=True))
    mask = spec.arguments.get("mask")
    if mask is None or any(True for _ in spec.children()):
        return named
    chosen = jax.tree.leaves(select.resolve(mask, given))
    return {k: v for (k, v), c in zip(named.items(), chosen, strict=True) if c}


def _info(stage: walk.Stage, reached: dict[str, Any]) -> StageInfo:
    spec = stage.transform.spec
    own = walk.own(stage)
    fields = own._asdict() if hasattr(own, "_fields") else {"state": own}
    slots = [_slot(name, tree) for name, tree in fields.items()]
    if stage.scheduled is not None:
        slots.append(_slot("schedule", stage.scheduled._replace(inner_state=())))
    doc = (spec.factory.function.__doc__ or "").strip().splitlines()
    return StageInfo(
        path=".".join(stage.path),
        call=display.call(spec),
        rule=(doc[0] if doc else "").rstrip("."),
        group=stage.group or _own_mask(spec),
        slots=tuple(slot for slot in slots if slot.arrays),
        leaves=len(reached),
        parameters=sum(leaf.size for leaf in reached.values()),
        names=tuple(reached),
    )


def _own_mask(spec: Any) -> str:
    mask = spec.arguments.get("mask")
    return "" if mask is None else display.show(mask)


def _slot(name: str, tree: PyTree) -> Slot:
    leaves = jax.tree.leaves(tree)
    dtypes = tuple(sorted({str(leaf.dtype) for leaf in leaves}))
    shape = leaves[0].shape if len(leaves) == 1 else None
    return Slot(name, dtypes, len(leaves), _bytes(tree), shape)


def _bytes(tree: PyTree) -> int:
    total = 0
    for leaf in jax.tree.leaves(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.eval_shape(jax.random.key_data, leaf)
        total += leaf.size * leaf.dtype.itemsize
    return total


def _row(stage: StageInfo) -> tuple[str, ...]:
    kinds: dict[str, list[str]] = {}
    for slot in stage.slots:
        kinds.setdefault("/".join(slot.dtypes), []).append(slot.name)
    slots = "; ".join(f"{', '.join(names)} {kind}" for kind, names in kinds.items())
    return (
        stage.path,
        stage.rule,
        stage.group,
        slots or "none",
        _size(stage.bytes) if stage.bytes else "",
        str(stage.leaves),
        f"{stage.parameters:,}",
    )


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"
