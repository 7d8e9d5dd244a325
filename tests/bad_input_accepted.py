"""Rows of the table of bad inputs that look wrong and are right."""

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from tests.bad_input_row import accepted, B, P, Row, step, W

adam, adamw, sgd = jopt.adam(0.1), jopt.adamw(0.1, weight_decay=0.1), jopt.sgd(0.1)
INTEGERS = {"w": W, "n": np.zeros((), np.int32)}


def equal(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: jnp.array_equal(x, y), a, b))


def finite(tree):
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def recovers(tx):
    """Whether steps still move, and are finite, after a gradient of 1e25."""
    s = tx.init(P)
    for size in (1e25, 1.0):
        g = jax.tree.map(lambda p, size=size: np.full(p.shape, size, np.float32), P)
        u, s = tx.update(g, s, P)
    return finite(u)


def sharded_outside_its_mesh():
    devices = np.array(jax.devices())
    mesh = jax.sharding.Mesh(devices, ("d",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d"))
    p = jax.device_put(np.ones((len(devices), 2), np.float32), rows)
    return step(adam, p, p).sharding.is_equivalent_to(rows, 2)


def tied():
    one = jnp.ones(2)
    u = step(sgd, {"a": jnp.ones(2), "b": 2 * jnp.ones(2)}, {"a": one, "b": one})
    return equal(u["b"], 2 * u["a"])


ROWS: list[Row] = [
    accepted(
        6, "`adam(1)`", "It is `adam(1.0)`.", lambda: jopt.adam(1) == jopt.adam(1.0)
    ),
    accepted(
        11,
        "`adam(0.1, b2=1 - 1e-8)`",
        "The first step is the learning rate: decay rates are kept as `1 - b2`.",
        lambda: jnp.allclose(
            step(jopt.adam(0.1, b2=1 - 1e-8), jnp.ones(2), jnp.ones(2)), -0.1, 1e-4
        ),
    ),
    accepted(
        12,
        "`adam(0.1, eps=0.0)` and a gradient of zeros",
        "0 / 0 is 0.",
        lambda: equal(step(jopt.adam(0.1, eps=0.0), jnp.zeros(2), B[:2]), B[:2]),
    ),
    accepted(
        13,
        "`eps=1e-8` and float16 parameters",
        "Denominators are float32.",
        lambda: finite(step(adam, jnp.zeros(2, "float16"), jnp.ones(2, "float16"))),
    ),
    accepted(
        17,
        "`clip_by_global_norm(0.0)` and a gradient of zeros",
        "The update is 0, not NaN.",
        lambda: equal(step(jopt.clip_by_global_norm(0.0), B, B), B),
    ),
    accepted(
        19,
        "a legacy `uint32` key",
        "It works as a typed key.",
        lambda: finite(step(jopt.add_noise(1.0, 0.5, np.zeros(2, np.uint32)))),
    ),
    accepted(
        31,
        "a schedule called with step -5, or past 2^31",
        "The step counts as 0, or as 2^31 - 1.",
        lambda: (
            jopt.linear_schedule(0.5, 1.0, 9)(-5) == 0.5
            and jopt.linear_schedule(0.5, 1.0, 9)(2**40) == 1.0
        ),
    ),
    accepted(
        39,
        "gradients that are Python floats or float64 of NumPy",
        "Updates have the parameter's dtype.",
        lambda: (
            step(adam, {"w": np.ones(2), "b": 1.0}, {"w": W[0, :2], "b": 2.0})[
                "w"
            ].dtype
            == jnp.float32
        ),
    ),
    accepted(
        40,
        "float16 gradients for float32 parameters",
        "Arithmetic is float32, the update float32.",
        lambda: step(adam, W.astype(np.float16), W).dtype == jnp.float32,
    ),
    accepted(
        43,
        "an integer parameter with a `float0` gradient",
        "It does not move.",
        lambda: (
            step(adam, INTEGERS | {"n": np.zeros((), jax.dtypes.float0)}, INTEGERS)["n"]
            == 0
        ),
    ),
    accepted(
        44,
        "an integer parameter with an integer gradient",
        "It does not move, so `zeros_like(params)` is a gradient.",
        lambda: step(adam, INTEGERS, INTEGERS)["n"] == 0,
    ),
    accepted(
        46,
        "`init(5.0)`",
        "The state is float32.",
        lambda: adam.init(5.0)[0].mu.dtype == jnp.float32,
    ),
    accepted(
        47, "no parameters: `{}`", "No updates.", lambda: step(adamw, {}, {}) == {}
    ),
    accepted(
        48,
        "a leaf of shape `(0, 3)`",
        "Its update has that shape.",
        lambda: step(adamw, W[:0], W[:0]).shape == (0, 3),
    ),
    accepted(
        54,
        "parameters and a fresh state, both donated",
        "They share no buffer.",
        lambda: finite(
            jax.jit(adam.update, donate_argnums=(1, 2))(
                P, adam.init(P), jax.device_put(P)
            )
        ),
    ),
    accepted(
        55, "`chain()`", "It is the identity.", lambda: equal(step(jopt.chain()), P)
    ),
    accepted(
        63,
        "a NaN gradient and no guard",
        "The update is NaN. `apply_if_finite(tx)` skips the step instead.",
        lambda: (
            not finite(step(sgd, B * np.nan, B))
            and equal(step(jopt.apply_if_finite(sgd), B * np.nan, B), B)
        ),
    ),
    accepted(
        64, "a gradient of 1e25", "Later steps are finite.", lambda: recovers(adam)
    ),
    accepted(
        65,
        "a global norm that float16 cannot hold",
        "The norm is float32: the clipped update is not 0.",
        lambda: bool(
            step(
                jopt.clip_by_global_norm(1.0),
                np.full(4, 6e4, np.float16),
                np.ones(4, np.float16),
            ).all()
        ),
    ),
    accepted(67, "one array at two leaves", "They train apart: see below.", tied),
    accepted(
        68,
        "`muon` with vectors",
        "They go to its AdamW; `jopt.describe` shows it.",
        lambda: "partition.adamw" in str(jopt.describe(jopt.muon(0.1), P)),
    ),
    accepted(
        69,
        "`vmap` over gradients with one shared state",
        "One update for each.",
        lambda: (
            jax.vmap(adam.update, in_axes=(0, None, None))(W, adam.init(B), B)[0].shape
            == (2, 3)
        ),
    ),
    accepted(
        70,
        "a sharded state, updated outside its mesh",
        "The update is sharded as the parameters.",
        sharded_outside_its_mesh,
    ),
]
