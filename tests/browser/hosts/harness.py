"""A page with VS Code's own widget manager, on a kernel of the Jupyter server.

The real extension host passes the kernel's messages on; here the page speaks with the kernel itself. What renders the
widget is the same: the manager that the extension carries, and anywidget's module from the kernel's environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.lab import Lab

HERE = Path(__file__).parent / "vscode"
MODULES = HERE / "node_modules"
ESBUILD = Path(__file__).parents[3] / "js/node_modules/.bin/esbuild"
REQUIRE = MODULES / "requirejs/require.js"
ANYWIDGET = Path(sys.prefix) / "share/jupyter/nbextensions/anywidget/index.js"

PAGE = """<!doctype html>
<html lang="en"{html}>
<head><meta charset="utf-8"><title>outputs</title>
<style>{style}</style>
<script src="require.js"></script>
<script>requirejs.config({{ paths: {{ anywidget: new URL("anywidget", location).href }} }})</script>
</head>
<body{body}><div id="outputs"></div><script src="harness.js"></script></body>
</html>
"""


def build(folder: Path) -> None:
    """Build the harness and what it loads into a folder."""
    for path in (MODULES / "@vscode", MODULES / "@jupyterlab", REQUIRE, ESBUILD, ANYWIDGET):
        if not path.exists():
            pytest.skip(f"{path.name} is not installed; run npm ci in js and in tests/browser/hosts/vscode")
    command = [ESBUILD, HERE / "harness.js", "--bundle", "--format=iife", "--log-level=error"]
    subprocess.run([*command, f"--outfile={folder / 'harness.js'}"], check=True)
    shutil.copy(REQUIRE, folder / "require.js")
    shutil.copy(ANYWIDGET, folder / "anywidget.js")


def open_harness(
    page: Page, lab: Lab, name: str, *, html: str = "", body: str = "", style: str = "", more: str = ""
) -> str:
    """Open the harness with a host's signs on it, and give the id of the kernel it started."""
    if not (lab.pages / "harness.js").exists():
        build(lab.pages)
    (lab.pages / f"{name}.html").write_text(PAGE.format(html=html, body=body, style=style))
    page.goto(lab.url(f"static/{name}.html", more))
    page.wait_for_function("window.harness")
    return str(page.evaluate("window.harness.kernel"))
