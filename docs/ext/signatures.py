"""Show signatures as they are written in the source: short names, not expansions."""

import ast
import inspect
import textwrap

from sphinx.application import Sphinx

# What a factory returns in the source, and what its decorator makes of it.
DECORATED = {"Pair": "Transform", "ScheduleFn": "Schedule"}


def written(value: object) -> ast.FunctionDef | None:
    """The definition of a function, or None where it has no source."""
    try:
        source = inspect.getsource(inspect.unwrap(value))
        node = ast.parse(textwrap.dedent(source)).body[0]
    except (TypeError, OSError, SyntaxError, IndexError):
        return None
    return node if isinstance(node, ast.FunctionDef) else None


def process(
    app: Sphinx,
    what: str,
    name: str,
    value: object,
    options: dict,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """Answer autodoc with the written signature of a function or method."""
    del app, name, options, returns
    if what not in ("function", "method") or signature is None:
        return None
    node = written(value)
    if node is None:
        return None
    if what == "method":
        (node.args.posonlyargs or node.args.args).pop(0)
    result = ast.unparse(node.returns) if node.returns else None
    return f"({ast.unparse(node.args)})", DECORATED.get(result, result)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the answer."""
    app.connect("autodoc-process-signature", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
