"""The `Transform`: an optax transformation that is a value and a pytree."""

import contextlib
import contextvars
import functools as ft
import inspect
from collections.abc import Callable, Iterator
from typing import Any, cast, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
import optax

from jopt._core import boundary, display, registry
from jopt._core.decay import Decay
from jopt._core.schedule import Schedule
from jopt._core.spec import Factory, rebuild, Spec, Structure
from jopt._core.types import Inner, Named, Pair

P = ParamSpec("P")
PyTree = Any


class Transform(optax.GradientTransformationExtraArgs):
    """A gradient transformation that is a value, and whose value is a pytree.

    Whatever takes an optax optimizer takes a `Transform`. Its leaves are its
    hyperparameters, its structure is the rest of the call that built it, so it may
    be an argument of a jitted function, mapped over, and differentiated. Two equal
    calls give equal transforms. It is built by functions marked `jopt.transform`.

    Attributes:
        init: `init(params) -> state`.
        update: `update(updates, state, params=None, **extra) -> (updates, state)`.
        spec: The call that built it: its factory and its arguments.

    Example:
        >>> import jax, jopt
        >>> tx = jopt.adamw(1e-3, weight_decay=0.1)
        >>> tx
        adamw(learning_rate=0.001, weight_decay=0.1)
        >>> tx.replace(learning_rate=0.5)
        adamw(learning_rate=0.5, weight_decay=0.1)
        >>> tx == jopt.adamw(1e-3, weight_decay=0.1)
        True
        >>> jax.tree.map(lambda leaf: 2 * leaf, jopt.sgd(0.1))
        sgd(learning_rate=0.2)
    """

    spec: Spec
    runner: "Runner"

    def __new__(cls, spec: Spec) -> "Transform":
        runner = Runner(spec)
        self = super().__new__(cls, runner.init, runner.update)
        self.spec = spec
        self.runner = runner
        return self

    @property
    def raw(self) -> Pair:
        """The pair `(init, update)` without the checks and casts at the boundary."""
        return self.runner.raw

    def replace(self, **changes: Any) -> "Transform":
        """The same call with some arguments changed, checked as a new call is.

        Raises:
            TypeError: If the factory has no argument of that name.
        """
        return self.spec.rebuilt(**changes)

    def __repr__(self) -> str:
        return display.call(self.spec)

    def __str__(self) -> str:
        return "\n".join(display.lines(self))

    def _repr_html_(self) -> str:
        return display.html(self)

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        return display.treescope(self.spec, path, subtree_renderer)

    def __pdoc__(self, **kwargs: Any) -> Any:
        return display.pdoc(self, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Transform) and self.spec.key() == other.spec.key()

    def __hash__(self) -> int:
        return hash(self.spec.key())

    def __reduce__(self):
        return rebuild, (self.spec.factory, self.spec.arguments)


class ScheduledState(NamedTuple):
    """State of a stage some of whose hyperparameters follow a schedule."""

    count: jax.Array  # steps taken: what the schedules are evaluated at
    hyperparams: dict[str, jax.Array]  # their values in the latest update
    inner_state: PyTree


_watching: contextvars.ContextVar[Callable[[Spec, PyTree], None] | None]
_watching = contextvars.ContextVar("watching", default=None)


@contextlib.contextmanager
def watch_init(watch: Callable[[Spec, PyTree], None]) -> Iterator[None]:
    """Call `watch(spec, params)` with what the `init` of every stage is given."""
    token = _watching.set(watch)
    try:
        yield
    finally:
        _watching.reset(token)


def _called(call: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Make a wrong number of arguments an error that names the call to make."""

    def decorate(method: Callable[P, Any]) -> Callable[P, Any]:
        takes, name = inspect.signature(method), f"tx.{method.__name__}"

        @ft.wraps(method)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return method(*args, **kwargs)
            except TypeError:
                try:
                    takes.bind(*args, **kwargs)
                except TypeError as error:
                    raise TypeError(f"`{name}`: {error}. Call {call}.") from None
                raise

        return checked

    return decorate


class Runner:
    """The functions behind a transform; built on first use, not on unflattening."""

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def raw(self) -> Pair:
        """The pair, under the stage's name; kept as `Spec.built` is."""
        if self.spec.is_traced:
            return self._make()
        if "made" not in self.__dict__:
            self.made = self._make()
        return self.made

    def _make(self) -> Pair:
        pair = _scheduled(self.spec) if self.schedules else self.spec.built
        pair = pair.raw if isinstance(pair, Transform) else pair
        scope = f"jopt.{self.spec.name}"

        def init(params):
            if (watch := _watching.get()) is not None:
                watch(self.spec, params)
            return pair.init(params)

        def update(updates, state, params=None, **extra):
            with jax.named_scope(scope):
                return pair.update(updates, state, params, **extra)

        return Pair(init, update)

    @ft.cached_property
    def schedules(self) -> bool:
        """Whether this stage itself has to evaluate schedules."""
        if self.spec.factory.kind == "optimizer":
            return False  # its stages do
        values = (self.spec.arguments[name] for name, _ in self.spec.hyper())
        return any(map(_is_scheduled, values))

    @ft.cached_property
    def stacked(self) -> bool:
        """Whether it takes updates with an axis of objectives: see `aggregator`."""
        spec = self.spec
        if spec.factory.kind == "optimizer":
            return spec.built.runner.stacked
        if spec.factory.facts.get("hands_on"):
            first = next((child for _, child in spec.children()), None)
            return first is not None and first.runner.stacked
        return bool(spec.factory.facts.get("stacked"))

    @ft.cached_property
    def has_foreign(self) -> bool:
        """Whether an optax stage stands anywhere inside."""
        if self.spec.name == "foreign":
            return True
        inner = [child for _, child in self.spec.children()]
        if self.spec.factory.kind == "optimizer":
            inner.append(self.spec.built)
        return any(
            child.runner.has_foreign for child in inner if isinstance(child, Transform)
        )

    @_called("`tx.init(params)`")
    def init(self, params: PyTree) -> PyTree:
        return boundary.guarded_init(self, params)

    @_called("`tx.update(grads, state, params)`, with any further ones by name")
    def update(
        self, updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, PyTree]:
        return boundary.guarded_update(self, updates, state, params, extra)


def _is_scheduled(value: Any) -> bool:
    value = value.complement if isinstance(value, Decay) else value
    return isinstance(value, Schedule)


def _scheduled(spec: Spec) -> Pair:
    """The pair of a stage, rebuilt at each step with its schedules evaluated."""
    names = [n for n, _ in spec.hyper() if _is_scheduled(spec.arguments[n])]

    def evaluate(count: jax.Array) -> tuple[dict[str, Any], dict[str, jax.Array]]:
        given, shown = {}, {}
        for name in names:
            value = spec.arguments[name]
            if isinstance(value, Decay):
                given[name] = Decay(value.complement(count))
                shown[name] = given[name].value
            else:
                given[name] = shown[name] = value(count)
        return given, shown

    def init(params):
        count = jnp.zeros((), jnp.int32)
        given, shown = evaluate(count)
        return ScheduledState(count, shown, spec.replace(**given).built.init(params))

    def update(updates, state, params=None, **extra):
        given, shown = evaluate(state.count)
        pair = spec.replace(**given).built
        updates, inner = pair.update(updates, state.inner_state, params, **extra)
        count = jnp.asarray(optax.safe_increment(state.count))
        return updates, ScheduledState(count, shown, inner)

    return Pair(init, update)


def _decorate(function: Callable[P, Any], kind: str, **facts: Any):
    factory = Factory(function, kind, **facts)

    @ft.wraps(function)
    def build(*args: P.args, **kwargs: P.kwargs) -> Transform:
        tx = Transform(Spec.of(factory, args, kwargs))
        if not tx.runner.schedules:
            _ = tx.spec.built  # so that the factory's own checks run now
        return tx

    build.factory = factory  # pyright: ignore
    factory.build = build
    registry.add(factory)
    return build


def transform(factory: Callable[P, Any]) -> Callable[P, Transform]:
    """Make a stage: a transform that remembers the call that built it.

    The function takes hyperparameters and returns the pair
    `jopt.Pair(init, update)`. Annotations say which arguments are leaves:
    `jopt.Scalar`, `jopt.LearningRate`, `jopt.DecayRate` ... are; all others are
    structure. Any of them may be a schedule: the stage then gets its value at each
    step. The function's name enters the registry, so it must be unique.

    Args:
        factory: A function that returns a pair.

    Returns:
        A function of the same arguments that returns a `Transform`.

    Raises:
        ValueError: If another function of that name is registered.

    Example:
        >>> import jax, jax.numpy as jnp, jopt
        >>> @jopt.transform
        ... def negate(strength: jopt.Scalar = 1.0):
        ...     def init(params):
        ...         return ()
        ...
        ...     def update(updates, state, params=None, **extra):
        ...         return jax.tree.map(lambda u: -strength * u, updates), state
        ...
        ...     return jopt.Pair(init, update)
        >>> tx = negate(2.0)
        >>> tx.update(jnp.ones(2), tx.init(jnp.ones(2)))[0]
        Array([-2., -2.], dtype=float32)
        >>> negate(3.0)
        negate(strength=3.0)
    """
    return _decorate(factory, "transform")


def hands_on(factory: Callable[P, Any]) -> Callable[P, Transform]:
    """As `transform`, of a stage whose first inner one gets the updates as they come.

    So it takes a Jacobian where that one does: see `aggregator`.
    """
    return _decorate(factory, "transform", hands_on=True)


def aggregator(factory: Callable[P, Any]) -> Callable[P, Transform]:
    """Make a stage that takes the gradients of several objectives, one above the other.

    As `jopt.transform`, but its update takes a Jacobian: leaves shaped like the
    parameters with an axis of objectives in front, and returns them without it. Stands
    first in a chain.

    Args:
        factory: A function that returns a pair.

    Returns:
        A function of the same arguments that returns a `Transform`.

    Raises:
        ValueError: If another function of that name is registered.
    """
    return _decorate(factory, "transform", stacked=True)


def optimizer(
    *, rates: tuple[float, float], tags: tuple[str, ...] = ()
) -> Callable[[Callable[P, Transform]], Callable[P, Transform]]:
    """Make an optimizer: a ready chain that remembers the call that built it.

    Args:
        rates: The least and the greatest learning rate worth searching.
        tags: Words to find it by, such as `"adaptive"` or `"matrix"`.

    Returns:
        A decorator for a function that returns a chain of stages. Schedules among
        its arguments are passed on to the stages.
    """
    facts = {"rates": rates, "tags": tags}
    return lambda factory: _decorate(factory, "optimizer", **facts)


@transform
def foreign(tx: Any) -> Pair:
    """Wrap an optax transform, so that it can stand among jopt's.

    It is compared by identity and shows as `optax.<name>(...)`, because it does not
    keep its arguments. Any place that takes a transform applies it by itself.

    Args:
        tx: A pair `(init, update)`.

    Returns:
        The same transformation.
    """
    pair = optax.with_extra_args_support(tx)

    def update(updates, state, params=None, **extra):
        wide = updates
        if params is not None:
            updates = jax.tree.map(lambda u, p: u.astype(p.dtype), updates, params)
        updates, state = pair.update(updates, state, params, **extra)
        return jax.tree.map(lambda u, w: u.astype(w.dtype), updates, wide), state

    return Pair(pair.init, update)


@hands_on
def chain(*transforms: Inner) -> Pair:
    """Apply transforms one after the other; the first sees the gradients.

    Args:
        *transforms: Transforms of jopt or optax. None at all is the identity.

    Returns:
        A transform whose state is the tuple of the states of its stages.

    Example:
        >>> from jopt import chain, clip_by_global_norm, sgd
        >>> chain(clip_by_global_norm(1.0), sgd(0.1))
        chain(clip_by_global_norm(max_norm=1.0), sgd(learning_rate=0.1))
    """
    stages = [cast(Transform, stage).raw for stage in transforms]

    def init(params):
        return tuple(stage.init(params) for stage in stages)

    def update(updates, state, params=None, **extra):
        new_state = []
        for stage, stage_state in zip(stages, state, strict=True):
            updates, stage_state = stage.update(updates, stage_state, params, **extra)
            new_state.append(stage_state)
        return updates, tuple(new_state)

    return Pair(init, update)


@hands_on
def named_chain(*transforms: Named) -> Pair:
    """Apply named transforms one after the other; the state is a dict by name.

    Args:
        *transforms: Pairs `(name, transform)`; the first sees the gradients.

    Returns:
        A transform whose state is a dict from name to the state of that stage.

    Raises:
        ValueError: If two stages have the same name.

    Example:
        >>> from jopt import named_chain, clip, sgd
        >>> named_chain(("clip", clip(1.0)), ("descend", sgd(0.1)))
        named_chain(('clip', clip(max_delta=1.0)), ('descend', sgd(learning_rate=0.1)))
    """
    if any(isinstance(stage, Transform) for stage in transforms):
        raise TypeError(
            "`named_chain` takes pairs (name, transform). For stages without names "
            "use `jopt.chain`."
        )
    stages = {name: cast(Transform, stage).raw for name, stage in transforms}

    def init(params):
        return {name: stage.init(params) for name, stage in stages.items()}

    def update(updates, state, params=None, **extra):
        new_state = {}
        for name, stage in stages.items():
            updates, new_state[name] = stage.update(
                updates, state[name], params, **extra
            )
        return updates, new_state

    return Pair(init, update)


def _flatten(tx: Transform) -> tuple[tuple[Any, ...], Structure]:
    return tx.spec.flatten()


def _flatten_with_keys(tx: Transform):
    children, structure = tx.spec.flatten()
    keys = map(jax.tree_util.GetAttrKey, structure.dynamic)
    return tuple(zip(keys, children, strict=True)), structure


def _unflatten(structure: Structure, children: Any) -> Transform:
    return Transform(Spec.unflatten(structure, children))


jax.tree_util.register_pytree_with_keys(
    Transform, _flatten_with_keys, _unflatten, _flatten
)
