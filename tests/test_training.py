"""The training loop: it stops, resumes and reports by itself."""

import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt
from jopt._core.warn import JoptWarning
from jopt.experiments.training import minibatches, train

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((96, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5], np.float32))[:, None]
BATCHES = minibatches((X, Y), 16, seed=1)
EVERYTHING = jopt.chain(
    jopt.clip_by_global_norm(1.0),
    jopt.add_noise(0.01, 0.55, key=3),
    jopt.adamw(jopt.warmup_cosine_decay_schedule(0.0, 0.1, 5, 60), weight_decay=0.01),
    jopt.reduce_on_plateau(patience=5),
    jopt.ema_params(0.9),
)


def first():
    return {"w": jnp.zeros((3, 1)), "b": jnp.zeros(1)}


def loss(params, batch):
    x, y = batch
    return jnp.mean((x @ params["w"] + params["b"][None] - y) ** 2)


def score(params):
    return loss(params, (X, Y))


def bits(tree):
    def raw(x):
        key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if key else x).tobytes()

    return [raw(x) for x in jax.tree.leaves(tree)]


def same(a, b):
    return (
        bits(a.params) == bits(b.params)
        and bits(a.state) == bits(b.state)
        and a.log == b.log
        and (a.best, a.best_step) == (b.best, b.best_step)
    )


@pytest.fixture(scope="module")
def whole():
    return train(loss, first(), EVERYTHING, BATCHES, 60, evaluate=score, eval_every=9)


def test_it_learns(whole):
    assert score(whole.params) < 0.01 * score(first())
    assert (whole.step, whole.stopped) == (60, "steps")


def test_it_is_a_plain_loop():
    tx, params = jopt.adam(0.1), first()
    found = train(loss, params, tx, BATCHES, 20, guard=False)
    step = jopt.make_step(loss, tx)
    params, state = first(), tx.init(first())
    for number in range(20):
        params, state, _ = step(params, state, BATCHES(number))
    for a, b in zip(
        jax.tree.leaves(found.params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_the_first_parameters_stay_as_they_are():
    params = first()
    train(loss, params, jopt.sgd(0.1), BATCHES, 2)
    assert not params["w"].any()


@pytest.mark.parametrize("cut", [1, 7, 20, 59])
def test_a_run_that_is_cut_ends_as_one_that_is_not(tmp_path, whole, cut):
    def go(steps, **more):
        return train(
            loss,
            first(),
            EVERYTHING,
            BATCHES,
            steps,
            evaluate=score,
            eval_every=9,
            out=tmp_path,
            **more,
        )

    class Cut(Exception):
        pass

    def until(number):
        if number == cut:
            raise Cut
        return BATCHES(number)

    with pytest.raises(Cut):
        train(
            loss,
            first(),
            EVERYTHING,
            until,
            60,
            evaluate=score,
            eval_every=9,
            out=tmp_path,
            save_every=3,
        )
    assert same(go(60, resume=True), whole)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == whole.log


@pytest.mark.parametrize("where", ["batch", "loss", "evaluate", "save"])
def test_a_request_to_end_is_met_after_the_work_under_way(tmp_path, whole, where):
    sent = []

    def ask(*place):
        if place == (where,) and not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)  # a second one does no harm

    def batches(step):
        ask(*(["batch"] if step == 7 else []))
        return BATCHES(step)

    def asking_loss(params, batch):
        ask("loss")  # while it compiles
        return loss(params, batch)

    def evaluate(params):
        ask("evaluate")
        return score(params)

    def go(loss_fn, **more):
        return train(
            loss_fn,
            first(),
            EVERYTHING,
            batches,
            60,
            evaluate=evaluate,
            eval_every=9,
            save_every=4,
            out=tmp_path,
            **more,
        )

    with pytest.MonkeyPatch.context() as patch:
        if where == "save":
            real = os.rename
            patch.setattr(os, "rename", lambda *names: (ask("save"), real(*names))[1])
        stopped = go(asking_loss)
    assert stopped.stopped == "signal"
    assert stopped.step == {"batch": 8, "loss": 1, "evaluate": 9, "save": 4}[where]
    after = go(loss, resume=True)
    assert same(after, whole)


SOAK = int(os.environ.get("JOPT_SOAK", "100000"))  # at night: 1000000
KILLS = int(os.environ.get("JOPT_KILLS", "20"))


@pytest.mark.slow  # at night: JOPT_KILLS=200
def test_a_run_killed_twenty_times_ends_as_one_that_never_was(tmp_path):
    def begin(folder):
        command = [sys.executable, "-m", "tests.training_run", str(tmp_path / folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    kills, acknowledged = 0, 0
    random = np.random.default_rng(0)
    while kills < KILLS:
        with begin("killed") as process:
            ready = process.stdout.readline()
            assert int(ready) >= acknowledged  # no step that was saved is lost
            time.sleep(random.uniform(0.0, 1.0))
            process.kill()
            steps = process.stdout.read().split()
        acknowledged = int(steps[-1]) if steps else int(ready)
        kills += process.returncode == -signal.SIGKILL
    for folder in ("killed", "whole"):
        with begin(folder) as process:
            process.stdout.read()
        assert process.returncode == 0
    assert not list((tmp_path / "killed" / "checkpoints").glob(".tmp*"))
    for name in ("end", "metrics.jsonl"):
        ends = [(tmp_path / run / name).read_bytes() for run in ("killed", "whole")]
        assert ends[0] == ends[1]


def test_handlers_of_signals_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    train(loss, first(), jopt.sgd(0.1), BATCHES, 1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_improvement_it_stops_with_the_best_parameters():
    values = iter([3.0, 2.0, 2.5, 2.0, 2.0, 1.0])
    seen = []

    def evaluate(params):
        seen.append(jax.device_get(params))
        return next(values)

    found = train(
        loss,
        first(),
        jopt.sgd(0.01),
        BATCHES,
        100,
        evaluate=evaluate,
        eval_every=2,
        patience=3,
    )
    assert (found.stopped, found.step, found.best, found.best_step) == (
        *("patience", 10),
        *(2.0, 4),
    )
    assert bits(found.params) == bits(seen[1])


def watched(values, **options):
    """A run that is evaluated after each step, with these values."""
    values = iter(values)
    return train(
        loss,
        first(),
        jopt.sgd(0.01),
        BATCHES,
        9,
        evaluate=lambda params: next(values),
        eval_every=1,
        patience=2,
        **options,
    )


def test_a_higher_value_may_be_the_better_one():
    found = watched([0.1, 0.5, 0.4, 0.5], higher_is_better=True)
    assert (found.best, found.step) == (0.5, 4)


def test_a_small_improvement_does_not_count():
    found = watched([1.0, 0.95, 0.91, 0.9], min_delta=0.1)
    assert (found.best, found.step) == (1.0, 3)


def test_the_average_is_what_is_evaluated():
    seen = []
    tx = jopt.chain(jopt.sgd(0.1), jopt.ema_params(0.5))
    found = train(
        loss,
        first(),
        tx,
        BATCHES,
        3,
        evaluate=lambda params: seen.append(jax.device_get(params)) or 0.0,
        averaged=True,
    )
    average = jopt.averaged_params(found.state, found.params)
    assert bits(seen[-1]) == bits(average)


@pytest.mark.parametrize(
    ("place", "says"),
    [("loss", "loss"), ("b", "gradient of params['b']"), ("update", "update, of")],
)
def test_the_first_bad_value_is_told_and_its_step_skipped(place, says):
    def bad_loss(params, batch):
        x, y, bad = batch
        value = loss(params, (x, y))
        if place == "loss":
            return value * jnp.where(bad, jnp.nan, 1.0)
        if place == "update":  # with a rate of 1e18
            return value * jnp.where(bad, 1e21, 1e-20)
        root = lambda b: jnp.sum(jnp.sqrt(0.0 * b))  # noqa: E731  # its slope is NaN
        return value + jax.lax.cond(bad, root, jnp.sum, 0.0 * params["b"])

    def batches(step):
        return (*BATCHES(step), np.bool_(step in (3, 4)))

    tx = jopt.sgd(1e18 if place == "update" else 0.1)
    found = train(bad_loss, first(), tx, batches, 8, log_every=4)
    events = [line for line in found.log if "not_finite" in line]
    assert [line["step"] for line in events] == [3, 4]
    assert says in events[0]["not_finite"]
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(found.params))
    assert int(found.state.total_notfinite) == 2


def test_too_many_bad_steps_end_the_run_and_are_in_the_log(tmp_path):
    def batches(step):
        return tuple(x * np.nan for x in BATCHES(step))

    with pytest.raises(FloatingPointError):
        train(loss, first(), jopt.sgd(0.1), batches, 40, out=tmp_path)
    told = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(told.splitlines()[0]) == {"step": 0, "not_finite": "loss"}


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    train(loss, first(), jopt.sgd(0.1), BATCHES, 2, out=tmp_path)
    with pytest.raises(
        ValueError, match=r"holds a run. Go on with it by `resume=True`"
    ):
        train(loss, first(), jopt.sgd(0.1), BATCHES, 2, out=tmp_path)


def test_a_broken_step_is_replaced_on_the_way(tmp_path):
    def go(steps):
        more = {"out": tmp_path, "save_every": 2, "resume": True}
        return train(loss, first(), jopt.sgd(0.1), BATCHES, steps, **more)

    go(4)
    step = tmp_path / "checkpoints" / "step-0000000004"
    (step / "manifest.json").unlink()
    with pytest.warns(JoptWarning, match="Going on from step 2"):
        go(6)
    assert (step / "manifest.json").exists()


def test_masks_by_name_are_guarded_too():
    tx = jopt.sgd(0.1, momentum=0.9, weight_decay=0.1, mask="w")
    assert jnp.isfinite(train(loss, first(), tx, BATCHES, 3).params["w"]).all()


def test_another_optimizer_does_not_go_on(tmp_path):
    train(loss, first(), jopt.sgd(0.1), BATCHES, 2, out=tmp_path)
    with pytest.raises(
        ValueError, match=r"had the optimizer(.|\n)*sgd\(learning_rate=0.1"
    ):
        train(loss, first(), jopt.sgd(0.2), BATCHES, 4, out=tmp_path, resume=True)


def test_a_finished_run_resumes_to_itself(tmp_path):
    one = train(loss, first(), jopt.sgd(0.1), BATCHES, 3, out=tmp_path)
    two = train(loss, first(), jopt.sgd(0.1), BATCHES, 3, out=tmp_path, resume=True)
    assert same(one, two)


def test_devices_share_a_batch_and_find_the_same():
    one = train(loss, first(), jopt.adam(0.1), BATCHES, 20)
    all_of_them = train(loss, first(), jopt.adam(0.1), BATCHES, 20, data_parallel=True)
    assert len(all_of_them.params["w"].sharding.device_set) == jax.device_count()
    np.testing.assert_allclose(
        [line["loss"] for line in one.log],
        [line["loss"] for line in all_of_them.log],
        rtol=1e-6,
    )


def test_a_run_of_eight_devices_goes_on_with_four(tmp_path, monkeypatch):
    def go(steps, **more):
        more |= {"data_parallel": True, "out": tmp_path}
        return train(loss, first(), jopt.adam(0.1), BATCHES, steps, **more)

    one = train(loss, first(), jopt.adam(0.1), BATCHES, 20)
    eight = go(10)
    devices = jax.local_devices()
    monkeypatch.setattr(jax, "local_devices", lambda: devices[: len(devices) // 2])
    four = go(20, resume=True)
    counts = [len(run.params["w"].sharding.device_set) for run in (eight, four)]
    assert counts == [len(devices), len(devices) // 2]
    np.testing.assert_allclose(one.params["w"], four.params["w"], rtol=1e-5)


@pytest.mark.parametrize("size", [np.nan, 1e25, 0.0])
def test_after_a_burst_of_bad_batches_it_goes_on_learning(size):
    def batches(step):
        x, y = BATCHES(step)
        return (x * np.float32(size), y) if 10 <= step < 14 else (x, y)

    found = train(loss, first(), jopt.adam(0.1), batches, 80)
    assert score(found.params) < 0.05 * score(first())


@pytest.mark.slow
def test_a_long_run_takes_no_more_memory_and_compiles_once():
    resource = pytest.importorskip("resource")
    sizes, traces = [], []

    def small(w, batch):
        traces.append(1)
        return jnp.sum((w - batch) ** 2)

    def note(step, scalars):
        if step >= SOAK // 4:
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    more = {"log_every": SOAK // 8, "loggers": [note]}
    train(small, jnp.zeros(4), jopt.adam(0.1), lambda _: np.ones(4, "f"), SOAK, **more)
    assert max(sizes) < 1.01 * sizes[0]
    assert len(traces) <= 2  # the loss, and its part in the functions of the update


def test_rows_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="15 rows"):
        train(
            loss,
            first(),
            jopt.sgd(0.1),
            minibatches((X, Y), 15),
            1,
            data_parallel=True,
        )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"eval_every": 0}, "`eval_every`"),
        ({"patience": 0, "evaluate": score}, "`patience`"),
        ({"patience": 2}, "needs `evaluate`"),
        ({"min_delta": -1.0}, "`min_delta`"),
        ({"resume": True}, "needs `out`"),
    ],
)
def test_wrong_arguments_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        train(loss, first(), jopt.sgd(0.1), BATCHES, 1, **changes)


def test_epochs_hold_each_row_once():
    rows = np.arange(12)
    batches = minibatches(rows, 4, seed=5)
    for epoch in range(3):
        seen = np.concatenate([batches(3 * epoch + i) for i in range(3)])
        assert sorted(seen) == list(rows)
    assert not np.array_equal(batches(0), batches(3))


@pytest.mark.parametrize("size", [0, 97])
def test_a_minibatch_is_not_larger_than_the_data(size):
    with pytest.raises(ValueError, match="`batch_size` must be from 1 to 96"):
        minibatches((X, Y), size)
