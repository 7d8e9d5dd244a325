"""How transforms and schedules show themselves: as the call that built them."""

import html as html_
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jopt._core.checks import LAST_STEP
from jopt._core.spec import freeze, Spec, VAR
from jopt._core.types import Each, Increasing


def arguments(spec: Spec) -> Iterator[tuple[str | None, Any]]:
    """The arguments worth showing: those that differ from their defaults."""
    for name, parameter in spec.factory.signature.parameters.items():
        value = spec.arguments[name]
        if parameter.kind is VAR:
            pairs = value.items() if isinstance(value, Mapping) else value
            yield from ((None, item) for item in pairs)
        elif parameter.default is inspect.Parameter.empty or not _is_default(
            spec, name, value, parameter.default
        ):
            yield name, value


def _is_default(spec: Spec, name: str, value: Any, default: Any) -> bool:
    from jopt._core.checks import normalise

    if default is inspect.Parameter.empty or value is default:
        return default is not inspect.Parameter.empty
    usual = normalise(spec.factory, name, default)
    if isinstance(usual, float) and isinstance(value, int | float):
        return usual == value
    return freeze(usual) == freeze(value)


def call(spec: Spec) -> str:
    """The call that built a transform or a schedule, as Python text."""
    if spec.name in ("foreign", "from_callable"):
        return outside(spec)
    if "infix" in spec.factory.facts:
        sign = spec.factory.facts["infix"]
        return f" {sign} ".join(_operand(child) for _, child in spec.children())
    shown = (
        show(value) if name is None else f"{name}={show(value)}"
        for name, value in arguments(spec)
    )
    return f"{spec.name}({', '.join(shown)})"


def _operand(schedule: Any) -> str:
    """A schedule inside a sum or a product."""
    spec = schedule.spec
    if spec.name == "constant_schedule":
        return show(spec.arguments["value"])
    return f"({call(spec)})" if "infix" in spec.factory.facts else call(spec)


def outside(spec: Spec) -> str:
    """The name of a piece that is not jopt's: it does not keep its arguments."""
    (value,) = spec.arguments.values()
    function = getattr(value, "update", value)
    function = getattr(function, "__wrapped__", function)
    module = (getattr(function, "__module__", None) or "?").split(".")[0]
    name = getattr(function, "__qualname__", type(function).__name__).split(".")[0]
    return f"{module}.{name}(...)"


def show(value: Any) -> str:
    """A short text for an argument."""
    if isinstance(value, jax.Array | np.ndarray) and not isinstance(value, Tracer):
        if value.size > 8 or not getattr(value, "is_fully_addressable", True):
            return f"{np.dtype(value.dtype).name}{list(value.shape)}"
        return " ".join(repr(value).split())
    if isinstance(value, np.dtype):
        return repr(value.name)
    if isinstance(value, type) and issubclass(value, np.generic):
        return repr(np.dtype(value).name)
    if isinstance(value, tuple) and not hasattr(value, "spec"):
        inner = ", ".join(map(show, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k!r}: {show(v)}' for k, v in value.items())}}}"
    if inspect.isfunction(value):
        return value.__name__
    return repr(value)


def lines(value: Any, indent: int = 0, label: str = "") -> Iterator[str]:
    """The call over several lines, one stage each."""
    pad = "  " * indent
    one = f"{pad}{label}{show(value)}"
    spec = getattr(value, "spec", None)
    if spec is None or len(one) <= 80 or not list(spec.children()):
        yield one + ("," if indent else "")
        return
    yield f"{pad}{label}{spec.name}("
    for name, item in arguments(spec):
        yield from lines(item, indent + 1, "" if name is None else f"{name}=")
    yield f"{pad})" + ("," if indent else "")


def html(tx: Any) -> str:
    """The call for a notebook: one stage a line where it is long."""
    text = html_.escape("\n".join(lines(tx)))
    return f'<pre style="margin:0;white-space:pre-wrap"><code>{text}</code></pre>'


def treescope(spec: Spec, path: str | None, subtree_renderer: Any) -> Any:
    """The call for treescope: foldable, with every argument a subtree."""
    from treescope import repr_lib

    named = {
        (f"[{i}]" if name is None else name): value
        for i, (name, value) in enumerate(arguments(spec))
    }
    return repr_lib.render_object_constructor(
        object_type=_constructor(spec.name),
        attributes=named,
        path=path,
        subtree_renderer=subtree_renderer,
        roundtrippable=True,
    )


def _constructor(name: str) -> type:
    """A type for treescope to print the name of."""
    return type(name, (), {"__module__": "jopt"})


def pdoc(value: Any, **kwargs: Any) -> Any:
    """The call for wadler-lindig, which would print the pair of functions."""
    import wadler_lindig

    del kwargs
    return wadler_lindig.TextDoc(repr(value))


def horizon(spec: Spec) -> int:
    """How many steps of a schedule are worth drawing."""
    return min((11 * length(spec) + 9) // 10 or 100, LAST_STEP)


def length(spec: Spec) -> int:
    """The last step at which a schedule is known to change; 0 if none is known."""
    rule = spec.factory.facts.get("horizon")
    if rule is not None:
        return rule(spec.arguments)
    own = [0]
    for name, value in spec.arguments.items():
        if isinstance(spec.factory.marks[name], Increasing | Each):
            own.extend(step for step in value or () if isinstance(step, int))
        elif isinstance(value, int) and not isinstance(value, bool):
            own.append(value)
    inner = [length(child.spec) for _, child in spec.children()]
    # where there are steps of its own, they come before the last schedule inside
    return max(own) + (inner[-1] if max(own) else max(inner)) if inner else max(own)


def curve(schedule: Any, steps: int | None, points: int) -> tuple[Any, Any]:
    """Steps and values of a schedule, about `points` of them.

    The least and the greatest value in each stretch of steps are among them, so that
    peaks are met and jumps are drawn upright.
    """
    steps = horizon(schedule.spec) if steps is None else steps
    at = np.unique(np.linspace(0, steps, 20_001).astype(np.int32))
    values = np.asarray(jax.jit(jax.vmap(schedule))(at), np.float64)
    if values.ndim > 1 or len(at) <= points:
        return at, values
    kept = {0, len(at) - 1}
    for part in np.array_split(np.arange(len(at)), points // 2):
        kept |= {part[0] + np.argmin(values[part]), part[0] + np.argmax(values[part])}
    chosen = sorted(map(int, kept))
    return at[chosen], values[chosen]


def svg(schedule: Any, steps: int | None = None) -> str | None:
    """The schedule as a small picture; needs no plotting library.

    `None` for a population of schedules, and for values that are not finite.
    """
    x, y = curve(schedule, steps, 480)
    if y.ndim > 1 or not np.isfinite(y).all():
        return None
    width, height, left, top = 420, 150, 64, 26
    low, high = min(0.0, float(y.min())), float(y.max())
    span = (high - low) or 1.0
    px = left + (width - left - 14) * x / max(float(x[-1]), 1.0)
    py = top + (height - top - 28) * (1 - (y - low) / span)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
    base = height - 28
    name = repr(schedule)
    title = html_.escape(name if len(name) <= 66 else name[:63] + "...")
    text = 'font-family="monospace" font-size="10" fill="currentColor"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">'
        f"<title>{html_.escape(name)}</title>"
        f'<text x="8" y="14" {text}>{title}</text>'
        f'<path d="M{left} {top}V{base}H{width - 14}" fill="none" '
        f'stroke="currentColor" stroke-opacity=".35"/>'
        f'<polyline points="{points}" fill="none" stroke="#2a78d6" '
        f'stroke-width="2" stroke-linejoin="round"/>'
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end" {text}>{high:.3g}</text>'
        f'<text x="{left - 6}" y="{base}" text-anchor="end" {text}>{low:.3g}</text>'
        f'<text x="{left}" y="{base + 16}" {text}>0</text>'
        f'<text x="{width - 14}" y="{base + 16}" text-anchor="end" {text}>'
        f"{int(x[-1])} steps</text></svg>"
    )


def plot(schedule: Any, steps: int | None, ax: Any) -> Any:
    """Draw a schedule with matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib: pip install 'jopt[notebook]'."
        ) from error
    if ax is None:
        ax = plt.subplots(figsize=(6, 2.5), layout="constrained")[1]
    ax.plot(*curve(schedule, steps, 2000), label=repr(schedule))
    ax.set(xlabel="step", ylabel="value")
    ax.grid(alpha=0.3)
    return ax
