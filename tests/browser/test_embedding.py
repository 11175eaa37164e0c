"""An exported page inside other pages: each recipe of docs/embedding.md, built from its own block and opened."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import attnscope
from tests.browser.test_export import queries_keys
from tests.browser.widget import Widget, exact

if TYPE_CHECKING:
    from playwright.sync_api import Page

RECIPES = (Path(__file__).parents[2] / "docs/embedding.md").read_text(encoding="utf-8")
HEAD = (1, 1)


def recipe(heading: str, language: str) -> str:
    """The block of a language under a heading."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", RECIPES, re.DOTALL | re.MULTILINE)[1]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1]


def save_page(folder: Path) -> attnscope.Capture:
    folder.mkdir(parents=True, exist_ok=True)
    capture = queries_keys()
    attnscope.AttentionWidget(capture, query=3, heads=[list(HEAD)]).save(folder / "cat.html")
    return capture


def opened(page: Page, path: Path, capture: attnscope.Capture) -> Widget:
    """Open the page around, and find the capture's numbers in the frame."""
    page.goto(path.as_uri())
    frame = page.locator("iframe")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box["height"] == 520
    assert box["width"] > 400
    widget = Widget(page.frame_locator("iframe").locator(".attnscope"))
    widget.wait()
    details = widget.root.get_by_role("button", name="Details")
    if details.is_visible():  # in a narrow frame the inspector is folded
        details.click()
        widget.wait()
    shown = widget.inspector.locator("[data-weight]").first
    assert exact(shown) == pytest.approx(float(capture.weights(*HEAD, queries=3).max()), abs=1e-5)
    return widget


def test_a_plain_frame(page, tmp_path):
    capture = save_page(tmp_path)
    (tmp_path / "blog.html").write_text(f"<!doctype html><h1>A post</h1>{recipe('A frame', 'html')}", encoding="utf-8")
    widget = opened(page, tmp_path / "blog.html", capture)
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"
    widget.tab("Matrix").click()
    widget.wait()
    with page.expect_download() as saving:
        widget.root.get_by_role("button", name="Save this view as a picture").click()
    assert saving.value.path().read_bytes().startswith(b"\x89PNG")


def test_the_frame_is_a_stranger_to_the_site(page, tmp_path):
    capture = save_page(tmp_path)
    (tmp_path / "blog.html").write_text(f"<!doctype html>{recipe('A frame', 'html')}", encoding="utf-8")
    opened(page, tmp_path / "blog.html", capture)
    reached = page.frames[1].evaluate("() => { try { return parent.document.title; } catch (e) { return e.name; } }")
    assert reached == "SecurityError"
    assert page.frames[1].evaluate("() => self.origin") == "null"


def test_sphinx(page, tmp_path):
    pytest.importorskip("sphinx")
    source, built = tmp_path / "source", tmp_path / "built"
    capture = save_page(source / "_static")
    block = recipe("Sphinx", "rst")
    (source / "guide").mkdir()
    (source / "conf.py").write_text('project = "Cats"\nhtml_static_path = ["_static"]\n', encoding="utf-8")
    (source / "index.rst").write_text(f"Cats\n====\n\n.. toctree::\n\n   guide/attention\n\n{block}", encoding="utf-8")
    nested = block.replace('src="_static', 'src="../_static')
    assert nested != block
    (source / "guide/attention.rst").write_text(f"Attention\n=========\n\n{nested}", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-q", str(source), str(built)]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("index", "guide/attention"):
        opened(page, built / f"{name}.html", capture)


def test_mkdocs(page, tmp_path):
    pytest.importorskip("mkdocs")
    capture = save_page(tmp_path / "docs")
    block = recipe("MkDocs", "markdown")
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: Cats\ntheme:\n  name: readthedocs\n  highlightjs: false\nplugins: []\n", encoding="utf-8"
    )
    (tmp_path / "docs/attention.md").write_text(f"# Attention\n\n{block}", encoding="utf-8")
    at_the_top = block.replace('src="../', 'src="')
    assert at_the_top != block
    (tmp_path / "docs/index.md").write_text(f"# Cats\n\n{at_the_top}", encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for name in ("index", "attention/index"):
        opened(page, tmp_path / f"site/{name}.html", capture)


def test_one_file(page, tmp_path, monkeypatch):
    capture = save_page(tmp_path)
    monkeypatch.chdir(tmp_path)
    made: dict[str, str] = {}
    exec(recipe("Where only one file fits", "python"), made)
    (tmp_path / "post.html").write_text(f"<!doctype html><h1>A post</h1>{made['frame']}", encoding="utf-8")
    (tmp_path / "cat.html").unlink()
    opened(page, tmp_path / "post.html", capture)
