"""Write docs/api/<group>.md from the public names of jopt before each build."""

import inspect
import types
from pathlib import Path

from sphinx.application import Sphinx

import jopt
import jopt.states
from ext.optimizer_pages import optimizers
from ext.writing import write_if_changed

TITLES = {
    "core": "Core",
    "values": "Optimizers as values",
    "transforms": "Building blocks",
    "optimizers": "Stages of optimizers",
    "matrix": "Stages of matrix optimizers",
    "second_order": "Second-order methods and line searches",
    "wrappers": "Wrappers",
    "schedules": "Schedules",
    "objectives": "Objectives and losses",
    "constraints": "Constraints",
    "sampling": "Samplers",
    "nonsmooth": "Non-smooth functions",
    "curvature": "Curvature",
    "inspect": "Inspection",
    "experiments": "Experiments and the race",
}


def public_names() -> list[str]:
    """Names that `import jopt` offers: no modules, nothing with an underscore."""
    names = getattr(jopt, "__all__", None) or dir(jopt)
    return sorted(
        name
        for name in names
        if not name.startswith("_")
        and not isinstance(getattr(jopt, name), types.ModuleType)
    )


def group_of(name: str) -> str:
    """The package below jopt that defines a public name; `core` for plain values."""
    path = (getattr(getattr(jopt, name), "__module__", None) or "").split(".")
    if path[0] != "jopt" or len(path) < 2:
        return "core"
    return path[1].removeprefix("_")


def directive(name: str) -> str:
    """The autodoc directive of a public name."""
    value = getattr(jopt, name)
    kind = "data"
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
    elif callable(value) and hasattr(value, "__name__"):
        kind = "function"
    # The fields of a state are told in its source; autodoc only numbers them.
    members = "\n   :members:" if kind == "class" and not is_state(value) else ""
    return f".. auto{kind}:: jopt.{name}{members}\n"


def is_state(value: type) -> bool:
    """Whether a class is a named tuple."""
    return issubclass(value, tuple) and hasattr(value, "_fields")


def page(group: str, names: list[str]) -> str:
    """Markdown of one group."""
    title = TITLES.get(group, group.capitalize())
    classes_last = sorted(names, key=lambda name: inspect.isclass(getattr(jopt, name)))
    body = "\n".join(map(directive, classes_last))
    return f"# {title}\n\n```{{eval-rst}}\n{body}```\n"


def states_page() -> str:
    """Markdown of the classes of states."""
    names = [name for name in dir(jopt.states) if name.endswith("State")]
    body = "\n".join(f".. autoclass:: jopt.states.{name}\n" for name in names)
    intro = "Named tuples of arrays; `jopt.get(state, name)` finds a field in a state."
    return f"# States\n\n{intro}\n\n```{{eval-rst}}\n{body}```\n"


def write_pages(app: Sphinx) -> None:
    """Write one page per group, an index of them, and remove pages of old groups."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    groups: dict[str, list[str]] = {}
    for name in public_names():
        groups.setdefault(group_of(name), []).append(name)
    own_pages = {factory.name for factory in optimizers()}
    groups = {g: [n for n in v if n not in own_pages] for g, v in groups.items()}
    order = [g for g in TITLES if g in groups] + sorted(groups.keys() - TITLES.keys())
    for group in order:
        write_if_changed(folder / f"{group}.md", page(group, groups[group]))
    write_if_changed(folder / "states.md", states_page())
    order = ["optimizer-index", *order, "states"]
    entries = "\n".join(order)
    index = f"# API\n\n```{{toctree}}\n:maxdepth: 2\n\n{entries}\n```\n"
    write_if_changed(folder / "index.md", index)
    for old in folder.glob("*.md"):
        if old.stem not in (*order, "index"):
            old.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the generator."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
