"""Laws D: an optimizer on many devices is the optimizer on one."""

import functools as ft
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jopt._core import trees
from jopt.testing.compare import close, pairs, wide
from jopt.testing.law import Broken, law, NotApplicable
from jopt.testing.subject import one_step, Run, Subject

PyTree = Any

DEVICES = (4, 2)  # a mesh of 8, with axes x and y
STEPS = 3
AXES = {"Auto": AxisType.Auto, "Explicit": AxisType.Explicit}

QUICK: dict[str, Any] = {  # of compiling; programs so small need no more
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}

Layout = Callable[[int], PartitionSpec]

EVERY = ("x", "y")
LAYOUTS: dict[str, Layout] = {
    "both axes split": lambda rank: (
        PartitionSpec(*[None] * (rank - 2), *EVERY)
        if rank > 1
        else PartitionSpec(*[EVERY] * rank)
    ),
    "rows split": lambda rank: PartitionSpec(*[EVERY] * min(rank, 1)),
    "columns split": lambda rank: (
        PartitionSpec(*[None] * (rank - 1), EVERY) if rank > 1 else PartitionSpec()
    ),
    "replicated": lambda rank: PartitionSpec(),
}

_COLLECTIVE = re.compile(
    r" = (?P<shape>[^=]*?) (?P<kind>all-gather|all-reduce|all-to-all|"
    r"collective-permute|reduce-scatter|collective-broadcast)(-start)?\("
)


class Program(NamedTuple):
    """A step compiled ahead, and what a run of it gave, on the host."""

    what: str
    compiled: Any
    shapes: dict[str, PyTree]  # of states as `init` made them: with their layouts
    state: PyTree  # as it was made, to tell random keys
    start: Callable[[], tuple[PyTree, PyTree]]  # makes parameters and their state
    run: Run


# -- what is run -------------------------------------------------------------------


def divisible(like: PyTree) -> PyTree:
    """Shapes that every layout divides evenly: axes eight times as long."""

    def longer(leaf: Any) -> jax.ShapeDtypeStruct:
        shape = tuple(n if n % 8 == 0 else 8 * n for n in leaf.shape)
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    return jax.tree.map(longer, like)


@ft.lru_cache(maxsize=2)
def widened(s: Subject) -> Subject:
    """The subject on a tree that the mesh divides."""
    return Subject(s.tx, s.needs, s.tags, divisible(s.like), None, s.full)


def mesh_of(axes: str) -> Mesh:
    """A mesh of eight devices."""
    devices = jax.devices()[: math.prod(DEVICES)]
    kinds = (AXES[axes],) * len(DEVICES)
    return jax.make_mesh(DEVICES, EVERY, axis_types=kinds, devices=devices)


def placed(tree: PyTree, mesh: Mesh, layout: Layout) -> PyTree:
    """A tree laid out on a mesh, from the same numbers in every process."""

    def place(leaf: Any) -> jax.Array:
        array = np.asarray(leaf)
        sharding = NamedSharding(mesh, layout(array.ndim))
        return jax.make_array_from_callback(
            array.shape, sharding, lambda index: array[index]
        )

    return jax.tree.map(place, tree)


def gathered(tree: PyTree) -> PyTree:
    """A tree on the host, whole."""

    def gather(leaf: Any) -> np.ndarray:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        if leaf.is_fully_addressable:
            return np.array(leaf)
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(gather, tree)


def on_a_mesh(s: Subject) -> Iterator[Program]:
    """Runs on meshes of both kinds; in the full run, in every layout."""
    for axes in AXES:
        for name in LAYOUTS if s.full else list(LAYOUTS)[:1]:
            yield program(s, axes, name)


@ft.lru_cache(maxsize=16)
def program(s: Subject, axes: str = "", name: str = "") -> Program:
    """A program of one step and a run of it: on a mesh, or else on one device."""
    s, what = widened(s), f"{axes} axes, {name}" if axes else "one device"
    place: Callable[[PyTree], PyTree] = ft.partial(jax.tree.map, jnp.asarray)
    if axes:
        place = ft.partial(placed, mesh=mesh_of(axes), layout=LAYOUTS[name])
    init = jax.jit(s.tx.init)

    def start() -> tuple[PyTree, PyTree]:
        p = place(s.params())
        return init(p), p

    gradients = list(map(place, s.gradients(STEPS)))
    state, p = start()
    made = {"compiled": state}
    if jax.process_count() == 1:
        made["uncompiled"] = s.tx.init(p)
    shapes = jax.tree.map(_shape, made)
    compiled = _compiled(s, gradients[0], state, p)
    try:
        run = _run(s, compiled, gradients, state, p)
    except ValueError as error:
        raise Broken(f"{what}: a step needs another program: {error}") from None
    return Program(what, compiled, shapes, made.get("uncompiled"), start, run)


def _run(
    s: Subject, compiled: Any, gradients: list[PyTree], state: PyTree, p: PyTree
) -> Run:
    out = Run([], [], [])
    for t, g in enumerate(gradients):
        u, state, p = compiled(g, state, p, _extra(s, t))
        for history, new in zip(out, (u, state, p), strict=True):
            history.append(gathered(new))
    return out


@ft.lru_cache(maxsize=2)
def blur(s: Subject) -> float:
    """What roundings may do: the relative change where inputs are an ulp off."""
    alone, w = program(s), widened(s)
    draws = np.random.default_rng(13)

    def off(x: Any) -> jax.Array:
        array = np.asarray(x)
        toward = array * draws.choice([0, 2], array.shape).astype(array.dtype)
        return jnp.asarray(np.nextafter(array, toward))

    gradients = [jax.tree.map(off, g) for g in w.gradients(STEPS)]
    state, p = alone.start()
    moved = _run(w, alone.compiled, gradients, state, jax.tree.map(off, p))
    gaps = [
        np.abs(wide(a) - wide(b)).max()
        / max(np.abs(wide(a)).max(), np.finfo("f4").tiny)
        for ours, theirs in zip(moved.updates, alone.run.updates, strict=True)
        for _, a, b in pairs(ours, theirs, "an ulp off")
        if np.size(a)
    ]
    return float(max(gaps, default=0.0))


def _compiled(s: Subject, g: PyTree, state: PyTree, p: PyTree) -> Any:
    """The step as a program, with the state and the parameters donated."""
    step = jax.jit(ft.partial(one_step, s.tx), donate_argnums=(1, 2), keep_unused=True)
    lowered = step.lower(g, state, p, _extra(s, 0))
    if not s.full:
        try:
            return lowered.compile(compiler_options=QUICK)
        except Exception:  # another version of XLA, which does not know them
            pass
    return lowered.compile()


def _extra(s: Subject, t: int) -> dict[str, Any]:
    return jax.tree.map(np.asarray, s.extra(t))


def _shape(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _needs_a_mesh() -> None:
    if jax.process_count() > 1:
        raise NotApplicable("it is of one process; D3 is of several")
    _needs_devices()


def _needs_devices() -> None:
    if jax.device_count() < math.prod(DEVICES):
        raise NotApplicable(
            f"needs {math.prod(DEVICES)} devices, there are {jax.device_count()}: set "
            "`JAX_NUM_CPU_DEVICES=8` before JAX starts"
        )


# -- laws --------------------------------------------------------------------------


@law(
    "D1",
    "on eight devices, however parameters are laid out, an update is that on one",
    why="A number that is right for a shard only, such as the norm of the part at "
    "hand, trains another model on every mesh.",
    cure="Reduce by `jnp.sum` over whole arrays; under Explicit axes give "
    "`out_sharding` where JAX asks for it.",
)
def _same_on_a_mesh(s: Subject) -> None:
    _needs_a_mesh()
    for ours in on_a_mesh(s):
        _same_run(s, ours)


def _same_run(s: Subject, ours: Program) -> None:
    """Raise unless a run on a mesh is that on one device."""
    theirs = program(s).run
    for t, u in enumerate(ours.run.updates):
        _same(s, u, theirs.updates[t], f"{ours.what}: the update of step {t + 1}")
    _same(s, ours.run.params[-1], theirs.params[-1], f"{ours.what}: the parameters")


def _same(s: Subject, ours: PyTree, theirs: PyTree, what: str) -> None:
    exact = 2e-6 if s.has("elementwise") else 2e-5  # sums in another order
    close(ours, theirs, what, min(exact + 16 * blur(s), 1e-2))


@law(
    "D2",
    "the state is laid out as its parameters, made compiled or not, and stays so",
    why="Under `jit` plain zeros are replicated: eight times the memory, and a second "
    "compilation when the first step lays them out anew.",
    cure="Make slots by `jax.tree.map` over arrays that depend on the parameter, as "
    "`jopt`'s own do; keep their shape and dtype.",
)
def _laid_out(s: Subject) -> None:
    _needs_a_mesh()
    for ours in on_a_mesh(s):
        wanted = _by_name(ours.compiled.input_shardings[0][2], widened(s).like)
        for how, state in ours.shapes.items():
            what = f"{ours.what}: `init`, {how}"
            _follows(state, wanted, what)
        update, after, params = ours.compiled.output_shardings
        like = ours.shapes["compiled"]
        _follows(_with_shardings(like, after), wanted, f"{ours.what}: after a step")
        for part in (update, params):
            _follows(_with_shardings(widened(s).like, part), wanted, ours.what)
        _fixed(ours, like, ours.compiled.input_shardings[0][1], after)


def _by_name(shardings: PyTree, like: PyTree) -> dict[str, tuple[Any, Any]]:
    """By name of the parameter: its shape and its layout."""
    leaves = zip(*map(jax.tree.leaves, (like, shardings)), strict=True)
    rows = ((leaf.shape, sharding) for leaf, sharding in leaves)
    return dict(zip(trees.names(like), rows, strict=True))


def _with_shardings(like: PyTree, shardings: PyTree) -> PyTree:
    leaves = zip(*map(jax.tree.leaves, (like, shardings)), strict=True)
    return jax.tree.unflatten(
        jax.tree.structure(like),
        [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s) for x, s in leaves],
    )


def _follows(tree: PyTree, wanted: dict[str, tuple[Any, Any]], what: str) -> None:
    """Raise unless what is named and shaped as a parameter is laid out as it is."""
    for name, leaf in zip(trees.names(tree), jax.tree.leaves(tree), strict=True):
        for param, (shape, sharding) in wanted.items():
            its = not param or f"/{name}".endswith(f"/{param}")
            if leaf.shape != shape or not its:
                continue
            if not leaf.sharding.is_equivalent_to(sharding, len(shape)):
                here, there = (getattr(x, "spec", x) for x in (leaf.sharding, sharding))
                raise Broken(f"{what}: `{name}` is split by {here}, not by {there}")


def _fixed(ours: Program, like: PyTree, before: PyTree, after: PyTree) -> None:
    """Raise unless a step leaves the state laid out as it takes it."""
    every = zip(*map(jax.tree.leaves, (like, before, after)), strict=True)
    for name, (leaf, here, there) in zip(trees.names(like), every, strict=True):
        if not here.is_equivalent_to(there, len(leaf.shape)):
            raise Broken(f"{ours.what}: a step moves `{name}` from {here} to {there}")


@law(
    "D3",
    "in two processes an update is that in one",
    why="A host that computes another number than its neighbour hangs the run, or "
    "trains half of another model.",
    cure="Draw no numbers outside JAX, and branch on nothing that only one host sees.",
)
def _same_in_processes(s: Subject) -> None:
    if jax.process_count() < 2:
        raise NotApplicable(
            "needs 2 processes that share a mesh, by `jax.distributed.initialize`"
        )
    _needs_devices()
    for ours in on_a_mesh(s):
        _same_run(s, ours)


@law(
    "D4",
    "a run moved from eight devices to one, or back, goes on as it was",
    why="A job restarts on what machines are free; it must remain the same job.",
    cure="Keep whole arrays in the state, nothing that is per device.",
)
def _moves(s: Subject) -> None:
    _needs_a_mesh()
    alone = program(s)
    for mesh in on_a_mesh(s):
        _moved(s, mesh, alone, f"{mesh.what}: from eight devices to one")
        _moved(s, alone, mesh, f"{mesh.what}: from one device to eight")


def _moved(s: Subject, here: Program, there: Program, what: str) -> None:
    """Raise unless the last step of a run may be made by another program."""
    state = jax.tree.map(_restored, here.state, here.run.states[-2])
    given = widened(s).gradients(STEPS)[-1], state, here.run.params[-2]
    places = there.compiled.input_shardings[0][:3]
    u, _, _ = there.compiled(*map(_put, given, places), _extra(s, STEPS - 1))
    _same(s, gathered(u), here.run.updates[-1], what)


def _restored(old: jax.Array, leaf: np.ndarray) -> jax.Array:
    """A leaf of a state from the host; a random key made a key again."""
    array = jnp.asarray(leaf)
    if jnp.issubdtype(old.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(old))
    return array


def _put(tree: PyTree, shardings: PyTree) -> PyTree:
    """The leaves of a tree, each in its place."""
    leaves = map(jax.device_put, *map(jax.tree.leaves, (tree, shardings)))
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


@law(
    "D6",
    "elementwise updates need no communication; others only single numbers",
    why="An optimizer that gathers its parameters takes the memory of all of them, "
    "and waits for the network at every step.",
    cure="Reduce each shard first, by `jnp.sum` or `jnp.max` of the whole leaf; do not "
    "flatten or concatenate leaves.",
)
def _communicates_little(s: Subject) -> None:
    _needs_a_mesh()
    if s.has("matrix"):
        raise NotApplicable("it works on whole rows, columns or matrices")
    for ours in on_a_mesh(s):
        silent = s.has("elementwise") and not _keeps_numbers(s, ours.run.states[-1])
        for kind, shape in collectives(ours.compiled.as_text()):
            if silent and set(re.findall(r"(\w+)\[", shape)) - {"pred"}:
                raise Broken(f"{ours.what}: {kind} of {shape}, though elementwise")
            if kind != "all-reduce" or _largest(shape) > 1:
                raise Broken(f"{ours.what}: {kind} of {shape}")


def _keeps_numbers(s: Subject, state: PyTree) -> bool:
    """Whether a state has floats that are not one for each entry of a parameter."""
    shapes = {x.shape for x in jax.tree.leaves(widened(s).like)}
    return any(
        trees.is_inexact(x) and x.shape not in shapes for x in jax.tree.leaves(state)
    )


def collectives(program: str) -> list[tuple[str, str]]:
    """The kind and the shape of each communication in a compiled program."""
    found = _COLLECTIVE.finditer(program)
    return [(m["kind"], m["shape"]) for m in found]


def _largest(shape: str) -> int:
    """The numbers in the largest array of an HLO shape, such as `(f32[], s32[4,2])`."""
    every = re.findall(r"\w+\[([\d,]*)\]", shape)
    return max(math.prod(int(n) for n in dims.split(",") if n) for dims in every)
