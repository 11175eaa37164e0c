"""Still pictures: numbers, masks, hostile tokens, fonts and sizes."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

import attnscope
from attnscope.errors import InputError, NotFoundError
from attnscope.export import palette, picture
from attnscope.export.labels import clean, fitted, shown, text_width

SVG = "{http://www.w3.org/2000/svg}"
TOKENS = ["[CLS]", " the", " cat", " sat", " it", "[SEP]"]
DRAWN = {"svg", "rect", "path", "text"}
HOSTILE = [
    "<img src=x onerror=alert(1)>", "</svg><script>alert(1)</script>", "a&b", '"><rect onload="alert(1)"/>', "'onx='",
    "]]>", "\x00\x07\x1b", "\ud800", "\ufffe", "\u202eevil", "\u2066", "", "\u200b", "\u2028", "javascript:alert(1)",
]  # fmt: skip


def bidirectional(seed: int = 0, n: int = len(TOKENS), tokens: list[str] | None = None, **given: object):
    """Two layers of four heads with random queries and keys."""
    rng = np.random.default_rng(seed)
    arrays = [[rng.normal(size=(4, n, 8)) * 1.5 for _ in range(2)] for _ in "qk"]
    return attnscope.from_queries_keys(*arrays, tokens or TOKENS, **given)


def parsed(drawing: str) -> ET.Element:
    root = ET.fromstring(drawing)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= DRAWN
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or "href" in name or name == "style"]
    return root


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def links(root: ET.Element) -> list[tuple[float, float, float]]:
    """Every link as width, height of its start, height of its end."""
    found = []
    for element in root.iter(f"{SVG}path"):
        numbers = re.fullmatch(r"M(\S+) (\S+)C(\S+) (\S+) (\S+) (\S+) (\S+) (\S+)", element.attrib["d"])
        if numbers:
            points = [float(number) for number in numbers.groups()]
            found.append((float(element.attrib["stroke-width"]), points[1], points[7]))
    return found


def label_height(root: ET.Element, text: str, *, anchor: str) -> list[float]:
    labels = [element for element in root.iter(f"{SVG}text") if element.text == text]
    return [float(label.attrib["y"]) for label in labels if label.get("text-anchor", "start") == anchor]


def image(data: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(data))
    opened.load()
    return opened.convert("RGB")


@pytest.mark.parametrize("query", range(len(TOKENS)))
def test_the_strongest_line_joins_the_pinned_query_and_its_strongest_key(query):
    capture = bidirectional()
    root = parsed(picture.svg(capture, heads=[[1, 2]], query=query))
    best = int(capture.weights(1, 2, queries=query).argmax())
    _, start, end = max(links(root))
    (query_y,) = label_height(root, shown(TOKENS[query]), anchor="end")
    (key_y,) = label_height(root, shown(TOKENS[best]), anchor="start")
    assert abs(start - query_y) < 8
    assert abs(end - key_y) < 8
    numbers = {text for text in texts(root) if re.fullmatch(r"\d\.\d{3}", text)}
    assert numbers == {f"{weight:.3f}" for weight in sorted(capture.weights(1, 2, queries=query))[-4:]}


def test_without_a_pinned_query_every_link_above_the_threshold_is_drawn_once():
    capture = bidirectional()
    for threshold in (0.0, 0.06, 0.3, 1.0):
        root = parsed(picture.svg(capture, heads=[[0, 1], [1, 3]], threshold=threshold))
        count = sum(int((capture.weights(*pair) >= threshold).sum()) for pair in ((0, 1), (1, 3)))
        assert len(links(root)) == count


def test_links_beyond_the_limit_are_counted_in_the_note():
    capture = bidirectional(n=48, tokens=[f"t{i}" for i in range(48)])
    root = parsed(picture.svg(capture, heads=[[0, 0]], threshold=0.0))
    assert len(links(root)) == 400
    assert "400 of 2,304 links shown" in texts(root)[-1]


def test_heads_keep_the_colours_of_the_page():
    capture = bidirectional()
    drawing = picture.svg(capture, heads=[[0, 1], [1, 2]])
    assert "Layer 0 · Head 1" in drawing
    blocks = [e for e in parsed(drawing).iter(f"{SVG}rect") if e.get("width") == "10"]
    assert [block.get("fill") for block in blocks] == ["#e69f00", "#0b62c8"]


@pytest.mark.parametrize("name", ["LIGHT", "DARK"])
def test_palettes_are_the_pages(name):
    source = Path(__file__).parents[3] / "js/src/draw/palette.ts"
    if not source.is_file():
        pytest.skip("the page's source is not beside this checkout")
    written = source.read_text(encoding="utf-8")
    ours = getattr(palette, name)

    def colors(block: str) -> tuple:
        triples = re.findall(r"\[\s*(\d+),\s*(\d+),\s*(\d+),?\s*\]", block)
        return tuple(tuple(map(int, triple)) for triple in triples)

    heads = re.search(rf"{name}_HEADS[^=]*=\s*\[(.*?)\n\];", written, re.DOTALL)
    body = re.search(rf"export const {name}: Palette = \{{(.*?)\n\}};", written, re.DOTALL)
    assert heads
    assert colors(heads[1]) == ours.heads
    assert body
    assert colors(body[1]) == ours.ramp + ours.diverging
    named = dict(re.findall(r'(\w+): "(#\w+)"', body[1]))
    for key in ("ink", "faint", "line", "ground", "placeholder", "hatch", "accent"):
        assert named[key] == getattr(ours, key)


@pytest.mark.parametrize("view", picture.VIEWS)
def test_hostile_tokens_are_inert(view):
    capture = bidirectional(n=len(HOSTILE), tokens=HOSTILE)
    drawing = picture.svg(capture, view=view, heads=[[0, 0]], query=0, key=1)
    written = texts(parsed(drawing))
    assert "a&b" in written
    assert any(text.startswith("<img src=x") for text in written)
    assert not set(drawing) & set("\x00\x07\x1b\ud800\ufffe\u202e\u2066\u200b\u2028")
    assert len(image(picture.rendered(drawing, 1)).getcolors(1 << 20)) > 20
    words = picture.alt_text(capture, heads=[[0, 0]], query=7)
    words.encode()
    assert "\n" not in words


def test_hostile_model_names_are_inert():
    capture = bidirectional()
    named = type(capture)(capture.attention, "</text><script>\x00")
    assert any(text.startswith("</text><script>") for text in texts(parsed(picture.svg(named))))


@pytest.mark.parametrize(
    ("token", "written"),
    [
        (" cat", "·cat"), ("  ", "··"), ("a  b", "a  b"), ("x ", "x·"), ("\n", "⏎"), ("\t\t", "⇥⇥"), ("\r\n", "⇤⏎"),
        ("", "∅"), ("\u200d", "\ufffd"), ("👩\u200d👧", "👩\u200d👧"), ("猫", "猫"),
    ],
)  # fmt: skip
def test_white_space_and_nothing_are_seen(token, written):
    assert shown(token) == written


def test_long_labels_are_cut_and_say_so():
    assert fitted("short", 12, 100) == "short"
    cut = fitted("w" * 100, 12, 100)
    assert cut.endswith("…")
    assert 60 < text_width(cut, 12) <= 100
    assert clean("\u202e") == "\ufffd"


def matrix_cells(capture, **given) -> tuple[Image.Image, ET.Element]:
    drawing = picture.svg(capture, view="matrix", **given)
    return image(picture.rendered(drawing, 1)), parsed(drawing)


def frame(root: ET.Element) -> tuple[float, float, float, float]:
    """The square of the heat map, from its outline."""
    rects = [e for e in root.iter(f"{SVG}rect") if e.get("stroke") == palette.LIGHT.line]
    box = max(rects, key=lambda e: float(e.attrib["height"]))
    return tuple(float(box.attrib[name]) for name in ("x", "y", "width", "height"))


def test_masked_cells_are_told_from_zero():
    n = 6
    weights = np.zeros((1, n, n), np.float32)
    weights[:, :, 0] = 1
    masked, masked_root = matrix_cells(attnscope.from_attentions([weights], TOKENS))
    weights[:, 0] = 1 / n
    open_, open_root = matrix_cells(attnscope.from_attentions([weights], TOKENS))
    assert any("hidden" in text for text in texts(masked_root))
    assert not any("hidden" in text for text in texts(open_root))
    x, y, width, _ = frame(masked_root)
    cell = width / n
    upper = tuple(int(v) for v in (x + 4 * cell + 4, y + 2 * cell + 4, x + 5 * cell - 4, y + 3 * cell - 4))
    lower = tuple(int(v) for v in (x + 2 * cell + 4, y + 4 * cell + 4, x + 3 * cell - 4, y + 5 * cell - 4))
    hatched, zero, open_zero = masked.crop(upper), masked.crop(lower), open_.crop(upper)
    assert ImageChops.difference(hatched, zero).getbbox() is not None
    assert zero.getpixel((0, 0)) == open_zero.getpixel((0, 0)) == palette.LIGHT.ramp[0]
    assert palette.LIGHT.ramp[0] not in {color for _, color in hatched.getcolors(4096)}


def test_shades_and_numbers_of_the_matrix_are_the_weights():
    capture = bidirectional()
    drawn, root = matrix_cells(capture, heads=[[1, 2]])
    weights = capture.weights(1, 2)
    x, y, width, _ = frame(root)
    cell = width / len(TOKENS)
    for row, column in np.ndindex(weights.shape):
        at = (int(x + column * cell + 4), int(y + row * cell + 4))
        expected = palette.ramp_at(palette.LIGHT, weights[row, column] / weights.max())
        assert np.abs(np.subtract(drawn.getpixel(at), expected)).max() <= 6
    written = [text for text in texts(root) if re.fullmatch(r"\.\d{3}", text)]
    assert written == [f"{weight:.3f}"[1:] for weight in weights.ravel()]
    assert f"{weights.max():.3g}" in texts(root)


def test_a_large_matrix_is_pooled_to_the_overview():
    n = 300
    capture = bidirectional(n=n, tokens=[f"t{i}" for i in range(n)], causal=True)
    series = picture._series(capture, None, [[0, 1]], "weights", "none", special_tokens=True)
    from attnscope.export.matrix_picture import pooled

    grid = pooled(series[0], 128)
    assert grid.shape == (100, 100)
    np.testing.assert_allclose(np.nan_to_num(grid), capture.overview(0, 1, 128), atol=1e-6)
    assert np.isnan(grid[np.triu_indices(100, 1)]).all()
    drawing = picture.svg(capture, view="matrix", heads=[[0, 1]])
    assert len(drawing) < 400_000
    assert "largest of 3 × 3 tokens" in texts(parsed(drawing))[-1]


def test_many_tokens_are_cut_round_the_pinned_one_and_its_keys():
    n = 600
    capture = bidirectional(n=n, tokens=[f"t{i}" for i in range(n)])
    written = texts(parsed(picture.svg(capture, heads=[[0, 1]])))
    assert "first 48 of 600 tokens shown" in written[-1]
    assert {"t0", "t47"} <= set(written)
    assert "t48" not in written
    written = texts(parsed(picture.svg(capture, heads=[[0, 1]], query=300)))
    assert "48 of 600 tokens shown" in written[-1]
    assert "first" not in written[-1]
    best = np.argsort(capture.weights(0, 1, queries=300))[-4:]
    assert {"t300", *(f"t{i}" for i in best)} <= set(written)


@pytest.mark.parametrize("view", picture.VIEWS)
@pytest.mark.parametrize("n", [1, 2, 13, 48, 129, 600])
def test_images_are_light_and_not_blank(view, n):
    capture = bidirectional(n=n, tokens=[f" tok{i}" for i in range(n)])
    data = picture.png(capture, view=view, heads=[[0, 1], [1, 2]], query=n // 2)
    assert len(data) < 200_000
    drawn = image(data)
    assert drawn.getpixel((0, 0)) == (255, 255, 255)
    assert len(drawn.getcolors(1 << 22)) > 50


def test_the_scale_is_kept_unless_a_limit_is_set():
    capture = bidirectional(n=40, tokens=[f" tok{i}" for i in range(40)])
    whole = picture.png(capture, heads=[[0, 0], [1, 1]], threshold=0.0, most_bytes=None)
    assert len(whole) > 200_000
    assert image(whole).width == 1480
    assert image(picture.png(capture, heads=[[0, 0], [1, 1]], threshold=0.0)).width < 1480
    assert image(picture.png(capture, view="matrix", scale=1)).width == 740


def test_text_is_drawn_without_system_fonts():
    drawing = picture.svg(bidirectional(tokens=["[CLS]", " Käse", " Ελλάς", " Это", "\n\t", "[SEP]"]), query=2)
    without = re.sub(r"<text.*?</text>", "", drawing)
    bare, lettered = (image(picture.rendered(d, 1, system_fonts=False)) for d in (without, drawing))
    changed = ImageChops.difference(bare, lettered)
    assert changed.getbbox() is not None
    root = parsed(drawing)
    for text in (shown(" Käse"), shown(" Ελλάς"), shown(" Это"), "⏎⇥"):
        (y,) = label_height(root, text, anchor="end")
        assert changed.crop((100, int(y) - 12, 212, int(y) + 3)).getbbox() is not None


def test_dark_pictures_are_dark():
    assert image(picture.png(bidirectional(), theme="dark", scale=1)).getpixel((0, 0)) == (21, 25, 30)


def test_the_sentence_names_the_strongest_key():
    capture = bidirectional()
    named = type(capture)(capture.attention, "MiniLM-L6")
    row = capture.weights(1, 2, queries=4)
    best = int(row.argmax())
    sentence = picture.alt_text(named, heads=[[1, 2]], query=4)
    assert f"Layer 1, head 2 of MiniLM-L6: 'it' attends most to '{TOKENS[best].strip()}' ({row[best]:.3f})" in sentence
    weights = capture.weights(1, 2)
    i, j = np.unravel_index(weights.argmax(), weights.shape)
    unpinned = picture.alt_text(named, heads=[[1, 2]])
    assert f"from '{TOKENS[i].strip()}' to '{TOKENS[j].strip()}' ({weights.max():.3f})" in unpinned


def test_joined_heads_are_their_mean_or_maximum():
    capture = bidirectional()
    heads = [[0, 0], [0, 3]]
    both = np.stack([capture.weights(*pair, queries=2) for pair in heads])
    for aggregate, joined in (("mean", both.mean(axis=0)), ("max", both.max(axis=0))):
        root = parsed(picture.svg(capture, heads=heads, query=2, aggregate=aggregate))
        assert f"{joined.max():.3f}" in texts(root)
        assert f"{aggregate.capitalize()} of 2 heads" in texts(root)


def test_hidden_special_tokens_leave_rescaled_weights():
    capture = bidirectional()
    row = capture.weights(0, 0, queries=3)
    rest = row[1:5] / row[1:5].sum()
    root = parsed(picture.svg(capture, heads=[[0, 0]], query=3, special_tokens=False))
    assert {text for text in texts(root) if re.fullmatch(r"\d\.\d{3}", text)} == {f"{weight:.3f}" for weight in rest}
    assert "special tokens hidden" in texts(root)[-1]


def test_scores_are_drawn_between_the_ends_of_their_row():
    capture = bidirectional()
    root = parsed(picture.svg(capture, heads=[[0, 0]], query=3, measure="scores", threshold=0.0))
    row = capture.scores(0, 0, queries=3)
    assert f"{row.max():.3f}" in texts(root)
    assert max(links(root))[0] == pytest.approx(0.9 + 5.4)
    only_weights = attnscope.from_attentions([capture.weights(0)], TOKENS)
    with pytest.raises(InputError, match="weights only"):
        picture.svg(only_weights, measure="scores")


def test_cross_attention_has_two_sides():
    rng = np.random.default_rng(0)
    capture = attnscope.from_queries_keys(
        [rng.normal(size=(2, 3, 4))], [rng.normal(size=(2, 90, 4))],
        ["a", "b", "c"], key_tokens=[f"k{i}" for i in range(90)], kind="cross",
    )  # fmt: skip
    note = texts(parsed(picture.svg(capture, query=1)))[-1]
    assert re.search(r"\d+ of 90 key tokens shown", note)
    parsed(picture.svg(capture, view="matrix", query=1, key=89))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"view": "grid"}, InputError), ({"measure": "shares"}, InputError), ({"aggregate": "sum"}, InputError),
        ({"color_scale": "x"}, InputError), ({"heads": [[9, 0]]}, NotFoundError), ({"heads": [[0, 9]]}, NotFoundError),
        ({"query": 6}, NotFoundError), ({"kind": "cross"}, NotFoundError),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(given, error):
    with pytest.raises(error):
        picture.svg(bidirectional(), **{"query": 0, **given})
