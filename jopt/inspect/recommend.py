"""A first optimizer for given parameters, and why."""

import dataclasses
import math
import textwrap
from typing import Any, Literal

import jax
import numpy as np

from jopt._core import trees
from jopt._core.schedule import Schedule
from jopt._core.select import where
from jopt._core.transform import chain, Transform
from jopt.matrix import muon
from jopt.optimizers import adafactor, adamw, prodigy, schedule_free_adamw, sgd
from jopt.precision import kahan
from jopt.schedules import warmup_cosine_decay_schedule
from jopt.transforms import clip_by_global_norm

PyTree = Any
Task = Literal["language", "images", "tabular", "fine-tuning"]

MATRICES = where(min_ndim=2)
HIDDEN = where(ndim=2) & ~where("(?i)embed|head|logits")


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """An optimizer to begin with; it prints as the call, the reasons and what is next.

    Attributes:
        optimizer: To be used, or edited: `optimizer.replace(...)`.
        reasons: Why it is built so, a sentence each, with the evidence.
        alternatives: Other optimizers, each with the case in which it is better.
    """

    optimizer: Transform
    reasons: tuple[str, ...]
    alternatives: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [str(self.optimizer), "", "Why"]
        lines += map(_item, self.reasons)
        lines += ["", "Instead"]
        lines += [_item(f"{name}: {case}") for name, case in self.alternatives]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        call, _, rest = str(self).partition("\n\n")
        rest = rest.replace("Why\n", "**Why**\n\n").replace(
            "Instead\n", "**Instead**\n\n"
        )
        return f"```python\n{call}\n```\n\n{rest}"


def recommend(
    params: PyTree,
    task: Task | None = None,
    *,
    steps: int | None = None,
    tune: bool = True,
    memory: Literal["plenty", "short"] = "plenty",
) -> Recommendation:
    """Recommend a first optimizer for a model, and say why.

    A rule of thumb written down, not a prediction: it looks at the shapes, names and
    dtypes of the parameters, and at what you say. Its learning rate is where a search
    should begin. To measure on your own model use `jopt.race`.

    Args:
        params: The parameters: arrays or shapes.
        task: `"language"`, `"images"`, `"tabular"` or `"fine-tuning"`. Without it the
            choice is a general one.
        steps: Length of training. With it the rate gets a warm-up and a cosine decay.
        tune: Whether you can search the learning rate. If not, it is a parameter-free
            or schedule-free optimizer.
        memory: Whether two slots per parameter are too many.

    Returns:
        A `Recommendation`.

    Raises:
        ValueError: If `task` is unknown, or `params` has no parameters.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> params = {"kernel": jax.ShapeDtypeStruct((256, 256), jnp.float32)}
        >>> advice = jopt.recommend(params, "images", steps=1000)
        >>> advice.optimizer
        chain(clip_by_global_norm(max_norm=1.0),
              adamw(learning_rate=warmup_cosine_decay_schedule(init_value=0.0,
                  peak_value=0.001, warmup_steps=20, decay_steps=1000),
              weight_decay=0.05, mask=where(min_ndim=2)))
    """
    if task not in (None, *_DECAY):
        raise ValueError(f"`task` must be one of {list(_DECAY)} or None, got {task!r}.")
    facts = _facts(params)
    tx, reasons = _chosen(facts, task, steps, tune, memory)
    if facts.narrow:
        tx = kahan(tx)
        reasons.append(
            f"There are 16-bit leaves ({facts.narrow}): `kahan` keeps what their "
            "additions round away."
        )
    return Recommendation(tx, tuple(reasons), tuple(_alternatives(facts, task)))


def _item(text: str) -> str:
    return textwrap.fill(text, 88, initial_indent="- ", subsequent_indent="  ")


@dataclasses.dataclass(frozen=True)
class _Facts:
    size: int  # numbers in all leaves
    matrices: float  # the share that lies in hidden matrices
    narrow: int  # leaves of 16 bits


def _facts(params: PyTree) -> _Facts:
    shown = list(zip(trees.names(params), jax.tree.leaves(params), strict=True))
    sizes = {name: math.prod(x.shape) for name, x in shown if trees.is_inexact(x)}
    if not sum(sizes.values()):
        raise ValueError("`params` has no floating point parameters to optimize.")
    hidden = sum(sizes[name] for name, x in shown if name in sizes and HIDDEN(name, x))
    narrow = sum(np.dtype(x.dtype).itemsize == 2 for name, x in shown if name in sizes)
    return _Facts(sum(sizes.values()), hidden / sum(sizes.values()), narrow)


_DECAY = {"language": 0.1, "images": 0.05, "tabular": 1e-4, "fine-tuning": 0.01}
_RATE = {"language": 3e-3, "images": 1e-3, "tabular": 1e-3, "fine-tuning": 2e-5}


def _chosen(
    facts: _Facts, task: Task | None, steps: int | None, tune: bool, memory: str
) -> tuple[Transform, list[str]]:
    decay = _DECAY.get(task or "", 0.01)
    if memory == "short":
        rate = _rate(1e-2, steps)
        return adafactor(rate), [
            f"Two slots for each of {facts.size:,} parameters are too many: Adafactor "
            "keeps a row and a column of each matrix (Shazeer and Stern 2018).",
            *_about_rate(steps),
        ]
    if not tune and steps:
        return prodigy(_rate(1.0, steps), weight_decay=decay), [
            "No search of the learning rate: Prodigy finds its size from the distance "
            "travelled; the schedule is a factor of it.",
            "Calibrated AdamW is still better than parameter-free methods at their "
            "defaults (Kasimbeg et al. 2025, arXiv:2505.24005): search when you can.",
        ]
    if not tune:
        return schedule_free_adamw(2.5e-3, weight_decay=decay), [
            "Neither the length of training nor a search of the rate: schedule-free "
            "AdamW needs no horizon. It was first among self-tuning entries of the "
            "AlgoPerf competition (Kasimbeg et al. 2025, arXiv:2502.15015).",
            "Evaluate at `jopt.averaged_params(state, params)`.",
        ]
    return _tuned(facts, task, steps, decay)


def _tuned(
    facts: _Facts, task: Task | None, steps: int | None, decay: float
) -> tuple[Transform, list[str]]:
    peak = _RATE.get(task or "", 1e-3)
    language = task == "language"
    optimizer = adamw(
        _rate(peak, steps), b2=0.95 if language else 0.999, weight_decay=decay,
        mask=MATRICES,
    )  # fmt: skip
    reasons = [
        "AdamW is the baseline that others are measured against, and hard to beat by "
        "much: the speed-up of matrix methods shrinks from 1.4 at 0.1B parameters to "
        "1.1 at 1.2B (Wen et al. 2025, arXiv:2509.02046, the authors' figures).",
        f"Weights decay by {decay:g}, biases and norms do not: `mask` chooses leaves "
        "of two dimensions or more.",
        "Clipping by the global norm costs one pass and saves runs with spikes.",
    ]
    if language:
        reasons.append("`b2=0.95`: batches of language are few and noisy.")
    return chain(clip_by_global_norm(1.0), optimizer), reasons + _about_rate(steps)


def _rate(peak: float, steps: int | None) -> float | Schedule:
    if steps is None:
        return peak
    return warmup_cosine_decay_schedule(0.0, peak, max(1, steps // 50), steps)


def _about_rate(steps: int | None) -> list[str]:
    if steps is None:
        return [
            "The rate is constant because `steps` is not known: give it a schedule."
        ]
    return ["Warm-up for 2% of the steps, then a cosine to 0: safe everywhere."]


def _alternatives(facts: _Facts, task: Task | None) -> list[tuple[str, str]]:
    out = []
    if facts.matrices > 0.5 and task != "fine-tuning":
        share = f"{100 * facts.matrices:.0f}%"
        out.append(
            (
                repr(muon(0.02, matrices=HIDDEN)),
                f"{share} of the parameters are in hidden matrices; 1.2 to 1.3 times "
                "fewer tokens than AdamW at 0.3B to 0.5B (tables of Wen et al. 2025).",
            )
        )
    if task == "images":
        out.append(
            (
                repr(sgd(0.1, momentum=0.9, nesterov=True)),
                "a ConvNet and time to tune the rate.",
            )
        )
    out.append(("jopt.race", "measures all of them on your model at equal budgets."))
    return out
