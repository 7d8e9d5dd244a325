"""Transforms from text: known calls are built, anything else is refused."""

import pytest

import jopt
from jopt._core.parse import parse, parse_optimizer, split_list
from jopt.experiments.entrants import known


def text(*args, **kwargs):
    return args, kwargs


@pytest.mark.parametrize(
    ("source", "args"),
    [
        ("f(1, -2.5, 1e-3)", (1, -2.5, 1e-3)),
        ("f('a', True, None)", ("a", True, None)),
        ("f((1, 2), [3])", ((1, 2), [3])),
        ("f", ()),
        ("f(f)", (((), {}),)),
    ],
)
def test_parse_builds_what_the_text_says(source, args):
    assert parse(source, {"f": text}) == (args, {})


def test_parse_passes_keywords():
    assert parse("f(a=1, b=[2])", {"f": text}) == ((), {"a": 1, "b": [2]})


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os')",
        "f.__class__",
        "f().x",
        "f()()",
        "f(*[1])",
        "f(**{})",
        "f(lambda: 1)",
        "f([x for x in (1, 2)])",
        "f(1 + 1)",
        "f(-f)",
        "f(-True)",
        "f(b'1')",
        "f(1j)",
        "f(...)",
        "f(f'{1}')",
        "f({1: 2})",
        "f(x := 1)",
        "f(1 if 1 else 2)",
        "1",
        "'f'",
        "(f,)",
        "f(",
        "",
        "f\0",
        "f; f",
        "x = f",
        "g",
        "f(" * 21 + ")" * 21,
        "f(" * 150 + ")" * 150,
        "(" * 3000,
        "-" * 4000 + "1",
        "f(" + "1+" * 1500 + "1)",
        "f(" + "1," * 3000 + ")",
    ],
)
def test_parse_refuses_all_else(source):
    with pytest.raises(ValueError):
        parse(source, {"f": text})


def test_parse_wants_a_string():
    with pytest.raises(TypeError, match="`text` must be a string, got 3"):
        parse(3, {})


def test_unknown_name_has_a_hint():
    with pytest.raises(ValueError, match=r"named `adamq`\. Did you mean `adam`"):
        parse("adamq(1.0)", known())


def test_parse_reads_back_what_a_transform_prints():
    tx = jopt.chain(jopt.clip_by_global_norm(1.0), jopt.adamw(1e-3, b2=0.95))
    assert parse(repr(tx), known()) == tx


@pytest.mark.parametrize(
    ("source", "built"),
    [
        ("sgd", lambda: jopt.sgd(0.5)),
        ("sgd(momentum=0.9)", lambda: jopt.sgd(0.5, momentum=0.9)),
        ("sgd(0.1)", lambda: jopt.sgd(0.1)),
        ("sgd(learning_rate=0.1)", lambda: jopt.sgd(0.1)),
        ("chain(clip(1.0), adam)", lambda: jopt.chain(jopt.clip(1.0), jopt.adam(0.5))),
    ],
)
def test_parse_optimizer_fills_in_the_learning_rate(source, built):
    assert parse_optimizer(source, known(), learning_rate=0.5) == built()


def test_wrong_argument_is_told_by_the_factory():
    with pytest.raises(TypeError, match="`sgd` has no argument `momentumm`"):
        parse_optimizer("sgd(momentumm=1)", known(), learning_rate=0.1)


def test_split_list_keeps_calls_and_quotes_whole():
    source = "a, f(1, (2, 3)), g('x,)'), "
    assert split_list(source) == ["a", "f(1, (2, 3))", "g('x,)')", ""]
