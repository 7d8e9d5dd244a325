"""Wrappers that send different leaves through different transforms, or none."""

from collections.abc import Hashable, Mapping
from typing import Any, cast

import jax
import optax

from jopt._core import extras, select, trees, warn
from jopt._core.spec import did_you_mean
from jopt._core.transform import Transform, transform
from jopt._core.types import Inner, Inners, Mask, Pair, PyTree


@transform
def masked(inner: Inner, mask: Mask) -> Pair:
    """Apply a transform to some leaves; the others pass through.

    The inner transform sees the chosen leaves only, and keeps state for them only. In
    a complete optimizer the others keep their plain gradient as update: to hold them
    fixed, use `freeze` or `selective_transform`; to send them through another
    transform, use `partition`.

    Args:
        inner: The transform for the chosen leaves.
        mask: Which leaves: a regular expression searched in the leaf's name, a
            `where` selector, a function `(name, leaf) -> bool`, a function from
            params to a tree of bools, or such a tree.

    Returns:
        A transform. Extra arguments that are trees like the parameters are masked
        alike.

    Raises:
        TypeError: If the mask has anything else than bools.
        ValueError: If the mask names leaves that are not there.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import masked, scale
        >>> tx = masked(scale(-1.0), "kernel$")
        >>> params = {"bias": jnp.ones(2), "kernel": jnp.ones(2)}
        >>> tx.update(params, tx.init(params), params)[0]
        {'bias': Array([1., 1.], dtype=float32),
         'kernel': Array([-1., -1.], dtype=float32)}
        >>> tx
        masked(inner=scale(step_size=-1.0), mask='kernel$')
    """
    select.check(mask)
    pair = cast(Transform, inner).raw

    def init(params):
        keep = select.resolve(mask, params)
        _warn_of_none(mask, keep)
        return _init(pair, params, keep)

    def update(updates, state, params=None, **extra):
        keep = select.resolve_updates(mask, updates, params)
        out, state = _update(pair, keep, updates, state, params, extra)
        return trees.restore(out, updates), state

    return Pair(init, update)


@transform
def freeze(mask: Mask) -> Pair:
    """Hold some leaves fixed: their update is exactly zero, NaN or not.

    Place it last in a chain. The stages before it still keep state for these leaves;
    to spare that too, wrap them in `selective_transform`.

    Args:
        mask: Which leaves to hold: see `masked`.

    Returns:
        A stage without state.

    Raises:
        TypeError: If the mask has anything else than bools.
        ValueError: If the mask names leaves that are not there.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import chain, freeze, sgd
        >>> tx = chain(sgd(0.5), freeze("^encoder"))
        >>> params = {"encoder": jnp.ones(2), "head": jnp.ones(2)}
        >>> tx.update(params, tx.init(params), params)[0]
        {'encoder': Array([0., 0.], dtype=float32),
         'head': Array([-0.5, -0.5], dtype=float32)}
    """
    select.check(mask)

    def init(params):
        select.resolve(mask, params)
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del extra
        still = select.resolve_updates(mask, updates, params)
        return jax.tree.map(lambda s, u: _zero(u) if s else u, still, updates), state

    return Pair(init, update)


@transform
def selective_transform(optimizer: Inner, *, freeze_mask: Mask) -> Pair:
    """Train some leaves and hold the others fixed, without state for these.

    Args:
        optimizer: The optimizer of the leaves that train.
        freeze_mask: Which leaves to hold: see `masked`. To name those that train
            instead, negate: `~where("^head")`.

    Returns:
        A transform. The update of a held leaf is exactly zero.

    Raises:
        TypeError: If the mask has anything else than bools.
        ValueError: If the mask names leaves that are not there.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import adam, selective_transform
        >>> tx = selective_transform(adam(0.1), freeze_mask="^encoder")
        >>> params = {"encoder": jnp.ones(2), "head": jnp.ones(2)}
        >>> tx.update(params, tx.init(params), params)[0]
        {'encoder': Array([0., 0.], dtype=float32),
         'head': Array([-0.1, -0.1], dtype=float32)}
    """
    select.check(freeze_mask, "freeze_mask")
    pair = cast(Transform, optimizer).raw

    def init(params):
        held = select.resolve(freeze_mask, params, "freeze_mask")
        return _init(pair, params, _not(held))

    def update(updates, state, params=None, **extra):
        held = select.resolve_updates(freeze_mask, updates, params, "freeze_mask")
        out, state = _update(pair, _not(held), updates, state, params, extra)
        return trees.restore(out, jax.tree.map(_zero, updates)), state

    return Pair(init, update)


@transform
def partition(transforms: Inners, param_labels: Any) -> Pair:
    """Send each leaf through the transform of its label.

    Args:
        transforms: A dict from label to transform. Each keeps state for its own leaves
            only.
        param_labels: The label of each leaf: a dict from regular expression (or
            `where` selector) to label, in which the first match wins and `"..."`
            stands for all other leaves; a function `(name, leaf) -> label`; a function
            from params to a tree of labels; or such a tree, whole or down to a parent
            of the leaves.

    Returns:
        A transform whose state holds `inner_states`, a dict by label. It warns of a
        transform that no leaf goes to, unless a function gives the labels.

    Raises:
        TypeError: If `transforms` is no dict, or a label is of the wrong type.
        ValueError: If a leaf has no label, or one that `transforms` does not have.

    Example:
        >>> import jax.numpy as jnp
        >>> from jopt import partition, set_to_zero, sgd
        >>> tx = partition(
        ...     {"train": sgd(0.5), "hold": set_to_zero()},
        ...     {"^encoder": "hold", "...": "train"},
        ... )
        >>> params = {"encoder": jnp.ones(2), "head": jnp.ones(2)}
        >>> tx.update(params, tx.init(params), params)[0]
        {'encoder': Array([0., 0.], dtype=float32),
         'head': Array([-0.5, -0.5], dtype=float32)}
    """
    if not isinstance(transforms, Mapping):
        raise TypeError(
            "`transforms` must be a dict from label to transform, got "
            f"{type(transforms).__name__}."
        )
    pairs = {name: cast(Transform, tx).raw for name, tx in transforms.items()}
    explicit = isinstance(param_labels, Mapping)
    if explicit:
        _check_labels(param_labels, pairs)

    def groups(params: PyTree) -> dict[str, PyTree]:
        labels = select.labels(param_labels, params)
        _check_labels(labels, pairs)
        return {
            name: jax.tree.map(lambda label, name=name: label == name, labels)
            for name in pairs
        }

    def init(params):
        masks = groups(params)
        if explicit:
            _warn_of_unused(masks)
        states: dict[Hashable, optax.MaskedState] = {
            name: _init(pair, params, masks[name]) for name, pair in pairs.items()
        }
        return optax.PartitionState(states)

    def update(updates, state, params=None, **extra):
        target = updates if params is None else params
        out, states = updates, dict[Hashable, optax.MaskedState]()
        for name, keep in groups(target).items():
            part, states[name] = _update(
                pairs[name], keep, updates, state.inner_states[name], params, extra
            )
            out = trees.restore(part, out)
        return out, optax.PartitionState(states)

    return Pair(init, update)


def _init(pair: Pair, params: PyTree, keep: PyTree) -> optax.MaskedState:
    return optax.MaskedState(pair.init(trees.hide(params, keep)))


def _update(
    pair: Pair,
    keep: PyTree,
    updates: PyTree,
    state: optax.MaskedState,
    params: PyTree,
    extra: dict[str, Any],
) -> tuple[PyTree, optax.MaskedState]:
    """Run a pair on the leaves to keep; the other leaves come out hidden."""
    structure = jax.tree.structure(updates)
    whole = not jax.tree_util.treedef_is_leaf(structure)

    def shown(tree: PyTree) -> PyTree:
        alike = whole and jax.tree.structure(tree) == structure
        return trees.hide(tree, keep) if alike else tree

    some = None if params is None else trees.hide(params, keep)
    extra = {name: shown(value) for name, value in extra.items()}
    extra = extras.narrowed(extra, params, keep)
    out, inner = pair.update(
        trees.hide(updates, keep), state.inner_state, some, **extra
    )
    return out, optax.MaskedState(inner)


def _zero(update: jax.Array) -> jax.Array:
    return trees.full_like(update, 0.0, update.dtype)


def _not(mask: PyTree) -> PyTree:
    return jax.tree.map(lambda flag: not flag, mask)


def _check_labels(labels: PyTree, known: Mapping[str, Any], parent: str = "") -> None:
    if isinstance(labels, Mapping):  # its keys may be selectors, which have no order
        for key, part in labels.items():
            _check_labels(part, known, f"{parent}/{key}" if parent else str(key))
        return
    for name, label in zip(trees.names(labels), jax.tree.leaves(labels), strict=True):
        if isinstance(label, str) and label not in known:
            path = "/".join(filter(None, (parent, name)))
            raise ValueError(
                f"`param_labels` sends `{path}` to {label!r}, which `transforms` does "
                f"not have.{did_you_mean(label, known)}"
            )


def _warn_of_none(mask: Mask, keep: PyTree) -> None:
    """Warn of a tree of bools without a True; a rule may happen to fit nothing."""
    explicit = isinstance(mask, Mapping | list | tuple)
    flags = jax.tree.leaves(keep)
    if explicit and flags and not any(flags):
        warn.warn(
            "`masked`: the mask is False everywhere, so the transform does nothing. "
            "Leave it out, or set the mask of the leaves it is for to True."
        )


def _warn_of_unused(masks: Mapping[str, PyTree]) -> None:
    if not any(jax.tree.leaves(mask) for mask in masks.values()):
        return
    unused = [name for name, mask in masks.items() if not any(jax.tree.leaves(mask))]
    if unused:
        warn.warn(
            f"`partition`: no leaf goes to {', '.join(map(repr, unused))}. Check "
            "`param_labels`, or leave these transforms out."
        )
