"""Tests of masks and labels, and of the wrappers that use them."""

import pickle

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import jopt
from jopt._core import select, trees

PARAMS = {
    "dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "out": jnp.ones(2),
}


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x)


def linen():
    return Linen().init(jax.random.key(0), jnp.ones((1, 2)))["params"]["Dense_0"]


def nnx_state():
    return nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Param)


def equinox_module():
    return eqx.filter(eqx.nn.Linear(2, 3, key=jax.random.key(0)), eqx.is_array)


def chosen(mask, params=PARAMS):
    """Names of the leaves that a mask selects."""
    resolved = select.resolve(mask, params)
    assert jax.tree.structure(resolved) == jax.tree.structure(params)
    flags = jax.tree.leaves(resolved)
    assert all(type(flag) is bool for flag in flags)
    return [n for n, f in zip(trees.names(params), flags, strict=True) if f]


@pytest.mark.parametrize(
    "mask",
    [
        "kernel$",
        jopt.where(ndim=2),
        jopt.where(min_ndim=2),
        jopt.where(shape=(None, 3)),
        jopt.where("dense") & ~jopt.where(max_ndim=1),
        lambda name, leaf: name == "dense/kernel",
        lambda params: jax.tree.map(lambda p: p.ndim == 2, params),
        {"dense": {"kernel": True, "bias": False}, "out": False},
        {"out": False, "dense": nnx.State({"kernel": True, "bias": False})},
    ],
)
def test_forms_of_a_mask(mask):
    assert chosen(mask) == ["dense/kernel"]


def test_none_selects_all():
    assert chosen(None) == trees.names(PARAMS)


def test_false_selects_none():
    assert chosen(False) == []


def test_prefix_tree_speaks_for_its_leaves():
    assert chosen({"dense": True, "out": False}) == ["dense/bias", "dense/kernel"]


def test_hidden_leaf_may_be_named():
    params = {"a": jnp.ones(2), "b": optax.MaskedNode(), "c": None}
    assert chosen({"a": True, "b": True, "c": False}, params) == ["a"]


def test_pattern_may_match_hidden_leaves_only():
    assert chosen("b", {"a": jnp.ones(2), "b": optax.MaskedNode()}) == []


def test_name_with_slash_is_found():
    assert chosen({"mlp/~/linear": {"w": True}}, {"mlp/~/linear": {"w": jnp.ones(2)}})


@pytest.mark.parametrize("make", [linen, nnx_state])
def test_flax_leaves_by_pattern(make):
    assert chosen("^kernel$", make()) == ["kernel"]


@pytest.mark.parametrize("make", [linen, nnx_state])
def test_flax_leaves_by_plain_dict(make):
    assert chosen({"kernel": True, "bias": False}, make()) == ["kernel"]


def test_equinox_leaves_by_pattern():
    assert chosen("^weight$", equinox_module()) == ["weight"]


def test_callable_module_of_bools_is_a_tree():
    params = eqx.filter(eqx.nn.MLP(2, 2, 3, 1, key=jax.random.key(0)), eqx.is_array)
    mask = jax.tree.map(lambda p: p.ndim == 2, params)
    assert chosen(mask, params) == ["layers/0/weight", "layers/1/weight"]


@pytest.mark.parametrize(
    ("mask", "error", "match"),
    [
        ("kernal$", ValueError, "'kernal\\$' matches no leaf.*`dense/kernel`"),
        ("(", ValueError, "no regular expression"),
        (0.5, TypeError, "must be True or False, got 0.5"),
        ({"dense": "no", "out": True}, TypeError, "at `dense` must be True.*'no'"),
        ({"dense": True, "out": 1.0}, TypeError, "at `out` must be True or False"),
        ({"dense": {"kernel": True}, "out": True}, ValueError, "`dense/bias`"),
        ({"dense": True, "out": True, "x": True}, ValueError, "names `x`, which"),
        (lambda name, leaf: None, TypeError, "at `dense/bias` must be True"),
        (lambda name, leaf: leaf.sum() > 0, TypeError, "depends on the values"),
        (lambda params: None, TypeError, "must return a tree"),
        (jopt.where("kernel") | jopt.where("krnl"), ValueError, "'krnl' matches no"),
    ],
)
def test_bad_masks(mask, error, match):
    with pytest.raises(error, match=match):
        select.resolve(mask, PARAMS)


@pytest.mark.parametrize("make", [jopt.freeze, lambda m: jopt.masked(jopt.sgd(1.0), m)])
def test_bad_mask_is_found_at_construction(make):
    with pytest.raises(TypeError, match="`mask` must be True or False, got 1"):
        make(1)


def test_where_prints_as_its_call():
    w = (jopt.where("a") | jopt.where(ndim=2)) & ~jopt.where("b", dtype="bfloat16")
    text = "(where('a') | where(ndim=2)) & ~where('b', dtype='bfloat16')"
    assert repr(w) == text


def test_where_is_a_value():
    w = jopt.where("a", shape=(None, 3)) & ~jopt.where(dtype=jnp.float32)
    again = pickle.loads(pickle.dumps(w))
    assert (again, hash(again)) == (w, hash(w))


def test_where_is_not_equal_to_another():
    assert jopt.where("a") | jopt.where("b") != jopt.where("a") & jopt.where("b")


@pytest.mark.parametrize("bad", [{"ndim": 1.0}, {"min_ndim": -1}, {"shape": 3}])
def test_where_checks_its_arguments(bad):
    with pytest.raises(TypeError, match=f"`{next(iter(bad))}` must be"):
        jopt.where(**bad)


def test_where_dtype_is_that_of_the_parameter():
    params = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2)}
    tx = jopt.masked(jopt.scale(-1.0), jopt.where(dtype=jnp.bfloat16))
    u, _ = tx.update(params, tx.init(params), params)
    assert (float(u["a"][0]), float(u["b"][0])) == (-1.0, 1.0)


def test_where_dtype_without_params_is_refused():
    tx = jopt.freeze(jopt.where(dtype=jnp.bfloat16) | jopt.where(dtype="float32"))
    with pytest.raises(ValueError, match="selects by dtype"):
        tx.update(PARAMS, tx.init(PARAMS))


# -- labels ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {"kernel$": "m", "...": "a"},
        {"kernel$": "m", ".*": "a"},
        {jopt.where(ndim=2): "m", "bias": "a", "out": "a"},
        {"dense": {"kernel": "m", "bias": "a"}, "out": "a"},
        lambda name, leaf: "m" if leaf.ndim == 2 else "a",
        lambda params: jax.tree.map(lambda p: "m" if p.ndim == 2 else "a", params),
    ],
)
def test_forms_of_labels(spec):
    wanted = {"dense": {"kernel": "m", "bias": "a"}, "out": "a"}
    assert select.labels(spec, PARAMS) == wanted


def test_first_match_wins():
    labels = select.labels({"dense": "a", "kernel": "b", "out": "c"}, PARAMS)
    assert labels["dense"]["kernel"] == "a"


def test_dict_with_the_top_names_is_a_tree():
    params = {"w": jnp.ones(2), "wb": jnp.ones(2)}
    assert select.labels({"w": "a", "wb": "b"}, params) == {"w": "a", "wb": "b"}


@pytest.mark.parametrize("make", [linen, nnx_state])
def test_labels_of_flax_leaves(make):
    labels = select.labels({"kernel": "m", "...": "a"}, make())
    assert jax.tree.leaves(labels) == ["a", "m"]


@pytest.mark.parametrize(
    ("spec", "error", "match"),
    [
        ({"kernel": "m", "bias": "a"}, ValueError, "no pattern that matches `out`"),
        ({"krnl": "m", "...": "a"}, ValueError, "'krnl' matches no leaf"),
        ({"kernel": None, "...": "a"}, TypeError, "must be a label"),
        (lambda name, leaf: 0.5, TypeError, "at `dense/bias` must be a label"),
    ],
)
def test_bad_labels(spec, error, match):
    with pytest.raises(error, match=match):
        select.labels(spec, PARAMS)


# -- wrappers ----------------------------------------------------------------------


def equal(a, b):
    same = jax.tree.map(lambda x, y: bool(jnp.array_equal(x, y)), a, b)
    return all(jax.tree.leaves(same))


def grads(params=PARAMS):
    return jax.tree.map(lambda p: jnp.full(p.shape, 0.5, p.dtype), params)


def test_masked_passes_other_leaves():
    tx = jopt.masked(jopt.scale(-2.0), "kernel$")
    u, _ = tx.update(grads(), tx.init(PARAMS), PARAMS)
    assert float(u["dense"]["kernel"][0, 0]) == -1.0
    assert equal(u["out"], grads()["out"])


def test_masked_keeps_state_for_its_leaves_only():
    state = jopt.masked(jopt.scale_by_adam(), "out").init(PARAMS)
    assert [x.shape for x in jax.tree.leaves(state)] == [(), (2,), (2,)]


@pytest.mark.parametrize("wrap", [lambda t: jopt.masked(t, True), lambda t: t])
def test_masked_everywhere_is_the_inner_one(wrap):
    tx = wrap(jopt.adam(0.1))
    u, _ = tx.update(grads(), tx.init(PARAMS), PARAMS)
    plain = jopt.adam(0.1)
    assert equal(u, plain.update(grads(), plain.init(PARAMS), PARAMS)[0])


def test_masked_matches_optax():
    mask = {"dense": True, "out": False}
    ours, theirs = (
        jopt.masked(jopt.trace(0.5), mask),
        optax.masked(optax.trace(0.5), mask),
    )
    s, t = ours.init(PARAMS), theirs.init(PARAMS)
    for _ in range(2):
        u, s = ours.update(grads(), s, PARAMS)
        v, t = theirs.update(grads(), t, PARAMS)
    assert equal(u, v)


def test_masked_masks_extra_trees_alike():
    def init(params):
        return optax.EmptyState()

    def update(updates, state, params=None, *, other):
        return jax.tree.map(jnp.add, updates, other), state

    tx = jopt.masked(optax.GradientTransformationExtraArgs(init, update), "out")
    u, _ = tx.update(grads(), tx.init(PARAMS), PARAMS, other=PARAMS)
    assert float(u["out"][0]) == 1.5


def test_masked_is_a_value():
    tx = jopt.masked(jopt.scale(2.0), jopt.where("kernel$"))
    assert repr(tx) == "masked(inner=scale(step_size=2.0), mask=where('kernel$'))"
    assert pickle.loads(pickle.dumps(tx)) == tx


def test_frozen_update_is_exactly_zero_for_nan():
    tx = jopt.freeze("^dense")
    g = jax.tree.map(lambda p: jnp.full(p.shape, jnp.nan), PARAMS)
    u, state = tx.update(g, tx.init(PARAMS), PARAMS)
    assert equal(u["dense"], jax.tree.map(jnp.zeros_like, PARAMS["dense"]))
    assert jax.tree.leaves(state) == []


def test_frozen_leaf_stays_bitwise_through_adamw():
    tx = jopt.selective_transform(jopt.adamw(0.1, weight_decay=0.1), freeze_mask="out")
    u, _ = tx.update(grads(), tx.init(PARAMS), PARAMS)
    new = optax.apply_updates(PARAMS, u)
    assert equal(new["out"], PARAMS["out"])
    assert not equal(new["dense"], PARAMS["dense"])


def test_frozen_leaf_has_no_state():
    tx = jopt.selective_transform(jopt.adam(0.1), freeze_mask=~jopt.where("out"))
    shapes = [x.shape for x in jax.tree.leaves(tx.init(PARAMS))]
    assert sorted(shapes) == [(), (2,), (2,)]


def test_partition_into_one_is_the_inner_one():
    one = jopt.partition({"x": jopt.adam(0.1)}, {"...": "x"})
    plain = jopt.adam(0.1)
    u, _ = one.update(grads(), one.init(PARAMS), PARAMS)
    assert equal(u, plain.update(grads(), plain.init(PARAMS), PARAMS)[0])


def test_partition_matches_optax():
    labels = {"dense": {"kernel": "a", "bias": "b"}, "out": "b"}
    ours = jopt.partition({"a": jopt.sgd(0.5), "b": jopt.trace(0.5)}, labels)
    theirs = optax.partition({"a": optax.sgd(0.5), "b": optax.trace(0.5)}, labels)
    s, t = ours.init(PARAMS), theirs.init(PARAMS)
    for _ in range(2):
        u, s = ours.update(grads(), s, PARAMS)
        v, t = theirs.update(grads(), t, PARAMS)
    assert equal(u, v)


def test_partition_state_is_that_of_optax():
    labels = {"dense": "a", "out": "b"}
    inner = {"a": optax.adam(0.5), "b": optax.sgd(0.5)}
    ours = jopt.partition(inner, labels).init(PARAMS)
    theirs = optax.partition(inner, labels).init(PARAMS)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)


def test_partition_refuses_unknown_label():
    with pytest.raises(ValueError, match=r"`out` to 'trian'.*Did you mean `train`"):
        jopt.partition({"train": jopt.sgd(0.5)}, {"out": "trian", "...": "train"})
    tx = jopt.partition({"train": jopt.sgd(0.5)}, lambda name, leaf: "trian")
    with pytest.raises(ValueError, match=r"to 'trian'.*Did you mean `train`"):
        tx.init(PARAMS)


def test_partition_warns_of_unused_transform():
    tx = jopt.partition({"a": jopt.sgd(0.5), "b": jopt.sgd(0.1)}, {"...": "a"})
    with pytest.warns(UserWarning, match="no leaf goes to 'b'"):
        tx.init(PARAMS)


def test_partition_takes_a_dict():
    with pytest.raises(TypeError, match="`transforms` must be a dict"):
        jopt.partition([jopt.sgd(0.5)], {"...": "0"})


def test_partition_learning_rates_are_leaves():
    tx = jopt.partition(
        {"a": jopt.sgd(0.5), "b": jopt.sgd(0.25)}, {"out": "a", "...": "b"}
    )
    assert jax.tree.leaves(tx) == [0.5, 0.25]


def test_partition_under_jit_compiles_once():
    traces = []

    @jax.jit
    def step(tx, g, s, p):
        traces.append(None)
        return tx.update(g, s, p)

    for rate in (0.5, 0.25):
        tx = jopt.partition({"a": jopt.sgd(rate)}, {"...": "a"})
        step(tx, grads(), tx.init(PARAMS), PARAMS)
    assert len(traces) == 1


@pytest.mark.parametrize(
    "tx",
    [
        jopt.chain(jopt.masked(jopt.adam(0.1), "kernel"), jopt.freeze("bias")),
        jopt.selective_transform(jopt.adam(0.1), freeze_mask="bias"),
        jopt.partition(
            {"a": jopt.adam(0.1), "b": jopt.sgd(0.1)}, {"kernel": "a", "...": "b"}
        ),
    ],
    ids=lambda tx: tx.spec.name,
)
def test_wrappers_in_nnx_optimizer(tx):
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    before = model.kernel[...]
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    loss = lambda model: jnp.sum(model(jnp.ones((1, 2))) ** 2)  # noqa: E731
    optimizer.update(model, nnx.grad(loss)(model))
    assert not jnp.array_equal(model.kernel[...], before)


def test_integer_leaf_may_be_named_in_a_mask():
    params = {"w": jnp.ones(2), "steps": jnp.zeros((), jnp.int32)}
    g = {"w": jnp.ones(2), "steps": jnp.zeros((), jnp.int32)}
    tx = jopt.masked(jopt.scale(-1.0), {"w": True, "steps": True})
    u, _ = tx.update(g, tx.init(params), params)
    assert (float(u["w"][0]), int(u["steps"])) == (-1.0, 0)


def test_selectors_are_keys_of_labels_and_of_configs():
    labels = {jopt.where(ndim=2): "a", "...": "b"}
    tx = jopt.partition({"a": jopt.sgd(0.5), "b": jopt.sgd(1.0)}, labels)
    params = {"bias": jnp.ones(1), "kernel": jnp.ones((1, 1))}
    updates, _ = tx.update(params, tx.init(params), params)
    assert updates["kernel"][0, 0] == -0.5 and updates["bias"][0] == -1.0
    assert jopt.from_dict(jopt.to_dict(tx)) == tx
