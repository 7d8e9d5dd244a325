"""A training run that is saved, restored, disturbed and retuned, beside its shadow."""

import functools as ft
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import initialize, invariant, rule, RuleBasedStateMachine

import jopt
from tests.shadow import Shadow

FIXED = {"b1": 0.9, "b2": 0.99, "eps": 1e-8, "weight_decay": 0.1}
RATE, MAX_NORM = 0.05, 4.0
START = {"b": np.array([0.5, -2.0, 1.0]), "w": np.array([[1.0, -0.25], [3.0, 0.75]])}

# On a grid, so that sums of micro-batches are exact in float32: a mean that comes out
# as 1e-9 instead of 0 is a full step of Adam.
entries = st.integers(-512, 512).map(lambda n: n / 64)
rates = st.sampled_from([0.2, 0.1, 0.01, 1e-3, 0.0])

traced: Counter[int] = Counter()


def gradient(numbers):
    b, w = np.array(numbers[:3]), np.array(numbers[3:]).reshape(2, 2)
    return {"b": b, "w": w}


gradients = st.lists(entries, min_size=7, max_size=7).map(gradient)


@ft.cache
def optimizer(every):
    inner = jopt.chain(jopt.clip_by_global_norm(MAX_NORM), jopt.adamw(RATE, **FIXED))
    guarded = jopt.apply_if_finite(jopt.accumulate(inner, every))
    return jopt.expose(guarded, "learning_rate")


@ft.partial(jax.jit, static_argnums=0)
def step(every, tx, g, state, p):
    traced[every] += 1
    u, state = tx.update(g, state, p)
    return jax.tree.map(lambda p, u: p + u, p, u), state


def to_bytes(tree):
    arrays = map(np.asarray, jax.tree.leaves(tree))
    return [(a.dtype.str, a.shape, a.tobytes()) for a in arrays]


def from_bytes(like, saved):
    leaves = [
        jnp.asarray(np.frombuffer(raw, dtype).reshape(shape))
        for dtype, shape, raw in saved
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


class Training(RuleBasedStateMachine):
    """A run of jopt and its shadow, which get the same gradients."""

    @initialize(every=st.sampled_from([1, 2, 3]))
    def begin(self, every):
        self.every, self.tx = every, optimizer(every)
        self.p = jax.tree.map(jnp.float32, START)
        self.state = self.tx.init(self.p)
        self.shadow = Shadow(
            START, every, learning_rate=RATE, max_norm=MAX_NORM, **FIXED
        )
        self.saved = None

    def feed(self, g):
        given = jax.tree.map(jnp.float32, g)
        self.p, self.state = step(self.every, self.tx, given, self.state, self.p)
        self.shadow.feed(g)

    @rule(g=gradients)
    def micro_batch(self, g):
        self.feed(g)

    @rule(batches=st.lists(gradients, min_size=3, max_size=3))
    def whole_step(self, batches):
        for g in batches[: self.every]:
            self.feed(g)

    @rule(g=gradients, at=st.integers(0, 2), bad=st.sampled_from([np.nan, np.inf]))
    def bad_micro_batch(self, g, at, bad):
        g["b"][at] = bad
        before = to_bytes((self.p, self.state.inner_state.inner_state))
        self.feed(g)
        assert to_bytes((self.p, self.state.inner_state.inner_state)) == before

    @rule()
    def save_and_restore(self):
        p, state = to_bytes(self.p), to_bytes(self.state)
        again = jopt.from_dict(jopt.to_dict(self.tx))
        assert again == self.tx
        self.tx, self.p = again, from_bytes(START, p)
        self.state = from_bytes(jax.eval_shape(again.init, self.p), state)

    @rule(rate=rates)
    def change_the_rate_in_the_state(self, rate):
        self.state = jopt.set_hyperparams(self.state, {"learning_rate": rate})
        self.shadow.learning_rate = rate

    @rule(decay=st.sampled_from([0.5, 0.01]))
    def change_the_decay_in_the_transform(self, decay):
        self.tx = jopt.set_hyperparams(self.tx, {"weight_decay": decay})
        self.shadow.weight_decay = decay

    @invariant()
    def parameters_are_those_of_the_shadow(self):
        size = max(np.abs(p).max() for p in self.shadow.params.values())
        bound = 16 * np.finfo(np.float32).eps * (size + self.shadow.way)
        for name, theirs in self.shadow.params.items():
            assert np.abs(np.asarray(self.p[name], float) - theirs).max() <= bound

    @invariant()
    def counts_are_those_of_the_shadow(self):
        guard = self.state.inner_state
        micro = guard.inner_state
        clip, (adam, *_) = micro.inner_state
        ours = guard.total_notfinite, micro.mini_step, micro.gradient_step
        assert tuple(map(int, ours)) == (
            self.shadow.skipped,
            self.shadow.waiting % self.every,
            self.shadow.steps,
        )
        assert int(clip.count) == int(adam.count) == self.shadow.steps

    @invariant()
    def nothing_is_compiled_anew(self):
        assert traced[self.every] <= 1


class LongTraining(Training):
    pass


Training.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=10, stateful_step_count=20
)
LongTraining.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=200, stateful_step_count=50
)
TestTraining = Training.TestCase
TestLongTraining = pytest.mark.slow(LongTraining.TestCase)
