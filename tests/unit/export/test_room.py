"""How much of a capture one page holds."""

from __future__ import annotations

import base64
import gzip
import json
import re

import numpy as np
import pytest

from attnscope import AttentionWidget, from_queries_keys
from attnscope.errors import TooLargeError
from attnscope.export import html


def capture(tokens=60, layers=3, heads=4):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(heads, tokens, 16)).astype("f4") for _ in range(2 * layers)]
    return from_queries_keys(parts[::2], parts[1::2], [f" t{i}" for i in range(tokens)], causal=True)


def packed(page: str) -> dict:
    """What a page carries, without its numbers."""
    data = gzip.decompress(base64.b64decode(re.search(r'id="attnscope-data">([^<]*)<', page)[1]))
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["page"])


def test_a_page_no_browser_could_open_is_refused_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MOST_PAGE", 50_000)
    widget = AttentionWidget(capture())
    with pytest.raises(TooLargeError, match="save\\(path, megabytes=100\\)"):
        widget.save(tmp_path / "all.html")
    assert not (tmp_path / "all.html").exists()
    widget.save(tmp_path / "picture.svg")


def test_a_page_with_little_room_holds_what_is_selected(tmp_path):
    widget = AttentionWidget(capture(), heads=[[2, 1]])
    widget.save(tmp_path / "part.html", megabytes=0.02)
    page = packed((tmp_path / "part.html").read_text())
    assert (page["layers"][0]["layer"], 1 in page["layers"][0]["only"]) == (2, True)
    assert len(page["layers"]) < 3
    with pytest.raises(TooLargeError, match="even one head"):
        widget.save(tmp_path / "nothing.html", megabytes=0.0001)


def test_statistics_that_take_too_long_are_left_out(tmp_path, monkeypatch):
    widget = AttentionWidget(capture())
    widget.save(tmp_path / "page.html")
    assert packed((tmp_path / "page.html").read_text())["capture"]["kinds"][0]["statistics"]
    monkeypatch.setattr("attnscope.wire.budget.PATIENT", 1)
    widget.save(tmp_path / "page.html")
    page = packed((tmp_path / "page.html").read_text())
    assert (page["capture"]["kinds"][0]["statistics"], page["first"]) == ([], [])
    assert len(page["layers"]) == 3
