"""Rules of the repository: layers, forbidden calls, file sizes, pins, import cost."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import jopt
from tests import exports

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jopt"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(
    path
    for folder in ("jopt", "tests", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
PINS = sorted((ROOT / "requirements").glob("py*.txt"))

# From the ground up; a layer imports only from itself and from those before it.
LAYERS = (
    "_core",
    "values",
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
    "sharding",
    "inspect",
    "tune",
    "interop",
    "testing",
    "release",
    "experiments",
    "states",
    "__init__",
    "__main__",
)
# These are written against the public names, as a user's code is.
MAY_IMPORT_FLAT = ("tune", "interop", "testing", "experiments", "__main__")
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
OPTIONAL = ("flax", "matplotlib", "treescope", "sklearn")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything imported, at the top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_layers(tree: ast.Module) -> Iterator[str]:
    """Layers of jopt that a module imports; the flat names are `__init__`."""
    for name in imported(tree):
        first, _, rest = name.partition(".")
        if first == "jopt":
            layer = rest.partition(".")[0]
            known = (PACKAGE / layer).is_dir() or (PACKAGE / f"{layer}.py").is_file()
            yield layer if layer and known else "__init__"


def upward(layer: str, imports: Iterator[str]) -> list[str]:
    """Those of `imports` that lie above `layer`."""
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    if layer in MAY_IMPORT_FLAT:
        allowed.add("__init__")
    return sorted(set(imports) - allowed)


def forbidden_calls(tree: ast.Module) -> Iterator[str]:
    """What could run code that comes from data."""
    for name in imported(tree):
        if name.partition(".")[0] in FORBIDDEN_MODULES:
            yield f"import {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield f"{node.func.id}(), line {node.lineno}"
        for keyword in node.keywords:
            on = getattr(keyword.value, "value", None) is True
            if keyword.arg in ("shell", "allow_pickle") and on:
                yield f"{keyword.arg}=True, line {node.lineno}"


def private_uses(tree: ast.Module) -> Iterator[str]:
    """Uses of the private half of a dependency."""
    yield from (name for name in imported(tree) if "_src" in name.split("."))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "_src":
            yield f"._src, line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_downwards(path):
    layer = layer_of(path)
    assert layer in LAYERS
    assert upward(layer, imported_layers(parse(path))) == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_of_jopt_are_absolute(path):
    assert [name for name in imported(parse(path)) if name.startswith(".")] == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_public_modules_of_dependencies_are_used(path):
    assert list(private_uses(parse(path))) == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_runs_code_from_data(path):
    assert list(forbidden_calls(parse(path))) == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_files_have_at_most_500_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_import_leaves_the_extras_alone():
    code = (
        "import sys, jopt\n"
        f"print(*(name for name in {OPTIONAL!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_version_is_the_installed_one():
    assert jopt.__version__ == metadata.version("jopt")


def test_version_has_a_changelog_entry():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{jopt.__version__}]" in changelog


def test_core_dependencies_are_three():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [line.partition(">=")[0] for line in project["dependencies"]]
    assert names == ["jax", "optax", "jaxtyping"]


@pytest.mark.parametrize("path", PINS, ids=relative)
def test_pins_have_hashes_and_name_no_source(path):
    blocks = path.read_text().replace("\\\n", " ").splitlines()
    assert blocks
    assert [b for b in blocks if "==" not in b or "--hash=sha256:" not in b] == []
    assert [b for b in blocks if "/" in b or "--index" in b or " @ " in b] == []


def test_upward_import_is_found():
    tree = ast.parse("def f():\n    from jopt.optimizers import adam\n")
    assert upward("_core", imported_layers(tree)) == ["optimizers"]


def test_flat_import_is_found():
    tree = ast.parse("import jopt\nfrom jopt import adam")
    assert upward("transforms", imported_layers(tree)) == ["__init__"]


def test_private_import_is_found():
    tree = ast.parse("from optax._src import base\nimport jax\njax._src.core")
    assert list(private_uses(tree)) == ["optax._src.base", "._src, line 3"]


def test_forbidden_calls_are_found():
    tree = ast.parse("import pickle\neval('1')\nrun('ls', shell=True)")
    found = list(forbidden_calls(tree))
    assert found == ["import pickle", "eval(), line 2", "shell=True, line 3"]


def test_the_lists_of_public_names_are_up_to_date():
    stale = [
        relative(path)
        for path, text in exports.files().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `python -m tests.exports`"
