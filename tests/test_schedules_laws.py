"""Laws of every schedule: a value, a pytree, finite, affine where it says so."""

import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt.schedules as js
from jopt import constant_schedule, join_schedules, shift_schedule
from jopt._core import registry
from tests import records

LAST = 2**31 - 1
CYCLE = {"init_value": 0.1, "peak_value": 0.9, "warmup_steps": 2, "decay_steps": 7}

MADE = {
    "linear_schedule": lambda: js.linear_schedule(0.9, 0.2, 5, 2),
    "polynomial_schedule": lambda: js.polynomial_schedule(0.9, 0.2, 0.5, 5, 2),
    "exponential_decay": lambda: js.exponential_decay(0.9, 3, 0.5, 1, False, 0.1),
    "step_decay": lambda: js.step_decay(0.9, 3, 0.5),
    "multistep_decay": lambda: js.multistep_decay(0.9, [2, 6], 0.5),
    "piecewise_constant_schedule": lambda: js.piecewise_constant_schedule(
        0.9, {2: 0.5, 6: 0.0}
    ),
    "piecewise_interpolate_schedule": lambda: js.piecewise_interpolate_schedule(
        "cosine", 0.9, {2: 0.5, 6: 0.1}
    ),
    "interpolate_schedule": lambda: js.interpolate_schedule(
        [1, 4, 8], [0.2, 0.9, 0.4], "cosine"
    ),
    "cosine_decay_schedule": lambda: js.cosine_decay_schedule(0.9, 7, 0.1, 2.0),
    "cosine_restarts_schedule": lambda: js.cosine_restarts_schedule(
        0.9, 2, t_mul=3, m_mul=0.5, alpha=0.1
    ),
    "sgdr_schedule": lambda: js.sgdr_schedule([CYCLE, CYCLE]),
    "cosine_onecycle_schedule": lambda: js.cosine_onecycle_schedule(9, 0.9),
    "linear_onecycle_schedule": lambda: js.linear_onecycle_schedule(9, 0.9),
    "warmup": lambda: js.warmup(js.linear_schedule(0.9, 0.1, 3), 4, 0.2),
    "warmup_constant_schedule": lambda: js.warmup_constant_schedule(0.1, 0.9, 4),
    "warmup_cosine_decay_schedule": lambda: js.warmup_cosine_decay_schedule(
        0.1, 0.9, 3, 8, 0.2, 2.0
    ),
    "warmup_exponential_decay_schedule": lambda: js.warmup_exponential_decay_schedule(
        0.1, 0.9, 3, 2, 0.5
    ),
    "inverse_sqrt_schedule": lambda: js.inverse_sqrt_schedule(0.1, 0.9, 3),
    "wsd_schedule": lambda: js.wsd_schedule(0.1, 0.9, 2, 9, 4, 0.2, "1-sqrt"),
    "constant_schedule": lambda: constant_schedule(0.9),
    "join_schedules": lambda: join_schedules(
        [js.linear_schedule(0.9, 0.1, 3), 0.5], [3]
    ),
    "shift_schedule": lambda: shift_schedule(js.linear_schedule(0.9, 0.1, 3), 2),
}
MADE |= {
    f"{name} {i}": made.replace
    for name, all_made in records.collected("SCHEDULES", {}).items()
    for i, made in enumerate(all_made)
}
NAMESPACE = vars(js) | {made.name: made.build for made in registry.entries("schedule")}
schedules = pytest.mark.parametrize("name", MADE)


def test_every_schedule_is_listed():
    listed = set(MADE) | {"multiply_schedules", "sum_schedules", "from_callable"}
    listed |= {name.partition(" ")[0] for name in MADE}
    public = {name for name in vars(js) if callable(getattr(js, name))}
    assert public <= listed


@schedules
def test_result_has_shape_and_dtype_of_the_steps(name):
    made = MADE[name]()
    for shape in ((), (0,), (2, 3)):
        out = jax.eval_shape(made, jax.ShapeDtypeStruct(shape, jnp.int32))
        assert (out.shape, out.dtype, out.weak_type) == (shape, jnp.float32, False)


def test_steps_out_of_range_count_as_the_nearest():
    made = js.inverse_sqrt_schedule(0.1, 0.9, 300)
    assert made(-3) == made(0)
    assert made(jnp.asarray(-3)) == made(0)
    assert made(2**40) == made(LAST)
    assert made(jnp.asarray(2**32 - 1, jnp.uint32)) == made(LAST)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint32"])
def test_any_integer_dtype_counts(dtype):
    made = js.step_decay(0.9, 300).shift(5)
    assert made(np.asarray(9, dtype)) == made(9)
    assert jax.jit(made)(jnp.asarray(9, dtype)) == made(9)


@schedules
def test_value_semantics(name):
    made = MADE[name]()
    assert made == MADE[name]() and hash(made) == hash(MADE[name]())
    assert pickle.loads(pickle.dumps(made)) == made
    leaves, structure = jax.tree.flatten(made)
    assert jax.tree.unflatten(structure, leaves) == made
    assert made != jax.tree.map(lambda leaf: leaf / 2, made)


@schedules
def test_prints_as_a_call_that_builds_it(name):
    made = MADE[name]()
    assert _call(repr(made)) == made


def _call(text):
    """The value of a printed call, read without `eval`."""
    import ast

    def read(node):
        if isinstance(node, ast.Call):
            keywords = {k.arg: read(k.value) for k in node.keywords}
            return NAMESPACE[node.func.id](*map(read, node.args), **keywords)
        if isinstance(node, ast.Tuple):
            return tuple(map(read, node.elts))
        if isinstance(node, ast.Dict):
            return dict(zip(map(read, node.keys), map(read, node.values), strict=True))
        return ast.literal_eval(node)

    return read(ast.parse(text, mode="eval").body)


@schedules
def test_gradient_is_that_of_differences(name):
    with jax.enable_x64(True):
        made = jax.tree.map(jnp.asarray, MADE[name]())
        steps = jnp.array([1, 3, 5])

        @jax.jit
        def total(made):
            return made(steps).sum()

        gradient = jax.jit(jax.grad(total))(made)
        leaves, structure = jax.tree.flatten(made)
        for i, slope in enumerate(jax.tree.leaves(gradient)):
            low, high = list(leaves), list(leaves)
            low[i], high[i] = leaves[i] - 1e-6, leaves[i] + 1e-6
            rise = total(structure.unflatten(high)) - total(structure.unflatten(low))
            np.testing.assert_allclose(slope, rise / 2e-6, rtol=1e-6, atol=1e-8)


@schedules
def test_gradient_is_finite_at_the_edges(name):
    made = jax.tree.map(jnp.asarray, MADE[name]())
    slopes = jax.jit(jax.vmap(jax.grad(lambda made, step: made(step)), (None, 0)))
    gradient = slopes(made, jnp.array([0, 2, 3, 8, 9, 100]))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


AFFINE = [name for name in MADE if MADE[name]().spec.is_affine]


@pytest.mark.parametrize("name", AFFINE)
def test_affine_schedules_are(name):
    """One minus the values gives one minus the schedule."""
    with jax.enable_x64(True):
        made = MADE[name]()
        steps = np.arange(14)
        complement = made.complement()
        assert complement.spec.factory is made.spec.factory
        both = jax.jit(lambda: (complement(steps), 1 - made(steps)))()
        np.testing.assert_allclose(*both, rtol=1e-14)


@pytest.mark.parametrize("name", sorted(set(MADE) - set(AFFINE)))
def test_the_others_have_a_complement_too(name):
    made = MADE[name]()
    steps = np.arange(14)
    both = jax.jit(lambda: (made.complement()(steps), 1 - made(steps)))()
    np.testing.assert_allclose(*both, rtol=1e-6)


def test_which_schedules_are_affine():
    assert {MADE[name]().spec.name for name in AFFINE} == {
        "constant_schedule",
        "cooldown",
        "cyclic_schedule",
        "epoch_schedule",
        "interpolate_schedule",
        "join_schedules",  # as is what `sgdr_schedule` makes
        "linear_schedule",
        "onecycle_schedule",
        "polynomial_schedule",
        "rex_schedule",
        "shift_schedule",
        "warmup",
        "warmup_constant_schedule",
        "warmup_cosine_decay_schedule",
        "wsd_schedule",
    }


def test_curves_of_constant_factors_are_not_affine():
    assert not js.wsd_schedule(0.0, 1.0, 2, 9, 4, 0.1, "exponential").spec.is_affine
    assert not js.cooldown(0.5, 2, 4, 0.1, "exponential").spec.is_affine
    assert not js.warmup(0.5, 2, 0.1, "exponential").spec.is_affine


def test_complement_near_one_keeps_its_digits():
    decay = js.linear_schedule(1 - 1e-7, 1 - 1e-9, 10).complement()
    np.testing.assert_allclose(decay(np.array([0, 10])), [1e-7, 1e-9], rtol=1e-6)


@pytest.mark.parametrize("warmup_steps", range(5))
@pytest.mark.parametrize("total", range(5))
def test_short_schedules_are_right_or_refused(warmup_steps, total):
    builds = [
        lambda: js.warmup_cosine_decay_schedule(0.5, 1.0, warmup_steps, total),
        *(
            lambda c=c, k=k: js.wsd_schedule(
                0.5, 1.0, warmup_steps, total, c, cooldown=k
            )
            for c, k in itertools.product(range(3), ("linear", "cosine", "1-sqrt"))
        ),
    ]
    for build in builds:
        if total == 0 or warmup_steps >= total:
            with pytest.raises(ValueError, match=r"`(warmup|decay|total)_steps`"):
                build()
            continue
        try:
            made = build()
        except ValueError as error:
            assert "`cooldown_steps`" in str(error)
            continue
        values = made(np.arange(5))
        assert np.isfinite(values).all()
        assert values[warmup_steps] == 1.0


@pytest.mark.parametrize("total", range(1, 5))
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99])
def test_short_cycles_are_finite(total, share):
    for made in (
        js.cosine_onecycle_schedule(total, 1.0, share),
        js.linear_onecycle_schedule(total, 1.0, share, max(share, 0.85)),
        js.cosine_restarts_schedule(1.0, total, total),
    ):
        assert np.isfinite(jax.jit(made)(np.arange(8))).all()


def test_optax_adam_takes_it():
    made = js.warmup_cosine_decay_schedule(0.1, 0.9, 3, 8)
    params = jnp.ones(2)
    with jax.numpy_dtype_promotion("standard"):
        ours, fixed = optax.adam(made), optax.adam(0.1)
        u, _ = ours.update(params, ours.init(params), params)
        v, _ = fixed.update(params, fixed.init(params), params)
    np.testing.assert_allclose(u, v, rtol=1e-6)


def test_optax_inject_hyperparams_takes_it():
    made = js.warmup_cosine_decay_schedule(0.1, 0.9, 3, 8)
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=made)
    state = tx.init(jnp.ones(2))
    for step in range(2):
        updates, state = tx.update(jnp.ones(2), state)
        np.testing.assert_allclose(updates, -made(step), rtol=1e-6)


def test_schedules_of_optax_join_ours():
    theirs = optax.linear_schedule(0.5, 0.25, 4)
    joined = js.warmup(theirs, 2).then(js.step_decay(0.125, 2), at=4)
    expected = [0.0, 0.25, 0.5, 0.4375, 0.125]
    assert joined(np.arange(5)).tolist() == expected


def test_they_draw_themselves():
    for name in ("linear_schedule", "join_schedules", "multistep_decay"):
        picture = MADE[name]()._repr_svg_()
        assert picture.startswith("<svg") and "nan" not in picture


def test_drawing_reaches_the_end_and_the_peak():
    picture = js.warmup(js.linear_schedule(0.7, 0.0, 4000), 1001)._repr_svg_()
    assert ">0.7<" in picture and ">5502 steps<" in picture


def test_a_population_does_not_draw():
    assert js.linear_schedule(jnp.ones(3), 0.0, 4)._repr_svg_() is None


def test_plot_draws_on_given_axes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert js.step_decay(1.0, 10).plot(ax=ax) is ax
    assert ax.get_lines()[0].get_xdata()[-1] == 55
