"""Parameter-free optimizers and averages: guards, errors, and readings of optax."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

PARAMS = jnp.array([1.0, -2.0])
GRADS = [jnp.array([0.5, -3.0]), jnp.array([1.0, 2.0]), jnp.array([-0.3, 0.7])]


def run(tx, grads=GRADS, params=PARAMS, **extra):
    state = tx.init(params)
    for g in grads:
        updates, state = tx.update(g, state, params, **extra)
        params = params + updates
    return params, state


def test_dadapt_adamw_with_bias_correction_is_that_of_optax():
    ours, _ = run(jopt.dadapt_adamw(estim_lr0=0.01, use_bias_correction=True))
    theirs, _ = run(optax.contrib.dadapt_adamw(estim_lr0=0.01))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_dadapt_sgd_starts_at_the_first_gradient_that_is_not_zero():
    late, _ = run(jopt.dadapt_sgd(estim_lr0=0.1), [jnp.zeros(2), *GRADS])
    once, _ = run(jopt.dadapt_sgd(estim_lr0=0.1))
    np.testing.assert_array_equal(late, once)


@pytest.mark.parametrize("given", [("near", 0.1), ("distance", 0.0), "heuristic", 0.1])
def test_dog_refuses_other_first_steps(given):
    with pytest.raises(ValueError, match="`init_step` must be a pair"):
        jopt.dog(init_step=given)


def test_a_growing_bound_of_sps_survives_a_loss_at_its_least():
    tx = jopt.sps(1.0, growth_rate=2.0)
    state = tx.init(PARAMS)
    _, state = tx.update(GRADS[0], state, PARAMS, value=0.0)
    updates, _ = tx.update(GRADS[0], state, PARAMS, value=1.0)
    assert jnp.all(updates != 0)


@pytest.mark.parametrize("name", ["polyak_sgd", "sps", "momo", "momo_adam"])
def test_the_loss_is_asked_for(name):
    tx = getattr(jopt, name)()
    with pytest.raises(ValueError, match="value=loss"):
        tx.update(GRADS[0], tx.init(PARAMS), PARAMS)


def test_polyak_moves_by_a_gradient_that_optax_takes_for_zero():
    g = jnp.full(2, 1e-9)
    kept = {"value": jnp.float32(1e-12)}
    ours, _ = run(jopt.polyak_sgd(1e9), [g], jnp.zeros(2), **kept)
    theirs, _ = run(optax.polyak_sgd(1e9), [g], jnp.zeros(2), **kept)
    assert jnp.all(ours != 0) and jnp.all(theirs == 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: jopt.schedule_free(jopt.sgd(0.1), 0.1, b1=0.0),
        lambda: jopt.gpa(jopt.sgd(0.1), mu_y=0.0).init(PARAMS),
        lambda: jopt.schedule_free_radam(b1=0.0).init(PARAMS),
    ],
)
def test_an_average_that_could_not_be_found_is_refused(make):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), got 0.0"):
        tx = make()
        tx.init(PARAMS)


def test_schedule_free_around_sgd_is_schedule_free_sgd():
    ours, state = run(jopt.schedule_free(jopt.sgd(0.1), 0.1))
    ready, other = run(jopt.schedule_free_sgd(0.1))
    np.testing.assert_allclose(ours, ready, rtol=1e-6)
    np.testing.assert_allclose(
        jopt.averaged_params(state, ours), jopt.averaged_params(other, ready), rtol=1e-6
    )


# -- averages --------------------------------------------------------------------------


def walk(stage, steps):
    """The state after parameters of 1, 2, ..., and the last parameter."""
    tx = jopt.chain(jopt.sgd(1.0), stage)
    p = jnp.zeros(())
    state = tx.init(p)
    for _ in range(steps):
        updates, state = tx.update(-jnp.ones(()), state, p)
        p = p + updates
    return state, p


@pytest.mark.parametrize(
    ("stage", "steps", "expected"),
    [
        (jopt.swa_params(), 4, 2.5),
        (jopt.swa_params(2, period=2), 3, 3.0),  # none yet: the parameters themselves
        (jopt.swa_params(2, period=2), 7, 5.0),  # 4 and 6
        (jopt.lawa_params(2, period=3), 2, 2.0),
        (jopt.lawa_params(2, period=3), 5, 3.0),
        (jopt.lawa_params(2, period=3), 10, 7.5),  # 6 and 9
        (jopt.power_ema_params(0.0), 5, 3.0),
        (jopt.power_ema_params(1.0), 2, 1.75),  # 1/4 of 1 and 3/4 of 2
    ],
    ids=repr,
)
def test_averages_by_hand(stage, steps, expected):
    state, p = walk(stage, steps)
    np.testing.assert_allclose(jopt.averaged_params(state, p), expected, rtol=1e-6)


def test_a_share_of_the_average():
    state, p = walk(jopt.swa_params(), 3)
    assert jopt.averaged_params(state, p, share=0.25) == 2.75


def test_snapshots_that_are_not_taken_yet_are_left_out():
    state, p = walk(jopt.snapshot_params([2, 4, 9]), 5)
    assert [float(x) for x in jopt.snapshots(state, p)] == [2.0, 4.0]


def test_without_snapshots_the_error_says_what_to_add():
    with pytest.raises(KeyError, match="snapshot_params"):
        jopt.snapshots(jopt.sgd(0.1).init(PARAMS), PARAMS)


def test_recalibration_needs_a_batch():
    with pytest.raises(ValueError, match="at least one batch"):
        jopt.recalibrate_batch_stats(lambda p, x: x, 1.0, [])


def test_recalibration_keeps_dtypes_and_averages_in_float32():
    batches = [jnp.full(2, 1.0 + i / 128, jnp.bfloat16) for i in range(2)] * 100
    mean = jopt.recalibrate_batch_stats(lambda p, x: x * p, jnp.bfloat16(1), batches)
    assert mean.dtype == jnp.bfloat16
    # 1.0039 lies between these two
    assert float(mean[0]) in (1.0, 1.0078125)
