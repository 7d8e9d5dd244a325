"""Which leaves: masks and labels by name, by shape, by predicate or by tree."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.typing import DTypeLike

from jopt._core import trees

PyTree = Any

DEFAULT = ("...", ".*")
"""Patterns that match every leaf, and need not match any."""


@dataclasses.dataclass(frozen=True, repr=False)
class Where:
    """Selects leaves of a tree; made by `where`, combined by `&`, `|` and `~`."""

    path: str | None = None
    ndim: int | None = None
    min_ndim: int | None = None
    max_ndim: int | None = None
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    op: str = ""
    parts: tuple["Where", ...] = ()

    def __call__(self, name: str, leaf: Any) -> bool:
        """Whether the leaf of that name is selected."""
        if self.op == "~":
            return not self.parts[0](name, leaf)
        if self.op:
            combine = all if self.op == "&" else any
            return combine(part(name, leaf) for part in self.parts)
        shape = tuple(getattr(leaf, "shape", ()))
        n = len(shape)
        return (
            (self.path is None or bool(re.search(self.path, name)))
            and (self.ndim is None or n == self.ndim)
            and (self.min_ndim is None or n >= self.min_ndim)
            and (self.max_ndim is None or n <= self.max_ndim)
            and (self.shape is None or _same_shape(self.shape, shape))
            and (self.dtype is None or self.dtype == _dtype_name(leaf))
        )

    def patterns(self) -> Iterator[str]:
        """Every regular expression in it."""
        if self.path is not None:
            yield self.path
        for part in self.parts:
            yield from part.patterns()

    def reads_dtype(self) -> bool:
        """Whether the choice depends on the leaves' dtype."""
        return self.dtype is not None or any(p.reads_dtype() for p in self.parts)

    def __and__(self, other: "Where") -> "Where":
        return self._join("&", other)

    def __or__(self, other: "Where") -> "Where":
        return self._join("|", other)

    def __invert__(self) -> "Where":
        return Where(op="~", parts=(self,))

    def _join(self, op: str, other: "Where") -> "Where":
        if isinstance(other, str):
            other = where(other)
        if not isinstance(other, Where):
            return NotImplemented
        return Where(op=op, parts=(self, other))

    def __repr__(self) -> str:
        if self.op == "~":
            return f"~{self.parts[0]._nested('&|')}"
        if self.op:
            return f" {self.op} ".join(
                part._nested("|" if self.op == "&" else "") for part in self.parts
            )
        shown = [] if self.path is None else [repr(self.path)]
        for field in ("ndim", "min_ndim", "max_ndim", "shape", "dtype"):
            if getattr(self, field) is not None:
                shown.append(f"{field}={getattr(self, field)!r}")
        return f"where({', '.join(shown)})"

    def _nested(self, looser: str) -> str:
        return f"({self!r})" if self.op and self.op in looser else repr(self)


def where(
    path: str | None = None,
    *,
    ndim: int | None = None,
    min_ndim: int | None = None,
    max_ndim: int | None = None,
    shape: tuple[int | None, ...] | None = None,
    dtype: DTypeLike | None = None,
) -> Where:
    """Select leaves by name, rank, shape and dtype: all conditions must hold.

    Use it wherever a mask is taken. Selectors combine by `&`, `|` and `~`, compare by
    value, and print as the call that made them.

    Args:
        path: A regular expression searched in the leaf's name, such as
            `"encoder/0/kernel"`: `"kernel$"`, `"^encoder/"`.
        ndim: The number of dimensions.
        min_ndim: The least number of dimensions.
        max_ndim: The greatest number of dimensions.
        shape: The shape; `None` stands for any length.
        dtype: The dtype of the parameter.

    Returns:
        A selector.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If `path` is no regular expression.

    Example:
        >>> from jopt import where
        >>> where("kernel$", min_ndim=2) & ~where("^embed")
        where('kernel$', min_ndim=2) & ~where('^embed')
        >>> where(ndim=1)("dense/bias", jnp.zeros(3))
        True
    """
    if path is not None:
        _compile("path", path)
    ranks = {"ndim": ndim, "min_ndim": min_ndim, "max_ndim": max_ndim}
    for name, number in ranks.items():
        if number is not None and (type(number) is not int or number < 0):
            raise TypeError(f"`{name}` must be an integer >= 0, got {number!r}.")
    if shape is not None:
        sizes = tuple(shape) if isinstance(shape, tuple | list) else None
        if sizes is None or not all(n is None or type(n) is int for n in sizes):
            raise TypeError(
                f"`shape` must be a tuple of integers or None, got {shape!r}."
            )
        shape = sizes
    name = None if dtype is None else jnp.dtype(dtype).name
    return Where(path, ndim, min_ndim, max_ndim, shape, name)


def resolve(mask: Any, params: PyTree, argument: str = "mask") -> PyTree:
    """A mask in any of its forms as a tree of Python bools shaped like `params`.

    Leaves of `params` hidden as `optax.MaskedNode` or `None` stay hidden; a mask may
    name them.

    Args:
        mask: One of: `None` (every leaf); a bool (every leaf, or none); a string (a
            regular expression searched in the leaf's name); a `where` selector; a
            function `(name, leaf) -> bool`; a function `params -> tree of bools`; a
            tree of bools with the names of `params`, or of their parents, in whatever
            containers.
        params: Arrays, tracers or `jax.ShapeDtypeStruct`s.
        argument: Name of the argument, for messages.

    Returns:
        A tree of bools.

    Raises:
        TypeError: If something else than a bool stands where a bool must.
        ValueError: If a pattern matches nothing, or a tree names other leaves.

    Example:
        >>> params = {"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
        >>> resolve("kernel$", params)
        {'dense': {'bias': False, 'kernel': True}}
        >>> resolve(lambda name, leaf: leaf.ndim == 1, params)
        {'dense': {'bias': True, 'kernel': False}}
    """
    if mask is None:
        mask = True
    if _is_bool(mask):
        return jax.tree.map(lambda _: bool(mask), params)
    if isinstance(mask, str):
        mask = Where(path=_compile(argument, mask))
    if isinstance(mask, Where):
        every = _all_names(params)
        for pattern in mask.patterns():
            _must_match(pattern, every, argument)
    if _is_function(mask):
        if isinstance(mask, Where) or _positional(mask) == 2:
            return trees.map_with_names(_strict(mask, argument), params)
        return resolve(_tree_of(mask, params, argument), params, argument)
    return _match(mask, params, argument, _as_bool)


def resolve_updates(
    mask: Any, updates: PyTree, params: PyTree, argument: str = "mask"
) -> PyTree:
    """`resolve` inside `update`: on the parameters, or without them on the updates."""
    if params is not None:
        return resolve(mask, params, argument)
    if isinstance(mask, Where) and mask.reads_dtype():
        raise ValueError(
            f"`{argument}` selects by dtype, that of the parameters: call "
            "`tx.update(grads, state, params)`."
        )
    return resolve(mask, updates, argument)


def check(mask: Any, argument: str = "mask") -> None:
    """Raise at construction for what can be no mask, whatever the parameters."""
    if isinstance(mask, str):
        _compile(argument, mask)
    elif isinstance(mask, int | float | np.number) and not _is_bool(mask):
        _as_bool(mask, "", argument)


def labels(spec: Any, params: PyTree, argument: str = "param_labels") -> PyTree:
    """A tree of labels, each a string, shaped like `params`.

    Args:
        spec: One of: a dict from regular expression (or `where` selector) to label,
            in which the first match wins and `"..."` stands for all other leaves; a
            function `(name, leaf) -> label`; a function `params -> tree of labels`; a
            tree of labels with the names of `params`, or of their parents. A dict
            whose keys are the names of the top level is such a tree.
        params: Arrays, tracers or `jax.ShapeDtypeStruct`s.
        argument: Name of the argument, for messages.

    Returns:
        A tree of strings.

    Raises:
        TypeError: If a label is neither a string, an integer nor a bool.
        ValueError: If a leaf gets no label or a pattern matches nothing.

    Example:
        >>> params = {"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
        >>> labels({"kernel$": "muon", "...": "adamw"}, params)
        {'dense': {'bias': 'adamw', 'kernel': 'muon'}}
    """
    if isinstance(spec, str):
        return jax.tree.map(lambda _: spec, params)
    if isinstance(spec, Mapping) and _is_rules(spec, params):
        return _by_rules(spec, params, argument)
    if _is_function(spec):
        if _positional(spec) == 2:

            def label(name: str, leaf: Any) -> str:
                return _as_label(spec(name, leaf), name, argument)

            return trees.map_with_names(label, params)
        return labels(_tree_of(spec, params, argument), params, argument)
    return _match(spec, params, argument, _as_label)


# -- by tree -----------------------------------------------------------------------


def _match(tree: PyTree, params: PyTree, argument: str, convert: Any) -> PyTree:
    """The leaves of `tree` by name, for each leaf of `params` or the nearest parent."""
    known = {
        name: convert(leaf, name, argument)
        for name, leaf in zip(trees.names(tree), jax.tree.leaves(tree), strict=True)
    }
    found, missing = [], []
    for name in trees.names(params):
        hit = _nearest(name, known)
        found.append(None if hit is None else known[hit])
        if hit is None:
            missing.append(name)
    if missing:
        raise ValueError(
            f"`{argument}` has no entry for {_some(missing)}. It has "
            f"{_some(list(known))}. Give each leaf, or a parent of it, a value."
        )
    used = {_nearest(name, known) for name in _all_names(params)}
    unknown = [name for name in known if name not in used]
    if unknown and trees.names(params):
        raise ValueError(
            f"`{argument}` names {_some(unknown)}, which the parameters do not have. "
            f"They have {_some(trees.names(params))}."
        )
    return jax.tree.unflatten(jax.tree.structure(params), found)


def _nearest(name: str, known: Mapping[str, Any]) -> str | None:
    """The entry for a name: itself, or else its nearest parent."""
    while name not in known:
        if not name:
            return None
        name = name.rpartition("/")[0]
    return name


def _tree_of(function: Callable[[PyTree], PyTree], params: PyTree, argument: str):
    tree = function(params)
    if tree is None or _is_function(tree):
        raise TypeError(
            f"The function given as `{argument}` must return a tree like the "
            f"parameters, got {tree!r}. One of two arguments gets (name, leaf)."
        )
    return tree


# -- by rules ----------------------------------------------------------------------


def _is_rules(spec: Mapping[Any, Any], params: PyTree) -> bool:
    """Whether a dict holds patterns; otherwise it is a tree of labels."""
    if any(isinstance(key, Where) or key in DEFAULT for key in spec):
        return True
    if not all(isinstance(key, str) for key in spec):
        return False
    if any(isinstance(v, Mapping | list | tuple) for v in spec.values()):
        return False
    every = _all_names(params)
    covered = all(_nearest(name, spec) is not None for name in every)
    used = {_nearest(name, spec) for name in every}
    return not (covered and used.issuperset(spec))


def _by_rules(rules: Mapping[Any, Any], params: PyTree, argument: str) -> PyTree:
    every = _all_names(params)
    default, tests = None, []
    for key, value in rules.items():
        label = _as_label(value, repr(key), argument)
        if isinstance(key, str) and key in DEFAULT:
            default = label if default is None else default
            continue
        test = key if isinstance(key, Where) else Where(path=_compile(argument, key))
        for pattern in test.patterns():
            _must_match(pattern, every, argument)
        tests.append((test, label))
    lost: list[str] = []

    def choose(name: str, leaf: Any) -> str | None:
        label = next((label for test, label in tests if test(name, leaf)), default)
        if label is None:
            lost.append(name)
        return label

    out = trees.map_with_names(choose, params)
    if lost:
        raise ValueError(
            f"`{argument}` has no pattern that matches {_some(lost)}. Add a pattern, "
            'or `"...": label` for all other leaves.'
        )
    return out


# -- pieces ------------------------------------------------------------------------


def _all_names(params: PyTree) -> list[str]:
    """Names of the leaves, of the hidden ones too."""

    def hidden(node: Any) -> bool:
        return node is None or isinstance(node, optax.MaskedNode)

    return trees.names(jax.tree.map(lambda _: 0, params, is_leaf=hidden))


def _must_match(pattern: str, names: list[str], argument: str) -> None:
    if pattern in DEFAULT or not names:
        return
    if not any(re.search(pattern, name) for name in names):
        raise ValueError(
            f"`{argument}`: the pattern {pattern!r} matches no leaf. The leaves are "
            f"{_some(names)}."
        )


def _compile(argument: str, pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise TypeError(
            f"`{argument}` must be a regular expression, got {pattern!r} of type "
            f"{type(pattern).__name__}."
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`{argument}` is no regular expression: {pattern!r}: {error}."
        ) from None
    return pattern


def _strict(predicate: Callable[..., Any], argument: str) -> Callable[..., bool]:
    def choose(name: str, leaf: Any) -> bool:
        chosen = predicate(name, leaf)
        if isinstance(chosen, jax.Array):
            raise TypeError(
                f"`{argument}`{_at(name)} depends on the values of the leaf. A mask "
                "is structure: it may depend on names, shapes and dtypes only."
            )
        return _as_bool(chosen, name, argument)

    return choose


def _as_bool(value: Any, name: str, argument: str) -> bool:
    if isinstance(value, Tracer):
        raise TypeError(
            f"`{argument}`{_at(name)} depends on traced values. A mask is structure: "
            "it may depend on names, shapes and dtypes only."
        )
    if not _is_bool(value):
        raise TypeError(
            f"`{argument}`{_at(name)} must be True or False, got {value!r} of type "
            f"{type(value).__name__}."
        )
    return bool(value)


def _as_label(value: Any, name: str, argument: str) -> str:
    if isinstance(value, str | bool | int):
        return str(value)
    raise TypeError(
        f"`{argument}`{_at(name)} must be a label such as 'decay', got {value!r} of "
        f"type {type(value).__name__}."
    )


def _at(name: str) -> str:
    return f" at `{name}`" if name else ""


def _is_bool(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return True
    concrete = isinstance(value, np.ndarray | jax.Array) and not isinstance(
        value, Tracer
    )
    return concrete and value.shape == () and value.dtype == np.bool_


def _is_function(value: Any) -> TypeGuard[Callable[..., Any]]:
    """Whether to call it; a callable module full of bools is a tree instead."""
    if not callable(value):
        return False
    leaves = jax.tree.leaves(value)
    if isinstance(value, jax.tree_util.Partial) or not leaves:
        return True
    return len(leaves) == 1 and leaves[0] is value


def _positional(function: Callable[..., Any]) -> int:
    """How many arguments a function must be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return sum(p.kind in positional and p.default is p.empty for p in parameters)


def _same_shape(wanted: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    pairs = zip(wanted, shape, strict=False)
    return len(wanted) == len(shape) and all(w is None or w == n for w, n in pairs)


def _dtype_name(leaf: Any) -> str | None:
    dtype = getattr(leaf, "dtype", None)
    return None if dtype is None else jnp.dtype(dtype).name


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
