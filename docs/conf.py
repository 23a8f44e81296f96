"""Settings of the documentation site: `python -m sphinx -W -b html docs docs/_build/html`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# Networks of the examples are small, and several examples are run at a time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gallery_settings

import skdeep

project = "skdeep"
author = "The skdeep developers"
copyright = "The skdeep developers"
version = release = skdeep.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
    "figures",
    "links",
    "mathml",
    "pairs",
    "pictures",
    "reference",
]
exclude_patterns = ["_build", "gallery/**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # the anchors that hosts of Git repositories make, too

default_role = "code"
smartquotes = False  # names in quotes are copied into programs
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types
numpydoc_show_class_members = False  # the template of a class lists them

plot_formats = [("png", 110)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_pre_code = gallery_settings.BEFORE_FIGURE
plot_rcparams = gallery_settings.FIGURES

sphinx_gallery_conf = gallery_settings.SETTINGS

html_theme = "pydata_sphinx_theme"
html_title = f"skdeep {version}"
html_static_path = ["_static"]
html_css_files = ["site.css", "pairs.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "skdeep"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"start": [], "changelog": []}
html_context = {"default_mode": "auto"}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
