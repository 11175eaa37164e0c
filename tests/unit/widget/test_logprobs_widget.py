"""LogprobsWidget: its traits, what it sends and saves, and what a reader without it sees."""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

import attnscope
from attnscope.attention.logprobs import Alternative, TokenLogprobs
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError
from attnscope.export.logprobs import page
from attnscope.export.logprobs_picture import LogprobsDrawing
from attnscope.widget.selection import SelectionError
from tests.unit.attention.answers import CHAT, CHUNKS, COMPLETION


@pytest.fixture
def chat():
    return attnscope.from_logprobs(CHAT)


def read(widget) -> dict:
    return json.loads(gzip.decompress(widget._data))


def test_what_is_sent_is_what_was_given_to_the_last_digit(chat):
    (sent,) = read(attnscope.LogprobsWidget(chat))["texts"]
    assert sent["tokens"] == list(chat.tokens)
    assert sent["logprobs"] == [-0.25, -2.5, -3.0, -0.0625, "-inf"]
    assert sent["ranks"] == [1, 2, 0, 0, 0]
    listed = [
        [(sent["names"][place], number) for place, number in zip(each[::2], each[1::2], strict=True)]
        for each in sent["alternatives"]
    ]
    assert listed[1] == [(" dog", -0.5), (" cat", -2.5), (" fish", "-inf")]
    assert not sent["exact"]
    np.testing.assert_array_equal(np.array(sent["entropies"], float), chat.least_entropies)


def test_the_first_token_of_a_text_has_no_number():
    (sent,) = read(attnscope.LogprobsWidget(attnscope.from_logprobs(COMPLETION)))["texts"]
    assert sent["logprobs"][0] is None


def test_several_choices_are_one_widget():
    texts = attnscope.from_logprobs(CHUNKS)
    widget = attnscope.LogprobsWidget(texts, choice=1, token="dog")
    assert (widget.logprobs, widget.token) == (texts[1], 1)
    widget.choice = 0
    assert widget.token is None
    assert "text 1 of 2" in repr(widget)
    with pytest.raises(SelectionError, match="There is no text 2, only texts 0 to 1"):
        widget.choice = 2
    assert widget.choice == 0


def test_a_token_is_pinned_by_position_or_by_what_it_says(chat):
    widget = attnscope.LogprobsWidget(chat)
    widget.token = "cat"
    assert widget.token == 1
    with pytest.raises(SelectionError, match="There is no position 9"):
        widget.token = 9
    with pytest.raises(SelectionError, match="There is no token or word 'dog'"):
        attnscope.LogprobsWidget(chat, token="dog")
    assert widget.token == 1


@pytest.mark.parametrize("given", [None, "text", 3, [], [1], {"choices": []}])
def test_something_else_is_refused(given):
    with pytest.raises(InputTypeError, match=r"LogprobsWidget shows TokenLogprobs, or a list of them, got"):
        attnscope.LogprobsWidget(given)


def test_files_by_their_suffix(chat, tmp_path):
    widget = attnscope.LogprobsWidget(chat, token=1)
    for name in ("strip.html", "strip.svg", "strip.png"):
        widget.save(tmp_path / name)
    html = (tmp_path / "strip.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert len(html) < 90_000
    assert Image.open(tmp_path / "strip.png").size[0] > 1000
    with pytest.raises(InputError, match=r"Cannot write 'strip.pdf': the suffix decides"):
        widget.save(tmp_path / "strip.pdf")


def test_a_cell_shows_a_picture_too_and_the_object_shows_itself(chat):
    for shown in (attnscope.LogprobsWidget(chat), chat):
        data, _ = shown._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in data
        assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size[0] > 700
        assert 'alt="small-chat: 5 tokens coloured by surprisal' in data["text/html"]
        assert "5 tokens" in data["text/plain"]


def texts_in(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]


def test_the_picture_says_the_numbers(chat):
    said = texts_in(LogprobsDrawing([chat], token=1).svg)
    assert {"The", "·cat", "⏎", "·dog", "60.7 %", "8.21 %, this token"} <= set(said)
    assert "'cat', token 1: 3.607 bits, rank 2" in said
    assert "4.33 bits" in said
    assert "0.00" in said
    assert any(text.endswith(" bits of surprisal") for text in said)


def test_a_token_that_is_not_among_the_alternatives_stands_below_them(chat):
    said = texts_in(LogprobsDrawing([chat], token=4).svg)
    assert said.index("–, this token") > said.index("13.5 %")
    assert any(text.startswith("'⏎', token 4: probability 0 or not told, rank") for text in said)


def test_a_long_text_is_cut_in_a_picture_and_says_so():
    tokens = [f" word{at}" for at in range(3000)]
    many = TokenLogprobs(
        Tokens.of(tokens), -np.linspace(0.01, 9, 3000), ((Alternative("a", -1.0),),) * 3000, np.zeros(3000, int)
    )
    drawn = LogprobsDrawing([many], token=2500)
    said = texts_in(drawn.svg)
    assert any("of" in text and text.startswith("lines ") and text.endswith(" shown") for text in said)
    assert "·word2500" in said
    assert len(drawn.svg) < 300_000
    data, _ = attnscope.LogprobsWidget(many)._repr_mimebundle_()
    assert len(base64.b64decode(data["image/png"])) < 300_000


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>",
    "\u202eevil",
    "\x00",
    "\ud83d",
    "]]>",
    "&lt;",
    "",
    "{0}",
]


def test_nothing_hostile_is_more_than_text():
    hostile = [Alternative(token, -2.0) for token in HOSTILE]
    texts = TokenLogprobs(
        Tokens.of(HOSTILE), np.full(len(HOSTILE), -2.0), (tuple(hostile),) * len(HOSTILE), np.zeros(len(HOSTILE), int),
        model_name="</title><script>alert(1)</script>",
    )  # fmt: skip
    for at in range(len(HOSTILE)):
        svg = LogprobsDrawing([texts], token=at).svg
        names = {node.tag.rpartition("}")[2] for node in ET.fromstring(svg).iter()}
        assert names <= {"svg", "rect", "text", "path"}
        assert "\u202e" not in svg
    html = page([texts], {"choice": 0, "token": None, "theme": "auto", "height": 300})
    assert html.count("<script") == 2
    assert html.count("</script") == 2
    assert "<img" not in html.partition("<script>")[0]
    data, _ = attnscope.LogprobsWidget(texts)._repr_mimebundle_()
    assert data["text/html"].count("<") == 1


def test_numbers_that_json_lacks_cross_over():
    texts = TokenLogprobs(
        Tokens.of(["a", "b"]), np.array([math.nan, -math.inf]), ((), (Alternative("c", -math.inf),)), np.zeros(2, int)
    )
    (sent,) = read(attnscope.LogprobsWidget(texts))["texts"]
    assert sent["logprobs"] == [None, "-inf"]
    assert sent["alternatives"] == [[], [0, "-inf"]]
    assert LogprobsDrawing([texts], token=1).svg
    assert LogprobsDrawing([texts], token=0).words.startswith("2 tokens coloured by surprisal, 1 of probability 0")
