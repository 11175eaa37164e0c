from __future__ import annotations

import json

import numpy as np
import pytest

from attnscope import AttentionWidget, AttnscopeError, Capture, from_attentions
from attnscope.analysis import compare
from attnscope.wire.answer import answer
from attnscope.wire.comparing import describe_comparison
from attnscope.wire.pack import pack
from attnscope.wire.question import Held


def make(tokens, seed=0, layers=2, kind="self"):
    n = len(tokens)
    weights = np.random.default_rng(seed).random((layers, 3, n, n)).astype("f4")
    return from_attentions(list(weights / weights.sum(-1, keepdims=True)), tokens, kind=kind)


A, B = make(["a", "b", "c"]), make(["a", "x", "b", "c"], seed=1)


def test_requests_may_name_the_second_capture():
    request = {"id": 1, "type": "weights", "kind": "self", "heads": [[1, 2]], "queries": [0, 4], "keys": [0, 4]}
    reply, (data,) = answer(Held(A, B), {**request, "capture": 1})
    np.testing.assert_array_equal(np.frombuffer(data, "<f4").reshape(reply["shape"])[0], B.weights(1, 2))
    assert "no capture 1" in answer(Held(A), {**request, "capture": 1})[0]["error"]["message"]


def test_change_is_a_statistic_only_where_there_is_something_to_compare():
    request = {"id": 1, "type": "statistic", "kind": "self", "statistic": "change"}
    reply, (data,) = answer(Held(A, B), request)
    np.testing.assert_array_equal(np.frombuffer(data, "<f4").reshape(reply["shape"]), compare(A, B).change)
    assert "no statistic 'change'" in answer(Held(A), request)[0]["error"]["message"]


def test_the_widget_tells_the_page_what_both_have():
    widget = AttentionWidget(A, compare=B, view="compare")
    assert widget._compare["kinds"]["self"] == {
        "layers": [0, 1],
        "queries": [[0, 0, 1], [1, 2, 2]],
        "keys": [[0, 0, 1], [1, 2, 2]],
    }
    assert widget._capture["kinds"][0]["statistics"][-1] == "change"
    assert AttentionWidget(A)._compare == {}
    assert "change" not in AttentionWidget(A)._capture["kinds"][0]["statistics"]


def test_captures_with_nothing_in_common_are_refused():
    with pytest.raises(AttnscopeError, match="no token in common"):
        AttentionWidget(A, compare=make(["x", "y"]))
    with pytest.raises(AttnscopeError, match="shows a Capture"):
        AttentionWidget(A, compare="B")


def test_a_kind_only_one_has_is_said_to_be_missing():
    both = Capture({**A.attention, **make(["a"], kind="cross").attention})
    info = describe_comparison(both, A)
    assert list(info["kinds"]) == ["self"]
    assert "no 'cross' attention" in info["refused"]["cross"]


def test_a_saved_page_holds_both():
    import struct

    data = pack(A, {}, B)
    (length,) = struct.unpack("<Q", data[:8])
    page = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["page"])
    assert [layer["layer"] for layer in page["other"]["layers"]] == [0, 1]
    assert page["other"]["capture"]["kinds"][0]["queries"]["text"] == ["a", "x", "b", "c"]
    assert any(first["request"]["statistic"] == "change" for first in page["first"])
