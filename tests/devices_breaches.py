"""Transforms that break the laws of devices, one for each law."""

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree


def stage(update, init=lambda p: ()):
    def run(u, state, params=None, **extra):
        return update(u, state)

    return optax.GradientTransformationExtraArgs(init, run)


def is_split(tree) -> float:
    """1 where the first leaf is split over explicit axes, 0 elsewhere."""
    return float(any(jax.typeof(jax.tree.leaves(tree)[0]).sharding.spec))


def times(u, factor):
    return jax.tree.map(lambda x: factor * x, u)


def by_split(u, state):
    """An update that depends on the mesh."""
    return times(u, 1.0 + is_split(u)), state


def since_init(u, state):
    """The same on every mesh, until the state moves to another."""
    return times(u, (1.0 + is_split(u)) / state), state


def flat(u, state):
    """An update of all leaves as one array."""
    vector, unravel = ravel_pytree(u)
    return unravel(vector - jnp.mean(vector)), state


def by_process(u, state):
    """An update that differs between processes."""
    return times(u, 1.0 + jax.process_index()), state


BREACHES = {
    "D1": stage(by_split),
    "D2": optax.trace(0.9),
    "D4": stage(since_init, lambda p: jnp.asarray(1.0 + is_split(p), jnp.float32)),
    "D6": stage(flat),
}
IN_PROCESSES = {"D3": stage(by_process)}
