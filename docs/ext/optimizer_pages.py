"""Write docs/api/optimizer/<name>.md for each optimizer, and a table of them all."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from sphinx.application import Sphinx

import jopt
from ext.writing import write_if_changed
from jopt._core import registry

SAMPLE = {
    "bias": jax.ShapeDtypeStruct((256,), jnp.float32),
    "kernel": jax.ShapeDtypeStruct((256, 256), jnp.float32),
}
PAGE = """# {name}

```{{eval-rst}}
.. autofunction:: jopt.{name}
```

## Facts

{facts}

## Certificate

{certificate}

## Citation

```bibtex
{citation}
```
"""
INDEX = """# Optimizers

{count} optimizers, each with a page: rule, arguments, example, state, certificate,
citation. The state is in numbers per parameter, of a matrix of 256 by 256 and a bias.
The error is the worst of its [certificates](../certificates.md). To choose, see
[which one, when](../choose.md).

{table}

```{{toctree}}
:hidden:
:glob:

optimizer/*
```
"""


def optimizers() -> list[Any]:
    """The factories of jopt's own optimizers."""
    found = registry.entries("optimizer")
    return [f for f in found if f.function.__module__.startswith("jopt.")]


def example(factory: Any) -> jopt.Transform:
    """The optimizer at its defaults, or at a rate in the middle of its range."""
    build = getattr(jopt, factory.name)
    rates = factory.facts.get("rates")
    required = [
        p for p in factory.signature.parameters.values() if p.default is p.empty
    ]
    if not required:
        return build()
    return build((rates[0] * rates[1]) ** 0.5)


def certificates(page: Path) -> dict[str, list[str]]:
    """The cells of the summary of certificates, by optimizer."""
    rows = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        found = re.fullmatch(r"`(\w+)`", cells[0].strip())
        if found and len(cells) == 4:
            rows.setdefault(found.group(1), cells)
    return rows


def state(tx: jopt.Transform) -> float:
    """Numbers in the state per parameter, scalars left out."""
    slots = jax.tree.leaves(jax.eval_shape(tx.init, SAMPLE))
    return sum(x.size for x in slots if x.ndim) / (256 * 257)


def facts(factory: Any, tx: jopt.Transform) -> str:
    """Rows about an optimizer."""
    rates = factory.facts.get("rates")
    rows = [
        ("state", f"{state(tx):.3g} numbers per parameter"),
        ("stages", " → ".join(f"`{s.path}`" for s in jopt.describe(tx, SAMPLE).stages)),
        ("tags", ", ".join(factory.facts.get("tags", ())) or "none"),
    ]
    if rates:
        text = f"{rates[0]:g} to {rates[1]:g}"
        rows.insert(1, ("learning rates that the race searches", text))
    return "| | |\n|---|---|\n" + "\n".join(f"| {a} | {b} |" for a, b in rows)


def certificate(row: list[str] | None) -> str:
    """What an optimizer is compared with."""
    if row is None:
        return "None yet."
    _, settings, error, sources = row
    return (
        f"Compared at {settings} settings with {sources}, in float64: the worst error "
        f"is {error} of the way travelled. [All certificates](../../certificates.md)."
    )


def first_line(name: str) -> str:
    """What a docstring begins with."""
    return (getattr(jopt, name).__doc__ or "").strip().partition("\n")[0]


def write_pages(app: Sphinx) -> None:
    """Write all pages, and remove those of names that are gone."""
    folder = Path(app.srcdir) / "api" / "optimizer"
    folder.mkdir(parents=True, exist_ok=True)
    known = certificates(Path(app.srcdir) / "certificates.md")
    rows, names = [], []
    for factory in optimizers():
        name, tx = factory.name, example(factory)
        names.append(name)
        row = known.get(name)
        text = PAGE.format(
            name=name,
            facts=facts(factory, tx),
            certificate=certificate(row),
            citation=jopt.cite(tx) or "% none",
        )
        write_if_changed(folder / f"{name}.md", text)
        tags = ", ".join(factory.facts.get("tags", ()))
        link = f"[`{name}`](optimizer/{name}.md)"
        rows.append(
            f"| {link} | {first_line(name)} | {tags} | {state(tx):.2g} | "
            f"{row[2] if row else ''} |"
        )
    table = "| | | tags | state | error |\n|---|---|---|---|---|\n" + "\n".join(rows)
    index = INDEX.format(count=len(names), table=table)
    write_if_changed(folder.parent / "optimizer-index.md", index)
    for old in folder.glob("*.md"):
        if old.stem not in names:
            old.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the generator."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
