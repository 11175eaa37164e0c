"""Every still picture: vectors only, inert, the size it should be, the same each time, and refused where it must be."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageChops

import attnscope
from attnscope.errors import InputError, NotFoundError
from attnscope.export import grid_order, palette, picture
from attnscope.export.labels import clean, fitted, fixed, shown, text_width
from attnscope.export.static import static_bundle
from tests.unit.export.drawings import (
    HOSTILE,
    TOKENS,
    bidirectional,
    image,
    label_height,
    parsed,
    patched,
    texts,
)

TEXT_VIEWS = [view for view in picture.VIEWS if view != "image"]
PAGE = Path(__file__).parents[3] / "js/src"


def given_for(view: str, n: int = len(TOKENS), tokens: list[str] | None = None, **given: object) -> tuple:
    """A capture that has a view, and what is shown of it."""
    capture = patched(8, 2) if view == "image" else bidirectional(n=n, tokens=tokens or [f" tok{i}" for i in range(n)])
    if view == "compare":
        given["compare"] = bidirectional(1, n, tokens or [f" tok{i}" for i in range(n)])
    return capture, {"view": view, **given}


def source(name: str) -> str:
    path = PAGE / name
    if not path.is_file():
        pytest.skip("the page's source is not beside this checkout")
    return path.read_text(encoding="utf-8")


def colors(block: str) -> tuple:
    triples = re.findall(r"\[\s*(\d+),\s*(\d+),\s*(\d+),?\s*\]", block)
    return tuple(tuple(map(int, triple)) for triple in triples)


def test_there_is_a_picture_of_every_view_of_the_page():
    from attnscope.widget.traits import VIEWS

    assert set(picture.VIEWS) == set(VIEWS)


@pytest.mark.parametrize(("view", "theme"), list(product(picture.VIEWS, ["light", "dark"])))
def test_every_view_is_drawn_in_vectors_at_any_scale(view, theme):
    capture, given = given_for(view, heads=[[0, 1], [1, 2]], query=2, theme=theme)
    drawing = picture.svg(capture, **given)
    assert ("<image" in drawing) == (view == "image")
    root = parsed(drawing)
    size = float(root.attrib["width"]), float(root.attrib["height"])
    ground = palette.hexadecimal((21, 25, 30)) if theme == "dark" else "#ffffff"
    for scale in (4, 2, 1) if view != "image" else (4,) if theme == "light" else (2, 1):  # pixels are slow
        drawn = image(picture.rendered(drawing, scale))
        for pixels, length in zip(drawn.size, size, strict=True):
            assert abs(pixels - scale * length) <= 1
        assert palette.hexadecimal(drawn.getpixel((0, 0))) == ground
    assert len(drawn.getcolors(1 << 22)) > 50


@pytest.mark.parametrize(("view", "n"), list(product(TEXT_VIEWS, [1, 13, 128, 600])))
def test_sizes_stay_small_whatever_the_number_of_tokens(view, n):
    capture, given = given_for(view, n, heads=[[0, 1], [1, 2]], query=n // 2)
    assert len(picture.svg(capture, **given)) < 330_000
    data = picture.png(capture, scale=1.5, **given)
    assert len(data) < 200_000
    assert image(data).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("view", picture.VIEWS)
def test_a_picture_is_the_same_each_time_and_changes_nothing(view):
    capture, given = given_for(view, query=1)
    before = capture.weights(0).copy()
    assert picture.svg(capture, **given) == picture.svg(capture, **given)
    np.testing.assert_array_equal(capture.weights(0), before)


@pytest.mark.parametrize("view", TEXT_VIEWS)
def test_hostile_tokens_are_inert(view):
    capture, given = given_for(view, len(HOSTILE), HOSTILE, heads=[[0, 0]], query=0, key=1)
    drawing = picture.svg(capture, **given)
    written = texts(parsed(drawing))
    if view != "grid":
        assert "a&b" in written
        assert any(text.startswith("<img src") for text in written)
    assert not set(drawing) & set("\x00\x07\x1b\ud800\ufffe\u202e\u2066\u200b\u2028")
    assert len(image(picture.rendered(drawing, 1)).getcolors(1 << 20)) > 15
    words = picture.alt_text(capture, **{**given, "query": 7})
    words.encode()
    assert "\n" not in words


def test_hostile_model_names_are_inert():
    capture = bidirectional()
    named = type(capture)(capture.attention, "</text><script>\x00")
    for view in ("links", "compare"):
        written = texts(parsed(picture.svg(named, view=view, compare=capture)))
        assert any(text.startswith("</text><script>") for text in written)


@pytest.mark.parametrize("view", picture.VIEWS)
def test_what_is_said_is_one_sentence_of_the_picture(view):
    capture, given = given_for(view, query=1)
    said = picture.alt_text(capture, **given)
    assert len(said) > 40
    assert parsed(picture.svg(capture, **given)).attrib["aria-label"] == said


@pytest.mark.parametrize("view", picture.VIEWS)
def test_a_reader_without_widgets_sees_the_view_itself(view):
    capture, given = given_for(view)
    other = given.pop("compare", None)
    widget = attnscope.AttentionWidget(capture, view=view, query=1, compare=other, theme="dark")
    bundle = static_bundle(capture, widget._state(), other)
    widget.close()
    assert picture.alt_text(capture, view=view, query=1, compare=other, heads=[[0, 0]]) in _unescaped(bundle)
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert len(bundle["image/png"]) < 270_000


def _unescaped(bundle: dict[str, str]) -> str:
    from html import unescape

    return unescape(bundle["text/html"])


@pytest.mark.parametrize("name", ["LIGHT", "DARK"])
def test_palettes_are_the_pages(name):
    written = source("draw/palette.ts")
    ours = getattr(palette, name)
    heads = re.search(rf"{name}_HEADS[^=]*=\s*\[(.*?)\n\];", written, re.DOTALL)
    inks = re.search(rf"{'LIGHT_INKS' if name == 'LIGHT' else 'DARK_HEADS'}[^=]*=\s*\[(.*?)\n\];", written, re.DOTALL)
    body = re.search(rf"export const {name}: Palette = \{{(.*?)\n\}};", written, re.DOTALL)
    roles = re.search(rf"ROLE_COLORS.*?{name.lower()}: \[(.*?)\n  \],", written, re.DOTALL)
    assert colors(heads[1]) == ours.heads
    assert colors(inks[1]) == ours.inks
    assert colors(body[1]) == ours.ramp + ours.diverging
    assert colors(roles[1]) == ours.roles
    named = dict(re.findall(r'(\w+): "(#\w+)"', body[1]))
    for key in ("ink", "faint", "line", "ground", "placeholder", "hatch", "accent"):
        assert named[key] == getattr(ours, key)


def test_signs_of_roles_are_the_pages():
    block = re.search(r"SIGNS: Record<string, string> = \{(.*?)\n\};", source("controls/roles.ts"), re.DOTALL)
    assert list(grid_order.ROLES.items()) == re.findall(r'(\w+): "(.)"', block[1])


@pytest.mark.parametrize(
    ("token", "written"),
    [
        (" cat", "·cat"), ("  ", "··"), ("a  b", "a  b"), ("x ", "x·"), ("\n", "⏎"), ("\t\t", "⇥⇥"), ("\r\n", "⇤⏎"),
        ("", "∅"), ("\u200d", "\ufffd"), ("👩\u200d👧", "👩\u200d👧"), ("猫", "猫"),
    ],
)  # fmt: skip
def test_white_space_and_nothing_are_seen(token, written):
    assert shown(token) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.7123, "0.712"), (0.0, "0.000"), (0.00012, "1.2e-4"), (-2e-9, "-2.0e-9"), (np.nan, "masked")],
)
def test_numbers_are_written_as_on_the_page(value, written):
    assert fixed(value) == written


def test_long_labels_are_cut_and_say_so():
    assert fitted("short", 12, 100) == "short"
    cut = fitted("w" * 100, 12, 100)
    assert cut.endswith("…")
    assert 60 < text_width(cut, 12) <= 100
    assert clean("\u202e") == "\ufffd"


@pytest.mark.parametrize("text", ["wwwwwwwwww", "iiiiiiiiiiiiiiiiiiii", "Ελλάς Это", "the cat sat. 0.71"])
def test_texts_are_as_wide_as_they_are_drawn(text):
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40" font-family="DejaVu Sans"><rect width="400" height="40" fill="white"/><text x="5" y="25" font-size="16">|{text}|</text></svg>'  # noqa: E501
    left, _, right, _ = ImageChops.invert(image(picture.rendered(drawing, 1, system_fonts=False))).getbbox()
    assert right - left == pytest.approx(text_width(f"|{text}|", 16), abs=5)


def test_text_is_drawn_without_system_fonts():
    drawing = picture.svg(bidirectional(tokens=["[CLS]", " Käse", " Ελλάς", " Это", "\n\t", "[SEP]"]), query=2)
    without = re.sub(r"<text.*?</text>", "", drawing)
    bare, lettered = (image(picture.rendered(d, 1, system_fonts=False)) for d in (without, drawing))
    changed = ImageChops.difference(bare, lettered)
    root = parsed(drawing)
    for text in (shown(" Käse"), shown(" Ελλάς"), shown(" Это"), "⏎⇥"):
        (y,) = label_height(root, text, anchor="end")
        assert changed.crop((100, int(y) - 12, 212, int(y) + 3)).getbbox() is not None


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"view": "list"}, InputError, "view is one of"), ({"measure": "shares"}, InputError, "only weights"),
        ({"aggregate": "sum"}, InputError, "aggregate is one of"), ({"color_scale": "x"}, InputError, "color_scale"),
        ({"heads": [[9, 0]]}, NotFoundError, "layer 9"), ({"heads": [[0, 9]]}, NotFoundError, "head 9"),
        ({"query": 6}, NotFoundError, "position 6"), ({"kind": "cross"}, NotFoundError, "cross"),
        ({"view": "image"}, InputError, "patches"), ({"view": "compare"}, InputError, "second capture"),
        ({"view": "grid", "order_by": "x"}, InputError, "order_by is"), ({"tresholds": 1}, InputError, "'threshold'"),
        ({"view": "text", "group_by": "x"}, InputError, "group_by is"),
        ({"view": "steps", "choices": {"temperature": 0}}, InputError, "temperature is a number"),
        ({"view": "flow", "choices": {"excess": 1}}, InputError, "excess is true or false"),
        ({"view": "flow", "choices": {"level": 3}}, InputError, "level is a number from 1 to 2"),
        ({"view": "matrix", "choices": {"queries": [3, 1]}}, InputError, "queries is"),
        ({"view": "steps", "choices": {"sort": "size"}}, InputError, "sort is one of"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(given, error, says):
    with pytest.raises(error, match=says):
        picture.svg(bidirectional(), **{"query": 0, **given})
