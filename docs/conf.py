"""Sphinx: these pages as a site that asks nothing of anybody else's hosts (`make docs`)."""

project = "topgenre"
project_copyright = "the topgenre authors"
extensions = ["myst_parser"]
# Pages link to headings as they do where Markdown is shown as it is.
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "topgenre"
html_copy_source = False
html_show_sourcelink = False
