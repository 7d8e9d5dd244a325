"""DP-SGD: the bound on one example's share, and the strength of the noise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt

CLIP = 0.7


def gradients(rows=6, seed=0, scale=10.0):
    """Gradients of examples, of very different lengths."""
    random = np.random.default_rng(seed)
    size = scale ** random.uniform(-2, 2, rows)
    return {
        "b": np.float32(size[:, None] * random.standard_normal((rows, 3))),
        "w": np.float32(size[:, None, None] * random.standard_normal((rows, 4, 2))),
    }


def summed(g, **extra):
    """The sum of clipped gradients, without noise."""
    tx = jopt.per_example_clip(CLIP, batch_size=1.0)
    like = jax.tree.map(lambda x: x[0], g)
    return tx.update(g, tx.init(like), **extra)[0]


def distance(a, b):
    return float(optax.tree.norm(jax.tree.map(jnp.subtract, a, b)))


@pytest.mark.parametrize("value", [0.0, 1e-30, 3.0, -1e20, 3e38, np.inf, np.nan])
def test_one_example_moves_the_sum_by_at_most_the_bound(value):
    """Against the sum without it: its share, whatever it is."""
    g = gradients()
    without = np.arange(6) != 2
    for x in g.values():
        x[2] = value
    assert distance(summed(g), summed(g, present=without)) <= CLIP * (1 + 1e-5)


def test_an_exchanged_example_moves_the_sum_by_at_most_twice_the_bound():
    one, two = gradients(), gradients()
    for k, x in gradients(seed=1).items():
        two[k][2] = 100 * x[2]
    assert distance(summed(one), summed(two)) <= 2 * CLIP * (1 + 1e-5)


def test_short_gradients_are_not_clipped():
    g = jax.tree.map(lambda x: 1e-3 * x / np.abs(x).max(), gradients())
    np.testing.assert_allclose(summed(g)["b"], g["b"].sum(0), rtol=1e-5)


def test_half_precision_does_not_loosen_the_bound():
    g = {"w": jnp.full((1, 1000), 300.0, jnp.float16)}
    tx = jopt.per_example_clip(CLIP, batch_size=1.0)
    like = jnp.zeros(1000, jnp.float32)
    u, _ = tx.update(g, tx.init({"w": like}), {"w": like})
    np.testing.assert_allclose(jnp.linalg.norm(u["w"]), CLIP, rtol=1e-5)


def test_a_gradient_that_is_not_finite_counts_as_zero():
    g = gradients()
    g["b"][2, 0] = np.nan
    rest = np.arange(6) != 2
    assert distance(summed(g), summed(gradients(), present=rest)) < 1e-6


def test_present_has_a_bool_for_each_row():
    with pytest.raises(ValueError, match="a bool for each of the 6 rows"):
        summed(gradients(), present=jnp.ones(5, bool))


def noise(dtype=jnp.float32, **settings):
    """One update of gradients that are 0: the noise alone."""
    like = {"a": jnp.zeros(20000, dtype), "b": jnp.zeros(20000, dtype)}
    g = jax.tree.map(lambda x: jnp.zeros((4, *x.shape), dtype), like)
    settings = {"l2_norm_clip": 0.5, "noise_multiplier": 3.0, "key": 0} | settings
    tx = jopt.differentially_private_aggregate(**settings)
    state = tx.init(like)
    first, state = tx.update(g, state, like)
    return first, tx.update(g, state, like)[0]


def test_the_noise_has_the_strength_it_claims():
    u, _ = noise()
    for x in u.values():
        np.testing.assert_allclose(x.std(), 3.0 * 0.5 / 4, rtol=0.03)
        np.testing.assert_allclose(x.mean(), 0.0, atol=0.01)


def test_both_parts_of_complex_numbers_get_the_noise():
    u, _ = noise(jnp.complex64)
    np.testing.assert_allclose(u["a"].real.std(), 3.0 * 0.5 / 4, rtol=0.03)
    np.testing.assert_allclose(u["a"].imag.std(), 3.0 * 0.5 / 4, rtol=0.03)


def test_the_sum_is_divided_by_the_size_that_is_given():
    u, _ = noise(batch_size=100.0)
    np.testing.assert_allclose(u["a"].std(), 3.0 * 0.5 / 100, rtol=0.03)


def test_leaves_and_steps_have_their_own_noise():
    first, second = noise()
    drawn = [*first.values(), *second.values()]
    correlations = np.corrcoef(np.stack(drawn)) - np.eye(4)
    assert np.abs(correlations).max() < 0.03


def test_without_noise_it_is_that_of_optax():
    g = jax.tree.map(jnp.asarray, gradients())
    like = jax.tree.map(lambda x: x[0], g)
    ours = jopt.differentially_private_aggregate(CLIP, 0.0, 0)
    theirs = optax.contrib.differentially_private_aggregate(CLIP, 0.0, key=0)
    u, _ = ours.update(g, ours.init(like), like)
    v, _ = theirs.update(g, theirs.init(like), like)
    for a, b in zip(jax.tree.leaves(u), jax.tree.leaves(v), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_parts_of_a_batch_add_up_to_it():
    """Clipped part by part and accumulated, as in one piece."""
    g = gradients()
    like = jax.tree.map(lambda x: x[0], g)
    tx = jopt.chain(
        jopt.per_example_clip(CLIP), jopt.accumulate(jopt.sgd(1.0), every_k=2)
    )
    state = tx.init(like)
    for half in (slice(0, 3), slice(3, 6)):
        part = jax.tree.map(lambda x, half=half: x[half], g)
        u, state = tx.update(part, state, like)
    whole = jax.tree.map(lambda x: -x / 6, summed(g))
    assert distance(u, whole) < 1e-5


def test_gradients_of_a_batch_are_refused():
    tx = jopt.dpsgd(0.1, 1.0, 1.0, 0)
    p = {"b": jnp.ones(3), "w": jnp.ones((4, 2))}
    with pytest.raises(ValueError, match="of examples, in front"):
        tx.update(p, tx.init(p), p)


def test_another_optimizer_may_follow():
    g = gradients()
    like = jax.tree.map(lambda x: x[0], g)
    aggregate = jopt.differentially_private_aggregate(CLIP, 1.0, jax.random.key(3))
    tx = jopt.chain(aggregate, jopt.adam(1e-2))
    u, _ = jax.jit(tx.update)(g, tx.init(like), like)
    assert u["w"].shape == (4, 2)
