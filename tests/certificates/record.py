"""What is certified: an optimizer at a setting, and the same in its source.

The source is a package that others wrote, whose run is stored (see `packages` and
`make`), or a transcription of the paper in NumPy, run on the spot.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jopt
from tests.references.problem import Problem, PROBLEMS

TOLD = "NumPy, from "
PAPER = f"{TOLD}the paper"


class Certificate(NamedTuple):
    """One optimizer at one setting, here and in its source."""

    id: str
    optimizer: str
    tx: jopt.Transform
    source: str  # a key of `packages.RUNNERS`, or `PAPER`
    settings: dict[str, Any]  # those of the source
    problem: str = "vector"
    transcription: Callable[..., Any] | None = None
    extra: Callable[[Any, Any], dict[str, Any]] | None = None
    read: Callable[[Any, Any], Any] | None = None

    def start(self) -> Problem:
        """First parameters, and the gradients of every step."""
        return PROBLEMS[self.problem]()

    def transcribed(self) -> list[Any]:
        """The run of the transcription."""
        assert self.transcription is not None
        return self.transcription(*self.start(), **self.settings)


class Rows(NamedTuple):
    """Settings of one optimizer against one source.

    A transcription takes the first parameters, the gradients and the settings, and
    returns the parameters after each step. `extra` makes the further arguments of
    jopt's update, such as `value`, from parameters and gradient. `read` takes from
    state and parameters what is compared, if it is not the parameters.
    """

    optimizer: str
    source: str  # a class of a package, such as "torch.optim.Adam", or `PAPER`
    pairs: Iterable[tuple[Any, dict[str, Any]]]  # jopt's, or a transform; the source's
    problem: str = "vector"
    transcription: Callable[..., Any] | None = None
    extra: Callable[[Any, Any], dict[str, Any]] | None = None
    read: Callable[[Any, Any], Any] | None = None


RAMP = jopt.linear_schedule(0.2, 0.02, 8)
RATES = tuple(0.2 + (0.02 - 0.2) * min(t, 8) / 8 for t in range(12))


def decayed(tx: jopt.Transform, weight_decay: float = 0.1) -> jopt.Transform:
    """The optimizer behind a decay that is added to the gradient."""
    return jopt.chain(jopt.add_decayed_weights(weight_decay), tx)


def build(optimizer: str, given: Any) -> jopt.Transform:
    """The optimizer of jopt at a setting."""
    if isinstance(given, jopt.Transform):
        return given
    return getattr(jopt, optimizer)(**given)
