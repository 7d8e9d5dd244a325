"""Samplers: what they draw, where they are descent, and their chains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt

PRECISION = jnp.array([[2.0, 0.6], [0.6, 1.0]])
MEAN = jnp.array([1.0, -2.0])
CHAINS = 4000


def potential_slope(x):
    return PRECISION @ (x - MEAN)


def chains(make, start, slope=potential_slope, steps=300, count=CHAINS):
    """Where independent chains end: so many independent samples."""

    def run(key):
        own, noise = jax.random.split(key)
        tx = make(own)

        def step(carry, k):
            x, state = carry
            g = slope(x) if noise_free else slope(x, k)
            u, state = tx.update(g, state, x)
            return (x + u, state), None

        keys = jax.random.split(noise, steps)
        return jax.lax.scan(step, (start, tx.init(start)), keys)[0][0]

    noise_free = slope is potential_slope
    return jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), count))


def assert_moments(x, covariance, slack=0.0):
    """Mean and covariance within four standard errors of independent samples."""
    x, n = np.asarray(x, np.float64), len(x)
    spread = np.diagonal(covariance)
    assert (abs(x.mean(0) - MEAN) < 4 * np.sqrt(spread / n)).all()
    error = np.sqrt((np.outer(spread, spread) + covariance**2) / n)
    assert (abs(np.cov(x.T) - covariance) < 4 * error + slack * spread.max()).all()


def stationary(transition, noise):
    """The covariance `C = A C A' + Q` of a linear chain."""
    n = len(noise)
    flat = np.eye(n * n) - np.kron(transition, transition)
    return np.linalg.solve(flat, noise.ravel()).reshape(n, n)


@pytest.mark.parametrize("heat", [1.0, 0.25])
def test_sgld_has_the_moments_of_its_chain(heat):
    h = 0.1
    covariance = stationary(np.eye(2) - h * PRECISION, 2 * h * heat * np.eye(2))
    x = chains(lambda key: jopt.sgld(h, heat, key), MEAN, steps=100)
    assert_moments(x, covariance)


def test_sghmc_has_the_moments_of_its_chain():
    h, friction, eye = 0.1, 0.2, np.eye(2)
    of_x, of_v = -h * np.asarray(PRECISION), (1 - friction) * eye
    transition = np.block([[eye + of_x, of_v], [of_x, of_v]])
    noise = 2 * h * friction * np.block([[eye, eye], [eye, eye]])
    x = chains(lambda key: jopt.sghmc(h, friction, key=key), MEAN)
    assert_moments(x, stationary(transition, noise)[:2, :2])


def test_a_small_rate_gives_the_posterior():
    x = chains(lambda key: jopt.sgld(0.004, key=key), MEAN, steps=1500)
    assert_moments(x, np.linalg.inv(PRECISION), slack=0.005)


def test_psgld_nears_the_posterior():
    start = MEAN + 2.0  # where the slope is not 0, as the first step divides by it
    x = chains(lambda key: jopt.psgld(0.02, 0.999, key=key), start, steps=2000)
    assert_moments(x, np.linalg.inv(PRECISION), slack=0.05)


@pytest.mark.slow
def test_a_thermostat_takes_up_the_noise_of_gradients():
    def noisy(x, key):
        return potential_slope(x) + 4.0 * jax.random.normal(key, x.shape)

    # the noise alone has twice the variance that the friction asks for
    given = {"friction": 0.05, "learning_rate": 0.0125}
    cool = chains(lambda k: jopt.sgnht(key=k, **given), MEAN, noisy, 2000, 1000)
    hot = chains(lambda k: jopt.sghmc(key=k, **given), MEAN, noisy, 1000, 1000)
    exact = np.linalg.inv(PRECISION)
    assert np.trace(np.cov(hot.T)) > 2 * np.trace(exact)
    assert_moments(cool, exact, slack=0.05)


def test_a_known_noise_of_gradients_is_left_out():
    h, deviation = 0.0125, 4.0

    def noisy(x, key):
        return potential_slope(x) + deviation * jax.random.normal(key, x.shape)

    known = h * deviation**2 / 2
    x = chains(
        lambda k: jopt.sghmc(h, 0.2, key=k, noise_estimate=known), MEAN, noisy, 600
    )
    assert_moments(x, np.linalg.inv(PRECISION), slack=0.01)


def path(tx, steps=6):
    """A run operation by operation: in one program sums are rounded differently."""
    x, points = jnp.zeros(2), []
    state = tx.init(x)
    for _ in range(steps):
        u, state = tx.update(potential_slope(x), state, x)
        x = x + u
        points.append(x)
    return np.stack(points)


RAMP = jopt.linear_schedule(0.2, 0.02, 5)


@pytest.mark.parametrize("rate", [0.1, RAMP], ids=["constant", "schedule"])
@pytest.mark.parametrize(
    ("cold", "descent"),
    [
        (lambda h: jopt.sgld(h, 0.0), jopt.sgd),
        (lambda h: jopt.sghmc(h, 1.0, 0.0), jopt.sgd),
        (
            lambda h: jopt.sghmc(h, 0.25, 0.0),
            lambda h: jopt.chain(jopt.scale_by_learning_rate(h), jopt.trace(0.75)),
        ),
    ],
    ids=["sgld", "all friction", "sghmc"],
)
def test_without_noise_it_is_descent_to_the_last_digit(cold, descent, rate):
    np.testing.assert_array_equal(path(cold(rate)), path(descent(rate)))


def test_psgld_without_noise_is_rmsprop():
    ours = path(jopt.psgld(0.1, temperature=0.0))
    theirs = path(jopt.rmsprop(0.1, 0.99, 1e-5, eps_in_sqrt=False))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


SAMPLERS = {
    "sgld": lambda key: jopt.sgld(0.1, key=key),
    "psgld": lambda key: jopt.psgld(0.1, key=key),
    "sghmc": lambda key: jopt.sghmc(0.1, key=key),
    "sgnht": lambda key: jopt.sgnht(0.1, key=key),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_key_gives_the_same_chain(name):
    make = SAMPLERS[name]
    one, same, other = (path(make(key)) for key in (1, jax.random.key(1), 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_two_leaves_share_their_noise(name):
    tx, zero = SAMPLERS[name](0), {"a": jnp.zeros(3), "b": jnp.zeros(3)}
    u, _ = tx.update(zero, tx.init(zero))
    assert len(np.unique(np.concatenate([u["a"], u["b"]]))) == 6


def test_each_part_of_a_complex_parameter_has_the_full_noise():
    tx, zero = jopt.sgld(0.5), jnp.zeros(20_000, jnp.complex64)
    u, _ = tx.update(zero, tx.init(zero))
    for part in (u.real, u.imag):
        assert abs(float(part.var()) - 1.0) < 5 * (2 / 20_000) ** 0.5


def test_the_thermostat_counts_a_complex_parameter_as_two():
    tx, g = jopt.sgnht(1.0, 0.0, 0.0), jnp.array([2.0 + 0.0j])
    _, state = tx.update(g, tx.init(g))
    assert jopt.get(state, "friction") == 1.0
    tx = jopt.sgnht(0.25, 0.0, 0.0)
    _, state = tx.update(g, tx.init(g))
    assert jopt.get(state, "friction") == 0.125


def test_noise_is_drawn_in_float32_for_half_precision():
    tx, zero = jopt.sghmc(0.5), jnp.zeros(3, jnp.bfloat16)
    u, state = tx.update(zero, tx.init(zero))
    velocity = jopt.get(state, "velocity")
    assert (u.dtype, velocity.dtype) == (jnp.bfloat16, jnp.float32)
    assert not np.array_equal(velocity, velocity.astype(jnp.bfloat16))


def test_the_prior_is_the_gradient_of_its_density():
    p = {"w": jnp.array([1.0, -2.0]), "b": jnp.array([3.0])}
    tx = jopt.chain(jopt.scale(10.0), jopt.add_gaussian_prior(0.5, mask="w"))
    mean = jopt.chain(jopt.add_gaussian_prior(0.5, 10, "w"), jopt.scale(10.0))
    g = jax.tree.map(jnp.ones_like, p)
    u, _ = tx.update(g, tx.init(p), p)
    np.testing.assert_allclose(u["w"], [14.0, 2.0])
    np.testing.assert_allclose(u["b"], [10.0])
    same, _ = mean.update(g, mean.init(p), p)
    np.testing.assert_allclose(same["w"], u["w"], rtol=1e-6)


def test_the_prior_needs_parameters():
    tx, g = jopt.add_gaussian_prior(), jnp.ones(2)
    with pytest.raises(ValueError, match="`add_gaussian_prior` needs params"):
        tx.update(g, tx.init(g))


@pytest.mark.parametrize("make", [jopt.sgld, jopt.psgld, jopt.sghmc, jopt.sgnht])
def test_what_is_no_key_is_refused(make):
    with pytest.raises(TypeError, match="`key` must be a key"):
        make(0.1, key="0")


def test_cycles_explore_without_noise_and_sample_with_it():
    heat = jopt.cyclical_temperature_schedule(10, exploration=0.6)
    rate = jopt.cosine_restarts_schedule(0.1, 10)
    ours = path(jopt.sgld(rate, heat, key=1), 7)
    descent = path(jopt.sgd(rate), 7)
    np.testing.assert_array_equal(ours[:6], descent[:6])
    assert not np.array_equal(ours[6], descent[6])
