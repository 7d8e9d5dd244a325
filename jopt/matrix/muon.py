"""Muon: orthogonalised momentum for matrices, AdamW for everything else."""

import math
import re
from collections.abc import Callable
from typing import Any, cast, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from jopt._core import numerics as nx, select, trees
from jopt._core.numerics import times
from jopt._core.transform import chain, optimizer, Transform, transform
from jopt._core.types import (
    DecayRate,
    Epsilon,
    LearningRate,
    Mask,
    OptionalRate,
    Pair,
    PyTree,
    Switch,
)
from jopt.matrix.newton_schulz import (
    Coefficients,
    ns_coefficients,
    orthogonalize_all,
)
from jopt.optimizers.adam import adamw
from jopt.optimizers.moments import averages, like, momentum_weights
from jopt.transforms.decay import add_decayed_weights
from jopt.transforms.scale import scale_by_learning_rate
from jopt.transforms.select import partition

__all__ = [
    "ScaleByMuonState",
    "matrices",
    "muon",
    "scale_by_muon",
]

ScaleRule = Literal["original", "match_rms", "spectral"]

_NOT_HIDDEN = re.compile(
    r"embed|logit|vocab|classifier|(?:^|[/_])(?:wte|wpe)(?:/|$)"
    r"|(?<!multi)(?:^|[/_])head(?:[/_\d]|$)",
    re.IGNORECASE,
)
"""Names of matrices that are no hidden layers: embeddings and output heads."""


class ScaleByMuonState(NamedTuple):
    """State of `scale_by_muon`."""

    count: PyTree  # kept for bias correction only
    mu: PyTree  # momentum, shaped like the parameters


@optimizer(rates=(1e-3, 1e-1), tags=("matrix", "momentum"))
def muon(
    learning_rate: LearningRate,
    ns_coeffs: Coefficients = "simple",
    ns_steps: int | None = None,
    beta: DecayRate = 0.95,
    eps: Epsilon = 1e-8,
    weight_decay: Switch = 0.0,
    weight_decay_mask: Mask = None,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    scale: ScaleRule = "original",
    matrices: Mask = None,
    ns_dtype: DTypeLike | None = None,
    bias_correction: bool = False,
    adam_learning_rate: OptionalRate = None,
    adam_b1: DecayRate = 0.9,
    adam_b2: DecayRate = 0.999,
    adam_eps_root: Epsilon = 0.0,
    adam_weight_decay: Switch = 0.0,
) -> Transform:
    """Muon: hidden matrices move by orthogonalised momentum, the rest by AdamW.

    For the weight matrices of hidden layers it needs fewer steps than AdamW and half
    its memory, for five products per matrix and step. Embeddings, output heads,
    vectors and convolutions belong to AdamW: `jopt.describe(tx, params)` shows which
    leaf goes where. Stacked layers are stacks of matrices; a fused query-key-value
    matrix is better split. Each step, for a matrix with axes `(in, out)`::

        m = beta * m + (1 - beta) * g
        u = beta * m + (1 - beta) * g  if nesterov else  m
        o = orthogonalize(u)
        params -= learning_rate * (s * o + weight_decay * params)

    with `s` by `scale`: `"original"` is `sqrt(max(1, out / in))`, `"match_rms"` is
    `0.2 * sqrt(max(in, out))`, which takes AdamW's learning rate and decay,
    `"spectral"` is `sqrt(out / in)`, under which rates transfer across widths.

    Args:
        learning_rate: Of the matrices; of the order of 0.02, or of AdamW's under
            `"match_rms"`.
        ns_coeffs: Coefficients of the iterations: `"simple"`, `"quintic5"`,
            `"polar_express"`, `"polar_express_safe"` (for bfloat16), `"deepseek_v4"`,
            `"stable12"`, three numbers, or a tuple of such triples.
        ns_steps: Number of iterations. Defaults to that of the coefficients.
        beta: Decay of the momentum, in [0, 1).
        eps: The least norm a matrix is divided by; and AdamW's.
        weight_decay: Decoupled decay of the matrices, times the learning rate.
        weight_decay_mask: Which of the matrices decay. Defaults to all.
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.
        nesterov: Whether the gradient is mixed in once more.
        scale: How the step depends on the shape.
        matrices: Which leaves are matrices: a regular expression, `where` selector,
            predicate or tree. Defaults to the leaves of rank 2 whose names do not tell
            of embeddings, heads, logits or classifiers. The axes before the last two
            of a chosen leaf are a stack.
        ns_dtype: Dtype of the iterations, such as bfloat16. Defaults to float32 or
            wider.
        bias_correction: Whether the momentum is corrected before the mix.
        adam_learning_rate: Of the other leaves. Defaults to `learning_rate`.
        adam_b1: Decay of AdamW's first moment.
        adam_b2: Decay of AdamW's second moment.
        adam_eps_root: Added under AdamW's root.
        adam_weight_decay: Decoupled decay of the other leaves.

    Returns:
        A transform with one buffer per matrix entry and two per other parameter.

    Raises:
        ValueError: If a chosen leaf has rank below 2.

    Differs from optax in:
        The momentum is not bias corrected, as in the author's code and in torch;
        `bias_correction=True` is optax's rule. `eps` bounds the norm instead of being
        added, as in torch. AdamW is plain, also with `nesterov`. Embeddings and heads
        go to AdamW unless chosen.

    Example:
        >>> from jopt import muon
        >>> tx = muon(0.02, ns_coeffs="polar_express")
        >>> params = {"w": jnp.eye(2), "b": jnp.zeros(2)}
        >>> grads = {"w": jnp.diag(jnp.array([5.0, -0.5])), "b": jnp.ones(2)}
        >>> updates, state = tx.update(grads, tx.init(params), params)
        >>> jnp.diagonal(updates["w"]).round(4)
        Array([-0.02,  0.02], dtype=float32)
        >>> tx
        muon(learning_rate=0.02, ns_coeffs='polar_express')

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.

        Liu et al., "Muon is Scalable for LLM Training", 2025, arXiv:2502.16982,
        equation 4.
    """
    select.check(matrices, "matrices")
    matrix = chain(
        scale_by_muon(
            ns_coeffs,
            ns_steps,
            beta,
            eps,
            mu_dtype,
            nesterov=nesterov,
            scale=scale,
            ns_dtype=ns_dtype,
            bias_correction=bias_correction,
        ),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    others = adamw(
        rate, adam_b1, adam_b2, eps, adam_eps_root, weight_decay=adam_weight_decay
    )

    return chain(
        partition({"matrix": matrix, "adamw": others}, matrix_labels(matrices))
    )


@transform
def scale_by_muon(
    ns_coeffs: Coefficients = "simple",
    ns_steps: int | None = None,
    beta: DecayRate = 0.95,
    eps: Epsilon = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    scale: ScaleRule = "original",
    ns_dtype: DTypeLike | None = None,
    bias_correction: bool = False,
) -> Pair:
    """Replace each matrix by its orthogonalised momentum.

    The stage of `muon` for matrices; see there for the rule.

    Args:
        ns_coeffs: Coefficients of the iterations.
        ns_steps: Number of iterations. Defaults to that of the coefficients.
        beta: Decay of the momentum, in [0, 1).
        eps: The least norm a matrix is divided by.
        mu_dtype: Dtype of the momentum. Defaults to float32 or wider.
        nesterov: Whether the gradient is mixed in once more.
        scale: How the result depends on the shape.
        ns_dtype: Dtype of the iterations. Defaults to float32 or wider.
        bias_correction: Whether the momentum is corrected before the mix.

    Returns:
        A transform with one buffer per parameter. Every leaf must be of rank 2 or
        more. It does not read `params`.

    Raises:
        ValueError: If a leaf has rank below 2.

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """
    triples, least = ns_coefficients(ns_coeffs, ns_steps), cast(ArrayLike, eps)

    def init(params):
        _check_rank(params)
        count = jnp.zeros((), jnp.int32) if bias_correction else None
        return ScaleByMuonState(count, trees.zeros_like(params, mu_dtype))

    def mix(g, m, count):
        """What is orthogonalised, of the gradients and the new momentum."""
        if count is None:
            return averages(g, m, beta) if nesterov else m
        now = 1 / nx.bias_correction(beta, count)
        if not nesterov:
            return jax.tree.map(lambda m: times(m, now), m)
        old, fresh = momentum_weights(beta, count, nesterov=True)
        return jax.tree.map(lambda g, m: times(g, fresh) + times(m, old), g, m)

    def update(updates, state, params=None, **extra):
        del params, extra
        count = None if state.count is None else nx.increment(state.count)
        mu = averages(updates, state.mu, beta)
        leaves, structure = jax.tree.flatten(mix(updates, mu, count))
        mu = like(mu, state.mu)
        leaves = orthogonalize_all(leaves, triples, eps=least, dtype=ns_dtype)
        leaves = [shape_factor(o.shape, scale) * o for o in leaves]
        return jax.tree.unflatten(structure, leaves), ScaleByMuonState(count, mu)

    return Pair(init, update)


def shape_factor(shape: tuple[int, ...], rule: ScaleRule) -> float:
    """The factor of Muon's step for a leaf with axes `(..., in, out)`."""
    rows, cols = max(shape[-2], 1), max(shape[-1], 1)
    if rule == "original":
        return math.sqrt(max(1.0, cols / rows))
    if rule == "match_rms":
        return 0.2 * math.sqrt(max(rows, cols))
    return math.sqrt(cols / rows)


def matrices(name: str, leaf: Any) -> bool:
    """Whether a leaf is taken for the weight matrix of a hidden layer.

    The default choice of `muon`, to be combined with others.

    Args:
        name: The leaf's name, such as `"layers/0/kernel"`.
        leaf: The parameter, or its shape and dtype.

    Returns:
        True for a leaf of rank 2 whose name does not tell of an embedding, a head,
        logits, a vocabulary or a classifier.

    Example:
        >>> from jopt import matrices
        >>> [matrices(name, jnp.ones((2, 2))) for name in ("mlp/kernel", "head/kernel")]
        [True, False]
    """
    return len(leaf.shape) == 2 and _NOT_HIDDEN.search(name) is None


def matrix_labels(chosen: Mask) -> Callable[[PyTree], PyTree]:
    """A function from parameters to the label of each leaf: "matrix" or "adamw"."""
    mask = matrices if chosen is None else chosen

    def labels(params: PyTree) -> PyTree:
        keep = select.resolve(mask, params, "matrices")
        return jax.tree.map(lambda yes: "matrix" if yes else "adamw", keep)

    return labels


def _check_rank(params: PyTree) -> None:
    for name, leaf in zip(trees.names(params), jax.tree.leaves(params), strict=True):
        if len(leaf.shape) < 2:
            raise ValueError(
                f"`scale_by_muon` takes matrices, but `{name}` has shape {leaf.shape}. "
                "Choose the matrices by `jopt.muon(..., matrices=...)`."
            )
