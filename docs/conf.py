"""How Sphinx builds the reference: from docstrings, offline, with what Sphinx ships."""

import attnscope

project = "attnscope"
author = "the attnscope developers"
version = release = attnscope.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["*.md"]
# In "float32 [tokens]" the dimension is no reference to one of the attributes of that name.
suppress_warnings = ["ref.python"]

html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "280px", "fixed_sidebar": True}
html_show_sphinx = False
html_copy_source = False

add_module_names = False
autodoc_typehints = "signature"
maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"
