"""Laws P: the structure of states and updates, and what may stand in the tree."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import trees
from jopt.testing import data, subject as subjects
from jopt.testing.compare import close, finite, host, is_zero, same_bits
from jopt.testing.law import Broken, law, NotApplicable
from jopt.testing.subject import elements, one_step, Subject

PyTree = Any


def signature(tree: PyTree) -> dict[str, str]:
    """The shape, dtype and weak type of each leaf, by name."""
    shown = []
    for leaf in jax.tree.leaves(tree):
        weak = " weak" if getattr(leaf, "weak_type", False) else ""
        shown.append(f"{leaf.dtype}{list(leaf.shape)}{weak}")
    return dict(zip(trees.names(tree), shown, strict=True))


def _same_signature(before: PyTree, after: PyTree, what: str) -> None:
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise Broken(f"{what}: the tree changes from {before} to {after}"[:300])
    old, new = signature(before), signature(after)
    for name in old:
        if old[name] != new[name]:
            raise Broken(f"{what}: `{name}` is {old[name]}, then {new[name]}")


@law(
    "P1",
    "the state keeps its tree, shapes, dtypes and weak types",
    why="A state that changes its type recompiles the step, and cannot be the carry of "
    "`lax.scan`.",
    cure="Return the state in the types that `init` gave it: cast what you store.",
)
def _fixed_point(s: Subject) -> None:
    for dtype, (_, state, _, after) in s.shapes.items():
        _same_signature(state, after, f"in {dtype}")
    concrete = s.base.states[0]
    _same_signature(s.tx.init(s.params()), concrete, "in float32")


@law(
    "P2",
    "`init` works on shapes alone",
    why="Large models are laid out by `jax.eval_shape` before any memory is taken.",
    cure="Read only `shape` and `dtype` of parameters in `init`.",
)
def _init_from_shapes(s: Subject) -> None:
    p = s.params()
    real = jax.eval_shape(s.tx.init, p)
    outline = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), p)
    _same_signature(real, s.tx.init(outline), "from shapes")
    _same_signature(real, jax.eval_shape(s.tx.init, outline), "under `eval_shape`")


@law(
    "P3",
    "an update has the tree, the shapes and the dtypes of the parameters",
    why="`params + updates` would otherwise change the dtype of the model, or fail.",
    cure="Cast the update to the parameter's dtype at the end.",
)
def _like_params(s: Subject) -> None:
    for dtype, (p, _, u, _) in s.shapes.items():
        ours = signature(u)
        for name, theirs in signature(p).items():
            if ours.get(name, "missing").removesuffix(" weak") != theirs:
                raise Broken(f"in {dtype}: `{name}` of type {theirs} gets {ours[name]}")


@law(
    "P4",
    "five steps compile once, and so does a sweep of every hyperparameter",
    why="A recompilation costs seconds to minutes of a large model, at every step or "
    "for every value tried.",
    cure="Make hyperparameters leaves: annotate them `jopt.Scalar`, and do not branch "
    "on their values.",
)
def _compiles_once(s: Subject) -> None:
    p, before = s.params(), subjects.traces[0]
    s.run(s.gradients(5), p)
    if (count := subjects.traces[0] - before) > 1:
        raise Broken(f"{count} compilations in five steps")
    if not s.ours:
        return
    leaves, structure = jax.tree.flatten(s.tx)
    numbers = [i for i, leaf in enumerate(leaves) if isinstance(leaf, float)]
    g, state = s.gradients(1)[0], s.tx.init(p)
    before = subjects.traces[0]
    for k in range(1, 21):
        changed = list(leaves)
        for i in numbers:
            changed[i] = leaves[i] * (1.0 - 0.01 * k)
        step = s.compiled(one_step, jax.tree.unflatten(structure, changed))
        step(g, state, p, s.extra())
    if (count := subjects.traces[0] - before) > 0:
        raise Broken(f"{count} more compilations for 20 values of the hyperparameters")


@law(
    "P5",
    "compiled and uncompiled steps agree",
    why="A difference means that the step reads something that compilation freezes, or "
    "that a hyperparameter loses digits when it is traced.",
    cure="Use `jax.numpy` throughout; form `1 - b` on the host, as `jopt.DecayRate` "
    "does.",
)
def _compiled_is_eager(s: Subject) -> None:
    for t, u in enumerate(s.eager_base.updates):
        close(s.base.updates[t], u, f"step {t + 1}", _rounding(s), s.usual)


def _rounding(s: Subject) -> float:
    """How much two orders of the same sums may differ, to the largest entry."""
    return 2e-5 if s.has("matrix") else 2e-6


@law(
    "P6",
    "`vmap` over three runs is three runs",
    why="Populations and ensembles train under `vmap`; a step that mixes their members "
    "is wrong without a sign of it.",
    cure="Reduce over the axes of a leaf only; use `jnp.where` rather than branches.",
)
def _vmap_is_loop(s: Subject) -> None:
    starts = [data.scaled(s.params(), 1.0 + 0.5 * i) for i in range(3)]
    streams = [s.gradients(6)[2 * i : 2 * i + 2] for i in range(3)]
    p, alone = (
        _stacked(starts),
        [s.run(g, p) for g, p in zip(streams, starts, strict=True)],
    )
    state, step = s.compiled(_many_states)(p), s.compiled(_many_steps)
    for t in range(2):
        g = _stacked([stream[t] for stream in streams])
        u, state, p = step(g, state, p, s.extra(t))
        for i in range(3):
            member = jax.tree.map(lambda x, i=i: x[i], u)
            what = f"member {i + 1}, step {t + 1}"
            close(member, alone[i].updates[t], what, _rounding(s), s.usual)


def _many_states(tx: Any, p: PyTree) -> PyTree:
    return jax.vmap(tx.init)(p)


def _many_steps(tx: Any, g: PyTree, state: PyTree, p: PyTree, extra: dict[str, Any]):
    def step(g: PyTree, state: PyTree, p: PyTree):
        return one_step(tx, g, state, p, extra)

    return jax.vmap(step)(g, state, p)


def _stacked(trees: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@law(
    "P7",
    "empty, `None`, zero-size, scalar and high-rank leaves work",
    why="Models have them: an optional layer, a temperature, a head of zero classes.",
    cure="Do not assume a rank; guard means over leaves that may be empty.",
)
def _odd_leaves(s: Subject) -> None:
    empty: list[PyTree] = [{}, ()]
    for tree in empty:
        new = s.tx.init(tree)
        u, state = s.tx.update(tree, new, tree, **s.extra())
        if jax.tree.leaves(u):
            raise Broken(f"{tree}: the update has leaves")
        finite(state, f"the state for {tree}", new)
    shapes = {"a": (0,), "b": (0, 3)}
    if s.has("matrix_only"):
        shapes = {"b": (0, 3)}
    more = {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in shapes.items()}
    around = {"tree": s.like, "none": None, **more}
    run = s.run(data_in(s, around), {**_in(s.params(), more), "none": None})
    for t, u in enumerate(run.updates):
        if s.has("stochastic"):  # each leaf draws its own noise
            finite(u, "beside empty leaves")
            continue
        close(u["tree"], s.base.updates[t], "beside empty leaves", 5e-7)
    if s.has("matrix_only"):
        return
    shapes = {"a": (), "b": (1, 1), "c": (2, 3, 4)}
    like = {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in shapes.items()}
    run = s.run(data.gradients(like, 2), data.params(like))
    for t, u in enumerate(run.updates):
        finite(u, f"ranks 0, 2 and 3, step {t + 1}")


def _in(tree: PyTree, more: dict[str, Any]) -> dict[str, Any]:
    empty = {k: jnp.zeros(v.shape, v.dtype) for k, v in more.items()}
    return {"tree": tree, **empty}


def data_in(s: Subject, around: dict[str, Any]) -> list[PyTree]:
    """The gradients of the example, with empty leaves beside them."""
    more = {k: v for k, v in around.items() if k not in ("tree", "none")}
    return [{**_in(g, more), "none": None} for g in s.gradients(2)]


@law(
    "P8",
    "in a tree of float32 and float64 each leaf keeps its dtype",
    why="A double that becomes a float loses its digits; a float that becomes a double "
    "takes twice the memory.",
    cure="Cast hyperparameters and global numbers to the dtype of each leaf.",
)
def _mixed_dtypes(s: Subject) -> None:
    with jax.enable_x64(True):
        p, g = s.params(), s.gradients(1)[0]
        leaves, structure = jax.tree.flatten(p)
        dtypes = [jnp.float64 if i % 2 else jnp.float32 for i in range(len(leaves))]
        cast = lambda tree: jax.tree.unflatten(  # noqa: E731
            structure,
            [x.astype(d) for x, d in zip(jax.tree.leaves(tree), dtypes, strict=True)],
        )
        p, g = cast(p), cast(g)
        state = s.tx.init(p)
        u, after = jax.eval_shape(
            lambda g, state, p: s.tx.update(g, state, p, **s.extra()), g, state, p
        )
        for name, leaf, dtype in zip(
            trees.names(u), jax.tree.leaves(u), dtypes, strict=True
        ):
            if leaf.dtype != dtype:
                raise Broken(f"`{name}`, a {jnp.dtype(dtype)}, gets a {leaf.dtype}")
        _same_signature(state, after, "float32 beside float64")


@law(
    "P9",
    "complex leaves: turning gradient and parameters by i turns the update",
    why="A missing conjugate turns a descent on complex weights into nonsense.",
    cure="Take |g|^2 for squares, or treat real and imaginary parts apart; without "
    "either, raise a TypeError.",
    tag="complex",
)
def _complex_turns(s: Subject) -> None:
    turn = lambda tree, by: jax.tree.map(  # noqa: E731
        lambda x: x.astype(jnp.complex64) * jnp.complex64(by), tree
    )
    runs = []
    for by in (1.0, 1j):
        streams = [turn(g, by) for g in s.gradients(2)]
        try:
            runs.append(s.run(streams, turn(s.params(), by)))
        except TypeError as error:
            raise Broken(f"TypeError: {str(error)[:80]}") from None
    straight, turned = runs
    for t, (a, b) in enumerate(zip(straight.updates, turned.updates, strict=True)):
        finite(a, f"step {t + 1}")
        close(b, turn(a, 1j), f"turned by i, step {t + 1}", _rounding(s))
        real = turn(s.base.updates[t], 1.0)
        close(a, real, f"no imaginary part, step {t + 1}", 2 * _rounding(s))


@law(
    "P10",
    "integer and boolean leaves stay, and take no state",
    why="Step counts and lookup tables live among parameters; their gradients are "
    "`float0` or zero.",
    cure="Hide leaves that are not inexact from `init` and `update`, as every jopt "
    "transform does.",
)
def _integer_leaves(s: Subject) -> None:
    whole = {"n": jnp.arange(3), "on": jnp.ones((2,), bool)}
    none = {k: np.zeros(v.shape, jax.dtypes.float0) for k, v in whole.items()}
    zero = jax.tree.map(jnp.zeros_like, whole)
    for kind, still in (("float0", none), ("zero", zero)):
        p = {"tree": s.params(), "whole": whole}
        state = s.tx.init(p)
        if elements(state) != elements(s.tx.init(p["tree"])):
            raise Broken("integer leaves have state")
        g = {"tree": s.gradients(1)[0], "whole": still}
        with s.uncompiled():
            u, _ = s.tx.update(g, state, p, **s.extra())
        if not is_zero(u["whole"]):
            raise Broken(f"{kind} gradients: an integer leaf moves")
        close(u["tree"], s.eager_base.updates[0], f"beside {kind} gradients", 5e-7)


@law(
    "P11",
    "an update is pure: it takes unknown extras, changes no input, keeps no secrets",
    why="Wrappers pass extra arguments on; a hidden state breaks `jit`, resuming and "
    "two runs side by side.",
    cure="Take `**extra`; keep everything that changes in the state.",
)
def _pure(s: Subject) -> None:
    p, g = s.params(), s.gradients(2)
    state = s.tx.init(p)
    kept = jax.tree.map(lambda x: np.array(host(x)), (g[0], p))
    mine = jax.tree.map(np.array, g[0])
    with s.uncompiled():
        u, after = s.tx.update(mine, state, p, **s.extra(), unheard_of=jnp.ones(()))
        same_bits((mine, p), kept, "the inputs, before and after")
        again, _ = s.tx.update(g[0], state, p, **s.extra())
        same_bits(u, again, "the same update twice")
        s.tx.update(g[1], after, p, **s.extra())
        third, _ = s.tx.update(g[0], state, p, **s.extra())
    same_bits(u, third, "the same update after another run")
    _ = hash(s.tx), repr(s.tx)


@law(
    "P12",
    "the state holds as many numbers per parameter as declared",
    why="Optimizer state is most of the memory of a training run.",
    cure="Drop slots that nobody reads, or declare the right multiple.",
)
def _state_multiple(s: Subject) -> None:
    p = s.params()
    measured = elements(s.tx.init(p)) / elements(p)
    if s.state_multiple is None:
        raise NotApplicable(f"no multiple declared; it is {measured:.4g}")
    if abs(measured - s.state_multiple) > 1e-3:
        raise Broken(f"{measured:.4g} per parameter, not {s.state_multiple:.4g}")


@law(
    "P13",
    "no two arrays of parameters and new state are one buffer; all may be donated",
    why="`jit(step, donate_argnums=...)` halves the memory of a step, and refuses a "
    "buffer that it is given twice.",
    cure="Make each slot anew; copy parameters: `jnp.array(p, copy=True)`.",
)
def _no_alias(s: Subject) -> None:
    p = s.params()
    seen: dict[int, str] = {}
    tree = {"params": p, "state": s.tx.init(p)}
    for name, leaf in zip(trees.names(tree), jax.tree.leaves(tree), strict=True):
        if not getattr(leaf, "size", 0):
            continue
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        at = leaf.unsafe_buffer_pointer()
        if at in seen:
            raise Broken(f"`{name}` and `{seen[at]}` are one buffer")
        seen[at] = name
