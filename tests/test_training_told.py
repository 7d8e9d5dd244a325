"""What the loop tells on its way: scalars, sizes of updates; and loss scaling."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt
from jopt.experiments.training import Asked, train
from tests.test_training import BATCHES, bits, first, loss, score


def test_loggers_get_what_is_in_the_log():
    told = []
    found = train(
        *(loss, first(), jopt.sgd(0.1), BATCHES, 20),
        evaluate=score,
        eval_every=10,
        loggers=[lambda step, scalars: told.append({"step": step, **scalars})],
    )
    assert told == found.log


def test_ratios_are_those_of_the_steps_that_are_logged():
    def go(steps, **more):
        return train(loss, first(), jopt.adam(0.1), BATCHES, steps, **more)

    found = go(20, ratios=True)
    line = found.log[0]
    before, after = go(9).params, go(10).params
    wanted = jax.tree.map(
        lambda a, b: jnp.linalg.norm(b - a) / jnp.linalg.norm(a), before, after
    )
    assert line["step"] == 10
    assert list(line["ratios"]) == ["['b']", "['w']"]
    np.testing.assert_allclose(
        list(line["ratios"].values()), jax.tree.leaves(wanted), rtol=2e-3
    )


def test_ratios_change_no_step():
    a, b = (train(loss, first(), jopt.adam(0.1), BATCHES, 12, ratios=r) for r in (0, 1))
    assert bits(a.params) == bits(b.params)


def test_a_scale_of_the_loss_is_put_on_and_adapts():
    tx = jopt.dynamic_loss_scale(jopt.sgd(0.1), 2.0**15, growth_interval=8)
    plain = train(loss, first(), jopt.sgd(0.1), BATCHES, 20, guard=False)
    scaled = train(loss, first(), tx, BATCHES, 20)
    assert [line["loss"] for line in scaled.log] == pytest.approx(
        [line["loss"] for line in plain.log], rel=1e-6
    )
    assert float(scaled.state.scale) == 2.0**17


def test_a_scale_that_is_too_large_comes_down():
    def steep(params, batch):
        return 1e33 * loss(params, batch)

    tx = jopt.dynamic_loss_scale(jopt.sgd(1e-34), 2.0**24)
    found = train(steep, first(), tx, BATCHES, 30)
    assert float(found.state.scale) < 2.0**24
    assert 0 < int(found.state.total_notfinite) < 20
    assert found.log[-1]["loss"] < 0.5 * steep(first(), BATCHES(0))


def test_a_signal_to_the_outer_ends_the_inner():
    with Asked(signal.SIGTERM, signal.SIGINT) as outer:
        signal.raise_signal(signal.SIGTERM)
        found = train(loss, first(), jopt.sgd(0.1), BATCHES, 5)
    assert (outer.number, found.stopped, found.step) == (signal.SIGTERM, "signal", 0)


def test_a_second_interrupt_is_not_held_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Asked(signal.SIGINT) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.to_end
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
