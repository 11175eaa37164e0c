"""What the page asks to show all heads beside each other."""

import numpy as np
import pytest

from attnscope import analysis, from_attentions
from attnscope.analysis.clusters import likeness_order
from attnscope.wire.answer import answer
from tests.unit.wire.test_answer import ask, capture, refuse  # noqa: F401 - a fixture


def test_pictures_are_the_overviews(capture):  # noqa: F811
    got = ask(capture, type="overviews", heads=[[2, 3], [0, 1]], size=4)
    for picture, (layer, head) in zip(got, [(2, 3), (0, 1)], strict=True):
        one = ask(capture, type="overview", layer=layer, head=head, size=4)
        assert np.array_equal(picture, one, equal_nan=True)


@pytest.mark.parametrize(("heads", "size"), [([[0, 0]] * 65, 8), ([[0, 0]], 0), ([[0, 0]], 129), ([], 8)])
def test_too_many_or_too_large_pictures_are_refused(capture, heads, size):  # noqa: F811
    request = {"id": 1, "type": "overviews", "kind": "self", "heads": heads, "size": size}
    assert refuse(capture, request)["name"] == "InputError"


def test_like_heads_stand_together():
    first, diagonal = np.zeros((6, 6), np.float32), np.eye(6, dtype=np.float32)
    first[:, 0] = 1
    uniform = np.full((6, 6), 1 / 6, np.float32)
    layers = [np.stack([first, diagonal, uniform]), np.stack([uniform, first, diagonal])]
    c = from_attentions(layers, list("abcdef"))
    order = likeness_order(c)
    kinds = {(0, 0): "f", (0, 1): "d", (0, 2): "u", (1, 0): "u", (1, 1): "f", (1, 2): "d"}
    told = "".join(kinds[head] for head in order)
    assert sorted(order) == sorted(kinds)
    assert all(letter * 2 in told for letter in "fdu")
    places = ask(c, type="likeness")
    assert [tuple(map(int, at)) for at in np.argwhere(places == 0)] == [order[0]]


def test_roles_name_the_strongest_that_fires(capture):  # noqa: F811
    previous = np.eye(8, k=-1, dtype=np.float32)
    previous[0, 0] = 1
    first = np.zeros((8, 8), np.float32)
    first[:, 0] = 1
    uniform = np.tril(np.ones((8, 8), np.float32))
    uniform /= uniform.sum(axis=1, keepdims=True)
    half = (uniform + first) / 2
    c = from_attentions([np.stack([previous, first, uniform, half])], list("abcdefgh"))
    reply, (data,) = answer(c, {"id": 1, "type": "roles", "kind": "self"})
    names, numbers = reply["info"]["roles"], np.frombuffer(data, "<f4").reshape(reply["shape"])
    told = [None if np.isnan(number) else names[int(number)] for number in numbers[0, :, 0]]
    assert told[:3] == ["previous_token", "sink", "broad"]
    assert numbers[0, 0, 1] == pytest.approx(1)
    table = analysis.head_roles(c)
    row = table[(table["head"] == 1) & (table["role"] == "sink")].iloc[0]
    assert numbers[0, 1, 1:].tolist() == pytest.approx([row["score"], row["chance"]])
