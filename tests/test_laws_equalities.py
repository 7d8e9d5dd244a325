"""Law A11: where an option is off, an optimizer is the simpler one."""

import jax
import pytest

import jopt
from jopt.testing.compare import close
from jopt.testing.subject import Subject
from tests.case import FADING, RATE

SAME = {
    "sgd without momentum": (jopt.sgd(RATE, momentum=0.0), jopt.sgd(RATE)),
    "sgd without decay": (jopt.sgd(RATE, weight_decay=0.0), jopt.sgd(RATE)),
    "adamw without decay": (jopt.adamw(RATE, weight_decay=0.0), jopt.adam(RATE)),
    "nadamw without decay": (jopt.nadamw(RATE, weight_decay=0.0), jopt.nadam(RATE)),
    "adamaxw without decay": (jopt.adamaxw(RATE, weight_decay=0.0), jopt.adamax(RATE)),
    "lion without memory": (
        jopt.lion(RATE, b1=0.0, b2=0.0, weight_decay=0.0),
        jopt.sign_sgd(RATE),
    ),
    "signum without memory": (jopt.signum(RATE, beta=0.0), jopt.sign_sgd(RATE)),
    "adam without the first moment": (
        jopt.adam(RATE, b1=0.0, b2=0.9),
        jopt.rmsprop(RATE, decay=0.9, bias_correction=True, eps_in_sqrt=False),
    ),
    "lars without trust": (
        jopt.lars(RATE, trust_ratio_mask=False, weight_decay=0.0),
        jopt.sgd(RATE, momentum=0.9),
    ),
    "a trace without memory": (jopt.trace(0.0), jopt.identity()),
    "an average of one": (jopt.ema(0.0), jopt.identity()),
    "accumulation of one": (jopt.accumulate(jopt.adam(RATE), 1), jopt.adam(RATE)),
    "a mask of all": (jopt.masked(jopt.adam(RATE), "."), jopt.adam(RATE)),
    "a chain of one": (jopt.chain(jopt.adam(RATE)), jopt.adam(RATE)),
    "a chain of none": (jopt.chain(), jopt.identity()),
    "a schedule as a stage": (
        jopt.chain(jopt.scale_by_adam(), jopt.scale_by_schedule(-FADING)),
        jopt.adam(FADING),
    ),
    "a clip of the largest": (
        jopt.chain(jopt.clip(1e30), jopt.adam(RATE)),
        jopt.adam(RATE),
    ),
    "compensation where nothing is lost": (
        jopt.kahan(jopt.adam(RATE)),
        jopt.adam(RATE),
    ),
    "master weights where nothing is lost": (
        jopt.master_weights(jopt.adam(RATE)),
        jopt.adam(RATE),
    ),
}


@pytest.mark.parametrize("case", sorted(SAME))
def test_a_degenerate_case_is_the_simpler_optimizer(case):
    ours, theirs = (updates(tx) for tx in SAME[case])
    for t, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        close(a, b, f"step {t + 1}", 1e-6)


def test_the_first_step_of_amsgrad_is_that_of_adam():
    ours, theirs = updates(jopt.amsgrad(RATE)), updates(jopt.adam(RATE))
    close(ours[0], theirs[0], "the first step", 1e-6)


def updates(tx) -> list:
    """The updates of four steps; where the parameters move in other roundings."""
    subject = Subject(tx)
    return subject.run(subject.gradients(4)).updates


def test_other_optimizers_are_told_apart():
    a, b = updates(jopt.adam(RATE)), updates(jopt.adam(RATE, b1=0.5))
    assert jax.tree.structure(a) == jax.tree.structure(b)
    with pytest.raises(Exception, match="relative difference"):
        close(a[-1], b[-1], "the last step", 1e-6)
