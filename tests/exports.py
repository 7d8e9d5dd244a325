"""Write the `__init__` files that list public names, from the modules themselves.

    python -m tests.exports

A module offers what its `__all__` says; without one, its factories (functions marked
`transform`, `optimizer` or `schedule`) and the classes of their states. Factories are
also names of `jopt`; the states are those of `jopt.states`. A test tells when the files
are out of date.
"""

import ast
import itertools
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "jopt"
PACKAGES = (
    "transforms",
    "wrappers",
    "optimizers",
    "matrix",
    "second_order",
    "schedules",
    "objectives",
    "constraints",
    "sampling",
    "nonsmooth",
    "curvature",
    "precision",
)
MARKS = {"transform", "aggregator", "hands_on", "optimizer", "schedule"}
BEGIN = "# isort: split\n# -- made by `python -m tests.exports`\n"
END = "# -- end of what is made\n# isort: split\n"


def public(module: ast.Module) -> list[str]:
    """The names a module offers."""
    names = []
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=ordered)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and is_offered(node):
            names.append(node.name)
    return sorted(names, key=ordered)


def is_offered(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether it is a factory or a state."""
    if node.name.startswith("_"):
        return False
    if isinstance(node, ast.ClassDef):
        return is_state(node.name)
    return bool(marks(node) & MARKS)


def marks(node: ast.FunctionDef) -> set[str]:
    """The names of a function's decorators."""
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return {ast.unparse(call) for call in calls}


def ordered(name: str) -> tuple[str, str]:
    """As ruff sorts them."""
    return name.lower(), name


def imports(path: str, names: list[str]) -> str:
    """One import statement of names that are offered again."""
    lines = "".join(f"    {name} as {name},\n" for name in names)
    short = f"from {path} import {lines.strip().rstrip(',')}\n"
    if len(names) == 1 and len(short) <= 89:
        return short
    return f"from {path} import (\n{lines})\n"


def offered(package: str) -> dict[str, list[str]]:
    """The names that each module of a package offers."""
    out = {}
    for file in sorted((PACKAGE / package).glob("*.py")):
        if file.stem != "__init__":
            names = public(ast.parse(file.read_text(encoding="utf-8")))
            if names:
                out[f"jopt.{package}.{file.stem}"] = names
    return out


def is_state(name: str) -> bool:
    """Whether a name is that of a state."""
    return name.endswith("State")


def files() -> dict[Path, str]:
    """What each file should hold."""
    out, flat, states = {}, [], []
    for package in PACKAGES:
        modules = offered(package)
        path = PACKAGE / package / "__init__.py"
        body = "".join(imports(*item) for item in modules.items())
        out[path] = docstring(path) + (body and "\n" + body)
        names = sorted(itertools.chain(*modules.values()), key=ordered)
        for block, wanted in ((flat, False), (states, True)):
            chosen = [name for name in names if is_state(name) == wanted]
            block += [imports(f"jopt.{package}", chosen)] if chosen else []
    path = PACKAGE / "states.py"
    out[path] = docstring(path) + "\n" + "".join(sorted(states))
    path = PACKAGE / "__init__.py"
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    out[path] = before + BEGIN + "".join(sorted(flat)) + "\n" + END + after
    return out


def docstring(path: Path) -> str:
    """The head of a file up to its imports."""
    text = path.read_text(encoding="utf-8")
    node = ast.parse(text).body[0]
    assert node.end_lineno is not None, path
    return "".join(text.splitlines(keepends=True)[: node.end_lineno])


def main() -> None:
    for path, text in files().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(PACKAGE.parent)}")


if __name__ == "__main__":
    main()
