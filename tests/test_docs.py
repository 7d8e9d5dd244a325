"""What the examples in the pages themselves do not show: links, names, pictures."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

import jopt
import jopt.experiments

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def text_of(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n".join("".join(cell["source"]) for cell in cells(path))


@pytest.fixture(scope="module")
def figures():
    path = ROOT / "docs" / "figures" / "make.py"
    spec = importlib.util.spec_from_file_location("make_figures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_has_python_within_its_first_20_lines():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith(">>> import") for line in lines[:20])


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in links if "://" not in link]
    made = {"api", "notebooks"}  # folders that the docs build makes
    missing = [
        target
        for target in targets
        if target
        and not (path.parent / target).exists()
        and not (path.parent.name == "docs" and target.split("/")[0] in made)
    ]
    assert missing == []


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=name_of)
def test_names_of_jopt_exist(path):
    names = set(re.findall(r"(?<![\w./])jopt\.([A-Za-z_]\w*)", text_of(path)))
    unknown = sorted(name for name in names if not hasattr(jopt, name))
    assert [
        name for name in unknown if not importlib.util.find_spec(f"jopt.{name}")
    ] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebooks_are_committed_without_output(path):
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []


def test_every_picture_of_a_schedule_is_drawn(figures):
    drawn = {path.stem for path in figures.FOLDER.glob("schedule_*.svg")}
    assert drawn == {f"schedule_{name}" for name in figures.SCHEDULES}


def test_pictures_of_schedules_are_current(figures, tmp_path):
    figures.draw_schedules(tmp_path)
    for new in sorted(tmp_path.iterdir()):
        old = (figures.FOLDER / new.name).read_text(encoding="utf-8")
        fresh = new.read_text(encoding="utf-8")
        assert NUMBER.sub("", fresh) == NUMBER.sub("", old), new.name
        # a tenth of a pixel: a sine may round otherwise elsewhere
        numbers = [np.array(NUMBER.findall(text), float) for text in (fresh, old)]
        np.testing.assert_allclose(*numbers, atol=0.11, err_msg=new.name)


def test_figure_of_the_readme_is_small(figures):
    assert (figures.FOLDER / "four_optimizers.svg").stat().st_size < 100_000
