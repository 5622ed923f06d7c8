"""How Sphinx builds the pages (`make docs`)."""

from __future__ import annotations

project = "epaxos"
author = "the epaxos authors"
extensions = ["myst_parser"]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = "epaxos"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4
nitpicky = True
