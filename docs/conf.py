"""Sphinx configuration. Nothing here needs a network."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import jopt

project = "jopt"
author = "The jopt authors"
copyright = "The jopt authors. Apache License 2.0"
version = release = jopt.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "ext.api_pages",
    "ext.optimizer_pages",
    "ext.notebook_pages",
    "ext.coverage",
    "ext.signatures",
]
exclude_patterns = [
    "_build",
    "ext",
    "**/jupyter_execute",
    "**/.jupyter_cache",
    "**/.ipynb_checkpoints",
]

# Single backquotes in docstrings are code, as they are read in a terminal.
default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Reference"]
python_maximum_signature_line_length = 88

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Notebooks are shown as they stand; JOPT_DOCS_EXECUTE=cache (or force) runs them.
nb_execution_mode = os.environ.get("JOPT_DOCS_EXECUTE", "off")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_cache_path = str(Path(__file__).parent / "_build/.jupyter_cache")

html_theme = "furo"
html_title = f"jopt {version}"
copybutton_prompt_text = ">>> |\\.\\.\\. |\\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
html_static_path = ["_static"]
html_css_files = ["jopt.css"]
