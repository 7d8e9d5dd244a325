"""Every law fails where it is broken: one breach for each, and each tag both ways."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt.testing import check_schedule, check_transform, LAWS
from jopt.testing.check import known_tags

RAISE = ("P2", "P7", "P11")  # laws whose breach is an error


@pytest.fixture(autouse=True)
def standard_promotion():
    """As users have it; optax relies on it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def stage(update, init=lambda p: ()):
    """A transform from the update of a tree, which may look at its state."""

    def run(u, state, params=None, **extra):
        return update(u, state, params)

    return optax.GradientTransformationExtraArgs(init, run)


def each(fn):
    """A stateless transform from a function of one leaf."""
    return stage(lambda u, state, p: (jax.tree.map(fn, u), state))


def counted(fn, dtype=jnp.int32):
    """A transform from a function of one leaf and the number of the step."""

    def update(u, state, p):
        return jax.tree.map(lambda x: fn(x, state), u), state + jnp.ones((), dtype)

    return stage(update, lambda p: jnp.zeros((), dtype))


class Calls:
    """A counter outside the state, where it should not be."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x * -float(self.calls)


def strengthened(u, state, p):
    return u, state + jnp.ones((), jnp.float32)


def weak(p):
    return jnp.asarray(0.0)


def one_each(p):
    """State for every leaf, hidden ones too."""
    hidden = lambda node: isinstance(node, optax.MaskedNode)  # noqa: E731
    return jnp.zeros(len(jax.tree.leaves(p, is_leaf=hidden)))


def narrow(u, state, p):
    return jax.tree.map(lambda x: x.astype(jnp.float16), u), state


def mean_of_first(u, state, p):
    first = jnp.mean(jax.tree.leaves(u)[0])
    return jax.tree.map(lambda x: x + first.astype(x.dtype), u), state


def no_extras(u, state, params=None):
    return u, state


def needs_silently(u, state, p):
    return jax.tree.map(lambda x, y: x + 0 * y, u, p), state


def forgets_masks(u, state, p):
    return {name: leaf for name, leaf in u.items() if name == "w"} | {
        name: leaf * len(u) for name, leaf in u.items() if name != "w"
    }, state


@jopt.transform
def squared_rate(learning_rate: jopt.Scalar = 0.1):
    """A stage whose rate enters squared, and is rounded when it is a schedule."""

    def update(u, state, params=None, **extra):
        factor = learning_rate * learning_rate
        if not isinstance(learning_rate, float):
            factor = 1.001 * factor
        return jax.tree.map(lambda x: -factor * x, u), state

    return jopt.Pair(lambda params: (), update)


@jopt.transform
def rounded_decay(b: jopt.DecayRate = 0.9):
    """The textbook's bias correction, from the rate and not its complement."""

    def init(params):
        return jnp.zeros((), jnp.int32)

    def update(u, count, params=None, **extra):
        count = jnp.asarray(optax.safe_increment(count))
        rate = jnp.asarray(b.value, jnp.result_type(float))
        share = (1 - rate) / (1 - rate ** count.astype(rate.dtype))
        return jax.tree.map(lambda x: share.astype(x.dtype) * x, u), count

    return jopt.Pair(init, update)


BREACHES = {
    "P1": stage(strengthened, weak),
    "P2": stage(lambda u, s, p: (u, s), lambda p: jax.tree.map(lambda x: x * 2, p)),
    "P3": stage(narrow),
    "P4": stage(strengthened, weak),
    "P5": each(lambda x: x if isinstance(x, jax.core.Tracer) else 2 * x),
    "P6": each(lambda x: x * (2.0 if "BatchTracer" in str(type(x)) else 1.0)),
    "P7": each(lambda x: x / jnp.max(x)),
    "P8": each(lambda x: x.astype(jnp.float32)),
    "P10": optax.adam(0.1),
    "P11": optax.GradientTransformation(lambda p: (), no_extras),
    "P12": optax.adam(0.1),
    "P13": stage(lambda u, s, p: (u, s), lambda p: p),
    "N1": optax.adam(0.1),
    "N2": stage(lambda u, s, p: (jax.tree.map(lambda x, y: x / y, u, p), s)),
    "N3": optax.adam(0.1),
    "N4": optax.adam(0.1),
    "N6": optax.adam(0.1, b2=1 - 1e-6),
    "N7": rounded_decay(),
    "N8": optax.adam(0.1),
    "N9": counted(lambda x, t: x / jnp.sqrt((t + 1).astype(x.dtype))),
    "N11": each(jnp.exp),
    "A3": stage(mean_of_first),
    "A8": squared_rate(),
    "A9": each(Calls()),
    "A10": squared_rate(),
    "A12": stage(forgets_masks),
    "A16": stage(needs_silently),
    "W1": each(Calls()),
    "W2": stage(lambda u, s, p: (u, s), one_each),
    "W4": each(Calls()),
    "W5": each(Calls()),
    "C2": each(Calls()),
    "C5": optax.trace(0.9),
}


@pytest.mark.parametrize("law", sorted(BREACHES))
def test_a_breach_is_found(law):
    report = check_transform(BREACHES[law], laws=[law], state_multiple=1.0)
    assert [v.law.id for v in report.failures] == [law]
    assert ("Error: " in report[law].witness) == (law in RAISE), report


HAVE = {
    "complex": (jopt.sgd(0.1), each(lambda x: x * x)),
    "compensated": (jopt.kahan(jopt.sgd(1e-3)), jopt.sgd(1e-3)),
    "descends": (jopt.sgd(0.1), jopt.scale(0.1)),
    "elementwise": (jopt.clip(1.0), jopt.clip_by_block_rms(3.5)),
    "global_scalar": (jopt.clip_by_global_norm(45.0), jopt.clip_by_block_rms(3.5)),
    "matrix": (jopt.centralize(), jopt.clip_by_block_rms(3.5)),
    "odd": (jopt.scale(0.1), each(jnp.abs)),
    "scale_invariant": (jopt.scale_by_sign(), jopt.scale(0.1)),
    "still": (jopt.scale(0.1), jopt.add_decayed_weights(0.1)),
    "stochastic": (jopt.add_noise(0.1, 0.5, key=0), jopt.scale(0.1)),
    "translation_invariant": (jopt.scale(0.1), jopt.add_decayed_weights(0.1)),
}


def law_of(tag):
    return next(law for law in LAWS.values() if law.tag.removeprefix("!") == tag)


@pytest.mark.parametrize("tag", sorted(HAVE))
def test_a_true_claim_holds(tag):
    tx, _ = HAVE[tag]
    report = check_transform(tx, laws=[law_of(tag).id], tags=[tag])
    assert not report.failures


@pytest.mark.parametrize("tag", sorted(HAVE))
def test_a_false_claim_is_found(tag):
    _, tx = HAVE[tag]
    report = check_transform(tx, laws=[law_of(tag).id], tags=[tag])
    assert len(report.failures) == 1


@pytest.mark.parametrize("tag", sorted(set(HAVE) - {"compensated"}))
def test_a_missing_claim_is_found(tag):
    tx, _ = HAVE[tag]
    report = check_transform(tx, laws=[law_of(tag).id], tags=[])
    assert len(report.failures) == 1


def test_every_tag_is_tried_both_ways():
    assert set(known_tags()) - set(HAVE) == {"matrix_only"}


def test_every_law_has_a_witness():
    laws = {law.id for law in LAWS.values() if law.kind == "transform" and not law.tag}
    devices = {law for law in laws if law[0] == "D"}  # see `tests/devices_breaches.py`
    assert laws - devices == set(BREACHES)


@pytest.mark.parametrize(
    "law, schedule",
    [
        ("S1", lambda step: 1.0 / (jnp.asarray(step, jnp.float32) - 7.0)),
        ("S2", lambda step: 0.5),
        ("S3", lambda step: jnp.float32(isinstance(step, jax.core.Tracer))),
        ("S5", lambda step: jnp.sin(jnp.asarray(step, jnp.result_type(float)))),
    ],
)
def test_a_breach_of_a_schedule_is_found(law, schedule):
    assert len(check_schedule(schedule, laws=[law]).failures) == 1


def test_what_is_not_tried_for_a_function_does_not_apply():
    report = check_schedule(optax.linear_schedule(1.0, 0.5, 10))
    assert {v.law.id for v in report if v.verdict == "does not apply"} == {
        "S4", "S7", "S8", "S9"
    }  # fmt: skip


def test_numbers_of_the_witnesses_are_not_lost():
    report = check_transform(BREACHES["N9"], laws=["N9"])
    assert "at count 2147483647" in report["N9"].witness
    assert np.isfinite(report["N9"].seconds)
