"""A profile on screen: its traits, and what a page asks of it."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from traitlets import TraitError

from attnscope import AttentionWidget, HeadProfile, ProfileWidget
from attnscope.errors import InputError, InputTypeError
from attnscope.profiling.roles import firing_of, scores_of
from tests.unit.profiling.corpus import HEADS, LAYERS, pair, small_profile, texts
from tests.unit.profiling.synthetic import synthetic

GIVEN = texts()[:24]


@pytest.fixture
def widget():
    w = ProfileWidget(small_profile())
    yield w
    w.close()


@pytest.fixture
def whole():
    model, tokenizer = pair("bert")
    w = ProfileWidget(small_profile(), texts=GIVEN, model=model, tokenizer=tokenizer)
    w.sent = []
    w.send = lambda content, buffers=None: w.sent.append(content)
    yield w
    w.close()


def test_it_begins_with_the_head_that_shows_most(widget):
    values = small_profile().mean(widget.color_by)
    assert widget.heads == [list(map(int, np.unravel_index(values.argmax(), values.shape)))]
    assert {widget.color_by, widget.x, widget.y} <= set(small_profile().statistics)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("heads", [[0, HEADS]]), ("heads", [[LAYERS, 0]]), ("heads", [3]), ("heads", [[0, True]]),
        ("color_by", "nonsense"), ("x", "role"), ("y", ""), ("by", "heads"), ("role", "nonsense"), ("show", "list"),
        ("ranges", {"nonsense": [0, 1]}), ("ranges", {"entropy": 0.5}), ("ranges", {"entropy": [0, float("nan")]}),
        ("layer_range", [0.5, 1]), ("layer_range", 3), ("height", 3),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_changes(widget, name, wrong):
    before = getattr(widget, name)
    with pytest.raises(TraitError):
        setattr(widget, name, wrong)
    assert getattr(widget, name) == before


def test_unknown_keywords_and_things_that_are_no_profile_are_refused():
    with pytest.raises(InputTypeError, match="Did you mean 'ranges'"):
        ProfileWidget(small_profile(), range={})
    with pytest.raises(InputTypeError, match=r"attnscope\.profile"):
        ProfileWidget([1])


def test_heads_shown_are_those_asked_for():
    profile = synthetic(LAYERS, HEADS)
    widget = ProfileWidget(profile)
    every = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
    assert widget.heads_shown == every
    values = profile.mean("entropy")
    middle = float(np.median(values))
    widget.ranges = {"entropy": [middle, None]}
    assert 0 < len(widget.heads_shown) < len(every)
    assert widget.heads_shown == [place for place in every if values[place] >= middle]
    widget.layer_range = [1, 1]
    assert widget.heads_shown == [place for place in every if values[place] >= middle and place[0] == 1]
    widget.ranges, widget.layer_range = {}, None
    fires = firing_of(profile, scores_of(profile), 0.5)
    role = next(name for name, found in fires.items() if name in scores_of(profile) and found.any())
    widget.role = role
    assert widget.heads_shown == [place for place in every if fires[role][place]]


def test_a_text_is_opened_with_its_head(whole):
    opened = whole.open_text(5, 1, 2)
    assert isinstance(opened, AttentionWidget)
    assert whole.opened is opened
    assert opened.heads == [[1, 2]]
    assert opened.capture.tokens == pair("bert")[1](GIVEN[5]).tokens()
    whole.heads = [[0, 3]]
    assert whole.open_text(6).heads == [[0, 3]]
    assert opened.comm is None, "what was open before still lives"


def test_a_page_asks_for_a_text_and_goes_back(whole):
    ask = {"id": "p-1", "type": "open", "text": 7, "statistic": "entropy", "layer": 1, "head": 0}
    whole._on_message(whole, ask, [])
    assert whole.sent[-1]["id"] == "p-1"
    assert "error" not in whole.sent[-1]
    assert whole.opened.heads == [[1, 0]]
    opened = whole.opened
    whole._on_message(whole, {"type": "close"}, [])
    assert whole.opened is None
    assert opened.comm is None
    whole._on_message(whole, ask | {"text": 99}, [])
    assert "no text 99" in whole.sent[-1]["error"]["message"]
    assert whole.opened is None
    for nonsense in (7, None, {"type": "cancel"}, {}):
        whole._on_message(whole, nonsense, [])


def test_without_texts_or_model_it_says_what_to_call(widget):
    with pytest.raises(InputError, match=r"texts=texts, model=model"):
        widget.open_text(0)
    assert widget._opens is False


def test_a_profile_shows_itself_where_it_is_displayed():
    data, _ = small_profile()._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/html", "text/plain"} <= set(data)
    assert data["text/plain"] == repr(small_profile())


def test_the_view_is_saved(widget, tmp_path):
    widget.color_by = "role"
    for name in ("a.html", "a.svg", "a.png"):
        widget.save(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    page = (tmp_path / "a.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    with pytest.raises(InputError, match="suffix"):
        widget.save(tmp_path / "a.txt")


def test_an_empty_or_hostile_name_is_drawn(tmp_path):
    from dataclasses import replace

    hostile = replace(small_profile(), model_name='</svg><script>alert(1)</script>"\u202e')
    ProfileWidget(hostile).save(tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert isinstance(hostile, HeadProfile)
