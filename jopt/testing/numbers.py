"""Laws N: numbers at the ends of their ranges."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jopt._core import trees
from jopt.testing import data
from jopt.testing.compare import close, finite, is_zero, wide
from jopt.testing.law import Broken, law, NotApplicable
from jopt.testing.subject import one_step, Subject

PyTree = Any

LAST = 2**31 - 1
COUNTS = (0, 9, 999, 2**24, LAST - 1)
DTYPES = ("float32", "bfloat16", "float16")


def _finite_run(s: Subject, gradients: list[PyTree], p: PyTree, what: str) -> None:
    run, new = s.run(gradients, p), s.tx.init(p)
    for t, (u, state) in enumerate(zip(run.updates, run.states, strict=True)):
        finite(u, f"{what}, step {t + 1}")
        finite(state, f"{what}, state after step {t + 1}", new)


@law(
    "N1",
    "zero gradients give finite updates in every precision",
    why="A dead unit or an unused embedding has them; in float16 an epsilon of 1e-8 is "
    "0, and 0/0 poisons the model.",
    cure="Do the arithmetic in float32 or wider; make 0/0 a 0.",
)
def _zero_gradients(s: Subject) -> None:
    for dtype in DTYPES:
        zero = data.filled(s.like, 0.0, dtype)
        _finite_run(s, [zero] * 2, s.params(dtype), f"in {dtype}")


@law(
    "N2",
    "zero parameters neither poison nor stop the update",
    why="Biases and residual branches start at zero; a trust ratio of 0/0 is NaN, and "
    "one of 0 never lets them move.",
    cure="Where a norm is 0, use a ratio of 1.",
)
def _zero_params(s: Subject) -> None:
    for dtype in DTYPES:
        zero = data.filled(s.like, 0.0, dtype)
        _finite_run(s, [zero], zero, f"no gradient in {dtype}")
        _finite_run(s, s.gradients(1, dtype), zero, f"in {dtype}")
    if s.has("descends"):
        run = s.run(s.gradients(6), data.filled(s.like, 0.0))
        if is_zero(run.params[-1]):
            raise Broken("six gradients leave zero parameters at zero")


@law(
    "N3",
    "tiny gradients give finite updates",
    why="The square of 1e-5 is 0 in float16, that of 1e-25 in float32.",
    cure="Do the arithmetic in float32 or wider; make 0/0 a 0.",
)
def _tiny_gradients(s: Subject) -> None:
    for dtype, size in (("float16", 1e-5), ("float32", 1e-25), ("float32", 1e-40)):
        g = data.filled(s.like, size, dtype)
        _finite_run(s, [g] * 2, s.params(dtype), f"{size} in {dtype}")


@law(
    "N4",
    "after one gradient of 1e25 the state is finite and training resumes",
    why="Its square is infinite in float32. An infinite second moment never decays: "
    "the parameter stands still for ever, and no NaN tells of it.",
    cure="Hold squares at the largest finite number.",
)
def _huge_gradient(s: Subject) -> None:
    p = s.params()
    huge, good = data.filled(s.like, 1e25), s.gradients(1)[0]
    run = s.run([huge], p)
    finite(run.states[-1], "the state after 1e25", s.tx.init(p))
    finite(run.updates[-1], "the update of 1e25")
    if not s.has("descends"):
        return
    still = _standing(s.step, run.states[-1], p, good, s)
    if not any(x.any() for x in jax.tree.leaves(still)):
        return
    with jax.enable_x64(True):  # where the rule itself stands still, so may float32
        p = _doubled(p)
        run = s.run([_doubled(huge)], p)
        exact = _standing(s.step, run.states[-1], p, _doubled(good), s)
    lost = jax.tree.map(lambda a, b: a & ~b, still, exact)
    if count := sum(int(x.sum()) for x in jax.tree.leaves(lost)):
        raise Broken(f"{count} parameters stand still for 1000 steps after 1e25")


def _standing(step: Any, state: PyTree, p: PyTree, g: PyTree, s: Subject) -> PyTree:
    """Which parameters 1000 steps of one gradient would not move in float32."""
    still = jax.tree.map(lambda x: np.ones(x.shape, bool), p)
    single = jax.tree.map(lambda x: np.asarray(x, np.float32), p)
    for t in range(1000):
        u, state, _ = step(g, state, p, s.extra(t))
        still = jax.tree.map(
            lambda m, u, x: m & (x + np.asarray(u, np.float32) == x), still, u, single
        )
        if not any(m.any() for m in jax.tree.leaves(still)):
            break
    finite(u, "an update after 1e25")
    return still


@law(
    "N6",
    "float32 follows float64: 4 ulp at the first step, 5e-6 of the way after 100",
    why="Digits lost to a poor formula, such as `1 - b**t`, are lost in every run.",
    cure="Form differences of near numbers on the host or by `expm1` and `log1p`.",
)
def _follows_float64(s: Subject) -> None:
    if s.has("stochastic"):
        raise NotApplicable("float64 draws other numbers")
    # what does not descend runs away from where it starts
    gradients = s.gradients(25)
    if s.has("descends"):  # to and fro
        signs = [1.0, -1.0, -1.0, 1.0] * 25
        gradients = list(map(data.scaled, gradients * 4, signs))
    ours = s.run(gradients).updates
    with jax.enable_x64(True):
        theirs = s.run([_doubled(g) for g in gradients], _doubled(s.params())).updates
    loose = 100.0 if s.has("matrix") else 1.0  # products of matrices add roundings up
    close(ours[0], theirs[0], "first step", loose * 4 * 2.0**-23)
    for name, *histories in zip(
        trees.names(s.like),
        zip(*map(jax.tree.leaves, ours), strict=True),
        zip(*map(jax.tree.leaves, theirs), strict=True),
        strict=True,
    ):
        mine, exact = (np.stack([wide(u) for u in history]) for history in histories)
        way = np.abs(exact).sum(0).max()
        gap = np.abs((mine - exact).sum(0)).max()
        if not gap <= loose * 5e-6 * way:
            raise Broken(
                f"after {len(ours)} steps `{name}` is {gap / way:.1e} of the way off"
            )


def _doubled(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float64)), tree)


@law(
    "N7",
    "decay rates up to 1 - 1e-8 are exact to 1e-6 at every count",
    why="With `1 - b**t` in float32 the first step is 9% wrong at b = 1 - 1e-7, and "
    "lost at 1 - 1e-8.",
    cure="Annotate decay rates `jopt.DecayRate`; use `-expm1(t * log1p(-(1 - b)))`.",
)
def _decay_rates(s: Subject) -> None:
    if s.has("stochastic"):
        raise NotApplicable("float64 draws other numbers")
    at = list(_decays(s.tx))
    if not at:
        raise NotApplicable("it has no decay rates of type `jopt.DecayRate`")
    leaves, structure = jax.tree.flatten(s.tx)
    for i in at:
        for digits in range(1, 9) if s.full else (1, 3, 5, 8):
            changed = list(leaves)
            changed[i] = 10.0**-digits
            tx = jax.tree.unflatten(structure, changed)
            _same_in_float64(s, tx, f"1 - b = 1e-{digits}")


def _decays(tx: Any) -> Iterator[int]:
    """The places of the decay rates among the leaves of a transform."""
    if not hasattr(tx, "spec"):
        return
    for i, (path, leaf) in enumerate(jax.tree_util.tree_flatten_with_path(tx)[0]):
        if path and trees.part(path[-1]) == "complement" and isinstance(leaf, float):
            yield i


def _same_in_float64(s: Subject, tx: Any, what: str) -> None:
    p, g = s.params(), s.gradients(1)[0]
    step, ours, theirs = s.compiled(one_step, tx), [], []
    state = tx.init(p)
    for count in COUNTS:
        ours.append(step(g, plant(state, count), p, s.extra())[0])
    with jax.enable_x64(True):
        p, g = _doubled(p), _doubled(g)
        state = tx.init(p)
        for count in COUNTS:
            theirs.append(step(g, plant(state, count), p, s.extra())[0])
    rtol = 2e-4 if s.has("matrix") else 1e-6
    for count, mine, exact in zip(COUNTS, ours, theirs, strict=True):
        close(mine, exact, f"{what}, count {count}", rtol, s.usual)


def plant(state: PyTree, count: int) -> PyTree:
    """A state with every counter set."""

    def planted(leaf: Any) -> Any:
        whole = jnp.issubdtype(leaf.dtype, jnp.signedinteger) and not leaf.ndim
        return jnp.asarray(count, leaf.dtype) if whole else leaf

    return jax.tree.map(planted, state)


@law(
    "N8",
    "derivatives with respect to everything are finite and right",
    why="Meta-learning and hypergradients differentiate through the update; the root "
    "of 0 has an infinite slope, and one zero gradient makes them NaN.",
    cure="Use a root whose derivative at 0 is 0; put `jnp.where` inside and outside.",
)
def _meta_gradients(s: Subject) -> None:
    with jax.enable_x64(True):
        p = _doubled(s.params())
        inputs = (
            _in_float64(s.tx) if s.ours else None,
            p,
            [_with_zero(_doubled(g)) for g in s.gradients(2)],
        )
        slopes = _slopes(s, inputs)
        finite(_named(slopes), "as it is")
        if s.ours:
            inputs = _raised(inputs[0]), *inputs[1:]
            slopes = _slopes(s, inputs)
            finite(_named(slopes), "with the small hyperparameters at 1e-3")
        for name, direction in _directions(inputs):
            exact = sum(
                float(np.vdot(a, b))
                for a, b in zip(_inexact(slopes), direction, strict=True)
            )
            _equals_difference(s, inputs, direction, exact, name)


def _slopes(s: Subject, inputs: Any) -> PyTree:
    """The derivatives of `_outcome` with respect to everything."""
    slopes = _all_slopes if s.ours else _slopes_of_arrays
    tx, p, gradients = inputs
    return s.compiled(slopes, tx)(p, gradients, _extras(s))


def _named(slopes: Any) -> dict[str, list[Any]]:
    """The derivatives by what they are with respect to."""
    *hyper, p, gradients = slopes
    out = {"the parameters": p, "the gradients": gradients}
    for tx in hyper:
        out |= dict(zip(trees.names(tx), jax.tree.leaves(tx), strict=True))
    return {f"the slope along {name}": _inexact(tree) for name, tree in out.items()}


def _all_slopes(tx: Any, p: PyTree, gradients: list[PyTree], extras: Any) -> PyTree:
    return jax.grad(_outcome, (0, 1, 2), allow_int=True)(tx, p, gradients, extras)


def _slopes_of_arrays(tx: Any, p: PyTree, gradients: Any, extras: Any) -> PyTree:
    return jax.grad(_outcome, (1, 2), allow_int=True)(tx, p, gradients, extras)


def _extras(s: Subject) -> list[dict[str, Any]]:
    return [s.extra(0), s.extra(1)]


def _outcome(
    tx: Any, p: PyTree, gradients: list[PyTree], extras: list[dict[str, Any]]
) -> jax.Array:
    """A number that depends on everything: of the parameters two steps on."""
    state = tx.init(p)
    for g, extra in zip(gradients, extras, strict=True):
        _, state, p = one_step(tx, g, state, p, extra)
    waves = [_waves(i, x) for i, x in enumerate(jax.tree.leaves(p))]
    return sum(waves, jnp.zeros(()))


def _outcome_by_steps(s: Subject, inputs: Any) -> float:
    """The same number by compiled steps, which are there already."""
    tx, p, gradients = inputs
    tx = s.tx if tx is None else tx
    state, step = tx.init(p), s.compiled(one_step, tx) if s.ours else s.step
    for g, extra in zip(gradients, _extras(s), strict=True):
        _, state, p = step(g, state, p, extra)
    return sum(_waves(i, wide(x), np.sin) for i, x in enumerate(jax.tree.leaves(p)))


def _waves(i: int, x: Any, sin: Any = jnp.sin) -> Any:
    """A sum of sines, each entry at a phase of its own."""
    phases = np.arange(1.0 * x.size).reshape(x.shape)
    return sin(x * (1.0 + i) + phases).sum()


def _with_zero(g: PyTree) -> PyTree:
    """The gradient with the first entry of each leaf 0."""
    return jax.tree.map(lambda x: x.at[(0,) * x.ndim].set(0.0), g)


def _in_float64(tx: Any) -> Any:
    """The transform with wide arrays: differences in float32 are all rounding."""

    def widened(leaf: Any) -> Any:
        narrow = isinstance(leaf, jax.Array) and trees.is_inexact(leaf)
        return leaf.astype(jnp.float64) if narrow else leaf

    return jax.tree.map(widened, tx)


def _raised(tx: Any) -> Any:
    """The transform with small numbers raised, so that differences see them."""

    def raised(leaf: Any) -> Any:
        return 1e-3 if isinstance(leaf, float) and 0.0 < leaf < 1e-3 else leaf

    return jax.tree.map(raised, tx)


def _inexact(tree: PyTree) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if trees.is_inexact(leaf)]


def _directions(inputs: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    """One direction for each hyperparameter, one for parameters, one for gradients."""
    tx, _, _ = inputs
    leaves = _inexact(inputs)
    every = zip(trees.names(tx), jax.tree.leaves(tx), strict=True)
    names = [name for name, leaf in every if trees.is_inexact(leaf)]
    zero = [np.zeros(np.shape(x)) for x in leaves]
    for i, name in enumerate(names):
        if leaves[i] == 1.0 and name.endswith("complement"):
            continue  # a decay of 0: a difference would leave its range
        yield name, [*zero[:i], np.abs(np.asarray(leaves[i])), *zero[i + 1 :]]
    draws = np.random.default_rng(3)
    rest = [
        draws.normal(size=np.shape(x)) * (np.asarray(x) != 0) * (i >= len(names))
        for i, x in enumerate(leaves)
    ]
    yield "parameters and gradients", rest


def _equals_difference(
    s: Subject, inputs: Any, direction: list[np.ndarray], exact: float, name: str
) -> None:
    """Raise `Broken` unless a central difference agrees with a derivative."""
    leaves, structure = jax.tree.flatten(inputs)
    at = [i for i, leaf in enumerate(leaves) if trees.is_inexact(leaf)]
    for h in (1e-4, 1e-5, 1e-6):
        ends = []
        for sign in (-1.0, 1.0):
            moved = list(leaves)
            for i, d in zip(at, direction, strict=True):
                shift = float(d) if isinstance(leaves[i], float) else d
                moved[i] = leaves[i] + sign * h * shift
            try:
                ends.append(_outcome_by_steps(s, jax.tree.unflatten(structure, moved)))
            except ValueError:  # a number that may not be varied, as powers of two
                return
        measured = (ends[1] - ends[0]) / (2.0 * h)
        if abs(measured - exact) <= 1e-5 * max(abs(exact), abs(measured)) + 1e-9:
            return
    raise Broken(f"along {name}: {exact:.8g}, by differences {measured:.8g}")


@law(
    "N9",
    "counters stop at 2^31 - 1 and the update stays what it was",
    why="A counter that wraps is negative: bias correction and schedules give NaN.",
    cure="Count by `optax.safe_increment`, and never compute `count + 1` after it.",
)
def _planted_counts(s: Subject) -> None:
    state = s.base.states[-1]
    p, g = s.params(), s.gradients(1)[0]
    updates = {}
    for count in (255, 256, 2047, 2**24 - 1, 2**24, LAST - 1, LAST):
        u, after, _ = s.step(g, plant(state, count), p, s.extra())
        finite(u, f"at count {count}")
        finite(after, f"at count {count}", state)
        for name, leaf in zip(trees.names(after), jax.tree.leaves(after), strict=True):
            if jnp.issubdtype(leaf.dtype, jnp.signedinteger) and (leaf < 0).any():
                raise Broken(f"at count {count}: `{name}` is {int(leaf.min())}")
        updates[count] = u
    close(updates[LAST], updates[LAST - 1], "at the last counts", 4 * 2.0**-23)


@law(
    "N10",
    "bfloat16 parameters go as far as float32 ones",
    why="A step of 1e-3 on a bfloat16 parameter of 1 is lost to rounding, every time.",
    cure="Keep float32 master weights, compensate the sum, or round stochastically.",
    tag="compensated",
)
def _bfloat16_moves(s: Subject) -> None:
    if not s.has("compensated"):
        raise NotApplicable("it does not claim to be `compensated`")
    ways = []
    for dtype in ("float32", "bfloat16"):
        p = here = data.filled(s.like, 1.0, dtype)
        state = s.tx.init(p)
        for t in range(1000):
            _, state, here = s.step(p, state, here, s.extra(t))
        gone = (
            wide(a) - wide(b)
            for a, b in zip(*map(jax.tree.leaves, (here, p)), strict=True)
        )
        ways.append(np.mean([x.mean() for x in gone]))
    if not abs(ways[1] - ways[0]) <= 0.05 * abs(ways[0]):
        raise Broken(f"1000 steps go {ways[1]:.4g} instead of {ways[0]:.4g}")


@law(
    "N11",
    "finite inputs give finite updates",
    why="One overflow in a norm or a square is enough to lose a run.",
    cure="Take norms of scaled entries, in float32 or wider.",
)
def _finite_in_finite_out(s: Subject) -> None:
    menu = np.array([0.0, -0.0, 1e-38, 1e-7, -1e-7, 1.0, -3.0, 1e4, -1e4, 65504.0])
    draws = np.random.default_rng(5)
    for _ in range(4):
        streams = [
            jax.tree.map(
                lambda x: jnp.asarray(draws.choice(menu, x.shape), jnp.float32), s.like
            )
            for _ in range(4)
        ]
        _finite_run(s, streams[:3], streams[3], "mixed sizes")
