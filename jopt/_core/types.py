"""Annotations that say what a factory's argument is: a leaf, a child or structure."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import jax
import optax
from jax.typing import ArrayLike

from jopt._core.decay import Decay

Pair = optax.GradientTransformationExtraArgs
"""What a factory returns: the two functions `(init, update)`."""

PyTree = Any


def no_state(params: PyTree) -> optax.EmptyState:
    """The `init` of a stage that holds nothing."""
    del params
    return optax.EmptyState()


ScheduleFn = Callable[[ArrayLike], ArrayLike]


@dataclasses.dataclass(frozen=True)
class Hyper:
    """Marks a hyperparameter: a leaf of the transform, checked against its range."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # `low` itself is excluded
    below: bool = False  # `high` itself is excluded
    complement: bool = False  # the leaf is one minus the argument
    off: bool = False  # a literal 0 or `None` is structure: it turns a stage off
    nullable: bool = False  # `None` is structure, 0 is a leaf
    nan: bool = False  # NaN is a value like any other
    affine: bool = False  # a value of an affine schedule: see `schedule`
    cure: str = ""

    def contains(self, value: float) -> bool:
        if math.isnan(value):
            return self.nan
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and math.isfinite(value)

    def __str__(self) -> str:
        left = "(" if self.above or math.isinf(self.low) else "["
        right = ")" if self.below or math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Marks a static integer with its least value."""

    low: int
    optional: bool = False  # `None` is allowed


@dataclasses.dataclass(frozen=True)
class Child:
    """Marks an argument made of transforms, or of schedules: a subtree."""

    of: str = "transforms"


@dataclasses.dataclass(frozen=True)
class Each:
    """Marks a sequence of numbers, or a mapping from steps to numbers: all leaves."""

    of: Hyper
    mapping: bool = False  # `None` stands for an empty one


@dataclasses.dataclass(frozen=True)
class Increasing:
    """Marks a static, strictly increasing sequence of steps."""


_NEGATE = " To ascend, negate the loss."

Scalar = Annotated[ArrayLike | ScheduleFn, Hyper()]
Value = Annotated[ArrayLike, Hyper(affine=True)]
LearningRate = Annotated[ArrayLike | ScheduleFn, Hyper(low=0.0, cure=_NEGATE)]
NonNegative = Annotated[ArrayLike | ScheduleFn, Hyper(low=0.0)]
Positive = Annotated[ArrayLike | ScheduleFn, Hyper(low=0.0, above=True)]
Fraction = Annotated[ArrayLike | ScheduleFn, Hyper(low=0.0, high=1.0)]
DecayRate = Annotated[
    ArrayLike | ScheduleFn | Decay, Hyper(0.0, 1.0, below=True, complement=True)
]
Momentum = Annotated[
    ArrayLike | ScheduleFn | None, Hyper(0.0, 1.0, below=True, off=True)
]
Switch = Annotated[ArrayLike | ScheduleFn | None, Hyper(low=0.0, off=True)]
Epsilon = Annotated[ArrayLike | ScheduleFn, Hyper(low=0.0, off=True)]
OptionalScalar = Annotated[ArrayLike | ScheduleFn | None, Hyper(nullable=True)]
OptionalRate = Annotated[
    ArrayLike | ScheduleFn | None, Hyper(low=0.0, nullable=True, cure=_NEGATE)
]
OptionalPositive = Annotated[
    ArrayLike | ScheduleFn | None, Hyper(low=0.0, above=True, nullable=True)
]
OptionalDecay = Annotated[
    ArrayLike | ScheduleFn | Decay | None,
    Hyper(0.0, 1.0, below=True, complement=True, nullable=True),
]
Growth = Annotated[ArrayLike | ScheduleFn | None, Hyper(low=1.0, nullable=True)]

Count = Annotated[int, Bounds(1)]
Steps = Annotated[int, Bounds(0)]

Boundaries = Annotated[Sequence[int], Increasing()]
Preference = Annotated[Sequence[ArrayLike], Each(Hyper(low=0.0))]
Values = Annotated[Sequence[ArrayLike], Each(Hyper(affine=True))]
Scales = Annotated[Mapping[int, ArrayLike] | None, Each(Hyper(low=0.0), mapping=True)]

Inner = Annotated[optax.GradientTransformation, Child()]
Named = Annotated[tuple[str, optax.GradientTransformation], Child()]
Inners = Annotated[Mapping[str, optax.GradientTransformation], Child()]
InnerSchedule = Annotated[Any, Child("schedules")]

Mask = (
    bool
    | str
    | PyTree
    | Callable[[str, jax.Array], bool]
    | Callable[[PyTree], PyTree]
    | None
)
"""Selects leaves: see `jopt.select`."""
