"""The call that built a transform or a schedule, as a value and as a pytree."""

import contextlib
import dataclasses
import difflib
import functools as ft
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jopt._core import checks
from jopt._core.decay import Decay
from jopt._core.types import Bounds, Child, Each, Hyper, Increasing

Mark = Hyper | Child | Bounds | Each | Increasing

VAR = inspect.Parameter.VAR_POSITIONAL


class Factory:
    """What is known of a decorated function: its name, arguments and kind."""

    def __init__(self, function: Callable[..., Any], kind: str, **facts: Any):
        self.function = function
        self.name = function.__name__
        self.kind = kind
        self.facts = facts
        self.signature = inspect.signature(function)
        self.build: Callable[..., Any] = function  # set by the decorator

    @ft.cached_property
    def marks(self) -> dict[str, Mark | None]:
        """How each argument is to be treated, read from its annotation."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        return {name: _mark(hints.get(name)) for name in self.signature.parameters}

    @ft.cached_property
    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The allowed values of each argument annotated as a `Literal`."""
        hints = typing.get_type_hints(self.function)
        return {
            name: typing.get_args(hint)
            for name, hint in hints.items()
            if typing.get_origin(hint) is typing.Literal
        }

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """All arguments by name, defaults applied."""
        for name in kwargs:
            if name not in self.signature.parameters:
                raise TypeError(
                    f"`{self.name}` has no argument `{name}`."
                    + did_you_mean(name, self.signature.parameters)
                )
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"`{self.name}`: {error}. Its arguments: "
                f"{', '.join(self.signature.parameters)}."
            ) from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def call(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Run a function of this signature on arguments by name."""
        args, kwargs = [], {}
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is VAR:
                value = arguments[name]
                args.extend(value.items() if isinstance(value, Mapping) else value)
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                kwargs[name] = arguments[name]
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                kwargs.update(arguments[name])
            else:
                args.append(arguments[name])
        return function(*args, **kwargs)

    def __reduce__(self):
        return getattr, (self.build, "factory")

    def __repr__(self) -> str:
        return f"<factory {self.name}>"


class Spec:
    """A factory and the arguments it was called with.

    Arguments marked `Hyper` or `Child` are the children of the pytree, all others
    its structure. So is a literal 0 or `None` that turns a stage off.
    """

    late = False  # not called by a user but unflattened

    def __init__(self, factory: Factory, arguments: dict[str, Any]):
        self.factory = factory
        self.arguments = arguments
        self.dynamic = tuple(
            name for name in arguments if is_dynamic(factory, name, arguments[name])
        )

    @classmethod
    def of(cls, factory: Factory, args: tuple[Any, ...], kwargs: dict[str, Any]):
        arguments = factory.bind(args, kwargs)
        for name, value in arguments.items():
            arguments[name] = checks.normalise(factory, name, value)
        return cls(factory, arguments)

    @property
    def name(self) -> str:
        return self.factory.name

    @property
    def is_affine(self) -> bool:
        """Whether a schedule is affine in its values: see `schedule`."""
        fact = self.factory.facts.get("affine", False)
        return bool(fact(self.arguments) if callable(fact) else fact)

    @property
    def built(self) -> Any:
        """What the factory makes of the arguments; made on first use, then kept.

        Not kept where a leaf is traced: what is made inside one trace must not be
        used in another. So a call that was unflattened, and may be made in a trace,
        computes with its numbers at once.
        """
        if self.is_traced:
            return self.factory.call(self.factory.function, self.arguments)
        if "made" not in self.__dict__:
            late = jax.ensure_compile_time_eval if self.late else contextlib.nullcontext
            with late():
                self.made = self.factory.call(self.factory.function, self.arguments)
        return self.made

    @ft.cached_property
    def is_traced(self) -> bool:
        """Whether any hyperparameter is a tracer."""
        leaves = jax.tree.leaves([self.arguments[name] for name in self.dynamic])
        return any(isinstance(leaf, Tracer) for leaf in leaves)

    def replace(self, **changes: Any) -> "Spec":
        """The same call with some arguments swapped, unchecked."""
        spec = object.__new__(Spec)
        spec.factory = self.factory
        spec.arguments = self.arguments | changes
        spec.dynamic = self.dynamic
        return spec

    def rebuilt(self, **changes: Any) -> Any:
        """The same call with some arguments changed, checked as a new call is."""
        for name in changes:
            if name not in self.arguments:
                raise TypeError(
                    f"`{self.name}` has no argument `{name}`."
                    + did_you_mean(name, self.arguments)
                )
        return rebuild(self.factory, self.arguments | changes)

    def hyper(self) -> Iterator[tuple[str, Any]]:
        """The hyperparameters given to this call, as the user gave them."""
        for name, mark in self.factory.marks.items():
            if isinstance(mark, Hyper):
                value = self.arguments[name]
                yield name, value.value if isinstance(value, Decay) else value

    def children(self) -> Iterator[tuple[str, Any]]:
        """Every transform or schedule that stands among the arguments, labelled."""
        for name, mark in self.factory.marks.items():
            value = self.arguments[name]
            if not isinstance(mark, Child):
                continue
            if isinstance(value, Mapping):
                yield from value.items()
            elif isinstance(value, tuple) and not hasattr(value, "spec"):
                yield from zip(labels(value), value, strict=True)
            elif hasattr(value, "spec"):
                yield name, value

    def key(self) -> Any:
        """A hashable stand-in: equal for calls with equal arguments."""
        return self.factory.build, freeze(
            {name: self._canonical(name) for name in self.arguments}
        )

    def _canonical(self, name: str) -> Any:
        """An argument in the form in which calls compare: what is off is `None`."""
        value = self.arguments[name]
        mark = self.factory.marks[name]
        return None if isinstance(mark, Hyper) and is_off(value) else value

    # -- the pytree ----------------------------------------------------------------

    def flatten(self) -> tuple[tuple[Any, ...], "Structure"]:
        children = tuple(self.arguments[name] for name in self.dynamic)
        static = {k: v for k, v in self.arguments.items() if k not in self.dynamic}
        return children, Structure(self.factory, self.dynamic, static)

    @classmethod
    def unflatten(cls, structure: "Structure", children: Any) -> "Spec":
        spec = object.__new__(cls)
        spec.late = True
        spec.factory = structure.factory
        spec.dynamic = structure.dynamic
        values = structure.static | dict(zip(structure.dynamic, children, strict=True))
        spec.arguments = {k: values[k] for k in structure.factory.signature.parameters}
        return spec


class Structure:
    """The part of a call that is not a leaf."""

    def __init__(
        self, factory: Factory, dynamic: tuple[str, ...], static: dict[str, Any]
    ):
        self.factory = factory
        self.dynamic = dynamic
        self.static = static
        off = (n for n, v in static.items() if is_off(v))
        hyper = (n for n in off if isinstance(factory.marks[n], Hyper))
        self._key = factory.build, dynamic, freeze(static | dict.fromkeys(hyper))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"{self.factory.name}({self.static})"


def rebuild(factory: Factory, arguments: Mapping[str, Any]) -> Any:
    """Call a factory with arguments by name."""
    return factory.call(factory.build, arguments)


def is_dynamic(factory: Factory, name: str, value: Any) -> bool:
    """Whether an argument is part of the pytree."""
    mark = factory.marks[name]
    if isinstance(mark, Hyper):
        return not (mark.off and is_off(value)) and value is not None
    return isinstance(mark, Child | Each)


def is_off(value: Any) -> bool:
    """Whether `value` is the literal that turns a stage off."""
    return value is None or (type(value) in (int, float) and value == 0)


def labels(children: typing.Sequence[Any]) -> list[str]:
    """Names of the stages of a chain: the factory's, with `_2` ... when repeated."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for child in children:
        name = child.spec.factory.name
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


class UnknownNameError(KeyError):
    """A name that nothing has; a `KeyError` that prints its message plainly."""

    __module__ = "jopt"

    def __str__(self) -> str:
        return str(self.args[0])


def did_you_mean(name: str, known: typing.Iterable[str]) -> str:
    """A hint for a misspelt name: the closest known one, or the first few of all."""
    known = list(dict.fromkeys(known))
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if close:
        return f" Did you mean `{close[0]}`?"
    more = ", and others" if len(known) > 12 else ""
    return f" Known: {', '.join(known[:12])}{more}." if known else ""


def freeze(value: Any) -> Any:
    """A hashable stand-in for `value` that tells `1` from `1.0` and from `True`.

    Concrete arrays compare by content. A tracer, or anything else that cannot be
    hashed, is equal only to itself.
    """
    if hasattr(value, "spec") and isinstance(value.spec, Spec):
        return value.spec.key()
    if isinstance(value, Decay):
        return "decay", freeze(value.complement)
    if isinstance(value, Mapping):
        return tuple((k, freeze(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(map(freeze, value))
    if isinstance(value, Tracer):
        return "traced", id(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        if not getattr(value, "is_fully_addressable", True):
            return "traced", id(value)
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            with jax.ensure_compile_time_eval():  # a known key, even within `jit`
                value = jax.random.key_data(value)  # pyright: ignore
        array = np.asarray(value)
        return "array", str(array.dtype), array.shape, array.tobytes()
    try:
        hash(value)
    except TypeError:
        leaves, treedef = jax.tree.flatten(value)
        if len(leaves) == 1 and leaves[0] is value:
            return "object", id(value)
        return treedef, tuple(map(freeze, leaves))
    return type(value), value


def _mark(hint: Any) -> Mark | None:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Mark):
            return mark
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        marks = [_mark(part) for part in typing.get_args(hint)]
        mark = next((mark for mark in marks if mark is not None), None)
        if isinstance(mark, Bounds) and type(None) in typing.get_args(hint):
            return dataclasses.replace(mark, optional=True)
        return mark
    return None
