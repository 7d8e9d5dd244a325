"""Warn, and so fail a build with -W, for each public name without documentation."""

import inspect

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import jopt
from ext.api_pages import public_names

LOGGER = logging.getLogger(__name__)


def has_docstring(name: str) -> bool:
    """Whether a function or class has words of its own; other values need none."""
    value = getattr(jopt, name)
    if not inspect.isclass(value) and not hasattr(value, "__name__"):
        return True
    text = (getattr(value, "__doc__", None) or "").strip()
    generated = inspect.isclass(value) and text.startswith(f"{value.__name__}(")
    return bool(text) and not generated


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Compare the public names with what autodoc has put on the pages."""
    del app
    documented = env.get_domain("py").objects
    for name in public_names():
        if f"jopt.{name}" not in documented:
            LOGGER.warning("public name jopt.%s is on no page", name, type="coverage")
        if not has_docstring(name):
            LOGGER.warning(
                "public name jopt.%s has no docstring", name, type="coverage"
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the check."""
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
