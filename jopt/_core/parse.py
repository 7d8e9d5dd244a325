"""Transforms from text, such as a command line: calls of known names, nothing else."""

import ast
import contextlib
import difflib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jopt._core.registry import entries

Registry = Mapping[str, Callable[..., Any]]

MAX_BYTES = 4096
MAX_DEPTH = 20


def parse(text: str, registry: Registry | None = None) -> Any:
    """Build a value from the text of a call; nothing but registered names can run.

    The text may hold calls of registered names, their keyword arguments, numbers,
    strings, `True`, `False`, `None`, a minus sign, tuples and lists. A bare name is
    called without arguments.

    Args:
        text: At most 4 kB, nested at most 20 deep.
        registry: What each name stands for. Defaults to every transform, optimizer
            and schedule by its name.

    Returns:
        What the outermost call returns.

    Raises:
        TypeError: If `text` is not a string, or a call refuses its arguments.
        ValueError: If the text is anything but such a call, or too long or too deep.

    Example:
        >>> import jopt
        >>> jopt.parse("chain(clip(1.0), adamw(1e-3, weight_decay=0.1))")
        chain(clip(max_delta=1.0), adamw(learning_rate=0.001, weight_decay=0.1))
    """
    if registry is None:
        registry = {entry.name: entry.build for entry in entries()}
    return _Builder(text, registry, {}).build()


def parse_optimizer(text: str, registry: Registry, *, learning_rate: Any) -> Any:
    """Build an optimizer from text that may leave its learning rate open.

    Every call that requires a `learning_rate` and is not given one gets this one, so
    `adamw`, `adamw(b2=0.95)` and `chain(clip(1.0), adamw)` are complete.

    Args:
        text: As for `parse`.
        registry: What each name stands for.
        learning_rate: The learning rate to fill in.

    Returns:
        What the outermost call returns.

    Raises:
        TypeError: As `parse` does.
        ValueError: As `parse` does.

    Example:
        >>> def sgd(learning_rate, momentum=0.0):
        ...     return f"sgd({learning_rate}, {momentum})"
        >>> parse_optimizer("sgd(momentum=0.9)", {"sgd": sgd}, learning_rate=0.1)
        'sgd(0.1, 0.9)'
    """
    return _Builder(text, registry, {"learning_rate": learning_rate}).build()


def split_list(text: str) -> list[str]:
    """Split at the commas that stand outside of brackets and quotes.

    Args:
        text: A list of names and calls, separated by commas.

    Returns:
        The items, stripped; empty ones are kept.

    Example:
        >>> split_list("adamw, chain(clip(1.0), sgd(0.1))")
        ['adamw', 'chain(clip(1.0), sgd(0.1))']
    """
    items, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if char == "," and depth <= 0 and not quote:
            items.append("")
        else:
            items[-1] += char
    return [item.strip() for item in items]


class _Builder:
    def __init__(self, text: str, registry: Registry, supplied: dict[str, Any]):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"`text` must be a string, got {text!r} of type {kind}.")
        self.text = text
        self.registry = registry
        self.supplied = supplied

    def build(self) -> Any:
        tree = _syntax(self.text)
        if not isinstance(tree, ast.Call | ast.Name):
            raise ValueError(
                f"{_short(self.text)} must be a name or a call, such as `adamw` or "
                "`chain(clip_by_global_norm(1.0), adamw)`."
            )
        return self.value(tree, 1)

    def value(self, node: ast.expr, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(
                f"{_short(self.text)} is nested more than {MAX_DEPTH} deep."
            )
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                return node.value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=number)):
                if isinstance(number, int | float) and not isinstance(number, bool):
                    return -number
            case ast.Tuple():
                return tuple(self.value(item, depth + 1) for item in node.elts)
            case ast.List():
                return [self.value(item, depth + 1) for item in node.elts]
            case ast.Name():
                return self.call(node.id, (), {})
            case ast.Call(func=ast.Name(id=name)):
                args = tuple(self.value(item, depth + 1) for item in node.args)
                return self.call(name, args, dict(self.keywords(node, depth)))
        piece = ast.get_source_segment(self.text.strip(), node) or "?"
        raise ValueError(
            f"{_short(self.text)} holds {_short(piece)}. Only calls of jopt's names, "
            "numbers, strings, True, False, None, tuples and lists are allowed."
        )

    def keywords(self, node: ast.Call, depth: int) -> Iterator[tuple[str, Any]]:
        for keyword in node.keywords:
            if keyword.arg is None:
                raise ValueError(f"{_short(self.text)} holds `**`; name each argument.")
            yield keyword.arg, self.value(keyword.value, depth + 1)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name not in self.registry:
            raise ValueError(unknown(name, self.registry))
        function = self.registry[name]
        kwargs = kwargs | self._missing(function, args, kwargs)
        return function(*args, **kwargs)

    def _missing(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict
    ) -> dict[str, Any]:
        """What of `supplied` the function requires and the text does not give."""
        if not self.supplied:
            return {}
        signature = inspect.signature(function)
        with contextlib.suppress(TypeError):
            kwargs = kwargs | signature.bind_partial(*args, **kwargs).arguments
        required = {
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.default is parameter.empty and parameter.name not in kwargs
        }
        return {k: v for k, v in self.supplied.items() if k in required}


def unknown(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """The message for a name that is none of the known ones."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if close:
        return f"Nothing is named `{name}`. Did you mean `{close[0]}`?"
    shown = ", ".join(list(known)[:24]) + (" ..." if len(known) > 24 else "")
    return f"Nothing is named `{name}`. Known: {shown}."


def _syntax(text: str) -> ast.expr:
    size = len(text.encode("utf8", "replace"))
    if size > MAX_BYTES:
        raise ValueError(f"The text has {size} bytes; at most {MAX_BYTES} are allowed.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"{_short(text)} is not a call: {reason}.") from None
    except (RecursionError, MemoryError):
        raise ValueError(f"{_short(text)} is nested too deep.") from None


def _short(text: str, length: int = 60) -> str:
    text = " ".join(text.split())
    return f"`{text if len(text) <= length else text[: length - 3] + '...'}`"
