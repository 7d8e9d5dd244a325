"""K-FAC: factors and directions against exact Fisher matrices."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

nn = pytest.importorskip("flax.linen")

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((6, 4))


def outputs_of(model, x):
    return lambda params: model.apply({"params": params}, x)


def started(model, x):
    return model.init(jax.random.key(1), x)["params"]


class Net(nn.Module):
    """A convolution, a dense layer that is called twice, and a head."""

    padding: str = "SAME"

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(3, (2, 2), strides=2, padding=self.padding, name="conv")(x)
        x = nn.tanh(x).reshape(len(x), -1, 3)
        again = nn.Dense(3, use_bias=False, name="again")
        x = nn.LayerNorm(name="norm")(again(nn.tanh(again(x))))
        return nn.Dense(5, name="head")(x.mean(1))


IMAGES = np.random.default_rng(1).standard_normal((7, 4, 4, 2)).astype(np.float32)


# -- factors -----------------------------------------------------------------------


def homogeneous(x):
    return np.concatenate([x, np.ones((len(x), 1))], 1)


def test_factors_of_a_linear_model_are_its_fisher_matrix():
    """With weights 0 all probabilities are 1/3, and the matrix is the product."""
    with jax.enable_x64(True):
        model = nn.Dense(3, param_dtype=jnp.float64)
        params = jax.tree.map(jnp.zeros_like, started(model, X))
        factors = jopt.kronecker_factors(
            outputs_of(model, X), params, KEY, samples=4000
        )
    a, s = factors[""]
    rows = homogeneous(X)
    np.testing.assert_allclose(a, rows.T @ rows / 6, rtol=1e-12)
    np.testing.assert_allclose(s, np.eye(3) / 3 - 1 / 9, atol=0.01)


def test_factors_of_normal_outputs():
    model = nn.Dense(2)
    factors = jopt.kronecker_factors(
        outputs_of(model, jnp.float32(X)),
        started(model, jnp.float32(X)),
        KEY,
        likelihood="normal",
        samples=4000,
    )
    np.testing.assert_allclose(factors[""].s, np.eye(2), atol=0.05)


def test_the_slopes_are_those_of_each_example():
    """As back-propagation by hand gives them."""
    model = nn.Sequential([nn.Dense(5), nn.tanh, nn.Dense(3)])
    x = jnp.float32(X)
    params = started(model, x)
    logits = model.apply({"params": params}, x)
    residual = jax.nn.softmax(logits) - jax.nn.one_hot(
        jax.random.categorical(KEY, logits), 3
    )
    factors = jopt.kronecker_factors(outputs_of(model, x), params, KEY)
    d = residual @ params["layers_2"]["kernel"].T
    d = d * (1 - jnp.tanh(nn.Dense(5).apply({"params": params["layers_0"]}, x)) ** 2)
    np.testing.assert_allclose(factors["layers_0"].s, d.T @ d / 6, rtol=1e-4, atol=1e-6)


def test_a_convolution_of_one_pixel_is_a_dense_layer():
    x = jnp.float32(X)
    conv, dense = nn.Conv(3, (1, 1)), nn.Dense(3)
    params = started(dense, x)
    kernels = {"kernel": params["kernel"][None, None], "bias": params["bias"]}

    def pixel(p):
        return conv.apply({"params": p}, x[:, None, None])[:, 0, 0]

    ours = jopt.kronecker_factors(pixel, kernels, KEY)
    theirs = jopt.kronecker_factors(outputs_of(dense, x), params, KEY)
    for a, b in zip(ours[""], theirs[""], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR"])
def test_patches_are_those_of_the_convolution(padding):
    """A kernel times the sum of patches is the sum of outputs."""
    model = nn.Conv(2, (3, 2), strides=(2, 1), padding=padding, kernel_dilation=(1, 2))
    x = jnp.asarray(IMAGES)
    params = started(model, x)

    def outputs(p):
        return model.apply({"params": p}, x).reshape(7, -1)

    places = model.apply({"params": params}, x)[..., 0].size
    a = jopt.kronecker_factors(outputs, params, KEY)[""].a
    kernel = np.concatenate([params["kernel"].reshape(-1, 2), params["bias"][None]])
    total = model.apply({"params": params}, x).reshape(-1, 2).sum(0)
    np.testing.assert_allclose(places * a[-1] @ kernel, total, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_each_layer_has_factors_and_nothing_else():
    params = started(Net(), IMAGES)
    found = jopt.kronecker_factors(outputs_of(Net(), IMAGES), params, KEY)
    shapes = {name: (f.a.shape, f.s.shape) for name, f in found.items()}
    assert shapes == {
        "conv": ((9, 9), (3, 3)),
        "again": ((3, 3), (3, 3)),
        "head": ((4, 4), (5, 5)),
    }


def test_names_follow_the_tree_that_is_given():
    params = {"params": started(Net(), IMAGES)}
    found = jopt.kronecker_factors(lambda p: Net().apply(p, IMAGES), params, KEY)
    assert set(found) == {"params/conv", "params/again", "params/head"}


def test_calls_of_one_layer_are_added_up():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            layer = nn.Dense(4, use_bias=False)
            return layer(layer(x))

    x = jnp.float32(X)
    params = started(Twice(), x)
    y = x @ params["Dense_0"]["kernel"]
    a = jopt.kronecker_factors(outputs_of(Twice(), x), params, KEY)["Dense_0"].a
    np.testing.assert_allclose(a, (x.T @ x + y.T @ y) / 12, rtol=1e-5)


def test_a_grouped_convolution_has_no_factors():
    model = nn.Sequential([nn.Conv(2, (2, 2), feature_group_count=2), nn.Dense(3)])
    params = started(model, IMAGES)
    found = jopt.kronecker_factors(outputs_of(model, IMAGES), params, KEY)
    assert list(found) == ["layers_1"]


def test_a_model_without_layers_is_refused():
    with pytest.raises(ValueError, match=r"calls no `nn\.Dense`"):
        jopt.kronecker_factors(lambda p: p["w"][None], {"w": jnp.ones(3)}, KEY)


def test_layers_inside_a_transformation_are_refused():
    model = nn.Sequential([nn.remat(nn.Dense)(3), nn.Dense(2)])
    params = started(model, jnp.float32(X))

    def factors(p):
        return jopt.kronecker_factors(outputs_of(model, jnp.float32(X)), p, KEY)

    for function in (factors, jax.jit(factors)):
        with pytest.raises(ValueError, match="inside a transformation, such"):
            function(params)


def test_factors_are_the_same_under_jit():
    params = started(Net(), IMAGES)

    def factors(p, key):
        return jopt.kronecker_factors(outputs_of(Net(), IMAGES), p, key)

    plain, jitted = factors(params, KEY), jax.jit(factors)(params, KEY)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(jitted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


# -- directions --------------------------------------------------------------------


def a_layer(seed=0):
    """Gradient and factors of a layer of 4 inputs and 3 outputs, in float64."""
    random = np.random.default_rng(seed)
    g = {"bias": random.standard_normal(3), "kernel": random.standard_normal((4, 3))}
    x, d = random.standard_normal((9, 5)), random.standard_normal((9, 3))
    return {"dense": g}, {"dense": jopt.KroneckerFactors(x.T @ x / 9, d.T @ d / 9)}


def stacked(g):
    return np.concatenate([g["dense"]["kernel"], g["dense"]["bias"][None]])


def test_the_direction_solves_with_the_damped_fisher_matrix():
    g, factors = a_layer()
    a, s = factors["dense"]
    with jax.enable_x64(True):
        tx = jopt.scale_by_kfac(damping=0.01)
        u, _ = tx.update(g, tx.init(g), factors=factors)
    pi = np.sqrt((np.trace(a) / 5) / (np.trace(s) / 3))
    fisher = np.kron(a + 0.1 * pi * np.eye(5), s + 0.1 / pi * np.eye(3))
    exact = np.linalg.solve(fisher, stacked(g).ravel())
    np.testing.assert_allclose(stacked(u).ravel(), exact, rtol=1e-10)


@pytest.mark.slow
def test_a_convolution_steps_as_the_dense_layer_of_its_patches():
    g, factors = a_layer()
    images = {
        "dense": g["dense"] | {"kernel": g["dense"]["kernel"].reshape(2, 2, 1, 3)}
    }
    tx = jopt.scale_by_kfac()
    u, _ = tx.update(g, tx.init(g), factors=factors)
    v, _ = tx.update(images, tx.init(images), factors=factors)
    np.testing.assert_array_equal(
        u["dense"]["kernel"].ravel(), v["dense"]["kernel"].ravel()
    )


def test_other_leaves_pass():
    g, factors = a_layer()
    g |= {"norm": {"scale": np.ones(2)}}
    tx = jopt.scale_by_kfac()
    u, _ = tx.update(g, tx.init(g), factors=factors)
    np.testing.assert_array_equal(u["norm"]["scale"], [1.0, 1.0])


def test_until_the_first_factors_gradients_pass():
    g, _ = a_layer()
    tx = jopt.scale_by_kfac()
    u, _ = tx.update(g, tx.init(g))
    np.testing.assert_array_equal(stacked(u), np.float32(stacked(g)))


def test_factors_may_be_left_out():
    g, factors = a_layer()
    tx = jopt.scale_by_kfac()
    u, state = tx.update(g, tx.init(g), factors=factors)
    v, _ = tx.update(g, state, factors=None)
    np.testing.assert_array_equal(stacked(u), stacked(v))


def test_inverses_are_made_at_each_second_estimate():
    tx = jopt.scale_by_kfac(refresh_every=2)
    (g, first), (_, second) = a_layer(0), a_layer(1)
    states = [tx.init(g)]
    for factors in (first, second, second):
        states.append(tx.update(g, states[-1], factors=factors)[1])
    inverses = [np.asarray(s.layers["dense"].a_inverse) for s in states]
    changed = [bool((a != b).any()) for a, b in itertools.pairwise(inverses)]
    assert changed == [True, False, True]


def test_the_norm_constraint_holds():
    g, factors = a_layer()
    free, bound = jopt.scale_by_kfac(), jopt.scale_by_kfac(norm_constraint=0.5)
    u, _ = free.update(g, free.init(g), factors=factors)
    v, _ = bound.update(g, bound.init(g), factors=factors)
    inner = np.sum(stacked(u) * stacked(g))
    assert inner > 0.5
    np.testing.assert_allclose(stacked(v), stacked(u) * np.sqrt(0.5 / inner), rtol=1e-4)


def test_the_norm_constraint_leaves_short_steps():
    g, factors = a_layer()
    free, bound = jopt.scale_by_kfac(), jopt.scale_by_kfac(norm_constraint=1e6)
    u, _ = free.update(g, free.init(g), factors=factors)
    v, _ = bound.update(g, bound.init(g), factors=factors)
    np.testing.assert_allclose(stacked(u), stacked(v), rtol=1e-5)


def test_an_estimate_that_is_not_finite_is_left_out():
    g, factors = a_layer()
    tx = jopt.scale_by_kfac()
    bad = {"dense": factors["dense"]._replace(a=np.full((5, 5), np.nan))}
    _, state = tx.update(g, tx.init(g), factors=bad)
    assert jax.tree.all(
        jax.tree.map(lambda a, b: bool((a == b).all()), state, tx.init(g))
    )


def test_factors_of_rank_one_can_be_inverted():
    g, _ = a_layer()
    ones = {"dense": jopt.KroneckerFactors(np.ones((5, 5)), np.ones((3, 3)))}
    tx = jopt.scale_by_kfac(damping=1e-30)
    u, state = tx.update(g, tx.init(g), factors=ones)
    assert np.isfinite(stacked(u)).all()
    assert (state.layers["dense"].a_inverse != np.eye(5)).any()


def test_factors_of_other_layers_are_refused():
    g, factors = a_layer()
    tx = jopt.scale_by_kfac()
    with pytest.raises(ValueError, match="the layers are 'dense'"):
        tx.update(g, tx.init(g), factors={"params/dense": factors["dense"]})


def test_factors_of_another_shape_are_refused():
    g, factors = a_layer()
    del g["dense"]["bias"]
    tx = jopt.scale_by_kfac()
    with pytest.raises(ValueError, match=r"ask for \(\(4, 4\), \(3, 3\)\)"):
        tx.update(g, tx.init(g), factors=factors)


def test_layers_are_chosen_by_name():
    g, _ = a_layer()
    tx = jopt.scale_by_kfac(layers="other")
    with pytest.raises(ValueError, match="`layers`"):
        tx.init(g)
    assert jopt.scale_by_kfac(layers="^dense").init(g).layers.keys() == {"dense"}


def test_a_step_compiles_once():
    params = started(Net(), IMAGES)
    tx = jopt.kfac(0.1, refresh_every=2, norm_constraint=1.0)
    traces = []

    @jax.jit
    def step(params, state, key):
        traces.append(1)
        factors = jopt.kronecker_factors(outputs_of(Net(), IMAGES), params, key)
        g = jax.tree.map(jnp.ones_like, params)
        updates, state = tx.update(g, state, params, factors=factors)
        return jax.tree.map(jnp.add, params, updates), state

    state = tx.init(params)
    for key in jax.random.split(KEY, 3):
        params, state = step(params, state, key)
    assert len(traces) == 1
    assert all(bool(jnp.isfinite(p).all()) for p in jax.tree.leaves(params))
