"""The tables of docs/schedules.md: every scheduler of others, and the same in jopt."""

import ast
import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jopt
from tests.certificates import schedules
from tests.certificates.record import TOLD
from tests.test_plateau import LOSSES, plateau_of_keras, plateau_of_torch, scales

PAGE = Path(__file__).parents[1] / "docs" / "schedules.md"
TORCH = [
    "LambdaLR",
    "MultiplicativeLR",
    "StepLR",
    "MultiStepLR",
    "ConstantLR",
    "LinearLR",
    "ExponentialLR",
    "PolynomialLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "ChainedScheduler",
]
KERAS = [
    "ExponentialDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "InverseTimeDecay",
    "CosineDecay",
    "CosineDecayRestarts",
]
TENSORFLOW = [
    "exponential_decay",
    "natural_exp_decay",
    "inverse_time_decay",
    "polynomial_decay",
    "piecewise_constant",
    "cosine_decay",
    "cosine_decay_restarts",
    "linear_cosine_decay",
    "noisy_linear_cosine_decay",
]
OPTAX = [
    name
    for name, value in vars(optax.schedules).items()
    if inspect.isfunction(value) and not name.startswith("inject")
]
NAMES = vars(jopt) | {"jnp": jnp}
STEPS = np.arange(schedules.STEPS)


def rows(title):
    """The lines of a table: what others call it, and the call here."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n### {title}\n")[1]
    section = re.split(r"\n##", section)[0]
    table = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return [(left, right.strip("`")) for left, right in table[1:]]


def name_of(left):
    return re.match(r"`?(\w+)", left).group(1)


def names_in(title):
    return {name_of(left) for left, _ in rows(title)} - {"its"}


def values(schedule):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(schedule)(STEPS))


def made(call):
    with jax.enable_x64(True):
        return eval(call, dict(NAMES))


def settings(left):
    """The arguments of a call, `None` where they are more than literals."""
    try:
        call = ast.parse(left.strip("`"), mode="eval").body
        return {k.arg: _number(k.value) for k in call.keywords}
    except (ValueError, SyntaxError, AttributeError):
        return None


def _number(node):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _number(node.left) / _number(node.right)
    return ast.literal_eval(node)


def certified(source, given, schedule):
    """Whether a certificate of that source has those settings and values."""
    ours = values(schedule)
    return any(
        c.source == source
        and (given is None or not c.settings or c.settings == given)
        and schedules.schedule_error(ours, c.values()) < 1e-12
        for c in schedules.SCHEDULES
    )


def cases(title, source):
    """Rows with the source that each is about; `its` is that of the row before."""
    last = ""
    for left, right in rows(title):
        own = not left.startswith("its")
        last = name_of(left) if own else last
        if last != "ReduceLROnPlateau" and "..." not in right:
            yield source.format(last), settings(left) if own else None, right


CALLS = [
    *cases("PyTorch", "torch.{}"),
    *cases("Keras", "keras.{}"),
    *cases("TensorFlow", TOLD + "tf.compat.v1.train.{}"),
]


@pytest.mark.parametrize(("source", "given", "call"), CALLS)
def test_both_columns_have_the_same_values(source, given, call):
    assert certified(source, given, made(call))


@pytest.mark.parametrize("call", [right for _, right in rows("Papers")])
def test_schedules_of_papers_are_certified(call):
    ours = values(made(call))
    assert any(
        schedules.schedule_error(ours, c.values()) < 1e-12 for c in schedules.SCHEDULES
    )


@pytest.mark.parametrize("left", [left for left, _ in rows("optax")])
def test_optax_has_the_same_values(left):
    call = left.strip("`")
    ours = values(made(call))
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        theirs = jax.jit(jax.vmap(eval(call, dict(vars(optax)))))(STEPS)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def plateaus(title):
    """Rows of plateaus, with all settings of each."""
    first = {}
    for left, right in rows(title):
        if "reduce_on_plateau" in right:
            own = not left.startswith("its")
            more = settings(left if own else f"f({left[4:].strip('`')})")
            first = more if own else first
            yield first | more, right


@pytest.mark.parametrize(
    ("rule", "given", "call"),
    [(plateau_of_torch, *row) for row in plateaus("PyTorch")]
    + [(plateau_of_keras, *row) for row in plateaus("Keras")],
)
def test_plateaus_fall_alike(rule, given, call):
    expected = rule(LOSSES, **given)
    assert min(expected) < 1.0
    np.testing.assert_allclose(scales(made(call), LOSSES), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("title", "wanted"),
    [("PyTorch", TORCH), ("Keras", KERAS), ("TensorFlow", TENSORFLOW)]
    + [("optax", OPTAX)],
)
def test_the_tables_are_complete(title, wanted):
    assert set(wanted) <= names_in(title)


@pytest.mark.slow
def test_the_list_of_torch_is_complete():
    torch = pytest.importorskip("torch")
    from torch.optim import lr_scheduler

    base = lr_scheduler.LRScheduler
    found = {
        name
        for name, value in vars(lr_scheduler).items()
        if isinstance(value, type) and issubclass(value, base)
        if not name.startswith("_") and value is not base and name != "LRScheduler"
    }
    assert found == set(TORCH), torch.__version__
