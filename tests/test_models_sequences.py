"""Recurrent models and the Transformer: what they see, and what they can learn."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jopt
from jopt.experiments.models.recurrent import Recurrent
from jopt.experiments.models.sequences import masked_cross_entropy, SequenceModel
from jopt.experiments.models.transformer import sinusoids, Transformer, Translator
from jopt.experiments.text import BOS, EOS, PAD

BODIES = ["rnn", "lstm", "gru", "transformer"]
SMALL = {"width": 8, "depth": 1}


def model(body, **options):
    if body != "bag":
        options = SMALL | options
    return SequenceModel(9, 5, rngs=nnx.Rngs(0), body=body, **{"width": 8} | options)


@pytest.fixture
def symbols():
    return np.random.default_rng(1).integers(4, 9, (3, 6)).astype(np.int32)


@nnx.jit
def run(one, x):
    return one(x)


def changed_at_4(symbols):
    """The same symbols, but for one of each row."""
    changed = symbols.copy()
    changed[:, 4] = 4 + (symbols[:, 4] - 3) % 5
    return changed


def with_padding(symbols):
    """Two places of padding at the end of each row, and a row of nothing else."""
    return np.pad(symbols[:, :4], ((0, 1), (0, 2)), constant_values=PAD)


def marked(one):
    """The same model, with another embedding of what is no symbol."""
    for path, leaf in nnx.to_flat_state(nnx.state(one, nnx.Param)):
        if path[-1] == "embedding":
            leaf[...] = leaf[...].at[PAD].set(9.0)
    return one


@pytest.mark.parametrize("body", BODIES)
def test_later_symbols_do_not_change_earlier_logits(body, symbols):
    causal = model(body, causal=True)
    before, after = run(causal, symbols), run(causal, changed_at_4(symbols))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any((1, 2)).all()


@pytest.mark.parametrize("body", BODIES)
def test_a_tagger_sees_what_comes_later(body, symbols):
    tagger = model(body)
    before, after = run(tagger, symbols), run(tagger, changed_at_4(symbols))
    assert (before[:, 0] != after[:, 0]).any(1).all()


@pytest.mark.parametrize("body", BODIES)
def test_padding_does_not_matter(body, symbols):
    tagger, rows = model(body), with_padding(symbols)[:3]
    before = run(tagger, rows)[:, :4]
    np.testing.assert_array_equal(run(marked(tagger), rows)[:, :4], before)


@pytest.mark.parametrize("body", ["bag", "gru", "transformer"])
def test_padding_does_not_matter_to_the_mean(body, symbols):
    one, rows = model(body, pooled=True), with_padding(symbols)
    before = run(one, rows)
    assert before.shape == (4, 5) and jnp.isfinite(before).all()
    np.testing.assert_array_equal(run(marked(one), rows)[:3], before[:3])


def test_a_longer_row_says_the_same_of_its_symbols(symbols):
    one = model("gru")
    longer = np.pad(symbols, ((0, 0), (0, 3)), constant_values=PAD)
    np.testing.assert_allclose(run(one, longer)[:, :6], run(one, symbols), atol=1e-6)


def test_both_directions_share_the_width():
    one = Recurrent(8, rngs=nnx.Rngs(0), width=8)
    two = Recurrent(8, rngs=nnx.Rngs(0), width=8, both=True)
    x, mask = jnp.ones((2, 3, 8)), jnp.ones((2, 3), bool)
    for found in (one, two):
        assert nnx.jit(lambda m, *x: m(*x))(found, x, mask).shape == (2, 3, 8)
    assert not hasattr(one, "back1") and hasattr(two, "back1")


def test_features_of_a_place_are_added_up(symbols):
    two = SequenceModel((9, 9), 5, rngs=nnx.Rngs(0), body="bag", width=8)
    pairs = np.stack([symbols, symbols[::-1]], -1)
    h = two.embed1(symbols) + two.embed2(symbols[::-1])
    np.testing.assert_allclose(two(pairs), two.head(h), rtol=1e-6)


def test_tied_logits_use_the_embeddings(symbols):
    one = SequenceModel(9, 9, rngs=nnx.Rngs(0), body="bag", tied=True, width=8)
    h = one.embed1(symbols)
    np.testing.assert_allclose(one(symbols), h @ one.embed1.embedding[...].T, rtol=1e-6)
    assert not hasattr(one, "head")


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ("transformer", {"normalisation": "rms"}),
        ("transformer", {"positions": "sinusoidal"}),
        ("gru", {"activation": "elu"}),
        ("gru", {"initialiser": "glorot_uniform"}),
        ("gru", {"depth": 2}),
    ],
    ids=str,
)
def test_options_change_what_is_said(body, options, symbols):
    changed = run(model(body, **options), symbols)
    assert jnp.isfinite(changed).all()
    assert not np.allclose(changed, run(model(body), symbols), rtol=1e-3)


def test_dropout_only_in_training(symbols):
    one = model("bag", dropout=0.5)
    one.eval()
    np.testing.assert_array_equal(run(one, symbols), run(one, symbols))
    one.train()
    assert not np.array_equal(run(one, symbols), run(one, symbols))


def test_sinusoids_have_the_spread_of_embeddings():
    table = sinusoids(64, 32)
    assert table.shape == (64, 32)
    np.testing.assert_allclose(jnp.sqrt((table**2).mean()), 0.02, rtol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"body": "lstn"}, "`body`: Nothing is named `lstn`. Did you mean `lstm`"),
        ({"body": "transformer", "heads": 3}, "`heads` must divide the width 8, got 3"),
        ({"body": "transformer", "positions": "none"}, "`positions`: Nothing is named"),
        ({"body": "lstm", "normalisation": "batch"}, "`normalisation`: Nothing is"),
        ({"body": "lstm", "causal": True, "both": True}, "`both` must be false"),
        ({"body": "lstm", "width": 7}, "`width` must be even"),
        ({"body": "bag", "tied": True}, "`tied` needs as many outputs as symbols"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        model(**options)


def test_logits_can_start_at_zero(symbols):
    one = model("bag", head_initialiser="zeros")
    assert (run(one, symbols) == 0.0).all()


def test_input_longer_than_the_positions():
    one = Transformer(8, rngs=nnx.Rngs(0), depth=1, length=4)
    with pytest.raises(ValueError, match="at least that of the input, 5, got 4"):
        one(jnp.ones((1, 5, 8)), jnp.ones((1, 5), bool))


def test_wrong_number_of_features(symbols):
    with pytest.raises(ValueError, match="must have 1 features, got 2"):
        model("bag")(np.stack([symbols, symbols], -1))


def test_masked_cross_entropy_by_hand():
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]]]))
    value = masked_cross_entropy(logits, jnp.array([[1, PAD]]))
    np.testing.assert_allclose(value, -np.log(0.25), rtol=1e-6)
    nothing = masked_cross_entropy(logits, jnp.array([[PAD, PAD]]))
    assert nothing == 0.0


def fitted(one, loss, batches, rate):
    """Train on one batch after the other, all in one program."""
    graph, params = nnx.split(one, nnx.Param)
    tx = jopt.adamw(rate)

    def step(carry, rows):
        params, state = carry
        grads = jax.grad(lambda p: loss(nnx.merge(graph, p), rows))(params)
        updates, state = tx.update(grads, state, params)
        return (jopt.apply_updates(params, updates), state), None

    def whole(params, batches):
        return jax.lax.scan(step, (params, tx.init(params)), batches)[0][0]

    return nnx.merge(graph, jax.jit(whole)(params, batches))


def reverser():
    return nnx.merge(*learned())


@ft.cache
def learned():
    """A model that has learned to write strings of three to six letters backwards."""
    one = Translator((12, 12), rngs=nnx.Rngs(0), width=32, depth=1, length=9)

    def loss(one, rows):
        source, target = rows
        first = jnp.full((len(target), 1), BOS)
        before = jnp.concatenate([first, target[:, :-1]], 1)
        logits = one(source, before)
        return masked_cross_entropy(logits, target)

    steps = [strings(seed, 64) for seed in range(300)]
    batches = jax.tree.map(lambda *rows: np.stack(rows), *steps)
    return nnx.split(fitted(one, loss, batches, 1e-2))


@ft.partial(nnx.jit, static_argnums=2)
def write(one, source, length):
    return one.greedy(source, length)


def strings(seed, rows):
    random = np.random.default_rng(seed)
    source = np.zeros((rows, 8), np.int32)
    target = np.zeros((rows, 8), np.int32)
    for i, length in enumerate(random.integers(3, 7, rows)):
        row = random.integers(4, 12, length)
        source[i, :length], target[i, : length + 1] = row, [*row[::-1], EOS]
    return source, target


def test_the_transformer_learns_to_reverse_a_string():
    source, target = strings(10_000, 64)
    assert (np.asarray(write(reverser(), source, 8)) == target).all(1).mean() > 0.98


def test_greedy_is_the_argmax_step_by_step():
    one, (source, _) = reverser(), strings(20_000, 64)
    source[:, 0] = 3  # unknown: not what it was trained on
    source[-1] = PAD  # nothing to write
    written = write(one, source, 8)
    logits = nnx.jit(lambda one, *rows: one(*rows))
    last, done = np.full((64, 9), PAD), source[:, 0] == PAD
    last[:, 0] = BOS
    for at in range(8):
        best = np.where(done, PAD, logits(one, source, last)[:, at].argmax(-1))
        np.testing.assert_array_equal(written[:, at], best)
        done |= best == EOS
        last[:, at + 1] = best


def test_padding_of_the_source_does_not_change_what_is_written():
    source, _ = strings(30_000, 64)
    one = reverser()
    before = write(one, source, 8)
    table = one.source.embedding  # not the target's, which makes the logits
    table[...] = table[...].at[PAD].set(9.0)
    np.testing.assert_array_equal(write(one, source, 8), before)


def test_the_lstm_recalls_the_first_symbol():
    one = model("lstm", causal=True, width=32)

    def loss(one, x):
        return masked_cross_entropy(one(x)[:, -1:], x[:, :1] - 4 + 1)

    x = np.random.default_rng(0).integers(4, 8, (101, 64, 8)).astype(np.int32)
    found = fitted(one, loss, x[:-1], 2e-2)
    x = x[-1]
    assert (np.asarray(run(found, x)[:, -1].argmax(-1)) == x[:, 0] - 3).all()
