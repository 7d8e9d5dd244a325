"""Gravity: bounded steps that are largest for gradients of middling size."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import numerics as nx, trees
from jopt._core.decay import Decay
from jopt._core.numerics import times
from jopt._core.spec import is_off
from jopt._core.sums import number
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import DecayRate, LearningRate, Pair, PyTree, Switch
from jopt.optimizers import moments
from jopt.transforms import noise


class ScaleByGravityState(NamedTuple):
    """State of `scale_by_gravity`."""

    count: jax.Array
    rng_key: PyTree  # for the first velocity; `None` at rest
    velocity: PyTree  # shaped like the parameters


@optimizer(rates=(1e-3, 1.0), tags=("momentum",))
def gravity(
    learning_rate: LearningRate,
    alpha: Switch = 0.01,
    beta: DecayRate = 0.9,
    *,
    key: jax.Array | int = 0,
) -> Transform:
    """Gravity: momentum of gradients that are bent back where they are large.

    The gradient term grows as the gradient up to the inverse of the leaf's largest one
    and falls beyond, as the acceleration of a ball on a plane that gets steeper. It is
    small for large gradients, so that an outlier moves little. Per leaf, with `t`
    counting from 1 and the first `V` drawn at random::

        V = normal(0, alpha / learning_rate)       # once, at the start
        b = (beta * t + 1) / (t + 2)
        z = g / (1 + (g * max|g|)^2)
        V = b * V + (1 - b) * z
        params -= learning_rate * V

    Args:
        learning_rate: A number >= 0, or a schedule of it. The authors take 0.1.
        alpha: Standard deviation of the first velocity, times the learning rate; 0
            starts at rest.
        beta: The decay of the velocity that is reached in the end, in [0, 1). It starts
            at `(1 + beta) / 3`.
        key: A key of `jax.random.key`, an integer seed, or a legacy `uint32` key.

    Returns:
        A transform with one slot per parameter. It does not read `params`.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import gravity
        >>> tx, p = gravity(1.0, alpha=0.0, beta=0.5), jnp.zeros(2)
        >>> tx.update(jnp.array([1.0, 0.5]), tx.init(p), p)[0]
        Array([-0.25, -0.2 ], dtype=float32)
        >>> tx
        gravity(learning_rate=1.0, alpha=0.0, beta=0.5)

    Reference:
        Bahrami and Pouriyan Zadeh, "Gravity Optimizer: a Kinematic Approach on
        Optimization in Deep Learning", 2021, arXiv:2101.09192. The authors' code for
        PyTorch counts steps from 1, that for Keras from 0.
    """
    return chain(scale_by_gravity(learning_rate, alpha, beta, key=key))


@transform
def scale_by_gravity(
    learning_rate: LearningRate,
    alpha: Switch = 0.01,
    beta: DecayRate = 0.9,
    *,
    key: jax.Array | int = 0,
) -> Pair:
    """Turn gradients into steps by a velocity of bounded gradient terms.

    The stage of `gravity` that holds the state; see there for the rule. The learning
    rate is part of the rule, so that its results are ready to be added.

    Args:
        learning_rate: A number >= 0, or a schedule of it.
        alpha: Standard deviation of the first velocity, times the learning rate.
        beta: The decay of the velocity that is reached in the end, in [0, 1).
        key: A key of `jax.random.key`, an integer seed, or a legacy `uint32` key.

    Returns:
        A transform with one slot per parameter. It does not read `params`.

    Raises:
        TypeError: If `key` is none of the three.
        ValueError: If it is more than one key.

    Reference:
        Bahrami and Pouriyan Zadeh, "Gravity Optimizer: a Kinematic Approach on
        Optimization in Deep Learning", 2021, arXiv:2101.09192.
    """
    noise.check_key(key)

    def drawn(own: jax.Array, slots: PyTree) -> PyTree:
        """The first velocities. In float32, so that a run in float64 has the same."""
        deviation = nx.divide(number(alpha), number(learning_rate))
        leaves, tree = jax.tree.flatten(slots)
        out = []
        for i, slot in enumerate(leaves):
            single = jnp.complex64 if jnp.iscomplexobj(slot) else jnp.float32
            v = jax.random.normal(jax.random.fold_in(own, i), slot.shape, single)
            out.append(slot + times(v.astype(slot.dtype), deviation))
        return jax.tree.unflatten(tree, out)

    def init(params):
        own = None if is_off(alpha) else noise.own_key(key)
        count = jnp.zeros((), jnp.int32)
        return ScaleByGravityState(count, own, trees.zeros_like(params))

    def term(g: jax.Array) -> jax.Array:
        """The gradient, bent back where its square times the largest one's is large."""
        size = nx.sqrt(nx.square(g))
        bend = size * jnp.max(size, initial=0.0)
        return moments.quotient(g, 1.0 + nx.square(bend), guard=False)

    def update(updates, state, params=None, **extra):
        del params, extra
        t = nx.increment(state.count)
        steps = t.astype(jnp.result_type(float))
        c = moments.complement(beta, steps.dtype)
        decay = Decay((1.0 + c * steps) / (2.0 + steps))
        velocity = state.velocity
        if state.rng_key is not None:
            velocity = jax.lax.cond(
                state.count == 0, drawn, lambda own, v: v, state.rng_key, velocity
            )
        terms = jax.tree.map(term, updates)
        velocity = moments.averages(terms, velocity, decay)
        rate = -number(learning_rate)
        out = jax.tree.map(lambda v: times(v, rate), velocity)
        velocity = moments.like(velocity, state.velocity)
        return out, ScaleByGravityState(t, state.rng_key, velocity)

    return Pair(init, update)
