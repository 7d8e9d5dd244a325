"""Copy notebooks/*.ipynb into docs/notebooks, where Sphinx finds them."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from ext.api_pages import write_if_changed

# The order in which a newcomer reads them; others follow by name.
FIRST = (
    "quickstart",
    "compose",
    "flax_nnx",
    "write_your_own",
    "two_tasks",
    "second_order",
    "private",
)


def copy_notebooks(app: Sphinx) -> None:
    """Mirror the folder and list what is in it."""
    source = Path(app.srcdir).parent / "notebooks"
    folder = Path(app.srcdir) / "notebooks"
    folder.mkdir(exist_ok=True)
    names = sorted(path.stem for path in source.glob("*.ipynb"))
    names.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    for name in names:
        copy, original = folder / f"{name}.ipynb", source / f"{name}.ipynb"
        if not copy.is_file() or copy.read_bytes() != original.read_bytes():
            shutil.copyfile(original, copy)
    for old in folder.glob("*.ipynb"):
        if old.stem not in names:
            old.unlink()
    entries = "\n".join(names)
    index = f"# Notebooks\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    write_if_changed(folder / "index.md", index)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the copy."""
    app.connect("builder-inited", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
