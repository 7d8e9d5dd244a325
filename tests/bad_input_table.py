"""The table of bad inputs: what is refused, when, and with what message.

To write the page of the docs anew: `./dev python -m tests.bad_input_table`.
"""

from functools import partial
from pathlib import Path

import jax.numpy as jnp
import optax

import jopt
from tests import bad_input_accepted, bad_input_row, bad_input_update
from tests.bad_input_row import elsewhere, refused, Row

NAN, INF = float("nan"), float("inf")
PAGE = Path(__file__).parents[1] / "docs" / "bad-input.md"

VALUE = partial(refused, "construction")
value = lambda n, given, says, call: VALUE(n, given, ValueError, says, call)  # noqa: E731
kind = lambda n, given, says, call: VALUE(n, given, TypeError, says, call)  # noqa: E731

adam, adamw, sgd = jopt.adam, jopt.adamw, jopt.sgd
RATE = r"`learning_rate` must lie in \[0, inf\)"
clip_norm, linear = jopt.clip_by_global_norm, jopt.linear_schedule


def misspelt():
    return adam(learnig_rate=1e-3)


def nan_schedule(step):
    return NAN


def vector_schedule(step):
    return jnp.ones(3)


def none_schedule(step):
    return None


def no_step_schedule():
    return 0.1


def config(**changes):
    """A stored config of sgd, changed."""
    data = {"jopt": 1, "name": "sgd", "args": {"learning_rate": 0.1}}
    return jopt.from_dict(data | changes)


def bomb(levels=30):
    """A config of 2^levels stages, in which each level is one list, used twice."""
    data = {"name": "sgd", "args": {"learning_rate": 0.1}}
    for _ in range(levels):
        data = {"name": "chain", "args": {"transforms": {"tuple": [data, data]}}}
    return jopt.from_dict({"jopt": 1, **data})


HYPERPARAMETERS = [
    value(1, "`adam(nan)`", RATE + ", got nan", lambda: adam(NAN)),
    value(2, "`adam(inf)`", RATE + ", got inf", lambda: adam(INF)),
    value(3, "`adam(-0.1)`", "To ascend, negate the loss", lambda: adam(-0.1)),
    kind(4, '`adam("1e-3")`', r"got the string '1e-3'.*1\.0e-3", lambda: adam("1e-3")),
    kind(5, "`adam(None)`", "`learning_rate` must be a number", lambda: adam(None)),
    kind(6, "`adam(True)`", "got True of type bool", lambda: adam(True)),
    kind(
        None,
        "`adam(linear_schedule)`, a factory not called",
        r"Call it first: `linear_schedule\(",
        lambda: adam(linear),
    ),
    value(
        8,
        "a schedule that returns NaN at every step",
        "its schedule .* takes the value nan at every step",
        lambda: adam(nan_schedule),
    ),
    value(
        8,
        "`adam(constant_schedule(-1.0))`",
        r"its schedule .* takes the value -1 \(`value`\)",
        lambda: adam(jopt.constant_schedule(-1.0)),
    ),
    value(
        10,
        "`adam(0.1, b2=linear_schedule(0.9, 2.0, 10))`",
        r"`b2` must lie in \[0, 1\), but its schedule .* takes the value 2",
        lambda: adam(0.1, b2=linear(0.9, 2.0, 10)),
    ),
    value(
        9,
        "a schedule that returns a vector",
        "returns one number a step",
        lambda: adam(vector_schedule),
    ),
    value(
        9,
        "a schedule that returns `None`",
        "returns one number a step",
        lambda: adam(none_schedule),
    ),
    kind(
        9,
        "a schedule that takes no step",
        "is a function of the step count",
        lambda: adam(no_step_schedule),
    ),
    value(
        10,
        "`adam(0.1, b1=1.0)`",
        r"`b1` must lie in \[0, 1\), got",
        lambda: adam(0.1, b1=1.0),
    ),
    value(10, "`adam(0.1, b2=1.5)`", "`b2` must lie", lambda: adam(0.1, b2=1.5)),
    value(10, "`adam(0.1, b1=-0.1)`", "`b1` must lie", lambda: adam(0.1, b1=-0.1)),
    value(12, "`adam(0.1, eps=-1e-8)`", "`eps` must lie", lambda: adam(0.1, eps=-1e-8)),
    value(
        14,
        "`adamw(0.1, weight_decay=-0.1)`",
        "`weight_decay` must lie",
        lambda: adamw(0.1, weight_decay=-0.1),
    ),
    value(
        14,
        "`adamw(0.1, weight_decay=nan)`",
        "`weight_decay` must lie .* got nan",
        lambda: adamw(0.1, weight_decay=NAN),
    ),
    value(
        15,
        "`sgd(0.1, momentum=1.0)`",
        r"`momentum` must lie in \[0, 1\)",
        lambda: sgd(0.1, momentum=1.0),
    ),
    value(16, "`ema(1.0)`", r"`decay` must lie in \[0, 1\)", lambda: jopt.ema(1.0)),
    value(
        17,
        "`clip_by_global_norm(-1.0)`",
        r"`max_norm` must lie in \[0, inf\)",
        lambda: clip_norm(-1.0),
    ),
    value(
        17, "`clip_by_global_norm(nan)`", "`max_norm` .* nan", lambda: clip_norm(NAN)
    ),
    value(
        18,
        "`add_noise(-1.0, 0.5, 0)`",
        "`eta` must lie",
        lambda: jopt.add_noise(-1.0, 0.5, 0),
    ),
    kind(
        19,
        '`add_noise(1.0, 0.5, "seed")`',
        "`key` must be a key of `jax.random.key` or an integer",
        lambda: jopt.add_noise(1.0, 0.5, "seed"),
    ),
    value(
        20,
        "`accumulate(tx, 0)`",
        "`every_k` must be at least 1, got 0",
        lambda: jopt.accumulate(sgd(0.1), 0),
    ),
    value(
        20,
        "`accumulate(tx, -1)`",
        "`every_k` must be at least 1, got -1",
        lambda: jopt.accumulate(sgd(0.1), -1),
    ),
    value(
        21,
        "`lookahead(tx, sync_period=0)`",
        "`sync_period` must be at least 1",
        lambda: jopt.lookahead(sgd(0.1), sync_period=0),
    ),
    value(
        22,
        "`apply_if_finite(tx, -1)`",
        "`max_consecutive_errors` must be at least",
        lambda: jopt.apply_if_finite(sgd(0.1), -1),
    ),
    kind(
        23,
        '`adam(0.1, mu_dtype="float33")`',
        "`mu_dtype` must be a dtype such as 'bfloat16'",
        lambda: adam(0.1, mu_dtype="float33"),
    ),
    value(
        23,
        '`adam(0.1, mu_dtype="int32")`',
        "`mu_dtype` must be a real dtype of floats",
        lambda: adam(0.1, mu_dtype="int32"),
    ),
    kind(24, "`adam(learnig_rate=1e-3)`", "Did you mean `learning_rate`", misspelt),
    kind(
        24,
        "`sgd(0.1).replace(lr=1.0)`",
        "`sgd` has no argument `lr`",
        lambda: sgd(0.1).replace(lr=1.0),
    ),
]

SCHEDULES = [
    value(
        25,
        "`cosine_decay_schedule(1.0, 0)`",
        "`decay_steps` must be at least 1",
        lambda: jopt.cosine_decay_schedule(1.0, 0),
    ),
    value(
        25,
        "`linear_schedule(1.0, 0.0, -5)`",
        "`transition_steps` must be at least 1",
        lambda: linear(1.0, 0.0, -5),
    ),
    value(
        26,
        "a warm-up longer than the whole",
        "`warmup_steps` must be less than `decay_steps`, got 100 and 50",
        lambda: jopt.warmup_cosine_decay_schedule(0.0, 1.0, 100, 50),
    ),
    value(
        27,
        "`polynomial_schedule(1.0, 0.0, -1.0, 5)`",
        "`power` must lie",
        lambda: jopt.polynomial_schedule(1.0, 0.0, -1.0, 5),
    ),
    value(
        28,
        "`exponential_decay(1.0, 5, 0.0)`",
        "`decay_rate` must lie",
        lambda: jopt.exponential_decay(1.0, 5, 0.0),
    ),
    value(
        28,
        "`exponential_decay(1.0, 5, -0.5)`",
        "`decay_rate` must lie",
        lambda: jopt.exponential_decay(1.0, 5, -0.5),
    ),
    value(
        29,
        "boundaries that do not increase",
        "strictly increasing",
        lambda: jopt.join_schedules([0.1, 0.2, 0.3], [10, 5]),
    ),
    value(
        29,
        "a boundary twice",
        "strictly increasing",
        lambda: jopt.multistep_decay(1.0, [4, 4]),
    ),
    kind(
        29,
        "a boundary of 1.5 steps",
        "must be integers",
        lambda: jopt.multistep_decay(1.0, [1.5]),
    ),
    value(
        30,
        "one schedule and two boundaries",
        "`boundaries` must be one fewer than `schedules`, got 2 for 1",
        lambda: jopt.join_schedules([0.1], [5, 10]),
    ),
    kind(
        31,
        "a schedule called with step 2.5",
        "takes an integer step count",
        lambda: jopt.step_decay(1.0, 5)(2.5),
    ),
]

CHAINS = [
    kind(
        56,
        "`chain(1.0)`",
        r"`transforms\[0\]` must be made of transforms, got 1.0",
        lambda: jopt.chain(1.0),
    ),
    kind(
        56,
        "`chain((adam(0.1),))`",
        r"must be one transform, got a tuple. Unpack it: `chain\(\*stages\)`",
        lambda: jopt.chain((adam(0.1),)),
    ),
    kind(
        56, "`chain(adam)`", r"Call it first: `adam\(...\)`", lambda: jopt.chain(adam)
    ),
    kind(
        56,
        "`chain(optax.adam)`",
        "must be made of transforms, got",
        lambda: jopt.chain(optax.adam),
    ),
    kind(
        56,
        '`chain({"a": tx})`',
        "Use `jopt.named_chain",
        lambda: jopt.chain({"a": sgd(0.1)}),
    ),
    kind(
        56,
        '`chain(("a", tx))`',
        "For stages with names use `jopt.named_chain`",
        lambda: jopt.chain(("a", sgd(0.1))),
    ),
    kind(
        56,
        '`masked([tx], "w")`',
        r"Unpack it: `jopt.chain\(\*stages\)`",
        lambda: jopt.masked([sgd(0.1)], "w"),
    ),
    value(
        57,
        "`named_chain` with a name twice",
        "two stages named 'a'",
        lambda: jopt.named_chain(("a", sgd(0.1)), ("a", sgd(0.1))),
    ),
    value(
        58,
        "`partition` with a label that has no transform",
        "sends `b` to 'hed', which `transforms` does not have. Did you mean `head`",
        lambda: jopt.partition({"head": sgd(0.1)}, {"w": "head", "b": "hed"}),
    ),
    kind(
        59,
        "a mask of floats",
        "`mask` at `b` must be True or False, got 0.0",
        lambda: jopt.masked(sgd(0.1), {"w": 1.0, "b": 0.0}),
    ),
    kind(
        59,
        "a mask of strings",
        "`mask` at `b` must be True or False, got 'yes'",
        lambda: adamw(0.1, mask={"w": "no", "b": "yes"}),
    ),
    kind(
        59,
        "a mask that is a list of names",
        "`mask` at `0` must be True or False, got 'w'.*pattern of names",
        lambda: jopt.freeze(["w"]),
    ),
]

CONFIGS = [
    kind(
        79, "a config that is a list", "A config is a dict", lambda: jopt.from_dict([])
    ),
    value(
        79, "a config with an unknown key", "must have the keys", lambda: config(lr=0.1)
    ),
    kind(
        79,
        "a config with an unknown argument",
        "`sgd` has no argument `momentun`. Did you mean `momentum`",
        lambda: config(args={"learning_rate": 0.1, "momentun": 0.9}),
    ),
    value(
        79,
        "a config with NaN",
        RATE + ", got nan",
        lambda: config(args={"learning_rate": NAN}),
    ),
    kind(
        79,
        'a config with `learning_rate: "1e-3"`',
        r"got the string '1e-3'. In a YAML file",
        lambda: config(args={"learning_rate": "1e-3"}),
    ),
    value(
        79,
        "a config of another version",
        "The config has version 99, this jopt reads 1",
        lambda: config(jopt=99),
    ),
    value(
        80,
        "a config that names a function of Python",
        "nothing named 'os.system' is registered",
        lambda: config(name="os.system"),
    ),
    value(
        80,
        "a config with `_target_`",
        "must have the keys `name` and `args`",
        lambda: config(_target_="os.system"),
    ),
    value(
        80,
        "a config of 1 kB that would grow to a billion stages",
        "The config is too large",
        bomb,
    ),
]

ELSEWHERE = [
    elsewhere(71, "a batch that does not divide by the devices", "experiments"),
    elsewhere(72, "a checkpoint folder that is not there", "checkpoints"),
    elsewhere(73, "a truncated or altered checkpoint", "checkpoints"),
    elsewhere(74, "a checkpoint of a newer format", "checkpoints"),
    elsewhere(75, "a checkpoint of another tree", "checkpoints"),
    elsewhere(76, "two writers in one folder", "checkpoints"),
    elsewhere(77, "a full disk", "checkpoints"),
    elsewhere(78, "a step folder named `../x`", "checkpoints"),
    elsewhere(81, "a search with no trials", "experiments"),
    elsewhere(82, "a model file that is a pickle", "checkpoints"),
    elsewhere(
        79,
        "duplicate keys, or `on:` and `12:30:45` in YAML",
        "the file's parser: jopt reads no YAML, and `from_dict` gets what is left",
    ),
]

ROWS: list[Row] = [
    *HYPERPARAMETERS,
    *SCHEDULES,
    *CHAINS,
    *CONFIGS,
    *bad_input_update.ROWS,
    *bad_input_accepted.ROWS,
    *ELSEWHERE,
]

if __name__ == "__main__":
    from tests import bad_input_table  # so that its functions print as in the tests

    PAGE.write_text(bad_input_row.page(bad_input_table.ROWS), encoding="utf-8")
