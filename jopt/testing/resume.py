"""Laws C: a run that is interrupted goes on as if it had not been."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt.testing import data
from jopt.testing.compare import host, same_bits
from jopt.testing.law import Broken, law, NotApplicable
from jopt.testing.subject import Subject

PyTree = Any


def saved(state: PyTree) -> list[tuple[str, tuple[int, ...], bytes]]:
    """A state as bytes: what a checkpoint holds."""
    return [
        (str(x.dtype), x.shape, x.tobytes()) for x in map(host, jax.tree.leaves(state))
    ]


def restored(tx: Any, like: PyTree, record: list[tuple[str, Any, bytes]]) -> PyTree:
    """A state of `tx` with the numbers of a record."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(tx.init, like))
    out = []
    for leaf, (dtype, shape, raw) in zip(leaves, record, strict=True):
        array = jnp.asarray(np.frombuffer(raw, jnp.dtype(dtype)).reshape(shape))
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            array = jax.random.wrap_key_data(array)
        out.append(array)
    return jax.tree.unflatten(structure, out)


@law(
    "C2",
    "a run resumed from bytes is the run itself, bit by bit, at every cut",
    why="What is not in the state is lost at a restart, and the run silently becomes "
    "another one.",
    cure="Keep counts, keys and averages in the state; keep nothing in the transform.",
)
def _resumes(s: Subject) -> None:
    gradients, p = s.gradients(6), s.params()
    tx = jopt.from_dict(jopt.to_dict(s.tx)) if _has_config(s.tx) else s.tx
    again = s.with_tx(tx)
    for cut in range(1, 6):
        record = saved(s.base.states[cut - 1])
        state = restored(tx, p, record)
        run = again.run(gradients[cut:], s.base.params[cut - 1], state, start=cut)
        same_bits(run.params[-1], s.base.params[-1], f"resumed after step {cut}")
        same_bits(run.states[-1], s.base.states[-1], f"the state, cut {cut}")


def _has_config(tx: Any) -> bool:
    try:
        jopt.to_dict(tx)
    except (TypeError, ValueError, AttributeError):
        return False
    return True


@law(
    "C5",
    "the state of other parameters, or of another optimizer, is refused",
    why="A moment of the wrong shape may broadcast, and trains something else.",
    cure="Compare the shapes of the state with the parameters' while tracing.",
)
def _refuses_other_states(s: Subject) -> None:
    p, g = s.params(), s.gradients(1)[0]
    own = jax.eval_shape(s.tx.init, p)
    if not any(leaf.ndim for leaf in jax.tree.leaves(own)):
        raise NotApplicable("its state has nothing shaped like parameters")
    thin = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype), s.like
    )
    others = {
        "of parameters with one row": s.tx.init(data.params(thin)),
        "of another optimizer": jopt.chain(jopt.ema(0.9), jopt.trace(0.5)).init(p),
    }
    for name, state in others.items():
        if jax.tree.structure(state) == jax.tree.structure(own) and "other" in name[5:]:
            continue
        try:
            jax.eval_shape(
                lambda g, state, p: s.tx.update(g, state, p, **s.extra()), g, state, p
            )
        except (ValueError, TypeError, AttributeError, KeyError):
            continue
        raise Broken(f"it takes a state {name}")
