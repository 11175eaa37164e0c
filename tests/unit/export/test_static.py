import base64
import gzip
import io
import re

import numpy as np
import pytest
from PIL import Image

from attnscope import AttentionWidget, from_queries_keys
from attnscope.export import static

HOSTILE = ['"><script>window.hit=1</script>', "</script>", "-->", "`${window.hit=1}`", "\u202eevil", "a"]


def widget(tokens=("a", "b", "c", "d"), heads=3, layers=2, **given):
    rng = np.random.default_rng(0)
    arrays = [[rng.normal(size=(heads, len(tokens), 16)).astype("f4") for _ in range(layers)] for _ in range(2)]
    return AttentionWidget(from_queries_keys(*arrays, list(tokens)), **given)


def page_in(html):
    (packed,) = re.findall(r'data-page="([^"]*)"', html)
    return gzip.decompress(base64.b64decode(packed)).decode() if packed else ""


def test_a_snapshot_is_a_picture_with_words_and_a_page_but_no_view():
    shown = widget(query=2).snapshot()
    data = shown._repr_mimebundle_()
    assert set(data) == {"image/png", "text/html", "text/plain"}
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).format == "PNG"
    assert data["text/plain"] == repr(shown)
    assert "'c' attends most to" in repr(shown)
    assert re.match(r"<div data-page=\"[^\"]+\" data-height=\"\d+\"><img src=\"data:image/svg", data["text/html"])
    assert "Content-Security-Policy" in page_in(data["text/html"])


def test_a_snapshot_stays_as_it_was():
    w = widget(query=2)
    before = w.snapshot()._repr_mimebundle_()
    shown = w.snapshot()
    w.query = 0
    assert shown._repr_mimebundle_() == before
    assert w.snapshot()._repr_mimebundle_() != before


@pytest.mark.parametrize(("n", "layers"), [(13, 6), (130, 6), (600, 12)])
def test_the_page_beside_a_picture_is_no_larger_than_it_may_be(n, layers):
    html = widget([f"t{at}" for at in range(n)], layers=layers).snapshot()._repr_mimebundle_()["text/html"]
    assert page_in(html)
    (packed,) = re.findall(r'data-page="([^"]*)"', html)
    assert len(packed) <= static.MOST_PAGE


def test_a_page_that_cannot_be_small_is_left_out(monkeypatch):
    monkeypatch.setattr(static, "MOST_PAGE", 1000)
    html = widget().snapshot()._repr_mimebundle_()["text/html"]
    assert html.startswith("<img")
    assert "script" not in html


@pytest.mark.parametrize(("embed", "has_page"), [("none", False), ("selection", True), ("auto", True)])
def test_what_stands_in_keeps_to_the_policy(embed, has_page):
    w = widget()
    html = static.stand_in(w.capture, w._state(), None, "ab12", embed)
    assert bool(page_in(html)) == has_page
    assert html.count("<img") == 1


def test_no_token_becomes_markup_or_code():
    w = widget(HOSTILE, query=0)
    for html in (w.snapshot()._repr_mimebundle_()["text/html"], static.stand_in(w.capture, w._state(), None, "ab12")):
        assert html.count("<script") == html.count("</script") == 1
        assert "window.hit" not in re.sub(r'alt="[^"]*"', "", html)
        assert "-->" not in html
