"""The pictures of the other views hold Python's numbers, in every state that changes what is seen."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import attnscope
from attnscope.analysis import steps
from attnscope.export import picture
from attnscope.export.axis import Axis
from attnscope.export.image_png import png_of
from attnscope.export.look import Look
from attnscope.export.scene import Scene
from attnscope.export.steps_strips import written
from tests.unit.export.drawings import SVG, TOKENS, bidirectional, label_height, links, numbers, parsed, patched, texts

PIECES = ["[CLS]", "un", "##believ", "##able", "cats", "[SEP]"]


def drawn(capture, **given):
    return parsed(picture.svg(capture, **given))


def row_of(capture, query, measure="weights"):
    from attnscope.analysis.cells import measure_rows

    return measure_rows(capture, None, measure, 0, 0, slice(query, query + 1))[0]


@pytest.mark.parametrize("measure", ["weights", "scores", "value_weighted", "rollout"])
def test_every_measure_is_drawn_with_its_own_numbers(measure):
    capture = bidirectional()
    row = row_of(capture, 3, measure)
    best = {f"{value:.3f}" for value in np.sort(row)[-4:]}
    assert numbers(drawn(capture, query=3, measure=measure), r"-?\d+\.\d{3}") == best
    matrix = texts(drawn(capture, view="matrix", query=3, measure=measure))
    assert {f"{value:.2f}" for value in row} <= set(matrix)


def test_effects_have_a_sign():
    gradient = [np.random.default_rng(3).normal(size=(4, 6, 6)).astype(np.float32) for _ in range(2)]
    capture = bidirectional()
    capture["self"].extra["gradient"] = dict(enumerate(gradient))
    root = drawn(capture, query=3, measure="gradient", threshold=0.3)
    dashed = [path for path in root.iter(f"{SVG}path") if path.get("stroke-dasharray")]
    strength = np.abs(gradient[0][0]) / np.abs(gradient[0][0]).max(axis=1, keepdims=True)
    assert len(links(root)) == (strength >= 0.3).sum()
    assert sum(path.attrib["d"].count("C") for path in dashed) == ((strength >= 0.3) & (gradient[0][0] < 0)).sum()
    most = np.abs(gradient[0][0]).max()
    assert f"{-most:.2f}" in texts(drawn(capture, view="matrix", measure="gradient"))


def test_pieces_of_words_are_joined_as_on_the_page():
    capture = bidirectional(tokens=PIECES)
    look = Look(view="matrix", whole_words=True)
    (series,) = Scene.of(capture, look).series
    assert series.keys.text == ("[CLS]", "unbelievable", "cats", "[SEP]")
    weights = capture.weights(0, 0)
    joined = np.stack([weights[:, 0], weights[:, 1:4].sum(axis=1), weights[:, 4], weights[:, 5]], axis=1)
    expected = np.stack([joined[0], joined[1:4].mean(axis=0), joined[4], joined[5]])
    np.testing.assert_allclose(series.rows(np.arange(4)), expected, atol=1e-6)
    assert "unbelievable" in texts(drawn(capture, view="matrix", whole_words=True))
    scores = Axis.of(capture["self"].keys, whole_words=True).join(capture.scores(0, 0), scores=True)
    np.testing.assert_allclose(scores[:, 1], np.log(np.exp(capture.scores(0, 0)[:, 1:4]).sum(axis=1)), atol=1e-5)


def test_several_pinned_queries_are_averaged_and_keys_added_up():
    capture = bidirectional()
    weights = capture.weights(0, 0)
    mean = np.sort(weights[[2, 4]].mean(axis=0))[-4:]
    assert numbers(drawn(capture, query=2, more_queries=[4])) == {f"{value:.3f}" for value in mean}
    added = weights[:, [2, 4]].sum(axis=1)
    said = picture.alt_text(capture, view="text", key=2, more_keys=[4])
    assert f"({added.max():.3f})" in said


def test_the_grid_has_every_head_in_the_order_asked_for():
    capture = bidirectional()
    names = [text for text in texts(drawn(capture, view="grid")) if re.fullmatch(r"L\d H\d", text)]
    assert names == [f"L{layer} H{head}" for layer in range(2) for head in range(4)]
    entropy = attnscope.analysis.entropy(capture)
    written = texts(drawn(capture, view="grid", order_by="entropy"))
    order = [text for text in written if re.fullmatch(r"L\d H\d", text)]
    assert order == [f"L{at // 4} H{at % 4}" for at in np.argsort(-entropy.ravel())]
    assert [text for text in written if re.fullmatch(r"\d\.\d\d", text)] == [
        f"{value:.2f}" for value in np.sort(entropy.ravel())[::-1]
    ]
    for order_by in ("role", "likeness"):
        again = texts(drawn(capture, view="grid", order_by=order_by))
        assert sorted(text for text in again if re.fullmatch(r"L\d H\d", text)) == sorted(names)


def test_many_heads_are_counted():
    rng = np.random.default_rng(0)
    arrays = [[rng.normal(size=(64, 6, 4)) for _ in range(8)] for _ in "qk"]
    capture = attnscope.from_queries_keys(*arrays, TOKENS)
    drawing = picture.svg(capture, view="grid")
    assert "400 of 512 heads shown" in texts(parsed(drawing))[-1]
    assert len(drawing) < 330_000


def test_a_row_step_by_step_has_the_numbers_of_steps():
    capture = bidirectional()
    found = steps(capture, 1, 2, 3)
    seen = texts(drawn(capture, view="steps", heads=[[1, 2]], query=3))
    for value in (*found.dots, *found.multiplied, *np.linalg.norm(found.weighted_values, axis=1)):
        assert written(float(value)) in seen
    assert {f"{weight:.3f}" for weight in found.weights} <= set(seen)
    assert f"length {written(float(np.linalg.norm(found.output)))}" in seen
    played = steps(capture, 1, 2, 3, temperature=2.0, scaled=False)
    choices = {"temperature": 2.0, "scaled": False}
    seen = texts(drawn(capture, view="steps", heads=[[1, 2]], query=3, choices=choices))
    assert {f"{weight:.3f}" for weight in played.weights if weight > 0.0005} <= set(seen)
    assert "not the model's own numbers" in seen[-1]


def test_steps_of_weights_alone_say_what_is_missing():
    capture = attnscope.from_attentions([bidirectional().weights(0)], TOKENS)
    seen = texts(drawn(capture, view="steps", query=3))
    assert "q·k" not in seen
    assert "weights only" in seen[-1]


def test_the_strongest_keys_of_a_long_row_have_a_place():
    n = 300
    capture = bidirectional(n=n, tokens=[f"t{i}" for i in range(n)])
    seen = texts(drawn(capture, view="steps", query=30))
    best = np.argsort(-capture.weights(0, 0, queries=30))[:40]
    assert {f"t{i}" for i in best} <= set(seen)
    assert "40 of 300 keys shown" in seen[-1]


def test_the_flow_is_that_of_analysis():
    capture = bidirectional()
    root = drawn(capture, view="flow", query=3, threshold=0.0)
    shares = attnscope.analysis.rollout(capture)[-1, 3]
    radii = [float(disc.attrib["r"]) for disc in root.iter(f"{SVG}circle")]
    first = np.array(radii).reshape(6, 3)[:, 0]
    np.testing.assert_allclose((first / first.max()) ** 2, np.asarray(shares) / np.max(shares), atol=0.03)
    over = drawn(capture, view="flow", query=3, choices={"excess": True})
    assert any(disc.get("stroke") for disc in over.iter(f"{SVG}circle"))
    bars = drawn(capture, view="flow", query=3, choices={"layered": True, "all": False})
    assert not list(bars.iter(f"{SVG}circle"))
    assert "head 0" in texts(bars)[-1]


def test_a_text_is_coloured_by_the_row_of_its_pinned_token():
    capture = bidirectional()
    root = drawn(capture, view="text", query=4)
    row = capture.weights(0, 0, queries=4)
    fills = {rect.get("fill") for rect in root.iter(f"{SVG}rect")}
    from attnscope.export.palette import LIGHT, hexadecimal, ramp_at

    assert {hexadecimal(ramp_at(LIGHT.ramp, value / row.max())) for value in row if value / row.max() > 0.02} <= fills
    assert f"{row.max():.2f} weights" in texts(root)
    spans = [{"from": 1, "to": 3, "label": "who"}, {"from": 3, "to": 5, "label": "what"}]
    sums = drawn(capture, view="text", query=4, spans=spans)
    assert {f"{row[1:3].sum():.3f}", f"{row[3:5].sum():.3f}", f"{row[[0, 5]].sum():.3f}"} <= numbers(sums)
    assert {"who", "what", "special tokens"} <= set(texts(sums))
    folded = drawn(capture, view="text", query=4, spans=spans, choices={"folded": [0]})
    assert "cat" in texts(sums)
    assert "cat" not in texts(folded)


def test_a_text_is_split_into_sentences():
    tokens = ["[CLS]", "the", "cat", "sat", ".", "it", "was", "3.5", "tired", "!", "why", "?", "[SEP]"]
    seen = texts(drawn(bidirectional(n=len(tokens), tokens=tokens), view="text", query=2, group_by="sentence"))
    assert [text for text in seen if re.fullmatch(r"(the cat|it was|why).+", text)] == [
        "the cat sat.",
        "it was 3.5 tired!",
        "why?",
    ]


def test_patches_have_their_numbers_over_the_picture():
    capture = patched()
    root = drawn(capture, view="image", query=0)
    row = capture.weights(0, 0, queries=0)
    assert f"'[CLS]' gives this image {row[1:].sum():.2f} of its row" in picture.alt_text(
        capture, view="image", query=0
    )
    assert f"{row[0]:.3f}" in numbers(root)
    (embedded,) = root.iter(f"{SVG}image")
    pixels = Image.open(io.BytesIO(base64.b64decode(embedded.attrib["href"].partition(",")[2])))
    np.testing.assert_array_equal(np.asarray(pixels), capture.pictures[0])
    tints = [rect for rect in root.iter(f"{SVG}rect") if rect.get("fill") == "#ff8c00"]
    assert max(float(rect.attrib["fill-opacity"]) for rect in tints) == pytest.approx(0.6, abs=0.001)
    bare = drawn(patched(pictured=False), view="image", query=0)
    assert not list(bare.iter(f"{SVG}image"))


def test_a_png_is_read_back_as_it_was():
    pixels = (np.random.default_rng(0).random((5, 7, 3)) * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_of(pixels)))), pixels)


def test_two_captures_are_laid_beside_each_other():
    tokens = ["[CLS]", " the", " old", " dog", " sat", " it", "[SEP]"]
    one, two = bidirectional(), bidirectional(1, len(tokens), tokens)
    change = two.weights(0, 0)[5, 4] - one.weights(0, 0)[4, 3]
    row = drawn(one, compare=two, view="compare", query=4, choices={"mode": "row"})
    assert f"{change:+.3f}" in texts(row)
    assert texts(row).count("–") == 6
    matrices = drawn(one, compare=two, view="compare", query=4)
    assert {"A", "B", "B − A"} <= set(texts(matrices))
    assert any("only in A: 1, only in B: 2" in text for text in texts(matrices))
    assert len(label_height(matrices, "·old", anchor="end")) == 1
    shared = [[0, 1, 4, 5, 6], [0, 1, 3, 4, 5]]
    reach = np.abs(
        two.weights(0, 0)[np.ix_(shared[0], shared[0])] - one.weights(0, 0)[np.ix_([0, 1, 3, 4, 5], [0, 1, 3, 4, 5])]
    )
    assert f"{reach.max():.2f} B − A" in texts(matrices)
    alike = drawn(one, compare=one, view="compare")
    assert any("0.00" in text for text in texts(alike))


def test_heads_keep_the_names_they_were_given():
    weights = bidirectional().weights(0)
    capture = attnscope.from_attentions([weights], TOKENS)
    named = replace(capture["self"], head_names={0: ("copies", "b<i>", "c", "d")})
    capture = type(capture)({"self": named})
    assert "copies" in texts(drawn(capture))
    assert "b<i>" in texts(drawn(capture, view="grid"))
    assert "b<i>: 'the' attends most to" in picture.alt_text(capture, query=1, heads=[[0, 1]])
