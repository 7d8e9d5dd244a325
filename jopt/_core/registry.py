"""Every factory by name: a closed registry for configs, the race and the docs."""

from collections.abc import Callable
from typing import Any

from jopt._core.spec import did_you_mean, Factory, UnknownNameError

_FACTORIES: dict[str, Factory] = {}


def add(factory: Factory) -> None:
    """Register a factory.

    Raises:
        ValueError: If another function has that name. Defining the same function
            again, as a re-run notebook cell does, replaces it.
    """
    known = _FACTORIES.get(factory.name)
    if known is not None:
        ours, theirs = factory.function, known.function
        same = (ours.__module__, ours.__qualname__) == (
            theirs.__module__,
            theirs.__qualname__,
        )
        if not same:
            raise ValueError(
                f"`{factory.name}` is already registered by "
                f"`{theirs.__module__}`. Choose another name."
            )
    _FACTORIES[factory.name] = factory


def get(name: str) -> Callable[..., Any]:
    """The function that builds `name`.

    Raises:
        KeyError: If there is none; the message has the closest name.
    """
    if name not in _FACTORIES:
        raise UnknownNameError(
            f"Nothing named `{name}`.{did_you_mean(name, _FACTORIES)}"
        )
    return _FACTORIES[name].build


def names(kind: str | None = None) -> list[str]:
    """The names of all factories, or of those of one kind."""
    return [entry.name for entry in entries(kind)]


def entries(kind: str | None = None) -> list[Factory]:
    """All factories, sorted by name, capitals or not.

    Args:
        kind: `"transform"`, `"optimizer"`, `"schedule"`, or `None` for all.
    """
    chosen = (f for f in _FACTORIES.values() if kind in (None, f.kind))
    return sorted(chosen, key=lambda factory: factory.name.casefold())


def list_optimizers(*tags: str) -> list[str]:
    """The names of the optimizers that have all of the given tags.

    Args:
        *tags: Such as `"adaptive"` or `"matrix"`. Without any, all optimizers.

    Returns:
        Names of functions of `jopt`, sorted.

    Raises:
        ValueError: If no optimizer has such a tag.

    Example:
        >>> import jopt
        >>> "adamw" in jopt.list_optimizers("adaptive")
        True
    """
    tagged = {f.name: f.facts.get("tags", ()) for f in entries("optimizer")}
    known = {tag for own in tagged.values() for tag in own}
    for tag in tags:
        if tag not in known:
            raise ValueError(
                f"No optimizer is tagged {tag!r}.{did_you_mean(tag, known)}"
            )
    return [name for name, own in tagged.items() if set(tags) <= set(own)]
