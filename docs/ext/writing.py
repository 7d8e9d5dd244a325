"""Writing generated pages."""

from pathlib import Path


def write_if_changed(path: Path, text: str) -> None:
    """Leave an unchanged file alone, so that Sphinx does not build it again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
