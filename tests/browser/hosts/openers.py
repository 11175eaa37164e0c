"""Opening the widget in each host, as a reader would."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.browser.conftest import watched
from tests.browser.hosts.harness import open_harness
from tests.browser.hosts.host import Host, code
from tests.browser.hosts.marimo import Marimo
from tests.browser.lab import notebook_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.browser.conftest import Visit
    from tests.browser.lab import Lab

VIEWPORT = {"width": 1500, "height": 1000}
JUPYTER_CELLS = ".jp-Notebook .jp-Cell"


@contextmanager
def open_host(name: str, chromium: Browser, lab: Lab, capture: str, folder: Path) -> Iterator[Host]:
    """Open one of the hosts with the widget in it; at the end, its kernel is gone."""
    with OPENERS[name](chromium, lab, code(capture), folder) as host:
        try:
            host.page.locator(".attnscope").first.wait_for(timeout=180_000)
            yield host
        finally:
            host.python.close()
    lab.end_sessions()
    lab.end_kernels()


@contextmanager
def _jupyterlab(chromium: Browser, lab: Lab, cell: str, folder: Path) -> Iterator[Host]:
    with _visit(chromium) as seen:
        notebook = lab.open(seen.page, "in-lab.ipynb", [cell])
        notebook.run_all()
        seen.page.locator(".jp-InputArea-prompt").first.click()  # to where single keys are commands
        host = Host(seen, notebook.kernel, lambda: _menu_theme(seen.page), JUPYTER_CELLS)
        host.lab, host.frontend = lab, "lab/workspaces/{}/tree"
        yield host


@contextmanager
def _notebook(chromium: Browser, lab: Lab, cell: str, folder: Path) -> Iterator[Host]:
    _needs("notebook")
    with _visit(chromium) as seen:
        notebook = lab.open(seen.page, "in-notebook.ipynb", [cell], "notebooks")
        notebook.run_all()
        seen.page.locator(".jp-InputArea-prompt").first.click()
        # It reads settings of scroll bars it does not have, and restores by a command that only JupyterLab has what
        # JupyterLab left in the workspace they share; both before any cell runs.
        known = ("reading 'schema'", "'filebrowser:open-path' not registered")
        host = Host(seen, notebook.kernel, lambda: _menu_theme(seen.page), JUPYTER_CELLS, known)
        host.lab, host.frontend = lab, "notebooks"
        yield host


@contextmanager
def _voila(chromium: Browser, lab: Lab, cell: str, folder: Path) -> Iterator[Host]:
    _needs("voila")
    nbformat.write(notebook_of([cell]), lab.root / "in-voila.ipynb")
    before = lab.kernels()

    def darken() -> Iterator[None]:
        with _visit(chromium) as other:
            page, seen.page = seen.page, other.page
            other.page.goto(lab.url("voila/render/in-voila.ipynb", "&theme=dark"))
            yield
            seen.page = page

    with _visit(chromium) as seen:
        seen.page.goto(lab.url("voila/render/in-voila.ipynb"))
        (kernel,) = lab.kernels() - before
        # Voila loads its icons and MathJax from a CDN, and front-end extensions that are none of its own.
        known = ("net::ERR_FAILED", "module-federation.io")
        outside = ("/@fortawesome/", "/mathjax/")
        yield Host(seen, lab.kernel(kernel), darken, "", known, outside)


@contextmanager
def _vscode(chromium: Browser, lab: Lab, cell: str, folder: Path) -> Iterator[Host]:
    colors = "background: var(--vscode-editor-background); color: var(--vscode-editor-foreground); margin: 0 20px"
    style = (
        f"body {{ {colors} }}"
        "body.vscode-light { --vscode-editor-background: #ffffff; --vscode-editor-foreground: #3b3b3b }"
        "body.vscode-dark { --vscode-editor-background: #1f1f1f; --vscode-editor-foreground: #cccccc }"
    )
    with _harness(chromium, lab, cell, "vscode", body=' class="vscode-light"', style=style) as host:
        host.darken = lambda: _changed(host.page, "document.body.className", "vscode-dark", "vscode-light")
        yield host


@contextmanager
def _colab(chromium: Browser, lab: Lab, cell: str, folder: Path) -> Iterator[Host]:
    style = "html[theme=dark] { background: #1e1e1e; color: #ddd }"
    with _harness(chromium, lab, cell, "colab", style=style, more="&buffers=bytes") as host:
        host.darken = lambda: _changed(host.page, "document.documentElement.attributes.theme.value", "dark", "light")
        host.page.evaluate("document.documentElement.setAttribute('theme', 'light')")
        yield host


@contextmanager
def _marimo(chromium: Browser, lab: Lab, cell: str, folder: Path) -> Iterator[Host]:
    _needs("marimo")
    server = Marimo(folder)

    def darken() -> Iterator[None]:
        seen.page.emulate_media(color_scheme="dark")
        yield
        seen.page.emulate_media(color_scheme="light")

    try:
        server.start(cell)
        with _visit(chromium) as seen:
            seen.page.goto(server.address)
            yield Host(seen, server.ear(), darken, "[data-cell-id]")
    finally:
        server.stop()


@contextmanager
def _harness(chromium: Browser, lab: Lab, cell: str, name: str, **given: str) -> Iterator[Host]:
    with _visit(chromium) as seen:
        kernel = open_harness(seen.page, lab, name, **given)
        seen.page.evaluate("cell => harness.run(cell)", cell)
        yield Host(seen, lab.kernel(kernel), lambda: iter(()))


OPENERS: dict[str, Any] = {
    "JupyterLab": _jupyterlab,
    "Notebook": _notebook,
    "VS Code": _vscode,
    "marimo": _marimo,
    "Voila": _voila,
    "Colab": _colab,
}


def _visit(chromium: Browser) -> AbstractContextManager[Visit]:
    return watched(chromium, viewport=VIEWPORT)


def _needs(module: str) -> None:
    pytest.importorskip(module, reason=f"{module} is not installed; it comes with attnscope[test]")


def _menu_theme(page: Page) -> Iterator[None]:
    """Choose another theme in the menu of JupyterLab or Notebook."""
    for theme in ("Dark", "Light"):
        page.get_by_role("menuitem", name="Settings", exact=True).click()
        for item in ("Theme", f"JupyterLab {theme}"):
            page.locator(".lm-Menu-item").filter(has_text=re.compile(f"^{item}$")).click()
        if theme == "Dark":
            yield


def _changed(page: Page, what: str, there: str, back: str) -> Iterator[None]:
    page.evaluate(f"{what} = {there!r}")
    yield
    page.evaluate(f"{what} = {back!r}")
