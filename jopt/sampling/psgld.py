"""pSGLD: Langevin dynamics with a step of its own for each entry, as in RMSprop."""

from typing import NamedTuple

import jax

from jopt._core import numerics as nx, trees
from jopt._core.numerics import times
from jopt._core.transform import transform
from jopt._core.types import DecayRate, Epsilon, LearningRate, NonNegative, Pair, PyTree
from jopt.optimizers import moments
from jopt.sampling import heat
from jopt.transforms.noise import check_key, drawn, own_key


class PSGLDState(NamedTuple):
    """State of `psgld`."""

    rng_key: jax.Array
    nu: PyTree  # average of squared gradients


@transform
def psgld(
    learning_rate: LearningRate,
    decay: DecayRate = 0.99,
    eps: Epsilon = 1e-5,
    temperature: NonNegative = 1.0,
    key: jax.Array | int = 0,
) -> Pair:
    """Langevin dynamics preconditioned by RMSprop: large steps where slopes are small.

    For posteriors whose directions have scales far apart. It takes gradients of the
    potential, as `sgld`, and stands last in a chain. Each step::

        v = decay * v + (1 - decay) * g^2
        G = 1 / (sqrt(v) + eps)
        params -= learning_rate * G * g
        params += sqrt(2 * learning_rate * temperature * G) * normal

    The exact rule has one more term, Gamma, the sum of the derivatives of G with
    respect to the parameters: it needs second derivatives. It is left out, as the
    authors do in practice. That biases the samples, by less the nearer `decay` is to 1:
    on a Gaussian of two entries variances were 30% too large at 0.99, and 5% at 0.999.
    The first steps are long, as `v` starts from 0: leave them out.

    Args:
        learning_rate: The step size in units of G, half of what the paper calls
            epsilon.
        decay: Decay rate of the average of squares, in [0, 1).
        eps: Added to the denominator. With 0, an entry whose gradients were all zero
            stays where it is.
        temperature: 1 for the posterior, less for one that is sharper; at 0 it is
            `rmsprop(learning_rate, decay, eps, eps_in_sqrt=False)`.
        key: A key of `jax.random.key`, or an integer seed. It moves into the state.

    Returns:
        A transform with one slot per parameter, and a key. It does not read `params`.

    Raises:
        TypeError: If `key` is no key.
        ValueError: If `key` is more than one key.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import psgld
        >>> tx, g = psgld(0.1, decay=0.75, eps=0.0, temperature=0.0), jnp.array([2.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([-0.2], dtype=float32)

    Differs from the paper in: the gradient is that of the potential, N times the mean
    gradient of which the paper takes squares. So `eps` is N times the paper's lambda,
    and `learning_rate` N / 2 times its epsilon. The learning rate is not halved, and
    there is a temperature.

    Reference:
        Li, Chen, Carlson and Carin, "Preconditioned Stochastic Gradient Langevin
        Dynamics for Deep Neural Networks", AAAI 2016, arXiv:1512.07666, Algorithm 1.
    """
    check_key(key)

    def init(params):
        return PSGLDState(own_key(key), trees.real_zeros_like(params))

    def update(updates, state, params=None, **extra):
        del params, extra
        following, noise = drawn(state.rng_key, updates)
        size = heat.deviation(learning_rate, temperature)
        guard = moments.may_vanish(eps)
        nu = moments.averages(moments.squares(updates), state.nu, decay)

        def leaf(g: jax.Array, v: jax.Array, n: jax.Array) -> jax.Array:
            below = moments.denominator(v, eps)
            drift = times(moments.quotient(g, below, guard), learning_rate)
            return times(moments.quotient(n, nx.sqrt(below), guard), size) - drift

        u = jax.tree.map(leaf, updates, nu, noise)
        return u, PSGLDState(following, moments.like(nu, state.nu))

    return Pair(init, update)
