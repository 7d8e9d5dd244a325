"""The race in Python: own problems, the digits, and what goes wrong on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt.experiments import race, RaceInterrupted, terminal

TINY = {"rates": [0.01, 0.1], "seeds": 2, "steps": 10, "quiet": True}
GOAL = jnp.array([1.0, -2.0, 0.5])


def loss(w, batch):
    x, y = batch
    return jnp.mean((x @ w - y) ** 2)


@pytest.fixture(scope="module")
def rows():
    x = jax.random.normal(jax.random.key(0), (60, 3))
    return np.asarray(x), np.asarray(x @ GOAL)


def quadratic(rows, optimizers=("sgd", "adam"), **changes):
    settings = {**TINY, "optimizers": optimizers, "batch_size": 8, **changes}
    return race(loss, jnp.zeros(3), rows, **settings)


def test_curves_are_those_of_a_plain_loop(rows):
    held = (rows[0][:4], rows[1][:4])
    result = quadratic(rows, ["adam"], valid=held, test=held, points=10)
    params, tx = jnp.zeros(3), jopt.adam(0.1)
    state = tx.init(params)
    shuffled = np.random.default_rng(1)
    order = np.concatenate([shuffled.permutation(60)[:56] for _ in range(2)])
    scores = [float(loss(params, held))]
    for batch in order.reshape(-1, 8)[:10]:
        grads = jax.grad(loss)(params, (rows[0][batch], rows[1][batch]))
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        scores.append(float(loss(params, held)))
    np.testing.assert_allclose(result.entry("adam").valid[1, 1], scores, rtol=1e-5)


def test_own_arrays_find_the_better_rate(rows):
    result = quadratic(rows, ["sgd"], steps=40)
    best = result.best()
    assert (best.rate, best.chain) == (0.1, "sgd(learning_rate=0.1)")


def test_same_seed_gives_the_same_numbers(rows):
    first, second = quadratic(rows), quadratic(rows)
    for name in ("train", "valid", "test"):
        for a, b in zip(first.entries, second.entries, strict=True):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_another_seed_gives_other_numbers(rows):
    first, second = quadratic(rows), quadratic(rows, seed=5)
    assert (first.entries[0].train != second.entries[0].train).any()


def test_chunks_do_not_change_the_numbers(rows):
    whole, parts = quadratic(rows), quadratic(rows, batch=3)
    eps = float(np.finfo(np.float32).eps)
    for a, b in zip(whole.entries, parts.entries, strict=True):
        np.testing.assert_allclose(a.valid, b.valid, rtol=16 * eps)


def test_steps_need_not_be_a_multiple_of_points(rows):
    result = quadratic(rows, points=4)
    assert result.steps == (0, 2, 5, 8, 10)
    assert result.entries[0].valid.shape == (2, 2, 5)


def test_function_from_step_to_batch(rows):
    def batches(step):
        return tuple(a[step % 5 :][:8] for a in rows)

    result = race(loss, jnp.zeros(3), batches, optimizers=["sgd"], **TINY)
    assert result.entries[0].test.shape == (2, 2)


def test_iterable_of_batches(rows):
    batches = (tuple(a[i % 5 :][:8] for a in rows) for i in range(12))
    result = race(loss, jnp.zeros(3), batches, optimizers=["sgd"], **TINY)
    assert np.isfinite(result.entries[0].test).all()


def test_iterable_that_ends_early(rows):
    batches = [tuple(a[:8] for a in rows)] * 9
    with pytest.raises(ValueError, match="`batches` ended after 9; 10 steps"):
        race(loss, jnp.zeros(3), batches, optimizers=["sgd"], **TINY)


def test_init_function_gives_each_seed_its_own_start(rows):
    def init(key):
        return jax.random.normal(key, (3,))

    result = race(loss, init, rows, optimizers=["sgd"], batch_size=8, **TINY)
    starts = result.entries[0].valid[0, :, 0]
    assert starts[0] != starts[1]


def test_own_score_may_be_higher_is_better(rows):
    def closeness(w, batch):
        return -loss(w, batch)

    result = quadratic(rows, score_fn=closeness, higher_is_better=True, steps=40)
    assert result.metric == "closeness"
    assert result.best().rate == 0.1


def test_large_held_out_data_are_scored_in_blocks(rows):
    many = tuple(np.concatenate([a] * 40) for a in rows)
    result = quadratic(rows, ["sgd"], valid=many)
    expected = float(loss(jnp.zeros(3), many))
    assert result.entries[0].valid[0, 0, 0] == pytest.approx(expected, rel=1e-5)


def test_diverging_rate_is_marked_and_not_chosen(rows):
    result = quadratic(rows, ["sgd"], rates=[0.1, 1e30])
    row = result.best()
    assert (row.rate, row.diverged) == (0.1, 1)


def test_diverging_optimizer_scores_last(rows):
    optimizers = {"wild": lambda rate: optax.sgd(1e30 * rate), "calm": "sgd"}
    result = quadratic(rows, optimizers)
    assert [row.name for row in result.leaderboard()] == ["calm", "wild"]
    assert result.leaderboard()[1].rate is None


def test_optimizer_that_raises_does_not_stop_the_others(rows):
    def broken(rate):
        del rate
        return optax.GradientTransformation(lambda p: (), lambda g, s, p=None: 1 / 0)

    result = quadratic(rows, {"broken": broken, "calm": "sgd"})
    last = result.leaderboard()[1]
    assert last.error == "ZeroDivisionError: division by zero"
    assert "broken failed: ZeroDivisionError" in str(result)


def test_schedule_keeps_its_shape_and_the_rate_is_its_peak(rows):
    schedule = jopt.linear_schedule(0.2, 0.0, 10)
    result = quadratic(rows, {"ramp": jopt.sgd(schedule)}, rates=[0.2])
    same = quadratic(
        rows,
        {"ramp": lambda rate: optax.sgd(lambda s: rate * (1 - s / 10))},
        rates=[0.2],
    )
    np.testing.assert_allclose(result.entries[0].test, same.entries[0].test, rtol=1e-4)


def test_averaged_parameters_are_what_is_scored(rows):
    plain = quadratic(rows, ["sgd"], rates=[0.1])
    averaged = quadratic(rows, ["chain(sgd, ema_params(0.9))"], rates=[0.1])
    np.testing.assert_allclose(
        plain.entries[0].train, averaged.entries[0].train, rtol=1e-5
    )
    assert (plain.entries[0].test < averaged.entries[0].test).all()


def test_digits_race_learns():
    result = race(
        optimizers=["adamw"], rates=[3e-3], seeds=1, steps=60, points=2, quiet=True
    )
    row = result.best()
    assert row.test > 0.9
    assert row.state_bytes == pytest.approx(8.0, abs=0.01)


@pytest.mark.slow
def test_default_race_has_twelve_optimizers_and_no_failure():
    result = race(rates=2, seeds=2, steps=20, quiet=True)
    assert len(result.entries) == 12
    assert [entry.name for entry in result.entries if entry.error] == []


@pytest.mark.slow
def test_convnet_race_learns():
    result = race(
        model="convnet",
        optimizers=["adamw"],
        rates=[3e-3],
        seeds=1,
        steps=40,
        quiet=True,
    )
    assert result.best().test > 0.8


def test_interrupt_keeps_what_is_finished(rows, tmp_path, monkeypatch):
    class Impatient(terminal.View):
        def finished(self, entry, result):
            raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "view", lambda *_: Impatient(2, 0))
    with pytest.raises(RaceInterrupted, match="1 of 2 optimizers finished") as caught:
        quadratic(rows, out=tmp_path)
    assert [entry.name for entry in caught.value.result.entries] == ["sgd"]
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "report.html"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": 0}, "`rates` must be at least 1, got 0"),
        ({"rates": [0.1, -1.0]}, "`rates` must be positive and finite, got -1"),
        ({"rates": [0.1, 0.1]}, "`rates` holds a rate twice"),
        ({"rates": []}, "`rates` is empty"),
        ({"seeds": 0}, "`seeds` must be at least 1, got 0"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"batch": 0}, "`batch` must be at least 1"),
        ({"batch_size": 100}, "`batch_size` must be at most 48, the rows, got 100"),
        ({"target": float("nan")}, "`target` must be finite"),
        ({"optimizers": []}, "`optimizers` is empty"),
        ({"optimizers": "adamq"}, "Did you mean `adam`"),
        ({"optimizers": ["sgd", "sgd"]}, "holds `sgd` twice"),
        ({"optimizers": ["clip(1.0)"]}, "exactly one `learning_rate`.*it has none"),
        ({"optimizers": ["chain(sgd, adam)"]}, "these: sgd.learning_rate, adam"),
        ({"resume": True}, "`resume` needs `out`"),
    ],
)
def test_wrong_value(rows, changes, message):
    with pytest.raises(ValueError, match=message):
        quadratic(rows, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1.5}, "`seeds` must be a whole number, got 1.5"),
        ({"rates": "0.1"}, "`rates` must be a whole number"),
        ({"optimizers": [optax.sgd(0.1)]}, "learning rate the race cannot set"),
        ({"optimizers": ["constant_schedule(0.1)"]}, "not an optimizer but a schedule"),
    ],
)
def test_wrong_kind(rows, changes, message):
    with pytest.raises(TypeError, match=message):
        quadratic(rows, **changes)


def test_loss_must_be_a_scalar(rows):
    with pytest.raises(TypeError, match="`loss_fn` must return one floating-point"):
        race(lambda w, b: b[0] @ w, jnp.zeros(3), rows, batch_size=8, **TINY)


def test_loss_that_fails_says_so(rows):
    with pytest.raises(ValueError, match="`loss_fn` fails on a batch"):
        race(loss, jnp.zeros(4), rows, batch_size=8, **TINY)


def test_half_a_problem_is_refused():
    with pytest.raises(ValueError, match="`loss_fn` is given, but `params` is not"):
        race(loss)


def test_rows_that_do_not_fit(rows):
    with pytest.raises(ValueError, match="`batches` must be arrays with a common"):
        race(loss, jnp.zeros(3), (rows[0], rows[1][:5]), **TINY)


@pytest.mark.parametrize(("name", "hint"), [("digit", "digits"), ("dgits", "digits")])
def test_unknown_task_has_a_hint(name, hint):
    with pytest.raises(ValueError, match=f"Did you mean `{hint}`"):
        race(task=name)
