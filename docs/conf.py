"""
How Sphinx builds these pages.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.directives.code import CodeBlock

import tunnelkit

project = "tunnelkit"
author = "the tunnelkit developers"
copyright = f"2026, {author}"
version = release = tunnelkit.__version__

extensions = ["pydoctor.sphinx_ext.build_apidocs"]
nitpicky = True
# Plain quotes, so that what is copied out of these pages can be pasted into a shell.
smartquotes = False
highlight_language = "text"

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["tunnelkit.css"]
html_show_sphinx = False
html_copy_source = False

_TOP = Path(__file__).parent.parent

# What takes the place of the page in docs/api.  Nothing is fetched: the names of
# other projects are not linked.
pydoctor_args = [
    f"--project-name={project}",
    f"--project-version={release}",
    "--project-url=../index.html",
    f"--project-base-dir={_TOP}",
    "--docformat=epytext",
    "--theme=readthedocs",
    "--html-output={outdir}/api",
    str(_TOP / "tunnelkit"),
]


def setup(app: Sphinx) -> None:
    """
    Take C{code-block} back, which a module of pydoctor takes for itself when it is
    imported: with that one, all code would look like Python.
    """
    import_module("pydoctor.epydoc.markup.restructuredtext")
    app.add_directive("code-block", CodeBlock, override=True)
