"""Links and matrices: lines, numbers, masks and what is left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageChops

import attnscope
from attnscope.errors import InputError
from attnscope.export import palette, picture
from attnscope.export.cells import pooled
from attnscope.export.labels import shown
from attnscope.export.look import Look
from attnscope.export.scene import Scene
from tests.unit.export.drawings import SVG, TOKENS, bidirectional, image, label_height, links, numbers, parsed, texts

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET


@pytest.mark.parametrize("query", range(len(TOKENS)))
def test_the_strongest_line_joins_the_pinned_query_and_its_strongest_key(query):
    capture = bidirectional()
    root = parsed(picture.svg(capture, heads=[[1, 2]], query=query))
    best = int(capture.weights(1, 2, queries=query).argmax())
    (query_y,) = label_height(root, shown(TOKENS[query]), anchor="end")
    (key_y,) = label_height(root, shown(TOKENS[best]), anchor="start")
    widest = max(width for width, _, _ in links(root))
    strongest = [(start, end) for width, start, end in links(root) if width == widest]
    assert all(abs(start - query_y) < 8 for start, _ in strongest)
    assert any(abs(end - key_y) < 8 for _, end in strongest)
    assert numbers(root) == {f"{weight:.3f}" for weight in sorted(capture.weights(1, 2, queries=query))[-4:]}


def test_without_a_pinned_query_every_link_above_the_threshold_is_drawn_once():
    capture = bidirectional()
    for threshold in (0.0, 0.06, 0.3, 1.0):
        root = parsed(picture.svg(capture, heads=[[0, 1], [1, 3]], threshold=threshold))
        count = sum(int((capture.weights(*pair) >= threshold).sum()) for pair in ((0, 1), (1, 3)))
        assert len(links(root)) == count


def test_links_beyond_the_limit_are_counted_in_the_note():
    capture = bidirectional(n=48, tokens=[f"t{i}" for i in range(48)])
    root = parsed(picture.svg(capture, heads=[[0, 0]], threshold=0.0))
    assert len(links(root)) == 2000
    assert "2,000 of 2,304 links shown" in texts(root)[-1]
    fewer = parsed(picture.svg(capture, heads=[[0, 0]], threshold=0.0, choices={"most_links": 30}))
    assert len(links(fewer)) == 30


def test_heads_keep_the_colours_of_the_page():
    capture = bidirectional()
    drawing = picture.svg(capture, heads=[[0, 1], [1, 2]])
    assert "Layer 0 · Head 1" in drawing
    blocks = [e for e in parsed(drawing).iter(f"{SVG}rect") if e.get("width") == "10"]
    assert [block.get("fill") for block in blocks] == ["#e69f00", "#0b62c8"]


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
        expected = palette.ramp_at(palette.LIGHT.ramp, weights[row, column] / weights.max())
        assert np.abs(np.subtract(drawn.getpixel(at), expected)).max() <= 6
    written = [text for text in texts(root) if re.fullmatch(r"\d\.\d\d", text)]
    assert written[:36] == [f"{weight:.2f}" for weight in weights.ravel()]
    assert f"{weights.max():.2f} weights" in texts(root)


def test_a_large_matrix_is_pooled_to_the_overview():
    n = 300
    capture = bidirectional(n=n, tokens=[f"t{i}" for i in range(n)], causal=True)
    (series,) = Scene.of(capture, Look(view="matrix", heads=[[0, 1]])).series
    grid = pooled(series, 128, np.arange(n), np.arange(n)).values
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


def test_the_scale_is_kept_unless_a_limit_is_set():
    capture = bidirectional(n=16, tokens=[f" tok{i}" for i in range(16)])
    given = {"heads": [[0, 0], [1, 1]], "threshold": 0.0}
    whole = picture.png(capture, most_bytes=None, **given)
    assert image(whole).width == 1480
    smaller = picture.png(capture, most_bytes=len(whole) // 4, **given)
    assert len(smaller) <= len(whole) // 4
    assert image(smaller).width < 1480
    assert image(picture.png(capture, view="matrix", scale=1)).width == 740


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
    assert numbers(root) == {f"{weight:.3f}" for weight in rest}
    assert "special tokens hidden" in texts(root)[-1]


def test_scores_are_drawn_between_the_ends_of_their_row():
    capture = bidirectional()
    root = parsed(picture.svg(capture, heads=[[0, 0]], query=3, measure="scores", threshold=0.0))
    row = capture.scores(0, 0, queries=3)
    assert f"{row.max():.3f}" in texts(root)
    assert max(links(root))[0] == pytest.approx(0.9 + 5.4 * 13.5 / 14, abs=0.01)
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
