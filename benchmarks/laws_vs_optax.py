"""The same laws on optax's optimizers and on jopt's, where jopt has the name.

Run `python -m benchmarks.laws_vs_optax`. It counts the laws that every optimizer can
obey: not those of properties, nor of what an optimizer declares. What does not apply
to a pair of functions, such as replacing its hyperparameters, counts for neither; to
refuse complex parameters by a TypeError is as good as to train them.
"""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import jopt
from benchmarks import _common as common
from jopt.testing import check_transform
from jopt.testing.law import chosen

PyTree = Any
RATE = {"learning_rate": 0.1}
MAIN = (
    *("adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw"),
    *("adamw", "adan", "amsgrad", "fromage", "lamb", "lars", "lbfgs", "lion", "nadam"),
    *("nadamw", "noisy_sgd", "novograd", "optimistic_adam", "optimistic_adam_v2"),
    *("optimistic_gradient_descent", "polyak_sgd", "radam", "rmsprop", "rprop", "sgd"),
    *("sign_sgd", "signum", "sm3", "yogi"),
)
CONTRIB = (
    *("acprop", "ademamix", "adopt", "cocob", "dadapt_adamw", "dog", "dowg", "galore"),
    *("madgrad", "momo", "momo_adam", "muon", "prodigy", "schedule_free_adamw"),
    *("schedule_free_sgd", "simplified_ademamix", "sophia"),
)
LEFT_OUT = "dpsgd, which takes the gradients of each example"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "galore": {**RATE, "rank": 2},
    "optimistic_adam": {**RATE},
    "polyak_sgd": {},
    "momo": {},
    "momo_adam": {},
    "dog": {},
    "dowg": {},
    "cocob": {},
    "dadapt_adamw": {},
    "prodigy": {},
}
VALUE = ("polyak_sgd", "momo", "momo_adam")
OBJECTIVE = ("lbfgs", "sophia")  # they call the loss themselves
DECLARED = ("A8", "A16")  # the place of the rate, and what the update needs
LAWS = [law.id for law in chosen(None) if not law.tag and law.id not in DECLARED]
LAWS.append("P9")


def bowl(p: PyTree) -> jax.Array:
    """A loss for those that ask for one."""
    squares = (jnp.sum(jnp.square(x)) for x in jax.tree.leaves(p))
    return sum(squares, jnp.zeros(()))


def given_objective(tx: Any) -> optax.GradientTransformationExtraArgs:
    """The transform with what a line search and a Hessian estimate ask for."""

    def update(updates, state, params=None, **extra):
        value = bowl(params)
        extra |= {"value": value, "grad": updates, "value_fn": bowl, "obj_fn": bowl}
        return tx.update(updates, state, params, **extra)

    return optax.GradientTransformationExtraArgs(tx.init, update)


def failures(build: Callable[..., Any], name: str) -> tuple[list[str], int]:
    """The laws that fail, and how many were tried."""
    needs = ["params", "value"] if name in VALUE else ["params"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tx = build(**ARGUMENTS.get(name, RATE))
        tx = given_objective(tx) if name in OBJECTIVE else tx
        report = check_transform(tx, needs=needs, laws=LAWS)
    tried = [v for v in report if v.verdict != "does not apply"]
    lost = [v for v in tried if v.verdict in ("FAILS", "lacks it")]
    refused = ("P9", "TypeError")
    return [
        v.law.id for v in lost if (v.law.id, v.witness.partition(":")[0]) != refused
    ], len(tried)


def cell(lost: list[str], tried: int) -> str:
    """The count as text, with the laws that fail."""
    which = f": {' '.join(lost)}" if lost else ""
    return f"{len(lost)} of {tried}{which}"


def measure() -> list[common.Row]:
    """One row for each optimizer of optax, and the totals."""
    totals = {"jopt": [0, 0], "optax": [0, 0], "both": [0, 0]}
    rows = []
    for name in (*MAIN, *CONTRIB):
        theirs = getattr(optax if name in MAIN else optax.contrib, name)
        ours = getattr(jopt, name, None)
        found = {"optax": failures(theirs, name)}
        if ours is not None:
            found["jopt"] = failures(ours, name)
            found["both"] = found["optax"]
        for whose, (lost, tried) in found.items():
            totals[whose][0] += len(lost)
            totals[whose][1] += tried
        cells = [cell(*found[w]) if w in found else "-" for w in ("jopt", "optax")]
        own = found.get("jopt")
        rows.append(common.Row(name, *cells, "0" if own else "", _ok(own)))
        print(f"{name:28}{cells[0]:24}{cells[1]}", flush=True)
    (lost, tried), (all_lost, all_tried), (same, of) = (
        totals[whose] for whose in ("jopt", "optax", "both")
    )
    return [
        *rows,
        common.Row("checks that fail: all", "", f"{all_lost} of {all_tried}"),
        common.Row(
            "checks that fail: of names that both have",
            f"{lost} of {tried}",
            f"{same} of {of}",
            "0",
            lost == 0,
        ),
    ]


def _ok(own: tuple[list[str], int] | None) -> bool | None:
    return None if own is None else not own[0]


if __name__ == "__main__":
    raise SystemExit(
        common.report(
            "The laws of jopt.testing that fail, on optimizers of optax and jopt "
            f"(without {LEFT_OUT}).",
            measure,
        )
    )
