"""Laws A: how updates transform with their inputs, and how transforms compose."""

import functools as ft
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt._core import trees
from jopt.testing import data
from jopt.testing.compare import close, host, is_zero, same_bits, wide
from jopt.testing.law import Broken, law, NotApplicable
from jopt.testing.subject import NEEDS, one_step, Run, Subject

PyTree = Any

EXACT = 5e-7  # 4 ulp of float32


def _like_base(s: Subject, run: Run, undo: Callable[[PyTree], PyTree], rtol: float):
    """Raise `Broken` unless the updates of a run, undone, are those of the base."""
    for t, u in enumerate(run.updates):
        close(undo(u), s.base.updates[t], f"step {t + 1}", rtol)


def _same_noise(s: Subject) -> None:
    if s.has("stochastic"):
        raise NotApplicable("each entry draws its own noise")


def _part(tree: PyTree, axes: int) -> PyTree:
    """The first half of each leaf along some axes."""

    def part(x: Any) -> Any:
        return x[tuple(slice(max(1, size // 2)) for size in x.shape[:axes])]

    return jax.tree.map(part, tree)


@law(
    "A1",
    "elementwise: part of a leaf is updated as it is within the whole",
    why="It lets parameters be split over devices, fused into one array, or stored in "
    "blocks, and nothing changes.",
    cure="Let no number of one entry enter the update of another.",
    tag="elementwise",
)
def _elementwise(s: Subject) -> None:
    _same_noise(s)
    for axes in (1, max(len(x.shape) for x in jax.tree.leaves(s.like))):
        run = s.run([_part(g, axes) for g in s.gradients(4)], _part(s.params(), axes))
        for t, u in enumerate(run.updates):
            close(u, _part(s.base.updates[t], axes), f"step {t + 1}", EXACT)


@law(
    "A2",
    "the entries of a leaf may be permuted",
    why="All but matrix methods treat a leaf as a bag of numbers; one that does not "
    "reads the layout of the array by accident.",
    cure="Reduce over all axes alike; declare `matrix` if the axes mean something.",
    tag="!matrix",
)
def _permuted(s: Subject) -> None:
    _same_noise(s)
    draws = np.random.default_rng(2)
    orders = [
        np.roll(draws.permutation(int(np.prod(x.shape))), 1)
        for x in jax.tree.leaves(s.like)
    ]

    def apply(tree: PyTree, back: bool = False) -> PyTree:
        leaves, structure = jax.tree.flatten(tree)
        out = []
        for x, order in zip(leaves, orders, strict=True):
            order = np.argsort(order) if back else order
            out.append(jnp.asarray(host(x).ravel()[order].reshape(x.shape)))
        return jax.tree.unflatten(structure, out)

    run = s.run(list(map(apply, s.gradients(2))), apply(s.params()))
    _like_base(s, run, ft.partial(apply, back=True), 2e-6)


@law(
    "A3",
    "the names and the order of leaves do not matter",
    why="A renamed layer must train as before.",
    cure="Sum over leaves symmetrically; give leaf masks, not positions.",
)
def _renamed(s: Subject) -> None:
    leaves, structure = jax.tree.flatten(s.like)
    last = len(leaves) - 1

    def rename(tree: PyTree) -> dict[str, Any]:
        return {f"x{last - i}": x for i, x in enumerate(jax.tree.leaves(tree))}

    def back(tree: dict[str, Any]) -> PyTree:
        return jax.tree.unflatten(
            structure, [tree[f"x{last - i}"] for i in range(last + 1)]
        )

    _same_noise(s)
    run = s.eager(list(map(rename, s.gradients(2))), rename(s.params()))
    _like_base(s, run, back, 2e-5 if s.has("matrix") else 2e-6)


@law(
    "A4",
    "odd: negated gradients and parameters give the negated update",
    why="A sign error, or a bias of one direction, breaks it.",
    cure="Take absolute values or squares where the sign must not matter.",
    tag="odd",
)
def _odd(s: Subject) -> None:
    negative = ft.partial(data.scaled, factor=-1.0)
    run = s.run(list(map(negative, s.gradients(2))), negative(s.params()))
    _like_base(s, run, negative, EXACT)


@law(
    "A5",
    "scale invariant: gradients 1024 times as large give the same update",
    why="Such an optimizer needs no loss scaling and its learning rate no retuning.",
    cure="Divide by a norm or root of the same gradients, and keep eps small.",
    tag="scale_invariant",
)
def _scale_invariant(s: Subject) -> None:
    run = s.run([data.scaled(g, 1024.0) for g in s.gradients(2)])
    _like_base(s, run, lambda u: u, 1e-3)


@law(
    "A6",
    "translation invariant: shifted parameters give the same update",
    why="Without decay or trust ratio an update must not depend on where it is made; "
    "if it does, something leaks.",
    cure="Read `params` only where the rule says so.",
    tag="translation_invariant",
)
def _translation_invariant(s: Subject) -> None:
    run = s.run(s.gradients(2), data.shifted(s.params(), 4.0))
    _like_base(s, run, lambda u: u, 2e-5)


@law(
    "A7",
    "still: from a new state, zero gradients give zero updates",
    why="Otherwise parameters drift that the loss does not depend on.",
    cure="Let decay be an option, and start averages at zero.",
    tag="still",
)
def _still(s: Subject) -> None:
    zero = data.filled(s.like, 0.0)
    run = s.run([zero, zero])
    for t, u in enumerate(run.updates):
        if not is_zero(u):
            size = max(float(np.abs(wide(x)).max()) for x in jax.tree.leaves(u))
            raise Broken(f"step {t + 1} moves a parameter by {size:.3g}")


@law(
    "A8",
    "the first update is proportional to the learning rate",
    why="Schedules and sweeps assume it.",
    cure="Multiply by the learning rate last, and once.",
)
def _linear_rate(s: Subject) -> None:
    rate = dict(s.tx.spec.hyper()).get("learning_rate") if s.ours else None
    if not isinstance(rate, float):
        raise NotApplicable("it has no `learning_rate` of its own")
    p, g = s.params(), s.gradients(1)[0]
    doubled = s.tx.replace(learning_rate=2.0 * rate)
    u, _, _ = s.compiled(one_step, doubled)(g, doubled.init(p), p, s.extra())
    close(u, data.scaled(s.base.updates[0], 2.0), "twice the rate", EXACT)


@law(
    "A9",
    "chains: the identity is neutral, nesting and naming change nothing",
    why="Chains are built in pieces by different people.",
    cure="Keep the stage's state to itself; read no other stage's.",
)
def _chains(s: Subject) -> None:
    after, before = jopt.scale(0.5), jopt.clip(100.0)
    tx = s.tx
    same = {
        "chain(tx)": jopt.chain(tx),
        "chain(identity, tx, identity)": jopt.chain(
            jopt.identity(), tx, jopt.identity()
        ),
        "named_chain": jopt.named_chain(("only", tx)),
    }
    for name, other in same.items():
        _same_run(s, s.eager_base, other, name)
    left = s.with_tx(jopt.chain(jopt.chain(before, tx), after))
    right = jopt.chain(before, jopt.chain(tx, after))
    _same_run(s, left.eager(s.gradients(2)), right, "nested to the right")


def _same_run(s: Subject, run: Run, other: Any, what: str, rtol: float = 0.0) -> None:
    """Raise `Broken` unless another transform makes the same updates, eagerly."""
    theirs = s.with_tx(other).eager(s.gradients(2))
    for t, (a, b) in enumerate(zip(theirs.updates, run.updates, strict=False)):
        if rtol:
            close(a, b, f"{what}, step {t + 1}", rtol)
        else:
            same_bits(a, b, f"{what}, step {t + 1}")


@law(
    "A10",
    "a number, an array, a constant schedule and an exposed number are the same",
    why="Turning a constant into a schedule must not change the run.",
    cure="Annotate hyperparameters, and evaluate them nowhere by hand.",
)
def _kinds_of_hyperparameters(s: Subject) -> None:
    if not s.ours:
        raise NotApplicable("it is no value: its hyperparameters cannot be replaced")
    hyper = {n: v for n, v in s.tx.spec.hyper() if isinstance(v, float) and v}
    if not hyper:
        raise NotApplicable("it has no hyperparameters of its own that are numbers")
    constant = {n: jopt.constant_schedule(v) for n, v in hyper.items()}
    arrays = lambda x: jnp.float32(x) if isinstance(x, float) else x  # noqa: E731
    kinds = {
        "arrays": jax.tree.map(arrays, s.tx),
        "schedules": s.tx.replace(**constant),
        "exposed": jopt.expose(s.tx),
    }
    for name, other in kinds.items():
        _same_run(s, s.eager_base, other, name, 5e-6 if s.has("matrix") else EXACT)


@law(
    "A12",
    "`partition` and `masked` change nothing for the leaves they choose",
    why="Groups of parameters are trained by different rules; each must work as if it "
    "were alone.",
    cure="Take the tree as it comes; skip `optax.MaskedNode` by `jax.tree.map`.",
)
def _groups(s: Subject) -> None:
    tx = s.tx
    everywhere = jopt.partition({"all": tx}, lambda p: jax.tree.map(lambda _: "all", p))
    _same_run(s, s.eager_base, everywhere, "partition")
    _same_run(s, s.eager_base, jopt.masked(tx, lambda n, p: True), "masked")
    one, *others = trees.names(s.like)
    if not others or not isinstance(s.like, dict) or s.has("stochastic"):
        return
    alone = {one: s.like[one]}
    single = s.with_tx(tx, alone).eager(
        [{one: g[one]} for g in s.gradients(2)], {one: s.params()[one]}
    )
    two = {"tx": tx, "zero": jopt.set_to_zero()}
    labels = {name: "tx" if name == one else "zero" for name in s.like}
    run = s.with_tx(jopt.partition(two, labels)).eager(s.gradients(2))
    for t, u in enumerate(run.updates):
        same_bits({one: u[one]}, single.updates[t], f"one leaf of two, step {t + 1}")


@law(
    "A13",
    "leafwise: a leaf alone is updated as it is beside others",
    why="A number that all leaves share, such as a global norm, must be summed over "
    "all devices; without one, leaves may be updated apart.",
    cure="Declare `global_scalar`, or take the number per leaf.",
    tag="!global_scalar",
)
def _leafwise(s: Subject) -> None:
    _same_noise(s)
    if not isinstance(s.like, dict) or len(s.like) < 2:
        raise NotApplicable("the example has one leaf")
    for name in s.like:
        alone = s.with_tx(s.tx, {name: s.like[name]})
        run = alone.eager(
            [{name: g[name]} for g in s.gradients(4)], {name: s.params()[name]}
        )
        for t, u in enumerate(run.updates):
            within = s.eager_base.updates[t][name]
            close(u[name], within, f"`{name}` alone, step {t + 1}", 2e-6)


@law(
    "A14",
    "stochastic: another key in the state gives another update",
    why="Noise that ignores its key repeats itself.",
    cure="Split the key in the state at every step.",
    tag="stochastic",
)
def _stochastic(s: Subject) -> None:
    p, g = s.params(), s.gradients(1)[0]
    state = s.tx.init(p)
    other = jax.tree.map(_other_key, state)
    u, after, _ = s.step(g, state, p, s.extra())
    again, _, _ = s.step(g, other, p, s.extra())
    following, _, _ = s.step(g, after, p, s.extra())
    for what, theirs in (("another key", again), ("the next step", following)):
        if all(map(np.array_equal, jax.tree.leaves(u), jax.tree.leaves(theirs))):
            raise Broken(f"{what} gives the same update")


def _other_key(leaf: Any) -> Any:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.fold_in(leaf, 1)
    return leaf + 1 if leaf.dtype == jnp.uint32 else leaf


@law(
    "A15",
    "descends: twenty steps on a bowl bring the loss down",
    why="It is an optimizer then; a stage that ascends must be followed by a negative "
    "scale.",
    cure="End the chain by `scale_by_learning_rate`.",
    tag="descends",
)
def _descends(s: Subject) -> None:
    p = s.params()
    state, start = s.tx.init(p), _bowl(p)
    for t in range(20):
        _, state, p = s.step(p, state, p, s.extra(t))
    if not _bowl(p) < start:
        raise Broken(f"the loss goes from {start:.4g} to {_bowl(p):.4g}")


def _bowl(p: PyTree) -> float:
    return float(sum(0.5 * (wide(x) ** 2).sum() for x in jax.tree.leaves(p)))


@law(
    "A16",
    "it needs what it declares to need, and nothing else",
    why="A missing argument must be told by name, not as an error deep inside.",
    cure="Raise a ValueError that says 'needs params'; do not ask for what is unused.",
)
def _needs(s: Subject) -> None:
    p, g = s.params(), s.gradients(1)[0]
    state = s.tx.init(p)
    for need in NEEDS:
        extra = {name: x for name, x in s.extra().items() if name != need}
        given = None if need == "params" else p
        try:
            jax.eval_shape(ft.partial(s.tx.update, **extra), g, state, given)
        except (ValueError, TypeError) as error:
            if need not in s.needs and s.tags is not None:
                raise Broken(f"without `{need}`: {str(error)[:100]}") from None
            if need not in str(error):
                raise Broken(f"the error does not name `{need}`: {error}") from None
        else:
            if need in s.needs:
                raise Broken(f"it works without `{need}`, which it claims to need")
