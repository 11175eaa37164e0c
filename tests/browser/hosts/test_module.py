"""What the module asks of a host: nothing, so that it runs where scripts come from elsewhere or may do little."""

from __future__ import annotations

import base64
import gzip
import re

import pytest

from attnscope.wire.assets import asset

FOREIGN = re.compile(
    r"https?:|\bfetch\(|XMLHttpRequest|WebSocket|new Worker|importScripts|\bimport\s*[({*]"
    r"|\bfrom\s*[\"'][./@\w]+[\"']|\beval\(|new Function|WebAssembly|localStorage|@import|url\("
)


@pytest.mark.parametrize("name", ["host.js", "widget.css", "profile-host.js", "profile.css"])
def test_the_built_page_needs_nothing_else(name):
    assert FOREIGN.findall(asset(name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ["widget.js", "profile.js"])
def test_the_notebook_s_module_loads_only_itself(name):
    text = asset(name).read_text(encoding="utf-8")
    (packed,) = re.findall(r'atob\("([A-Za-z0-9+/=]+)"\)', text)
    assert FOREIGN.findall(gzip.decompress(base64.b64decode(packed)).decode()) == []
    assert FOREIGN.findall(text.replace(packed, "")) == ["import("]


@pytest.mark.parametrize("name", ["widget.css", "profile.css"])
def test_only_its_own_elements_are_styled(name):
    """Every rule is for what lies in the widget, or for the one line a page that cannot be read says."""
    text = re.sub(r"/\*.*?\*/", "", asset(name).read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = ",".join(re.findall(r"(?:^|[{};])([^{};@]+)\{", text))
    while heads != (heads := re.sub(r"\([^()]*\)", "", heads)):
        pass
    selectors = heads.split(",")
    assert len(selectors) > 100
    assert [selector for selector in selectors if not selector.strip().startswith(".attnscope")] == []
