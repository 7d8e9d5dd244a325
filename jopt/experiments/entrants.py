"""Who takes part in a race: optimizers whose learning rate is left open."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optax
from jax.typing import ArrayLike

from jopt._core import registry
from jopt._core.parse import parse_optimizer
from jopt._core.schedule import Schedule
from jopt._core.transform import Transform
from jopt.values.hyper import hyperparams, set_hyperparams

Optimizer = str | optax.GradientTransformation | Callable[[Any], Any]
Optimizers = str | Sequence[Optimizer] | Mapping[str, Optimizer]

DEFAULT = (
    "sgd(momentum=0.9)",
    "adagrad",
    "rmsprop",
    "adam",
    "adamw",
    "nadamw",
    "lion",
    "lamb",
    "adafactor",
    "muon",
    "schedule_free_adamw",
    "prodigy",
)
"""The optimizers that race unless others are named."""

_RANGE = (1e-4, 1e-1)
_OPEN = 1e-3  # any number: the race replaces it
_RATES = ("learning_rate", "max_learning_rate")  # what the race sets


@dataclasses.dataclass(frozen=True)
class Entrant:
    """An optimizer with its learning rate left open.

    Attributes:
        name: How the leaderboard calls it; unique in a race.
        make: Takes a learning rate, which may be traced; returns the optimizer.
        rates: The learning rates it is tried at.
    """

    name: str
    make: Callable[[ArrayLike], optax.GradientTransformation]
    rates: tuple[float, ...]

    def chain(self, rate: float) -> str:
        """The optimizer at one rate, as printed."""
        made = self.make(rate)
        return repr(made) if isinstance(made, Transform) else f"{self.name}({rate:g})"


def gather(
    optimizers: Optimizers | None, rates: int | Sequence[float], steps: int
) -> list[Entrant]:
    """All entrants of a race.

    Args:
        optimizers: Texts such as `adamw` or `chain(clip(1.0), adamw)`, transforms, or
            functions of a learning rate; a sequence, or a dict by name. `None` takes
            the default field.
        rates: How many rates, spread over the range worth searching; or the rates.
        steps: The length of the race.

    Returns:
        The entrants, in the order given.

    Raises:
        TypeError: If an entry is of no such kind.
        ValueError: If a text does not parse, an optimizer has no learning rate, or a
            name comes twice.
    """
    if optimizers is None:
        optimizers = DEFAULT
    if isinstance(optimizers, str):
        optimizers = [optimizers]
    if isinstance(optimizers, Mapping):
        named = [(str(name), value) for name, value in optimizers.items()]
    elif isinstance(optimizers, Sequence) and not isinstance(
        optimizers, optax.GradientTransformation
    ):
        named = [(None, value) for value in optimizers]
    else:
        named = [(None, optimizers)]
    entrants = [_entrant(name, value, rates, steps) for name, value in named]
    if not entrants:
        raise ValueError("`optimizers` is empty; name at least one, such as adamw.")
    names = [entrant.name for entrant in entrants]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"`optimizers` holds `{name}` twice. Give it once, or give a dict with "
                "a name for each."
            )
    return entrants


def known() -> dict[str, Callable[..., Any]]:
    """What may stand in the text of an optimizer; optimizers come first."""
    kinds = ("optimizer", "transform", "schedule")
    names = [name for kind in kinds for name in registry.names(kind)]
    return {name: registry.get(name) for name in names}


def _entrant(
    name: str | None, value: Any, rates: int | Sequence[float], steps: int
) -> Entrant:
    if isinstance(value, str):
        made = parse_optimizer(value, known(), learning_rate=_OPEN)
        if not isinstance(made, Transform):
            raise TypeError(f"`{value}` is not an optimizer but a schedule.")
        return _from_transform(name or _title(value, made), made, rates, steps)
    if isinstance(value, Transform):
        return _from_transform(name or _title(repr(value), value), value, rates, steps)
    if isinstance(value, optax.GradientTransformation) or not callable(value):
        raise TypeError(
            f"`optimizers` got {name or 'one'} of type {type(value).__name__}, whose "
            "learning rate the race cannot set. Give a text, a jopt transform, or a "
            "function of the learning rate, such as `optax.adamw`."
        )
    if hasattr(value, "factory"):
        return _entrant(name, value.factory.name, rates, steps)
    title = name or getattr(value, "__name__", "optimizer")
    make: Callable[[ArrayLike], Any] = value
    return Entrant(title, make, grid(rates, _RANGE))


def _from_transform(
    name: str, tx: Transform, rates: int | Sequence[float], steps: int
) -> Entrant:
    found = learning_rates(tx)
    if len(found) != 1:
        many = f"these: {', '.join(found)}" if found else "none"
        raise ValueError(
            f"`{name}` must have exactly one `learning_rate` for the race to set; it "
            f"has {many}."
        )
    [(path, given)] = found.items()
    peak = None
    if isinstance(given, Schedule):
        top = np.max(np.abs(np.asarray(given(np.arange(steps)))))
        peak = float(f"{top:.6g}")  # a round number, so that the chain prints well
        if peak == 0.0:
            raise ValueError(f"`{name}`: its schedule is zero in all {steps} steps.")

    def make(rate: ArrayLike) -> Transform:
        return set_hyperparams(
            tx, {path: rate if peak is None else given * (rate / peak)}
        )

    return Entrant(name, make, grid(rates, _range(tx) or _RANGE))


def learning_rates(tx: Transform) -> dict[str, Any]:
    """The learning rates of an optimizer, by their paths in `jopt.hyperparams`."""
    found = {
        path: value
        for path, value in hyperparams(tx).items()
        if path.split(".")[-1] in _RATES
    }
    own = {path: value for path, value in found.items() if "." not in path}
    return own if len(own) == 1 else found  # not that of a line search inside


def grid(
    rates: int | Sequence[float], bounds: tuple[float, float]
) -> tuple[float, ...]:
    """The learning rates to try: those given, or so many within bounds.

    Args:
        rates: The rates, or their number.
        bounds: The least and the greatest of them; between, their ratio is constant.

    Returns:
        The rates, to three significant digits if they are made here.

    Example:
        >>> grid(4, (1e-4, 1e-1))
        (0.0001, 0.001, 0.01, 0.1)
    """
    if not isinstance(rates, int):
        return tuple(float(rate) for rate in rates)
    low, high = np.log10(bounds)
    middle = (low + high) / 2
    points = np.linspace(low, high, rates) if rates > 1 else [middle]
    return tuple(float(f"{10**point:.3g}") for point in points)


def _range(tx: Any) -> tuple[float, float] | None:
    """The range worth searching of the first registered optimizer inside."""
    if "rates" in tx.spec.factory.facts:
        return tx.spec.factory.facts["rates"]
    children = (child for _, child in tx.spec.children())
    return next(filter(None, map(_range, children)), None)


def _title(text: str, tx: Transform) -> str:
    """A short name: the text if it is short, else the names of the stages."""
    text = " ".join(text.split())
    if len(text) <= 24 or tx.spec.factory.name not in ("chain", "named_chain"):
        return text if len(text) <= 40 else tx.spec.factory.name
    return " + ".join(label for label, _ in tx.spec.children())
