"""The documentation site: `make docs`, or `sphinx-build docs build/docs/html`. Nothing is fetched while it builds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "src")]
# `dgex` in the tutorials' shells is the one of this Python, and the tree this page lies in
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
os.environ["DGEX_VERBOSITY"] = "warning"  # notes that notebooks show would hide the results; shells show theirs
os.environ["BASH_ENV"] = str(HERE / "dgex_site" / "strict.sh")

from dgex_site.executed import cache_folder  # noqa: E402

from dgex._version import __version__  # noqa: E402

project = "dgex"
author = "The dgex developers"
copyright = "The dgex developers, BSD-3-Clause"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "dgex_site.executed",
    "dgex_site.generated",
    "dgex_site.links",
    "dgex_site.mathml",
    "dgex_site.pictures",
]
exclude_patterns = ["dgex_site", "study"]
nitpicky = True
# Types of other packages have no pages here, and no network brings their inventories.
nitpick_ignore_regex = [(r"py:.*", r"(?!dgex\b).*")]

myst_enable_extensions = ["dollarmath", "attrs_inline", "deflist"]
myst_fence_as_directive = ["math"]  # as GitHub writes equations
myst_heading_anchors = 4  # as GitHub names headings

nb_execution_mode = "cache"
nb_execution_cache_path = str(cache_folder(ROOT / "src" / "dgex", ROOT / "build" / "docs"))
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 600  # seconds a cell; they take a few, but machines are shared
nb_merge_streams = True

autodoc_typehints = "none"  # docstrings name types in words
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": True}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # words of a type are words, no links to whatever has that name
napoleon_use_ivar = True
default_role = "code"  # of docstrings
python_display_short_literal_types = True
highlight_language = "text"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "dgex"
html_static_path = ["dgex_site/static"]
html_css_files = ["site.css"]
html_favicon = "pictures/mark.svg"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005a8f", "color-brand-content": "#005a8f"},
    "dark_css_variables": {"color-brand-primary": "#6cb8ea", "color-brand-content": "#6cb8ea"},
}
linkcheck_anchors = False
