"""Estimates of the Hessian's diagonal."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jopt._core.types import PyTree
from jopt.curvature.likelihood import drawn_residual, Likelihood, number_of_outputs

__all__ = ["gauss_newton_bartlett", "hutchinson"]


def hutchinson(
    grad_fn: Callable[[PyTree], PyTree],
    params: PyTree,
    key: jax.Array,
    *,
    samples: int = 1,
) -> PyTree:
    """An estimate of the Hessian's diagonal from Hessian products with random signs.

    Unbiased, and exact where the Hessian is diagonal. Entries may be negative. It is
    the estimate of AdaHessian and of Sophia-H::

        z = random signs
        h = z * (H z)                             # the mean of `samples` of these

    Args:
        grad_fn: The gradient at the present batch, as a function of the parameters
            alone: `lambda p: jax.grad(loss)(p, batch)`.
        params: Where to take it: a tree of real floating-point arrays.
        key: A key of `jax.random`.
        samples: How many products to average; each costs about two gradients.

    Returns:
        A tree like the parameters, for `update(..., hessian=...)`.

    Raises:
        ValueError: If `samples` is less than 1.

    Example:
        >>> import jopt
        >>> grad = jax.grad(lambda p: jnp.sum(jnp.array([3.0, -1.0]) * p**2))
        >>> jopt.hutchinson(grad, jnp.ones(2), jax.random.key(0))
        Array([ 6., -2.], dtype=float32)

    Reference:
        Bekas, Kokiopoulou and Saad, "An estimator for the diagonal of a matrix",
        Applied Numerical Mathematics 2007.
    """
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, got {samples}.")
    leaves, tree = jax.tree.flatten(params)

    def once(key: jax.Array) -> PyTree:
        keys = jax.random.split(key, max(len(leaves), 1))
        signs = (
            jax.random.rademacher(k, p.shape, p.dtype)
            for k, p in zip(keys, leaves, strict=False)
        )
        z = jax.tree.unflatten(tree, list(signs))
        return jax.tree.map(jnp.multiply, z, jax.jvp(grad_fn, (params,), (z,))[1])

    if samples == 1:
        return once(key)
    each = jax.lax.map(once, jax.random.split(key, samples))
    return jax.tree.map(lambda h: jnp.mean(h, axis=0), each)


def gauss_newton_bartlett(
    outputs_fn: Callable[[PyTree], jax.Array],
    params: PyTree,
    key: jax.Array,
    *,
    likelihood: Likelihood = "categorical",
) -> PyTree:
    """An estimate of the Gauss-Newton matrix's diagonal, from labels that are drawn.

    One pass forward and one back. Never negative, and unbiased for the Gauss-Newton
    matrix of the mean loss, which is its Fisher matrix. It is the estimate of Sophia-G.
    With B outputs::

        y = labels drawn from the model
        g = gradient of the mean loss at y
        h = B * g^2

    Args:
        outputs_fn: The outputs at the present batch, as a function of the parameters
            alone: `lambda p: model.apply(p, x)`. Their last axis is that of the logits,
            or of the means; all others count examples, or tokens.
        params: Where to take it: a tree of real floating-point arrays.
        key: A key of `jax.random`.
        likelihood: What the outputs say of a label. `"categorical"`: logits of a
            softmax. `"bernoulli"`: logits of sigmoids. `"normal"`: means of normal
            variables of variance 1, whose loss is half the squared error, summed over
            the last axis.

    Returns:
        A tree like the parameters, for `update(..., hessian=...)`.

    Raises:
        ValueError: If there is no such likelihood, or the outputs have no axes.

    Example:
        >>> import jopt
        >>> x = jnp.array([[1.0, 0.0], [1.0, 2.0]])
        >>> h = jopt.gauss_newton_bartlett(
        ...     lambda w: x @ w, jnp.zeros((2, 3)), jax.random.key(0)
        ... )
        >>> h.shape, bool((h >= 0).all())
        ((2, 3), True)

    Reference:
        Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language
        Model Pre-training", ICLR 2024, arXiv:2305.14342, Algorithm 2.
    """
    outputs, pull = jax.vjp(outputs_fn, params)
    count = number_of_outputs(outputs)
    residual = drawn_residual(outputs, key, likelihood)
    # B (r / B)^2, with the root of B inside, so that nothing underflows
    (g,) = pull(residual / jnp.sqrt(jnp.asarray(count, residual.dtype)))
    return jax.tree.map(lambda g: g * g, g)
