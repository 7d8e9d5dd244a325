"""Muon and Newton-Schulz: against transcriptions, by shape, by leaf."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from jopt.matrix.newton_schulz import NS_COEFFICIENTS
from tests.references import modern
from tests.references.problem import relative_error, shapes, trajectory


@pytest.mark.parametrize("case", modern.MUON, ids=str)
def test_muon_equals_the_transcription(case):
    first, grads = shapes()
    ours, _ = trajectory(jopt.muon(**case.arguments), first, grads)
    settings = dict(case.settings)
    if isinstance(settings.get("triples"), str):
        settings["triples"] = jopt.ns_coefficients(settings["triples"])
    theirs = modern.muon(first, grads, **settings)
    assert relative_error(ours, theirs, first) < 1e-9


def test_bias_correction_gives_the_reading_of_optax():
    first, grads = shapes()
    first, *grads = ({"w": tree["square"]} for tree in [first, *grads])
    ours = jopt.muon(0.1, eps=1e-30, bias_correction=True)
    theirs = optax.contrib.muon(0.1, eps=1e-30)
    paths = [trajectory(tx, first, grads, "standard")[0] for tx in (ours, theirs)]
    assert relative_error(*paths, first) < 1e-9


# Bounds of what comes out for singular values of 0.0125 to 0.42.
SPREAD = {
    "simple": (0.6, 1.21),
    "quintic5": (0.97, 1.04),
    "polar_express": (0.999, 1.001),
    "polar_express_safe": (0.85, 1.15),
    "deepseek_v4": (0.999, 1.001),
    "stable12": (0.999, 1.001),
}


@pytest.mark.parametrize("name", NS_COEFFICIENTS)
def test_singular_values_come_near_1(name):
    x = jnp.diag(jnp.geomspace(0.03, 1.0, 40))
    out = jnp.diagonal(jopt.orthogonalize(x, name))
    low, high = SPREAD[name]
    assert low < out.min() and out.max() < high


def test_orthogonalize_takes_out_the_scale():
    x = jnp.array([[1.0, 2.0], [0.0, 1.0]])
    o = jopt.orthogonalize(x)
    for factor in (1e-20, 1e25):
        assert np.allclose(jopt.orthogonalize(factor * x, eps=0.0), o, atol=1e-6)


def test_orthogonalize_of_complex_matrices_is_unitary():
    random = np.random.default_rng(0)
    x = random.standard_normal((3, 4)) + 1j * random.standard_normal((3, 4))
    o = jopt.orthogonalize(jnp.asarray(x, jnp.complex64), "polar_express")
    assert np.allclose(o @ o.conj().T, np.eye(3), atol=1e-3)


def test_zero_and_empty_matrices_stay():
    zero, empty = jnp.zeros((2, 3)), jnp.zeros((0, 3))
    out = jopt.orthogonalize_all([zero, empty], eps=0.0)
    assert jnp.array_equal(out[0], zero) and out[1].shape == (0, 3)


def test_stacked_matrices_come_out_as_alone():
    random = np.random.default_rng(0)
    arrays = [
        jnp.asarray(random.standard_normal(s), jnp.float32)
        for s in [(2, 3), (3, 2), (4, 2, 3), (3, 3)]
    ]
    together = jopt.orthogonalize_all(arrays)
    for x, o in zip(arrays, together, strict=True):
        assert np.allclose(jopt.orthogonalize(x), o, atol=1e-6)


def test_the_program_has_one_iteration_for_each_shape():
    def products(leaves):
        tx = jopt.scale_by_muon()
        params = [jnp.ones((3, 5)), jnp.ones((5, 3))] * leaves
        text = str(jax.make_jaxpr(tx.update)(params, tx.init(params)))
        return len(re.findall(r"dot_general", text))

    assert products(1) == products(20) == 15


def test_iterations_run_in_the_dtype_asked_for():
    x = jnp.ones((2, 3))
    text = str(jax.make_jaxpr(lambda x: jopt.orthogonalize(x, dtype="bfloat16"))(x))
    assert len(re.findall(r"bf16\[[^\]]*\] = dot_general", text)) == 15
    assert jopt.orthogonalize(x, dtype="bfloat16").dtype == jnp.float32


def test_steps_repeat_the_last_coefficients():
    triples = jopt.ns_coefficients("quintic5", 7)
    assert len(triples) == 7 and triples[4] == triples[5] == triples[6]


def test_unknown_coefficients_name_the_closest():
    with pytest.raises(ValueError, match=r"knows no set 'quintic'.*`quintic5`"):
        jopt.muon(0.1, "quintic")


@pytest.mark.parametrize("wrong", [(1.0, 2.0), 3.0, ((1.0, 2.0),), ()])
def test_malformed_coefficients_are_refused(wrong):
    with pytest.raises(TypeError, match="`ns_coeffs` must be one of"):
        jopt.muon(0.1, wrong)


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (2.5, TypeError)])
def test_malformed_steps_are_refused(wrong, error):
    with pytest.raises(error, match="`ns_steps` must be"):
        jopt.muon(0.1, ns_steps=wrong)


def chosen(arguments, params):
    state = jopt.muon(0.1, **arguments).init(params)
    matrix = state[0].inner_states["matrix"].inner_state[0].mu
    flags = jax.tree.map(
        lambda m: not isinstance(m, optax.MaskedNode),
        matrix,
        is_leaf=lambda m: isinstance(m, optax.MaskedNode),
    )
    paths = jax.tree_util.tree_flatten_with_path(flags)[0]
    return {
        jax.tree_util.keystr(p, simple=True, separator="/") for p, on in paths if on
    }


PARAMS = {
    "layers": [{"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}],
    "multi_head_attention": {"query": jnp.ones((2, 2))},
    "token_embedding": jnp.ones((4, 2)),
    "lm_head": {"kernel": jnp.ones((2, 4))},
    "conv": jnp.ones((3, 3, 1, 2)),
}
HIDDEN = {"layers/0/kernel", "multi_head_attention/query"}


def test_hidden_matrices_are_chosen_by_default():
    assert chosen({}, PARAMS) == HIDDEN


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("kernel$", {"layers/0/kernel", "lm_head/kernel"}),
        (lambda name, leaf: leaf.ndim == 4, {"conv"}),
        (jopt.where("lm_head"), {"lm_head/kernel"}),
    ],
)
def test_matrices_are_chosen_by_the_selector(selector, expected):
    assert chosen({"matrices": selector}, PARAMS) == expected


def test_a_vector_among_the_matrices_is_named():
    tx = jopt.muon(0.1, matrices="layers")
    with pytest.raises(ValueError, match=r"`layers/0/bias` has shape \(3,\)"):
        tx.init(PARAMS)


def test_describe_shows_which_leaf_goes_where():
    text = str(jopt.describe(jopt.muon(0.1), PARAMS))
    assert "matrix" in text and "adamw" in text


def test_other_leaves_take_steps_of_adamw():
    tx, adamw = jopt.muon(0.1), jopt.adamw(0.1, weight_decay=0.0)
    grads = jax.tree.map(jnp.cos, PARAMS)
    ours, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
    theirs, _ = adamw.update(grads, adamw.init(PARAMS), PARAMS)
    assert jnp.array_equal(ours["token_embedding"], theirs["token_embedding"])


def test_adamw_may_have_its_own_learning_rate():
    tx = jopt.muon(0.1, adam_learning_rate=0.5)
    grads = {"w": jnp.eye(2), "b": jnp.ones(2)}
    updates, _ = tx.update(grads, tx.init(grads), grads)
    assert np.allclose(updates["b"], -0.5)


@pytest.mark.parametrize(
    ("rule", "wide", "tall"),
    [
        ("original", 1.5, 1.0),
        ("match_rms", 0.2 * 3.0, 0.2 * 3.0),
        ("spectral", 1.5, 2.0 / 3.0),
    ],
)
def test_scale_rules_see_in_and_out_axes(rule, wide, tall):
    tx = jopt.scale_by_muon("polar_express", beta=0.0, scale=rule)
    g = {"wide": jnp.eye(4, 9), "tall": jnp.eye(9, 4)}
    updates, _ = tx.update(g, tx.init(g))
    assert np.allclose(updates["wide"][0, 0], wide, rtol=1e-3)
    assert np.allclose(updates["tall"][0, 0], tall, rtol=1e-3)


def test_a_sweep_of_learning_rates_compiles_once():
    traces = 0

    @jax.jit
    def step(tx, g, state):
        nonlocal traces
        traces += 1
        return tx.update(g, state, g)

    g = {"w": jnp.eye(2), "b": jnp.ones(2)}
    for rate in (0.1, 0.2):
        tx = jopt.muon(rate)
        updates, _ = step(tx, g, tx.init(g))
    assert traces == 1 and np.allclose(updates["b"], -0.2)


def test_momentum_is_kept_in_the_dtype_asked_for():
    tx = jopt.muon(0.1, mu_dtype="bfloat16")
    g = {"w": jnp.eye(2)}
    _, state = tx.update(g, tx.init(g), g)
    assert optax.tree.get(state, "mu", filtering=_in_matrix)["w"].dtype == "bfloat16"


def _in_matrix(path, value):
    del value
    return any(getattr(key, "key", None) == "matrix" for key in path)


def test_mars_orthogonalises_the_corrected_leaves_of_rank_two_alone():
    p = {"cube": jnp.ones((2, 2, 3)), "w": jnp.ones((2, 3))}
    g = jax.tree.map(lambda x: jnp.arange(1.0, 1.0 + x.size).reshape(x.shape), p)
    tx = jopt.mars(1.0, variant="shampoo", eps=0.0)
    plain = jopt.mars(1.0, eps=0.0)
    u, like_adam = (t.update(g, t.init(p), p)[0] for t in (tx, plain))
    np.testing.assert_array_equal(u["cube"], like_adam["cube"])
    values = np.linalg.svd(u["w"], compute_uv=False) / np.sqrt(3 / 2)
    assert ((values > 0.4) & (values < 1.3)).all()


def test_muonh_holds_the_norm_of_each_matrix_of_a_stack():
    p = {"w": jax.random.normal(jax.random.key(0), (2, 3, 4))}
    g = {"w": jax.random.normal(jax.random.key(1), (2, 3, 4))}
    tx = jopt.muonh(0.3, matrices=".")
    u, _ = tx.update(g, tx.init(p), p)
    before, after = (np.linalg.norm(x, axis=(1, 2)) for x in (p["w"], p["w"] + u["w"]))
    np.testing.assert_allclose(after, before, rtol=1e-5)
