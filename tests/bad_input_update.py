"""Rows of the table of bad inputs that concern parameters, gradients and states."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt._core.warn import JoptWarning
from tests.bad_input_row import (
    B,
    P,
    refused,
    Row,
    state,
    state_for,
    trace,
    W,
    warned,
)

adam, adamw, sgd = jopt.adam(0.1), jopt.adamw(0.1, weight_decay=0.1), jopt.sgd(0.1)
momentum = jopt.sgd(0.1, momentum=0.9)
rising = jopt.adam(jopt.linear_schedule(0.0, 0.1, 10))
Q = jax.device_put(P)
NO_B = {"w": W}
ONE = np.ones(1, np.float32)
INTEGERS = {"w": W, "n": np.zeros((), np.int32)}
HALF = {"scale": jnp.ones(3, jnp.bfloat16)}
small = jopt.adamw(1e-3)

bad = partial(refused, "trace")
at_init = partial(refused, "init")


def deleted():
    """A state after it was donated."""
    made = jax.device_put(
        jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), state(adam))
    )
    jax.tree.map(lambda leaf: leaf.delete(), made)
    return made


def inverse_root(step):
    return jnp.asarray(step, jnp.float32) ** -0.5


GRADIENTS = [
    bad(
        7,
        "a learning rate of shape `(3,)`",
        ValueError,
        r"`learning_rate` of `adam` has shape \(3,\).*jax.vmap",
        lambda: trace(jopt.adam(np.ones(3)), s=state(adam)),
    ),
    bad(
        32,
        "gradients without a leaf",
        ValueError,
        r"`updates` lacks \['b'\]. To hold leaves fixed",
        lambda: trace(adam, NO_B),
    ),
    bad(
        32,
        "gradients with a leaf more",
        ValueError,
        r"`params` lacks \['c'\]",
        lambda: trace(adam, P | {"c": B}),
    ),
    bad(
        33,
        "gradients in a list, parameters in a tuple",
        ValueError,
        "`updates` is a list, but `params` is a tuple",
        lambda: trace(adam, [W, B], (W, B), state_for(adam, (W, B))),
    ),
    bad(
        34,
        "a gradient of shape `(4,)` for `(3,)`",
        ValueError,
        r"gradient of `b` has shape \(4,\), but the parameter has shape \(3,\)",
        lambda: trace(adam, P | {"b": np.ones(4, np.float32)}),
    ),
    bad(
        35,
        "a gradient of shape `(1,)` for `(3,)`",
        ValueError,
        r"gradient of `b` has shape \(1,\), but the parameter has shape \(3,\)",
        lambda: trace(adam, P | {"b": ONE}),
    ),
    bad(
        35,
        "the same, and `update` is called without parameters",
        ValueError,
        r"`1/trace/b` must have shape \(1,\), got \(3,\)",
        lambda: trace(momentum, P | {"b": ONE}, None),
    ),
    bad(
        36,
        "`jopt.apply_updates` with an update larger than its parameter",
        ValueError,
        r"update of `b` has shape \(4, 3\), but the parameter has shape \(3,\)",
        lambda: jax.eval_shape(
            jopt.apply_updates, P, P | {"b": np.ones((4, 3), np.float32)}
        ),
    ),
    bad(
        37,
        "a gradient that is `None`",
        ValueError,
        r"`updates` is None at \['b'\]. Did you mean `jopt.freeze`",
        lambda: trace(adam, P | {"b": None}),
    ),
    bad(
        38,
        "a parameter that is `None`, with a gradient",
        ValueError,
        r"`params` is None at \['b'\]",
        lambda: trace(adam, P, P | {"b": None}),
    ),
    bad(
        41,
        "a complex gradient for a real parameter",
        TypeError,
        "gradient of `b` is complex, but the parameter is real. Take its real part",
        lambda: trace(adam, P | {"b": B.astype(np.complex64)}),
    ),
    bad(
        41,
        "the same, and `update` is called without parameters",
        ValueError,
        "`0/mu/b` must be complex64, got float32",
        lambda: trace(adam, P | {"b": B.astype(np.complex64)}, None),
    ),
    bad(
        41,
        "a real gradient for a complex parameter",
        TypeError,
        "gradient of `b` is real, but the parameter is complex. Cast it",
        lambda: trace(adam, P, P | {"b": B.astype(np.complex64)}),
    ),
    bad(
        42,
        "an integer gradient for a float parameter",
        TypeError,
        "gradient of `b` is int32, but the parameter is float32. Cast it",
        lambda: trace(adam, P | {"b": B.astype(np.int32)}),
    ),
    bad(
        42,
        "a `float0` gradient for a float parameter",
        TypeError,
        "gradient of `b` is float0, but the parameter is float32",
        lambda: adam.update(Q | {"b": np.zeros(3, jax.dtypes.float0)}, state(adam), Q),
    ),
    bad(
        44,
        "a float gradient for an integer parameter",
        TypeError,
        "gradient of `n` is float32, but the parameter is int32, and integers do not",
        lambda: trace(adam, INTEGERS | {"n": np.float32(1)}, INTEGERS, ()),
    ),
    bad(
        45,
        "a gradient that is a string",
        TypeError,
        "`updates` at `b` must be an array, got 'x' of type str",
        lambda: adam.update(Q | {"b": "x"}, state(adam), Q),
    ),
    at_init(
        45,
        "a parameter that is a string",
        TypeError,
        "`params` at `enc/b` must be an array, got 'x' of type str",
        lambda: adam.init({"enc": {"b": "x"}}),
    ),
    at_init(
        45,
        "a parameter that is an array of objects",
        TypeError,
        "`params` at `b` must be an array, got .* of type ndarray",
        lambda: adam.init({"b": np.array([None])}),
    ),
    at_init(
        46,
        "`init(5)`",
        TypeError,
        "`params` is the integer 5, and integers do not train. Write 5.0",
        lambda: adam.init(5),
    ),
    at_init(
        8,
        "a schedule that is infinite at step 0",
        ValueError,
        "schedule of `learning_rate` is inf at step 0.*`step [+] 1`",
        lambda: jopt.sgd(inverse_root).init(P),
        runs=True,
    ),
]

STATES = [
    bad(
        49,
        "`update(grads, state)` where parameters are needed",
        ValueError,
        "`add_decayed_weights` needs params",
        lambda: trace(adamw, p=None),
    ),
    bad(
        50,
        "`update(grads, params, state)`",
        ValueError,
        r"are the arguments swapped\?.*`update\(updates, state, params\)`",
        lambda: adam.update(P, P, state(adam)),
    ),
    bad(
        50,
        "`update(params, grads, state)` of a transform without state",
        ValueError,
        r"are the arguments swapped\?",
        lambda: sgd.update(P, P, state(sgd)),
    ),
    bad(
        50,
        "`update(grads, params)`: the state forgotten",
        ValueError,
        "state given to `adam` is not one of its own.*got dict",
        lambda: trace(adam, P, None, P),
    ),
    bad(
        51,
        "the state of another optimizer",
        ValueError,
        r"expected \(ScaleByAdamState.*got \(ScaleByLionState.*`jopt.migrate`",
        lambda: trace(adam, s=state(jopt.lion(0.1))),
    ),
    bad(
        51,
        "the state of a transform of as many stages",
        ValueError,
        r"expected \(ScaleByAdamState.*got \(ScaleByAmsgradState",
        lambda: trace(adam, s=state(jopt.amsgrad(0.1))),
    ),
    bad(
        51,
        "the state of the same optimizer with a schedule",
        ValueError,
        r"expected \(ScaleByAdamState, EmptyState\).*ScheduledState",
        lambda: trace(adam, s=state(rising)),
    ),
    bad(
        51,
        "`None` for a state",
        ValueError,
        "state given to `sgd` is not one of its own.*got NoneType",
        lambda: sgd.update(P, None, P),
    ),
    bad(
        52,
        "a state for other shapes",
        ValueError,
        r"`0/mu/b` must have shape \(3,\), got \(4,\)",
        lambda: trace(adam, s=state_for(adam, P | {"b": np.ones(4, np.float32)})),
    ),
    bad(
        52,
        "a state for other shapes that would broadcast",
        ValueError,
        r"`0/mu/b` must have shape \(3,\), got \(1,\)",
        lambda: trace(adam, s=state_for(adam, P | {"b": ONE})),
    ),
    bad(
        52,
        "a state larger than the parameters",
        ValueError,
        r"`ema/b` must have shape \(1,\), got \(3,\)",
        lambda: trace(
            jopt.ema_params(0.9), *[P | {"b": ONE}] * 2, s=state(jopt.ema_params(0.9))
        ),
    ),
    bad(
        52,
        "a state for fewer leaves",
        ValueError,
        r"it lacks \['0/mu/b', '0/nu/b'\]",
        lambda: trace(adam, s=state_for(adam, NO_B)),
    ),
    bad(
        53,
        "a state that was donated",
        ValueError,
        "`0/count` of `state`, given to `adam`, has been deleted: it was donated",
        lambda: adam.update(Q, deleted(), Q),
    ),
    at_init(
        60,
        "a mask without an entry for a leaf",
        ValueError,
        "`mask` has no entry for `b`",
        lambda: jopt.masked(sgd, NO_B | {"w": True}).init(P),
    ),
    bad(
        62,
        "`reduce_on_plateau` without `value`",
        ValueError,
        r"needs the metric it watches: call `tx.update\(.*value=loss\)`",
        lambda: trace(jopt.reduce_on_plateau()),
    ),
]

WARNED = [
    warned(
        58,
        "`partition` with a transform that no leaf goes to",
        "no leaf goes to 'head'",
        lambda: jopt.partition({"a": sgd, "head": sgd}, {"...": "a"}).init(P),
    ),
    warned(
        60,
        "a mask that is False everywhere",
        "the mask is False everywhere",
        lambda: jopt.masked(sgd, {"w": False, "b": False}).init(P),
    ),
    warned(
        61,
        '`masked(adam(0.1), "w")` as a whole optimizer',
        "no learning rate reaches `b`.*`jopt.freeze",
        lambda: jopt.masked(adam, "w").init(P),
    ),
    warned(
        66,
        "`adamw(1e-3)` for bfloat16 parameters of size 1",
        "rounded away in every entry of `scale`.*`jopt.master_weights` or `jopt.kahan`",
        lambda: small.init(HALF),
    ),
]

CURES = {
    "partition": lambda: jopt.partition({"a": sgd}, {"...": "a"}).init(P),
    "mask": lambda: jopt.masked(sgd, True).init(P),
    "freeze": lambda: jopt.chain(jopt.masked(adam, "w"), jopt.freeze("b")).init(P),
    "selective": lambda: jopt.selective_transform(adam, freeze_mask="b").init(P),
    "two masks": lambda: jopt.chain(jopt.masked(adam, "w"), jopt.masked(sgd, "b")).init(
        P
    ),
    "one rate for all": lambda: jopt.chain(
        jopt.masked(jopt.scale_by_adam(), "w"), jopt.scale_by_learning_rate(0.1)
    ).init(P),
    "master weights": lambda: jopt.master_weights(small).init(HALF),
    "kahan": lambda: jopt.kahan(small).init(HALF),
    "stochastic": lambda: jopt.round_stochastically(small, 0).init(HALF),
    "kahan around optax": lambda: jopt.kahan(jopt.foreign(small)).init(HALF),
    "larger rate": lambda: jopt.adamw(1e-2).init(HALF),
    "float32": lambda: small.init({"scale": np.ones(3, np.float32)}),
    "under jit": lambda: jax.jit(small.init)(HALF),
    "small parameters": lambda: small.init({"b": 0.1 * HALF["scale"]}),
}
"""Calls that must not warn: the cures, and what is like a warned call but right."""

ROWS: list[Row] = [*GRADIENTS, *STATES, *WARNED]
assert all(row.error is JoptWarning for row in WARNED)
