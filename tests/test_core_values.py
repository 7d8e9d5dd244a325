"""Tests of what follows from an optimizer being a value: edit, store, migrate."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.zeros(2)}
GRADS = {"w": jnp.array([0.5, -1.0]), "b": jnp.ones(2)}
RAMP = jopt.linear_schedule(0.1, 0.0, 10)


def run(tx, steps=3, state=None):
    state = tx.init(PARAMS) if state is None else state
    for _ in range(steps):
        _, state = tx.update(GRADS, state, PARAMS)
    return state


# -- hyperparameters ---------------------------------------------------------------


def test_hyperparams_are_flat_and_dotted():
    tx = jopt.chain(jopt.clip(2.0), jopt.sgd(0.1), jopt.clip(3.0))
    shown = jopt.hyperparams(tx)
    assert shown["clip.max_delta"] == 2.0
    assert shown["clip_2.max_delta"] == 3.0
    assert shown["sgd.learning_rate"] == 0.1


def test_hyperparams_evaluate_schedules_at_the_state():
    tx = jopt.chain(jopt.clip(1.0), jopt.sgd(RAMP))
    assert jopt.hyperparams(tx)["sgd.learning_rate"] == RAMP
    rate = jopt.hyperparams(tx, run(tx, 3))["sgd.learning_rate"]
    assert float(rate) == pytest.approx(0.07)


def test_set_hyperparams_by_full_path_and_by_ending():
    tx = jopt.chain(jopt.clip(1.0), jopt.adam(0.1))
    by_path = jopt.set_hyperparams(tx, {"adam.b2": 0.5})
    assert by_path == jopt.set_hyperparams(tx, {"b2": 0.5})
    assert by_path == jopt.chain(jopt.clip(1.0), jopt.adam(0.1, b2=0.5))


def test_set_hyperparams_reaches_into_schedules_and_named_chains():
    tx = jopt.named_chain(("s", jopt.sgd(RAMP)))
    new = jopt.set_hyperparams(tx, {"s.learning_rate.init_value": 0.5})
    assert new == jopt.named_chain(("s", jopt.sgd(RAMP.replace(init_value=0.5))))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"b3": 0.1}, KeyError, "Did you mean `b"),
        ({"max_delta": 1.0}, ValueError, "ambiguous.*clip.max_delta or clip_2"),
        ({"b1": 2.0}, ValueError, "`b1` must lie in"),
    ],
)
def test_set_hyperparams_explains(values, error, message):
    tx = jopt.chain(jopt.clip(1.0), jopt.adam(0.1), jopt.clip(1.0))
    with pytest.raises(error, match=message):
        jopt.set_hyperparams(tx, values)


def test_stack_and_in_axes_make_a_population():
    txs = jopt.stack(jopt.adam(0.1), jopt.adam(0.2, b1=0.5))

    def step(tx):
        return tx.update(GRADS, tx.init(PARAMS))[0]["w"]

    out = jax.vmap(step)(txs)
    np.testing.assert_allclose(out[1], step(jopt.adam(0.2, b1=0.5)), rtol=3e-7)


def test_stack_refuses_other_structures():
    with pytest.raises(ValueError, match="values of their hyperparameters only"):
        jopt.stack(jopt.adam(0.1), jopt.sgd(0.1))


# -- expose ------------------------------------------------------------------------


def test_exposed_equals_the_plain_transform():
    plain, exposed = jopt.adam(0.1), jopt.expose(jopt.adam(0.1))
    s, t = plain.init(PARAMS), exposed.init(PARAMS)
    for _ in range(5):
        u, s = plain.update(GRADS, s, PARAMS)
        v, t = exposed.update(GRADS, t, PARAMS)
    np.testing.assert_allclose(u["w"], v["w"], rtol=3e-7)


def test_exposed_values_are_float32_in_the_state_of_half_precision_parameters():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    state = jopt.expose(jopt.adam(0.1), "learning_rate").init(params)
    assert state.hyperparams["learning_rate"].dtype == jnp.float32


def test_exposed_value_can_be_set_at_depth_without_retracing():
    tx = optax.chain(
        jopt.expose(jopt.chain(jopt.clip(1.0), jopt.sgd(0.1)), "sgd.learning_rate")
    )
    traces = []

    @jax.jit
    def update(state):
        traces.append(1)
        return tx.update(GRADS, state, PARAMS)[0]["b"][0]

    state = tx.init(PARAMS)
    assert float(update(state)) == pytest.approx(-0.1)
    state = jopt.set_hyperparams(state, {"learning_rate": 0.5})
    assert float(update(state)) == pytest.approx(-0.5)
    assert len(traces) == 1


def test_exposed_schedule_is_read_overridden_and_resumed():
    tx = jopt.expose(jopt.sgd(RAMP), "learning_rate")
    state = run(tx, 2)
    read = lambda s: float(jopt.hyperparams(tx, s)["learning_rate"])  # noqa: E731
    assert read(state) == pytest.approx(0.08)
    assert read(jopt.set_hyperparams(state, {"learning_rate": 0.7})) == pytest.approx(
        0.7
    )
    changed = jopt.set_hyperparams(state, {"learning_rate.init_value": 0.2})
    assert read(changed) == pytest.approx(0.16)
    back = jopt.set_hyperparams(changed, {"learning_rate": 0.7})
    back = jopt.set_hyperparams(back, {"learning_rate": None})
    assert read(back) == pytest.approx(0.16)


def test_setting_what_is_not_exposed_explains():
    state = jopt.expose(jopt.adam(0.1), "b1").init(PARAMS)
    with pytest.raises(KeyError, match=r"`b2` is not exposed\. Did you mean `b1`"):
        jopt.set_hyperparams(state, {"b2": 0.5})
    with pytest.raises(KeyError, match="keeps no hyperparameters"):
        jopt.set_hyperparams(jopt.adam(0.1).init(PARAMS), {"b2": 0.5})


# -- configs -----------------------------------------------------------------------

CONFIGS = [
    jopt.adam(1e-3, b2=1 - 1e-8),
    jopt.chain(jopt.clip(1.0), jopt.adamw(RAMP, mask=jopt.where("kernel$"))),
    jopt.named_chain(("z", jopt.clip(1.0)), ("a", jopt.sgd(0.1, momentum=0.9))),
    jopt.scale_by_adam(mu_dtype=jnp.bfloat16),
    jopt.adamw(1e-3, mask={"w": True, "b": False}),
    jopt.add_noise(0.1, 0.5, jax.random.key(3)),
    jopt.expose(jopt.sgd(0.1), "learning_rate"),
    jopt.sgd(2.0 * RAMP.then(0.1, at=5)),
]


@pytest.mark.parametrize("tx", CONFIGS, ids=repr)
def test_config_round_trip_through_json(tx):
    assert jopt.from_dict(json.loads(json.dumps(jopt.to_dict(tx)))) == tx


@pytest.mark.parametrize(
    ("tx", "path"),
    [
        (jopt.chain(optax.clip(1.0)), r"transforms\[0\]"),
        (jopt.adamw(0.1, mask=lambda p: jax.tree.map(lambda _: True, p)), "mask"),
        (jopt.sgd(optax.linear_schedule(1.0, 0.0, 9)), "learning_rate"),
    ],
)
def test_what_holds_a_function_cannot_be_written(tx, path):
    with pytest.raises(TypeError, match=path):
        jopt.to_dict(tx)


def nested(levels):
    out = {"name": "clip", "args": {"max_delta": 1.0}}
    for _ in range(levels):
        out = {"name": "chain", "args": {"transforms": {"tuple": [out]}}}
    return out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"jopt": 99}, "version 99"),
        ({"jopt": 1, "name": "os.system", "args": {}}, "nothing named 'os.system'"),
        ({"jopt": 1, "name": "adamm", "args": {}}, "Did you mean `adam"),
        ({"jopt": 1, "name": "sgd", "args": {}, "more": 1}, "keys `name` and `args`"),
        (
            {"jopt": 1, "name": "sgd", "args": {"learning_rate": {"code": "x"}}},
            "tag 'code'",
        ),
        ({"jopt": 1, **nested(100)}, "too large"),
    ],
)
def test_configs_are_refused_with_the_reason(data, message):
    with pytest.raises(ValueError, match=message):
        jopt.from_dict(data)


# -- describe, cite ------------------------------------------------------------------


def test_describe_counts_bytes_leaves_and_parameters():
    info = jopt.describe(jopt.chain(jopt.clip(1.0), jopt.adam(0.1)), PARAMS)
    adam = info.stages[1]
    assert adam.path == "adam.scale_by_adam"
    assert (adam.bytes, adam.leaves, adam.parameters) == (36, 2, 4)
    assert info.bytes == 36 == jopt.state_bytes(jopt.adam(0.1), PARAMS)


def test_describe_takes_shapes_and_prints():
    shapes = jax.eval_shape(lambda: PARAMS)
    text = str(jopt.describe(jopt.adamw(0.1), shapes))
    assert "scale_by_adam" in text and "state: 36 B" in text


def test_describe_tells_which_leaves_a_group_touches():
    tx = jopt.partition(
        {"m": jopt.sgd(0.1), "rest": jopt.adam(0.1)}, {"w": "m", "b": "rest"}
    )
    stages = {s.path: s for s in jopt.describe(tx, PARAMS).stages}
    seen = {s.group: s.names for s in stages.values() if s.group}
    assert seen == {"m": ("w",), "rest": ("b",)}


def test_describe_renders_html_and_dict():
    info = jopt.describe(jopt.adam(0.1), PARAMS)
    assert "<table" in info._repr_html_()
    assert json.dumps(info.to_dict())


def test_cite_names_the_papers_of_all_stages():
    text = jopt.cite(jopt.chain(jopt.clip(1.0), jopt.adamw(0.1)))
    assert "Decoupled Weight Decay" in text and "1412.6980" in text


# -- migrate -------------------------------------------------------------------------


def test_migrate_carries_moments_across_a_changed_chain():
    old, new = (
        jopt.adamw(1e-3),
        jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(RAMP)),
    )
    report = jopt.migrate(run(old), old, new, PARAMS)
    adam, before = report.state[1][0], run(old)[0]
    assert jax.tree.all(jax.tree.map(jnp.array_equal, adam, before))
    assert "scale_by_adam.mu[w]" in report.carried
    assert not report.dropped and report.created


def test_migrate_reports_what_it_drops():
    old, new = jopt.adam(1e-3), jopt.sgd(0.1)
    report = jopt.migrate(run(old), old, new, PARAMS)
    assert len(report.dropped) == 5 and not report.carried


@pytest.mark.parametrize("as_dicts", [True, False])
def test_migrate_reads_states_restored_as_lists_and_dicts(as_dicts):
    old = jopt.adam(1e-3)
    (adam, *rest) = run(old)
    plain = adam._asdict() if as_dicts else list(adam)
    report = jopt.migrate([plain, *([None] * len(rest))], old, old, PARAMS)
    assert jnp.array_equal(report.state[0].nu["w"], adam.nu["w"])


def test_migrate_renames_stages():
    old, new = jopt.scale_by_adam(), jopt.scale_by_amsgrad()
    report = jopt.migrate(
        run(old), old, new, PARAMS, rename={"scale_by_adam": "scale_by_amsgrad"}
    )
    assert jnp.array_equal(report.state.mu["w"], run(old).mu["w"])


def test_migrate_refuses_another_shape():
    old = jopt.adam(1e-3)
    with pytest.raises(ValueError, match="shape"):
        jopt.migrate(run(old), old, old, PARAMS | {"w": jnp.ones(5)})


# -- make_step -----------------------------------------------------------------------


def loss(params, target):
    return jnp.sum((params["w"] - target) ** 2) + jnp.sum(params["b"] ** 2)


def copy():
    return jax.tree.map(jnp.copy, PARAMS)


def test_make_step_trains_and_changes_rates_without_recompiling():
    tx = jopt.sgd(0.1)
    step = jopt.make_step(loss, tx)
    params, state, _ = step(copy(), tx.init(PARAMS), 1.0)
    step.set(learning_rate=0.0)
    still, _, _ = step(jax.tree.map(jnp.copy, params), state, 1.0)
    assert jnp.array_equal(still["w"], params["w"])
    assert step._step._cache_size() == 1


def test_make_step_returns_aux_and_passes_extra():
    tx = jopt.chain(jopt.reduce_on_plateau(), jopt.sgd(0.1))
    step = jopt.make_step(lambda p, t: (loss(p, t), {"seen": t}), tx, has_aux=True)
    *_, value, aux = step(copy(), tx.init(PARAMS), 1.0)
    assert float(aux["seen"]) == 1.0 and jnp.isfinite(value)


def test_make_step_donates_in_place():
    tx = jopt.adamw(0.1)
    compiled = jopt.make_step(loss, tx).lower(copy(), tx.init(PARAMS), 1.0).compile()
    assert "input_output_alias" in compiled.as_text()


def test_make_step_takes_optax():
    tx = optax.adam(0.1)
    with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic needs it
        *_, value = jopt.make_step(loss, tx)(copy(), tx.init(PARAMS), 1.0)
    assert jnp.isfinite(value)
