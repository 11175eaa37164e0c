"""What a host keeps of the widget in a notebook, for a reader whose kernel knows nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
from playwright.sync_api import expect

from tests.browser.widget import Widget

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.hosts.host import Host

KEEP = """
import nbformat
from ipywidgets import Widget

def kept():
    data, metadata = AttentionWidget(c, heads=w.heads, query="it")._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("w", outputs=[output])])

def kept_with_state():
    notebook = kept()
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": Widget.get_manager_state()}
    return notebook
"""


def shows_the_picture_to_others(host: Host) -> None:
    """Received from somebody, the widget is not run: the picture with its words stands there."""
    page = opened(host, "received.ipynb", "kept()", is_trusted=False)
    picture = page.locator(".jp-OutputArea-output img")
    expect(picture).to_be_visible()
    assert picture.get_attribute("alt")
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 300
    expect(page.locator(".attnscope")).to_have_count(0)
    page.close()


def opens_without_its_kernel(host: Host) -> None:
    """One's own notebook with the widgets' state, opened again: what is selected is there with its numbers."""
    page = opened(host, "own.ipynb", "kept_with_state()", is_trusted=True)
    widget = Widget.on(page)
    expect(widget.root.locator('[data-status="stored"]')).to_be_visible()
    listed = widget.numbers("Layer 5 · Head 11")
    weights = sorted(host.python.value("c.weights(5, 11, queries=8).tolist()"), reverse=True)
    assert max(abs(a - b) for a, b in zip(listed, weights, strict=False)) < 1e-4
    page.close()


def opened(host: Host, name: str, notebook: str, *, is_trusted: bool) -> Page:
    """Open in another page of the host what its Python keeps in a notebook."""
    path = host.lab.root / name
    host.python.run(KEEP)
    host.python.run(f"nbformat.write({notebook}, {str(path)!r})")
    page = host.page.context.new_page()
    found = nbformat.read(path, as_version=4)
    found.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    host.lab.read(page, name, found, is_trusted=is_trusted, frontend=host.frontend.format(path.stem))
    return page
