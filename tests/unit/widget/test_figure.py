"""The page's save button gets the drawing Python makes of the same state."""

import pytest

from attnscope import AttentionWidget
from attnscope.export import picture
from attnscope.wire.answer import answer
from tests.unit.widget.test_widget import make


def figure(held, **request):
    reply, buffers = answer(held, {"id": 1, "type": "figure", "kind": "self", **request})
    assert b"".join(buffers) == b""
    return reply


@pytest.mark.parametrize(
    ("view", "choices"),
    [
        ("links", {"queries": [1, 4], "keys": [0, 4]}), ("matrix", {"only": 0, "queries": [0, 3], "keys": [1, 4]}),
        ("steps", {"temperature": 0.5, "scaled": True, "sort": "weight"}), ("text", {"direction": "key", "folded": []}),
        ("flow", {"layered": False, "all": True, "excess": True, "level": 2}), ("grid", {}),
    ],
)  # fmt: skip
def test_a_figure_is_what_is_on_screen(view, choices):
    widget = AttentionWidget(make(), query=2)
    state = widget._state() | {"view": view, "theme": "dark"}
    reply = figure(widget._held(), state=state, choices=choices)
    drawing = picture.svg(widget.capture, **state, choices=choices)
    assert reply["info"]["svg"] == drawing
    assert drawing != picture.svg(widget.capture, **state) or not choices or view == "text"
    widget.close()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "as objects"), ({"state": {}, "choices": []}, "as objects"),
        ({"state": {"views": 3}}, "no setting 'views'"),
        ({"state": {"view": "steps"}, "choices": {"temperature": "hot"}}, "temperature is a number"),
        ({"state": {"view": "links", "heads": [[99, 0]]}}, "layer 99"),
    ],
)  # fmt: skip
def test_a_bad_figure_is_refused(request_, says):
    widget = AttentionWidget(make())
    assert says in figure(widget._held(), **request_)["error"]["message"]
    widget.close()


def test_a_capture_alone_draws_nothing():
    assert "Nobody draws here" in figure(make(), state={"view": "links"})["error"]["message"]
