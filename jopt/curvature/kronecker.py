"""Kronecker factors of the Fisher matrix of Flax linen layers."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jopt._core import trees
from jopt._core.types import PyTree
from jopt.curvature.likelihood import drawn_residual, Likelihood, number_of_outputs

__all__ = ["KroneckerFactors", "kronecker_factors"]


class KroneckerFactors(NamedTuple):
    """The two factors of one layer's block of the Fisher matrix."""

    a: jax.Array  # second moment of the inputs, with a 1 behind them for the bias
    s: jax.Array  # second moment of the slopes at the outputs


class _Call(NamedTuple):
    """One call of a layer, as the first pass saw it."""

    name: str | None  # `None` for layers that have no factors
    module: Any
    output: jax.ShapeDtypeStruct


def kronecker_factors(
    outputs_fn: Callable[[PyTree], jax.Array],
    params: PyTree,
    key: jax.Array,
    *,
    likelihood: Likelihood = "categorical",
    samples: int = 1,
) -> dict[str, KroneckerFactors]:
    """The Kronecker factors of the Fisher matrix, for `jopt.kfac`.

    For each `nn.Dense` and `nn.Conv` of a Flax linen model, of inputs `x` and slopes
    `d` of the negative log likelihood of each label, over M places and B labels::

        a = sum (x, 1)(x, 1)' / M        # (x) alone where there is no bias
        s = sum d d' / B

    The labels are drawn from the model, so that this is the true Fisher matrix of the
    mean loss. With the labels of the data it would be the empirical one, which is not
    the curvature, and is not offered. A convolution has a place for each patch; a layer
    that is called several times has the places of all calls. One pass forward and one
    back; no layer is marked by you.

    Args:
        outputs_fn: The outputs at the present batch, as a function of the parameters
            alone: `lambda p: model.apply({"params": p}, x)`. Their last axis is that of
            the logits, or of the means; all others count labels. Examples must not act
            on each other, as in batch normalization while training.
        params: Where to take them: what `outputs_fn` and the optimizer get.
        key: A key of `jax.random`.
        likelihood: What the outputs say of a label: `"categorical"`, `"bernoulli"` or
            `"normal"`; see `jopt.gauss_newton_bartlett`.
        samples: How many labels to draw for each output. Each more is a pass back.

    Returns:
        The factors by the name of the layer, such as `"encoder/Dense_0"`. Grouped and
        masked convolutions, `DenseGeneral`, embeddings and all else have none.

    Raises:
        ImportError: If flax is not installed.
        ValueError: If no such layer is called, a layer stands inside a transformation
            such as `nn.scan`, `nn.remat` or `jax.jit`, there is no such likelihood, or
            `samples` is less than 1.

    Example:
        >>> import flax.linen as nn, jopt
        >>> model = nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(2)])
        >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]])
        >>> params = model.init(jax.random.key(0), x)["params"]
        >>> factors = jopt.kronecker_factors(
        ...     lambda p: model.apply({"params": p}, x), params, jax.random.key(1)
        ... )
        >>> list(factors)
        ['layers_0', 'layers_2']
        >>> factors["layers_0"].a
        Array([[ 5.,  7.,  2.],
               [ 7., 10.,  3.],
               [ 2.,  3.,  1.]], dtype=float32)

    Reference:
        Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored
        Approximate Curvature", ICML 2015, arXiv:1503.05671; Grosse and Martens, "A
        Kronecker-factored approximate Fisher matrix for convolution layers", ICML
        2016, arXiv:1602.01407; for layers with several places, Eschenhagen et al.,
        "Kronecker-Factored Approximate Curvature for Modern Neural Network
        Architectures", NeurIPS 2023, arXiv:2311.00636, "expand".
    """
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, got {samples}.")
    calls = _calls(outputs_fn, params)
    outputs, inputs, slopes = _slopes(
        outputs_fn, params, calls, key, likelihood, samples
    )
    count = number_of_outputs(outputs) * samples
    found: dict[str, list[tuple[jax.Array, jax.Array]]] = {}
    for call, x, d in zip(calls, inputs, slopes, strict=True):
        if call.name is not None:
            found.setdefault(call.name, []).append((_rows(call, x, params), d))
    return {name: _factors(pairs, count) for name, pairs in found.items()}


def _linen() -> Any:
    try:
        import flax.linen as linen
    except ImportError:
        raise ImportError(
            "`kronecker_factors` needs flax: pip install 'jopt[experiments]'."
        ) from None
    return linen


def _tracers() -> Any:
    from flax.core import tracers

    return tracers


def _calls(outputs_fn: Callable[[PyTree], jax.Array], params: PyTree) -> list[_Call]:
    """The calls of layers in one run, found by tracing it without a computation."""
    calls: list[_Call] = []

    def watch(module: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        del x
        shape = jax.ShapeDtypeStruct(y.shape, y.dtype)
        calls.append(_Call(_name(module, params), _detached(module), shape))
        return y

    jax.eval_shape(lambda p: _watched(outputs_fn, p, watch), params)
    if all(call.name is None for call in calls):
        raise ValueError(
            "`outputs_fn` calls no `nn.Dense` and no `nn.Conv` of Flax linen whose "
            "`kernel` is in `params`, so there are no factors. Pass as `params` what "
            "`model.apply` gets, or what stands in it under `params`."
        )
    return calls


def _watched(
    outputs_fn: Callable[[PyTree], jax.Array],
    params: PyTree,
    watch: Callable[[Any, jax.Array, jax.Array], jax.Array],
) -> jax.Array:
    """The outputs, where `watch` sees each layer's input and may change its output.

    Raises:
        ValueError: If a layer is called in another trace, so that its input is lost.
    """
    linen, tracers = _linen(), _tracers()
    outside = tracers.current_trace()

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        y = call(*args, **kwargs)
        layer = isinstance(context.module, linen.Dense | linen.Conv)
        if not layer or context.method_name != "__call__":
            return y
        if tracers.current_trace() != outside:
            raise ValueError(
                f"`outputs_fn` calls the layer {context.module.name!r} inside a "
                "transformation, such as `nn.scan`, `nn.remat` or `jax.jit`, where its "
                "inputs cannot be seen. Apply the model without it here."
            )
        x = args[0] if args else kwargs["inputs"]
        return watch(context.module, x, y)

    with linen.intercept_methods(intercept):
        return outputs_fn(params)


def _slopes(
    outputs_fn: Callable[[PyTree], jax.Array],
    params: PyTree,
    calls: list[_Call],
    key: jax.Array,
    likelihood: Likelihood,
    samples: int,
) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
    """Outputs; inputs of each call; slopes at its outputs, all labels above each other.

    Zeros are added to the outputs of the layers: the slope there is that of the zeros.
    """

    def run(zeros: list[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        inputs: list[jax.Array] = []

        def watch(module: Any, x: jax.Array, y: jax.Array) -> jax.Array:
            del module
            inputs.append(x)
            return y + zeros[len(inputs) - 1]

        outputs = _watched(outputs_fn, params, watch)
        return outputs, inputs

    zeros = [jnp.zeros(call.output.shape, call.output.dtype) for call in calls]
    outputs, pull, inputs = jax.vjp(run, zeros, has_aux=True)

    def once(key: jax.Array) -> list[jax.Array]:
        (slopes,) = pull(drawn_residual(outputs, key, likelihood))
        return slopes

    if samples == 1:
        return outputs, inputs, once(key)
    each = jax.lax.map(once, jax.random.split(key, samples))
    return outputs, inputs, each


def _rows(call: _Call, x: jax.Array, params: PyTree) -> jax.Array:
    """The inputs of a layer, a row for each place; for a convolution its patches."""
    layer = _at(params, call.name or "")
    if not _is_dense(call.module):
        x = _patches(call.module, x, layer["kernel"].shape)
    rows = x.reshape(-1, x.shape[-1])
    if "bias" not in layer:
        return rows
    ones = jnp.ones((len(rows), 1), rows.dtype)
    return jnp.concatenate([rows, ones], axis=1)


def _patches(module: Any, x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The patches a convolution sees, cut by one like it whose kernel is the identity.

    So its padding, strides and dilations are its own.
    """
    size = math.prod(shape[:-1])
    kernel = jnp.eye(size, dtype=x.dtype).reshape(*shape[:-1], size)
    cutter = module.clone(features=size, use_bias=False)
    with jax.default_matmul_precision("highest"):
        return cutter.apply({"params": {"kernel": kernel}}, x)


def _factors(pairs: list[tuple[jax.Array, jax.Array]], count: int) -> KroneckerFactors:
    """The factors of one layer out of inputs and slopes of all its calls."""
    places = sum(len(rows) for rows, _ in pairs)
    a = sum(_gram(rows, places) for rows, _ in pairs)
    s = sum(_gram(d.reshape(-1, d.shape[-1]), count) for _, d in pairs)
    return KroneckerFactors(jnp.asarray(a), jnp.asarray(s))


def _gram(rows: jax.Array, count: int) -> jax.Array:
    """The sum of `x x'` over rows, over a count, in float32 or wider."""
    wide = rows.astype(trees.accumulation_dtype(rows.dtype))
    return jnp.matmul(wide.T, wide, precision=jax.lax.Precision.HIGHEST) / count


# -- which layers ------------------------------------------------------------------


def _is_dense(module: Any) -> bool:
    return isinstance(module, _linen().Dense)


def _detached(module: Any) -> Any:
    """The layer out of its model."""
    return module.clone(parent=None, name=None)


def _name(module: Any, params: PyTree) -> str | None:
    """The name of the layer's part of the parameters, if it has factors."""
    if not _is_dense(module) and (
        module.feature_group_count != 1 or module.mask is not None
    ):
        return None
    path = "/".join(map(str, module.path))
    for name in (path, f"params/{path}".rstrip("/")):
        layer = _at(params, name)
        if isinstance(layer, Mapping) and "kernel" in layer:
            dense = len(layer["kernel"].shape) == 2
            return name if dense == _is_dense(module) else None
    return None


def _at(params: PyTree, name: str) -> Any:
    """What stands at a place of nested mappings, or `None`."""
    for part in name.split("/") if name else ():
        if not isinstance(params, Mapping) or part not in params:
            return None
        params = params[part]
    return params
