"""The Flax NNX models, and the functions they are turned into."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jopt
from jopt.experiments import models
from jopt.experiments.models import layers
from jopt.experiments.models.convnet import halve

SHAPES = {"mlp": (8, 8, 1), "convnet": (9, 8, 3)}


@pytest.mark.parametrize("name", SHAPES)
def test_functions_equal_the_module(name):
    shape = SHAPES[name]
    init, apply = models.functional(name, shape, 7)
    module = models.MODELS[name](shape, 7, rngs=nnx.Rngs(params=jax.random.key(3)))
    x = jax.random.normal(jax.random.key(0), (4, *shape))
    logits = apply(init(jax.random.key(3)), x)
    assert logits.shape == (4, 7)
    np.testing.assert_array_equal(logits, module(x))


def test_convnet_has_the_classic_sizes():
    init, _ = models.functional("convnet", (32, 32, 3), 10)
    shapes = jax.tree.map(lambda a: a.shape, jax.eval_shape(init, jax.random.key(0)))
    assert {name: leaf["kernel"] for name, leaf in shapes.items()} == {
        "conv1": (3, 3, 3, 32),
        "conv2": (3, 3, 32, 64),
        "dense": (8 * 8 * 64, 128),
        "head": (128, 10),
    }


def test_convnet_equals_plain_convolution_and_pooling():
    module = models.ConvNet((9, 8, 2), 5, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (3, 9, 8, 2))
    out = x
    for conv in (module.conv1, module.conv2):
        out = jax.lax.conv_general_dilated(
            out,
            conv.kernel[...],
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        out = nnx.max_pool(
            nnx.relu(out + conv.bias[...][None, None, None]), (2, 2), (2, 2)
        )
    out = module.head(nnx.relu(module.dense(out.reshape(3, -1))))
    np.testing.assert_allclose(module(x), out, rtol=1e-4, atol=1e-5)


def test_gradient_of_convnet_equals_that_of_plain_pooling():
    x = jax.random.normal(jax.random.key(1), (2, 6, 6, 3))
    ours = jax.grad(lambda x: (halve(x) ** 2).sum())(x)
    plain = jax.grad(lambda x: (nnx.max_pool(x, (2, 2), (2, 2)) ** 2).sum())(x)
    np.testing.assert_allclose(ours, plain, rtol=1e-6)


def test_image_too_small():
    with pytest.raises(ValueError, match="at least 4x4 pixels, got \\(3, 8, 1\\)"):
        models.ConvNet((3, 8, 1), 10, rngs=nnx.Rngs(0))


def test_cross_entropy_and_accuracy_by_hand():
    logits = jnp.log(jnp.array([[0.25, 0.75], [0.5, 0.5]]))
    labels = jnp.array([1, 1])
    value = models.cross_entropy(logits, labels)
    np.testing.assert_allclose(value, -(np.log(0.75) + np.log(0.5)) / 2, rtol=1e-6)
    assert models.accuracy(logits, labels) == 0.5


def test_training_step_with_nnx_optimizer():
    model = models.MLP((4,), 3, rngs=nnx.Rngs(0), width=8)
    optimizer = nnx.Optimizer(model, jopt.adamw(1e-2), wrt=nnx.Param)
    x = jax.random.normal(jax.random.key(0), (32, 4))
    y = jnp.argmax(x[:, :3], 1)

    def loss(model):
        logits = model(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @nnx.jit
    def step(model, optimizer):
        value, grads = nnx.value_and_grad(loss)(model)
        optimizer.update(model, grads)
        return value

    first = step(model, optimizer)
    for _ in range(60):
        last = step(model, optimizer)
    assert last < 0.3 * first


MODELS = {
    "mlp": (models.MLP, (6,)),
    "convnet": (models.ConvNet, (8, 8, 2)),
    "resnet": (models.ResNet, (8, 8, 2)),
    "unet": (models.UNet, (8, 8, 2)),
    "gridnet": (models.GridNet, (16, 8, 2)),
    "factors": (models.Factors, (5, 7)),
}
SHAPED = {"resnet": (3,), "unet": (8, 8, 3), "gridnet": (2, 1, 3), "factors": ()}
ROWS = [
    *(("mlp", {"activation": name}) for name in layers.ACTIVATIONS),
    *(("mlp", {"initialiser": name}) for name in layers.INITIALISERS),
    *(("mlp", {"normalisation": name}) for name in ("batch", "group", "layer")),
    *(("convnet", {"normalisation": name}) for name in layers.NORMALISATIONS),
    ("convnet", {"activation": "gelu", "dropout": 0.5, "initialiser": "orthogonal"}),
]


def ready(name, **options):
    make, shape = MODELS[name]
    model = make(shape, 3, rngs=nnx.Rngs(0), **options)
    return model, jax.random.normal(jax.random.key(1), (5, *shape))


@pytest.mark.parametrize("name, options", ROWS, ids=str)
def test_every_option_trains(name, options):
    model, x = ready(name, width=8, depth=1, **options)

    @nnx.jit
    def slope(model):
        model.train()
        return nnx.grad(lambda m: (m(x) ** 2).sum() + m(x).sum())(model)

    leaves = jax.tree.leaves(slope(model))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
    assert any(bool(leaf.any()) for leaf in leaves)


@pytest.mark.parametrize("name", ("mlp", "convnet"))
def test_dropout_is_for_training_alone(name):
    model, x = ready(name, dropout=0.5)
    model.train()
    assert (model(x) != model(x)).any()
    model.eval()
    np.testing.assert_array_equal(model(x), model(x))


@pytest.mark.parametrize("name", ("mlp", "convnet"))
def test_batch_averages_are_learnt_in_training_alone(name):
    model, x = ready(name, normalisation="batch")

    def averages():
        return jax.tree.leaves(nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

    first = averages()
    model.eval()
    model(x)
    assert all((a == b).all() for a, b in zip(first, averages(), strict=True))
    model.train()
    model(x)
    assert any((a != b).any() for a, b in zip(first, averages(), strict=True))


def test_a_head_of_zeros_says_nothing_at_first():
    model, x = ready("mlp", head_initialiser="zeros")
    assert not model(x).any()


def test_depth_0_is_linear():
    model, x = ready("mlp", depth=0)
    np.testing.assert_allclose(model(2.0 * x), 2.0 * model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "normalisation, over",
    [("batch", (0, 1, 2)), ("layer", 3), ("instance", (1, 2)), ("group", (1, 2))],
)
def test_normalisation_averages_over_what_it_says(normalisation, over):
    x = 3.0 + jax.random.normal(jax.random.key(0), (4, 5, 6, 8))  # groups of one
    out = layers.normalisation(normalisation, 8, rngs=nnx.Rngs(0))(x)
    np.testing.assert_allclose(out.mean(over), 0.0, atol=1e-5)
    np.testing.assert_allclose(out.std(over), 1.0, atol=1e-3)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"activation": "rleu"}, "`activation`: .* Did you mean `relu`"),
        ({"activation": sum}, "`activation` must be a name"),
        ({"normalisation": "bacth"}, "`normalisation`: .* Did you mean `batch`"),
        ({"normalisation": "instance"}, "a vector has none; use 'layer'"),
        ({"initialiser": "he"}, "`initialiser`: .* Known: glorot_normal"),
        ({"head_initialiser": "zero"}, "`head_initialiser`: .* mean `zeros`"),
        ({"dropout": 1.0}, r"`dropout` must lie in \[0, 1\), got 1.0"),
        ({"dropout": float("nan")}, r"`dropout` must lie in \[0, 1\), got nan"),
        ({"dropout": "0.1"}, "`dropout` must be a number, got '0.1'"),
        ({"width": 0}, "`width` must be at least 1, got 0"),
        ({"width": 2.0}, "`width` must be a whole number, got 2.0"),
        ({"depth": -1}, "`depth` must be at least 0, got -1"),
        ({"actvation": "relu"}, "`options`: .* Did you mean `activation`"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ready("mlp", **options)


@pytest.mark.parametrize("activation", ["gelu", "tanh"])
@pytest.mark.parametrize("normalisation", layers.NORMALISATIONS)
@pytest.mark.parametrize("name", SHAPED)
def test_other_models_take_the_options_too(name, normalisation, activation):
    make, shape = MODELS[name]
    options = {"activation": activation, "initialiser": "orthogonal", "dropout": 0.2}
    options |= {"normalisation": normalisation, "head_initialiser": "zeros"}
    x = jnp.zeros((5, *shape))
    if name == "factors":
        x = jnp.zeros((5, 2), jnp.int32)
        options |= {"depth": 1, "width": 4}
        if normalisation == "instance":
            options["normalisation"] = "none"
    else:
        options["width"] = 4

    def run():
        kinds = {} if name == "factors" else {"classes": 3}
        return make(shape, **kinds, rngs=nnx.Rngs(0), **options)(x)

    assert jax.eval_shape(run).shape == (5, *SHAPED[name])


@pytest.mark.parametrize("depth", [8, 14])
def test_depth_of_a_resnet_is_its_layers_with_weights(depth):
    def make():
        return models.ResNet((8, 8, 3), 10, rngs=nnx.Rngs(0), width=4, depth=depth)

    state = nnx.to_pure_dict(nnx.state(nnx.eval_shape(make), nnx.Param))
    flat = jax.tree_util.tree_leaves_with_path(state)
    kernels = [p for p, leaf in flat if "kernel" in str(p[-1])]
    inside = [path for path in kernels if "shortcut" not in str(path)]
    assert len(inside) == depth


def test_factors_by_hand():
    model = models.Factors((2, 3), rngs=nnx.Rngs(0), width=2, mean=3.0)
    model.users[...] = jnp.array([[1.0, 2.0], [0.0, 1.0]])
    model.items[...] = jnp.array([[1.0, 1.0], [2.0, 0.0], [0.0, -1.0]])
    model.users_bias[...] = jnp.array([0.5, 0.0])
    model.items_bias[...] = jnp.array([0.0, 0.0, 0.25])
    found = model(jnp.array([[0, 0], [0, 1], [1, 2]]))
    np.testing.assert_allclose(found, [6.5, 5.5, 2.25])


@pytest.mark.parametrize(
    "make, options, words",
    [
        (models.ResNet, {"depth": 9}, "`depth` must be 8, 14, 20, 26"),
        (models.ResNet, {"shape": (3, 9, 1)}, "at least 4x4 pixels"),
        (models.UNet, {"shape": (6, 8, 1)}, "multiples of 4, got .* Crop"),
        (models.GridNet, {"depth": 0}, "`depth` must be at least 1"),
        (models.Factors, {"classes": 2}, "`classes` must be 1"),
    ],
    ids=str,
)
def test_wrong_options_of_other_models(make, options, words):
    known = {"shape": (8, 8, 1), "classes": 1} | options
    with pytest.raises(ValueError, match=words):
        make(rngs=nnx.Rngs(0), **known)
