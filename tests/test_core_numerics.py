"""The moving average: exact at both ends of its decay, however large what it held."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jopt
from jopt._core import numerics as nx
from jopt._core.decay import Decay

SMALL = jnp.array([0.3, -1e-7, 0.0])
LARGE = jnp.array([1e30, -4e4, 7.0])


def traced(new, old, complement):
    """The average whose decay is known at run time only."""
    at = jax.jit(lambda c: nx.average(new, old, Decay(c)))
    return at(jnp.asarray(complement, jnp.float32))


def literal(new, old, complement):
    """The average whose decay is a number in the program."""
    return nx.average(new, old, Decay(complement))


BOTH = pytest.mark.parametrize("average", [traced, literal])


@BOTH
def test_at_a_decay_of_zero_it_is_the_new_value_to_the_last_digit(average):
    np.testing.assert_array_equal(average(SMALL, LARGE, 1.0), SMALL)


@BOTH
@pytest.mark.parametrize("complement", [1e-8, 0.1, 0.5, 0.7, 1.0])
def test_it_holds_a_steady_value(average, complement):
    np.testing.assert_array_equal(average(LARGE, LARGE, complement), LARGE)


@BOTH
@pytest.mark.parametrize("complement", [1e-8, 0.1, 0.5, 0.51, 0.999])
def test_it_is_the_weighted_mean(average, complement):
    new, old = np.float64(SMALL), np.float64(LARGE)
    complement = float(np.float32(complement))
    exact = old + complement * (new - old)
    bound = 4 * np.finfo(np.float32).eps
    np.testing.assert_allclose(average(SMALL, LARGE, complement), exact, rtol=bound)


@pytest.mark.parametrize("complement", [0.2, 0.5, 0.8, 1.0])
def test_its_slope_in_the_decay_is_the_difference(complement):
    slope = jax.grad(lambda c: nx.average(2.0 * SMALL, SMALL, Decay(c))[0])
    np.testing.assert_allclose(slope(jnp.float32(complement)), SMALL[0], rtol=1e-6)


def test_a_complex_average_at_a_decay_of_zero_is_the_new_value():
    new, old = jax.lax.complex(SMALL, 2 * SMALL), jax.lax.complex(LARGE, -LARGE)
    np.testing.assert_array_equal(traced(new, old, 1.0), new)


def test_adam_without_memory_is_the_sign():
    p = jnp.zeros(3)
    ours, signs = jopt.adam(0.1, 0.0, 0.0, eps=0.0), jopt.sign_sgd(0.1)
    state = ours.init(p)
    for g in (LARGE, SMALL):
        u, state = ours.update(g, state, p)
    expected, _ = signs.update(SMALL, signs.init(p), p)
    np.testing.assert_allclose(u, expected, rtol=1e-6)
