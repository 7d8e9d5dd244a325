"""What is tried: a transform, what it needs, and its runs, each compiled once."""

import contextlib
import functools as ft
import warnings
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jopt
from jopt._core import trees
from jopt.testing import data
from jopt.testing.compare import wide
from jopt.testing.law import Law, LAWS, NotApplicable

PyTree = Any
Step = Callable[..., tuple[PyTree, PyTree, PyTree]]

NEEDS = ("params", "value", "value_fn", "grad_fn", "residual_fn")
UNSOUGHT = ("N10",)  # a law that takes long, and is tried only where it is claimed


def _bowl(params: PyTree) -> jax.Array:
    parts = [jnp.sum(jnp.abs(p) ** 2).astype(jnp.float32) for p in _floats(params)]
    return sum(parts, jnp.float32(0.0)) / 2


def _residuals(params: PyTree) -> jax.Array:
    parts = [x.ravel() for p in _floats(params) for x in (p.real, p.imag)]
    return jnp.concatenate([*(x.astype(jnp.float32) for x in parts), jnp.zeros(1)])


def _floats(params: PyTree) -> list[Any]:
    return [p for p in jax.tree.leaves(params) if jnp.issubdtype(p.dtype, jnp.inexact)]


# A bowl, as pytrees: they may be arguments of a compiled step.
FUNCTIONS = {
    "value_fn": jax.tree_util.Partial(_bowl),
    "grad_fn": jax.tree_util.Partial(lambda params: params),
    "residual_fn": jax.tree_util.Partial(_residuals),
}

traces = [0]  # how often a step was traced, in all


class Run(NamedTuple):
    """The updates, states and parameters of each step of a run."""

    updates: list[PyTree]
    states: list[PyTree]
    params: list[PyTree]


def one_step(tx: Any, g: PyTree, state: PyTree, p: PyTree, extra: dict[str, Any]):
    """One update, and the parameters it leads to."""
    traces[0] += 1
    u, state = tx.update(g, state, p, **extra)
    return u, state, jax.tree.map(_moved, p, u)


def _moved(p: Any, u: Any) -> Any:
    return p + u.astype(p.dtype) if jnp.issubdtype(p.dtype, jnp.inexact) else p


# Programs of a dozen numbers take long to compile and no time to run: without the
# optimizer of XLA's compiler they are there seven times as soon.
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}


@ft.cache
def _known_options() -> dict[str, Any]:
    """`QUICK`, unless this version of XLA does not know it."""
    try:
        jax.jit(jnp.negative, compiler_options=QUICK)(np.float32(1.0))
    except Exception:  # whatever it raises, it is no error of the transform
        return {}
    return QUICK


def _compiled(function: Callable[..., Any], quick: bool) -> Callable[..., Any]:
    return jax.jit(function, compiler_options=_known_options() if quick else {})


# A transform is an argument of its programs, so that configurations share them.
_shared = ft.cache(_compiled)


class Subject:
    """A transform under test.

    Attributes:
        tx: The transform.
        needs: What its update needs: `"params"`, `"value"`, `"value_fn"`,
            `"grad_fn"`, `"residual_fn"`.
        tags: The laws it claims, or `None` where it claims nothing.
        like: The tree it is tried on, as shapes.
        state_multiple: Its state's numbers over its parameters', if declared.
        full: Whether to try more than the everyday run does.
    """

    def __init__(
        self,
        tx: Any,
        needs: Collection[str] = (),
        tags: Collection[str] | None = None,
        like: PyTree = None,
        state_multiple: float | None = None,
        full: bool = False,
    ):
        self.tx = tx
        self.needs = frozenset(needs)
        self.tags = None if tags is None else frozenset(tags)
        self.like = data.example() if like is None else like
        self.state_multiple = state_multiple
        self.full = full
        self.found: dict[str, bool] = {}

    @property
    def ours(self) -> bool:
        """Whether it is a transform of jopt: a value and a pytree."""
        return isinstance(self.tx, jopt.Transform)

    def has(self, tag: str) -> bool:
        """Whether the tag is declared; where no tags are, whether its law holds."""
        if self.tags is not None:
            return tag in self.tags
        if tag not in self.found:
            self.found[tag] = self._finds(tag)
        return self.found[tag]

    def _finds(self, tag: str) -> bool:
        for law in LAWS.values():
            if law.tag.removeprefix("!") == tag and law.id not in UNSOUGHT:
                self.found[tag] = False  # so that a law may ask for its own tag
                return judged(law, self) != law.tag.startswith("!")
        return False

    @ft.cached_property
    def branches(self) -> bool:
        """Whether a step has branches or loops, which compile anew outside `jit`."""
        p, g = self.params(), self.gradients(1)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = jax.make_jaxpr(ft.partial(one_step, self.tx))(
                g, self.tx.init(p), p, self.extra()
            )
        return any(f" {kind}[" in str(traced) for kind in ("cond", "while", "scan"))

    def params(self, dtype: Any = jnp.float32) -> PyTree:
        return data.params(self.like, dtype)

    def gradients(self, steps: int, dtype: Any = jnp.float32) -> list[PyTree]:
        return data.gradients(self.like, steps, dtype)

    def extra(self, t: int = 0) -> dict[str, Any]:
        """The extra arguments of step `t`."""
        every = {"value": jnp.float32(1.0 / (1 + t)), **FUNCTIONS}
        return {name: x for name, x in every.items() if name in self.needs}

    @ft.cached_property
    def step(self) -> Step:
        """One compiled step, shared by the laws."""
        return self.compiled(one_step)

    def compiled(self, function: Callable[..., Any], tx: Any = None) -> Any:
        """A function of a transform and more, compiled, with this transform given.

        The full run compiles steps as users do; all else is compiled quickly.

        Args:
            function: One that lives at the top of a module, as programs are kept by it.
            tx: Another transform to give it.
        """
        tx = self.tx if tx is None else tx
        quick = not (self.full and function is one_step)
        if isinstance(tx, jopt.Transform):
            return ft.partial(_shared(function, quick), tx)
        return _compiled(ft.partial(function, tx), quick)

    def with_tx(self, tx: Any, like: PyTree = None) -> "Subject":
        """Another transform around this one, tried in the same way, or on less."""
        like = self.like if like is None else like
        other = Subject(tx, self.needs, self.tags, like, None, self.full)
        other.branches = self.branches  # tracing tells, and takes time
        return other

    def run(
        self,
        gradients: list[PyTree],
        params: PyTree | None = None,
        state: PyTree | None = None,
        *,
        eager: bool = False,
        start: int = 0,
    ) -> Run:
        """Several steps.

        Args:
            gradients: One tree for each step.
            params: Where to start. Defaults to the example.
            state: The state to start from. Defaults to a new one.
            eager: Whether to run without compiling the whole.
            start: The number of the first step, for the extra arguments.
        """
        p = self.params() if params is None else params
        state = self.tx.init(p) if state is None else state
        step = ft.partial(one_step, self.tx) if eager else self.step
        out = Run([], [], [])
        with self.uncompiled() if eager else contextlib.nullcontext():
            for t, g in enumerate(gradients, start):
                u, state, p = step(g, state, p, self.extra(t))
                for history, new in zip(out, (u, state, p), strict=True):
                    history.append(new)
        return out

    def uncompiled(self) -> contextlib.AbstractContextManager[Any]:
        """Where branches and loops are Python's, as each run would compile them."""
        return jax.disable_jit() if self.branches else contextlib.nullcontext()

    def eager(self, gradients: list[PyTree], params: PyTree | None = None) -> Run:
        """Steps that share no program: operation by operation they take less time."""
        return self.run(gradients, params, eager=True)

    @ft.cached_property
    def base(self) -> Run:
        """Six compiled steps in float32, which many laws compare with."""
        return self.run(self.gradients(6))

    @ft.cached_property
    def usual(self) -> dict[str, float]:
        """How large the updates of each leaf are in the base run."""
        names = trees.names(self.like)
        leaves = zip(*map(jax.tree.leaves, self.base.updates), strict=True)
        sizes = (max(float(np.abs(wide(u)).max()) for u in us) for us in leaves)
        return dict(zip(names, sizes, strict=True))

    @ft.cached_property
    def eager_base(self) -> Run:
        """Four steps in float32, as `eager` makes them."""
        return self.eager(self.gradients(4))

    @ft.cached_property
    def shapes(self) -> dict[str, tuple[PyTree, PyTree, PyTree, PyTree]]:
        """By dtype: parameters, state, update and new state, as shapes."""
        return {name: self.traced(name) for name in ("float32", "bfloat16", "float16")}

    def traced(self, dtype: str) -> tuple[PyTree, PyTree, PyTree, PyTree]:
        """Parameters, state, update and new state in a dtype, as shapes."""
        p, g = self.params(dtype), self.gradients(1, dtype)[0]
        state = jax.eval_shape(self.tx.init, p)
        update = ft.partial(self.tx.update, **self.extra())
        u, after = jax.eval_shape(update, g, state, p)
        return p, state, u, after


def judged(law: Law, subject: Subject) -> bool:
    """Whether a law holds for a subject; an error counts as a breach."""
    try:
        law.check(subject)
    except NotApplicable:
        return law.tag.startswith("!")
    except Exception:
        return False
    return True


def elements(tree: PyTree) -> int:
    """How many numbers a tree holds, scalars aside."""
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(tree) if np.ndim(leaf))
