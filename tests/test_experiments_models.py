"""The Flax NNX models, and the functions they are turned into."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jopt
from jopt.experiments import models

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
    ours = jax.grad(lambda x: (models._halve(x) ** 2).sum())(x)
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
