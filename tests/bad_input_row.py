"""What a row of the table of bad inputs is, and the page that shows the table."""

import dataclasses
import functools as ft
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jopt._core.warn import JoptWarning

W, B = np.ones((2, 3), np.float32), np.zeros(3, np.float32)
P = {"w": W, "b": B}

WHEN = {
    "construction": "Refused when the transform or schedule is built",
    "init": "Refused by `init`",
    "trace": "Refused by `update`, while it is traced: nothing is compiled",
    "warning": "Accepted with a warning (`jopt.JoptWarning`)",
    "accepted": "Accepted, and right",
    "elsewhere": "Not a matter of these pages",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One bad input, and what it gets.

    `call` raises, warns, or, where the input is accepted, returns whether the outcome
    is right. `says` is a pattern in the message, or else tells the outcome in words.
    """

    given: str
    when: str
    says: str
    call: Callable[[], Any] | None = None
    error: type[Exception] | None = None
    number: int | None = None  # in the list of disasters that jopt was designed by
    runs: bool = False  # a value must be computed before it can be seen to be wrong


def refused(
    when: str,
    number: int | None,
    given: str,
    error: type[Exception],
    says: str,
    call: Callable[[], Any],
    runs: bool = False,
) -> Row:
    return Row(given, when, says, call, error, number, runs)


def accepted(number: int | None, given: str, says: str, call: Callable[[], Any]) -> Row:
    return Row(given, "accepted", says, call, None, number)


def warned(number: int | None, given: str, says: str, call: Callable[[], Any]) -> Row:
    return Row(given, "warning", says, call, JoptWarning, number)


def elsewhere(number: int, given: str, says: str) -> Row:
    return Row(given, "elsewhere", says, None, None, number)


def trace(tx: Any, g: Any = P, p: Any = P, s: Any = None, **extra: Any) -> Any:
    """Trace `tx.update`; the state is, unless given, that of `P`. Nothing is run."""
    s = state(tx) if s is None else s

    def update(g, s, p):
        return tx.update(g, s, p, **extra)

    return jax.jit(update).lower(g, s, p)


@ft.cache
def state(tx: Any) -> Any:
    return state_for(tx, P)


def state_for(tx: Any, params: Any) -> Any:
    return jax.eval_shape(tx.init, params)


def step(tx: Any, g: Any = P, p: Any = P, **extra: Any) -> Any:
    """The update of one real step."""
    return tx.update(g, tx.init(p), p, **extra)[0]


def message(row: Row) -> str:
    """What the user reads."""
    if row.when in ("accepted", "elsewhere"):
        return row.says
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row.call()
        except row.error as error:
            return f"{type(error).__name__}: {error}"
    return str(caught[0].message)


HEAD = """# What bad input gets

Every row of this page is a test: `tests/bad_input_table.py` holds the data, and the
page is made from it. An error names the argument or the leaf, what was given, what is
allowed, and the cure. A wrong kind is a `TypeError`, a wrong value a `ValueError`.

Arguments are checked when a transform is built, trees when `init` and `update` are
traced. A compiled step holds no check, and nothing is compiled before an error, but for
a schedule whose value `init` computes. Numbers that are traced, such as a learning rate
that is an argument of a jitted function, have no value to check and pass.

"""

TAIL = """## What jopt does not warn of

- **Decayed norms and biases.** `adamw(rate, weight_decay=0.1)` decays all leaves, as
  optax and PyTorch do, so a warning would meet every correct program that comes from
  there. To leave them out, `mask=lambda name, leaf: leaf.ndim > 1`;
  `jopt.describe(tx, params)` shows how many leaves each stage touches.
- **One array at two leaves.** Arrays do not change, so two leaves that start as one
  array are two parameters and train apart. Tie them in the model instead: keep one leaf
  and use it twice. To donate the parameters, make each leaf an array of its own.
- **A NaN in a gradient.** It goes through, as in optax, unless you wrap the optimizer
  in `jopt.apply_if_finite`, which skips such a step and counts it.
- **A state that was donated to a jitted function.** When it is given to another one,
  JAX raises `Array has been deleted` before jopt sees it. Use the state that the step
  returned; see [donation](donation.md).
- **A gradient of a wrong shape, where neither parameters nor state tell.** `sgd(0.1)`
  keeps no state; give it `params` and the shapes are compared.
- **A schedule that turns NaN later.** The values at its ends, a constant, and that at
  step 0 are checked; others are stopped by `jopt.apply_if_finite` and seen in
  `jopt.hyperparams(tx, state)`.
- **Large 16-bit arrays.** Only leaves of up to 4096 entries are read to see whether
  steps are rounded away, and only where all entries are and the step is known: a
  learning rate of Adam, Lion and their kin. Use `jopt.master_weights` or `jopt.kahan`
  for 16-bit parameters whether or not it warns.

To turn a warning off: `warnings.filterwarnings("ignore", category=jopt.JoptWarning)`.
"""


def page(rows: Sequence[Row]) -> str:
    """The page of the docs, in Markdown."""
    parts = [HEAD]
    for when, title in WHEN.items():
        parts.append(f"## {title}\n\n| you give | you get |\n|---|---|\n")
        parts.extend(
            f"| {_cell(row.given)} | {_cell(message(row))} |\n"
            for row in rows
            if row.when == when
        )
        parts.append("\n")
    return "".join([*parts, TAIL])


def _cell(text: str) -> str:
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")
