"""What is on screen, given back to Python."""

import pytest
from traitlets import TraitError

from attnscope import AttentionWidget
from attnscope.export import picture
from tests.unit.widget.test_widget import make


def test_a_snippet_builds_what_is_on_screen():
    widget = AttentionWidget(make(), heads=[[1, 2], [2, 0]], view="matrix", query=3, threshold=0.2)
    widget.more_keys = [1]
    widget.key = 4
    again = eval(widget.snippet(), {"AttentionWidget": AttentionWidget, "capture": widget.capture})
    assert again._state() == widget._state()
    again.close()
    widget.close()


def test_a_snippet_names_only_choices_and_says_the_token():
    widget = AttentionWidget(make(), query=3)
    lines = widget.snippet().splitlines()
    assert lines == [
        "AttentionWidget(",
        "    capture,",
        "    heads=[[0, 0]],",
        f"    query=3,  # {widget.capture.tokens[3]!r}",
        ")",
    ]
    widget.close()


def test_a_selection_gives_positions_and_tokens():
    widget = AttentionWidget(make(), query=3)
    widget.more_queries = [1, 3, widget.capture.tokens[2]]
    found = widget.selection
    assert (found.queries, found.keys) == ([3, 1, 2], [])
    assert found.query_tokens == [widget.capture.tokens[i] for i in (3, 1, 2)]
    assert found.heads == [(0, 0)]
    widget.close()


@pytest.mark.parametrize("wrong", [3, [99], [None], ["nowhere"]])
def test_more_pins_must_exist(wrong):
    widget = AttentionWidget(make(), query=3)
    with pytest.raises(TraitError):
        widget.more_queries = wrong
    assert widget.more_queries == []
    widget.close()


@pytest.mark.parametrize("view", ["grid", "flow", "image"])
def test_what_is_saved_is_the_view_on_screen(tmp_path, view):
    capture = make()
    widget = AttentionWidget(capture, view=view, query=2)
    widget.save(tmp_path / "x.svg")
    widget.close()
    saved = (tmp_path / "x.svg").read_text()
    shown = "links" if view == "image" else view  # these tokens are no patches, so the page shows its first view
    assert saved == picture.svg(capture, **(widget._state() | {"view": shown, "theme": "light"}))
