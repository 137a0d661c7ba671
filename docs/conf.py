"""How the documentation is built: ``make docs``, or ``sphinx-build -W docs docs/_build/html``."""

from cervispine import __version__

project = "cervispine"
author = "The cervispine developers"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "tutorials/scripts"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# scikit-learn adds these to every estimator, with references into its own documentation.
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}
napoleon_google_docstring = False
napoleon_use_rtype = False

# A name in single backticks is a Python object. References into cervispine must resolve; those
# into other libraries would need their inventories, and so a network, at every build.
default_role = "py:obj"
nitpicky = True
# A shape such as "(n,)" is taken for a name now and then.
suppress_warnings = ["ref.python"]
nitpick_ignore_regex = [("py:.*", r"(?!cervispine\.).*")]


def setup(app):
    """Show a default that is made anew for each object as "..."; attrs calls it NOTHING."""

    def without_nothing(*event):
        *_, signature, returned = event
        return signature and signature.replace("=NOTHING", "=..."), returned

    app.connect("autodoc-process-signature", without_nothing)


# The tutorials from Python are scripts: each runs when the documentation is built, and may not
# fail.
sphinx_gallery_conf = {
    "examples_dirs": "tutorials/scripts",
    "gallery_dirs": "generated/tutorials",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "ignore_repr_types": r"matplotlib\.",
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "cervispine"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "announcement": "Research use only, not a medical device. No real OPLL image has been "
    "through this software; figures from phantoms say nothing about patients.",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": []}
html_show_sourcelink = False
