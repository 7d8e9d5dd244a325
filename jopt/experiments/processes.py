"""Several processes that train one model: what each holds, and what they agree on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


def many() -> bool:
    """Whether there are several, by `jax.distributed`."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this is the one that writes."""
    return jax.process_index() == 0


def any_of(flag: bool) -> bool:
    """Whether one of them says so; each has to ask at the same step."""
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.bool_(flag))))


def wait(where: str) -> None:
    """Go on when all are here."""
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(where)


def local(tree: PyTree) -> PyTree:
    """What all hold in full, as arrays of this process."""

    def one(x: Any) -> Any:
        shared = isinstance(x, jax.Array) and not x.is_fully_addressable
        return x.addressable_data(0) if shared else x

    return jax.tree.map(one, tree)


def spread(x: Any, sharding: jax.sharding.NamedSharding) -> jax.Array:
    """An array that each process has in full, laid out over the devices of all."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = spread(jax.random.key_data(x), sharding)
        return jax.random.wrap_key_data(data, impl=str(jax.random.key_impl(x)))
    host = np.asarray(x)
    return jax.make_array_from_callback(host.shape, sharding, lambda at: host[at])
