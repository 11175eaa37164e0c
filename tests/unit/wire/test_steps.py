"""The parts of a row lead to the row, and what is not known is said."""

import sys

import numpy as np
import pytest
from scipy.special import softmax

from attnscope import Capture, from_attentions
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from attnscope.wire.answer import answer

N, HEADS, KEY_HEADS, WIDTH, VALUE_WIDTH = 6, 4, 2, 8, 5


def capture(**given):
    rng = np.random.default_rng(2)

    def numbers(*shape):
        return rng.normal(size=shape).astype("f4")

    layer = QueriesKeys(
        2 * numbers(HEADS, N, WIDTH), numbers(KEY_HEADS, N, WIDTH), 0.3, Mask.causal(N, N),
        **{name: numbers(*value) if isinstance(value, tuple) else value for name, value in given.items()},
    )  # fmt: skip
    tokens = Tokens.of([*"abcdef"])
    return Capture({"self": Attention("self", {3: layer}, tokens, tokens)})


FORMS = {
    "plain": {},
    "soft cap": {"softcap": 1.5},
    "sinks": {"sinks": (HEADS,)},
    "bias per head": {"bias": (HEADS, N, N)},
    "one bias": {"bias": (1, N, N), "softcap": 2.0},
    "values": {"values": (KEY_HEADS, N, VALUE_WIDTH)},
}


def ask(held, **request):
    reply, buffers = answer(held, {"id": 1, "kind": "self", "layer": 3, "head": 3, "query": 4, **request})
    assert "error" not in reply, reply
    return np.frombuffer(buffers[0], "<f4").reshape(reply["shape"]), reply["info"]


@pytest.mark.parametrize("form", FORMS)
def test_the_parts_lead_to_the_weights(form):
    held = capture(**FORMS[form])
    (dots, bias, weights), info = ask(held, type="steps")
    scores = dots * info["scale"]
    if info["softcap"] is not None:
        scores = info["softcap"] * np.tanh(scores / info["softcap"])
    scores = (scores + bias)[:5]
    with_sink = scores if info["sink"] is None else np.append(scores, info["sink"])
    np.testing.assert_allclose(weights[:5], softmax(with_sink)[:5], atol=1e-6)
    np.testing.assert_array_equal(weights[:5], held.weights(3, 3, queries=4)[:5])
    assert np.isnan(weights[5])
    assert info["biased"] == ("bias" in form)
    assert (info["key_head"], info["key_heads"], info["width"]) == (1, 2, WIDTH)


def test_the_output_is_the_weighted_values_and_vectors_give_the_dot_products():
    held = capture(**FORMS["values"])
    (dots, _, weights), info = ask(held, type="steps")
    found, sizes = ask(held, type="vectors", keys=[1, 5])
    assert found.shape == (5, WIDTH + VALUE_WIDTH)
    assert sizes == {"width": WIDTH, "value_width": VALUE_WIDTH}
    np.testing.assert_allclose(found[1:, :WIDTH] @ found[0, :WIDTH], dots[1:5], rtol=1e-5)
    values = held["self"].layer(3).values[1]
    np.testing.assert_array_equal(found[1:, WIDTH:], values[1:5])
    np.testing.assert_allclose(info["output"], np.nan_to_num(weights) @ values, atol=1e-6)


def test_weights_alone_give_the_weights_and_say_what_is_missing():
    held = from_attentions([np.full((1, 2, 2), 0.5, "f4")], ["a", "b"])
    parts, info = ask(held, type="steps", layer=0, head=0, query=1)
    assert np.isnan(parts[:2]).all()
    np.testing.assert_array_equal(parts[2], [0.5, 0.5])
    assert "weights only" in info["missing"]
    reply, _ = answer(
        held, {"id": 1, "type": "vectors", "kind": "self", "layer": 0, "head": 0, "query": 1, "keys": [0, 2]}
    )
    assert "weights only" in reply["error"]["message"]


@pytest.mark.parametrize(
    "wrong",
    [{"layer": 0}, {"head": 4}, {"head": -1}, {"query": 6}, {"query": True}, {"query": None}, {"keys": [0, 7]}],
)
def test_what_is_not_there_is_refused(wrong):
    request = {"id": 1, "type": "vectors", "kind": "self", "layer": 3, "head": 0, "query": 0, "keys": [0, 6], **wrong}
    reply, buffers = answer(capture(), request)
    assert "error" in reply
    assert not buffers


def test_too_many_vectors_are_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["attnscope.wire.answers.steps"], "MOST_VECTORS", 20)
    reply, _ = answer(
        capture(), {"id": 1, "type": "vectors", "kind": "self", "layer": 3, "head": 0, "query": 0, "keys": [0, 6]}
    )
    assert "Ask for fewer keys" in reply["error"]["message"]
