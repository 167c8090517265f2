"""How the site is built: `tox -e docs`."""

import re
from importlib.metadata import version as version_of
from typing import Any

project = "streamcert"
author = "The streamcert developers"
version = release = version_of("streamcert")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"streamcert {release}"
html_show_copyright = False
html_extra_path = ["generated/clauses.html", "generated/matrix.html"]
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["narrow.css"]
# Furo's own, with a link to each page that is not Sphinx's after the navigation.
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "large_pages.html",
        "sidebar/scroll-end.html",
    ]
}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
default_role = "code"  # docstrings name things as `this`, for terminals and for the site
napoleon_use_ivar = True  # attributes are described once, in the class's docstring


def for_the_site(app: object, page: str, source: list[str]) -> None:
    """Rewrite links and anchors that work in the repository into ones that work on the site.

    Args:
        app: Sphinx.
        page: the page's name.
        source: its text, in a list of one.
    """
    text = source[0].replace("](../CONTRIBUTING.md)", "](contributing.md)")
    up = "../" * page.count("/")
    text = re.sub(
        r"\[([^\]]+)\]\((?:\.\./|docs/)?(?:generated/)?(clauses|matrix)\.html\)",
        rf'<a href="{up}\2.html">\1</a>',
        text,
    )
    if page in ("findings", "findings-rloop", "findings-field", "generated/field"):
        text = re.sub(
            r'^### <a id="([\w-]+)"></a>', r"(finding-\1)=\n### ", text, flags=re.MULTILINE
        )
        text = re.sub(
            r"\]\((?:(?:\.\./)?findings(?:-\w+)?\.md)?#([\w-]*\d+)\)", r"](#finding-\1)", text
        )
    source[0] = text


def setup(app: Any) -> None:
    """Let Sphinx call `for_the_site()` for each page."""
    app.connect("source-read", for_the_site)
