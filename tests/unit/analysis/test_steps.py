"""The steps of a row lead to the row, and each is what a literal transcription gives."""

import numpy as np
import pytest
from scipy.special import softmax

from attnscope import AttnscopeError, Capture, from_attentions, from_queries_keys
from attnscope.analysis import steps
from attnscope.attention.blocks import Blocks
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens

N, HEADS, KEY_HEADS, WIDTH, VALUE_WIDTH = 6, 4, 2, 8, 5
LAYER, HEAD, QUERY = 3, 3, 4


def numbers(*shape, seed=2):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("f4")


def layer_of(n=N, **given):
    return QueriesKeys(
        2 * numbers(HEADS, n, WIDTH), numbers(KEY_HEADS, n, WIDTH), 0.3, Mask.causal(n, n),
        **{name: numbers(*value) if isinstance(value, tuple) else value for name, value in given.items()},
    )  # fmt: skip


def capture_of(layer):
    tokens = Tokens.of([*"abcdefghijkl"][: layer.n_queries])
    return Capture({"self": Attention("self", {LAYER: layer}, tokens, tokens)})


FORMS = {
    "plain": {},
    "soft cap": {"softcap": 1.5},
    "sinks": {"sinks": (HEADS,)},
    "bias per head": {"bias": (HEADS, N, N)},
    "one bias": {"bias": (1, N, N), "softcap": 2.0},
    "values": {"values": (KEY_HEADS, N, VALUE_WIDTH)},
    "all": {"softcap": 1.5, "sinks": (HEADS,), "bias": (HEADS, N, N), "values": (KEY_HEADS, N, VALUE_WIDTH)},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("temperature", "scaled"), [(1.0, True), (0.4, True), (3.0, False)])
def test_every_step_is_the_literal_formula(form, temperature, scaled):
    layer = layer_of(**FORMS[form])
    s = steps(capture_of(layer), LAYER, HEAD, QUERY, temperature=temperature, scaled=scaled)
    q, k = layer.queries[HEAD, QUERY].astype("f8"), layer.keys[1].astype("f8")
    dots = np.array([sum(q[d] * k[j, d] for d in range(WIDTH)) for j in range(N)])
    np.testing.assert_allclose(s.dots, dots, rtol=1e-5)
    assert s.scale == (0.3 if scaled else 1.0)
    z = dots * s.scale
    np.testing.assert_allclose(s.multiplied, z, rtol=1e-5)
    if layer.softcap:
        z = layer.softcap * np.tanh(z / layer.softcap)
        np.testing.assert_allclose(s.capped, z, rtol=1e-5)
    if layer.bias is not None:
        z = z + layer.bias[HEAD if layer.bias.shape[0] > 1 else 0, QUERY]
    np.testing.assert_allclose(s.scores[:5], z[:5], rtol=1e-5)
    assert s.scores[5] == -np.inf
    logits = z[:5] if layer.sinks is None else np.append(z[:5], layer.sinks[HEAD])
    expected = softmax(logits / temperature)
    np.testing.assert_allclose(s.weights[:5], expected[:5], atol=1e-6)
    assert s.weights[5] == 0
    assert s.weights.sum() + s.sink_weight == pytest.approx(1, abs=1e-6)
    assert s.sink_weight == pytest.approx(expected[5] if layer.sinks is not None else 0, abs=1e-6)
    assert (s.capped is None, s.bias is None, s.sink is None) == (
        layer.softcap is None, layer.bias is None, layer.sinks is None,
    )  # fmt: skip
    if layer.values is None:
        assert s.weighted_values is s.output is s.v is None
        assert "values=True" in s.missing
    else:
        np.testing.assert_allclose(s.weighted_values[2], s.weights[2] * layer.values[1, 2], atol=1e-6)
        np.testing.assert_allclose(s.output, expected[:5] @ layer.values[1, :5], atol=1e-5)
        assert s.missing == ""


@pytest.mark.parametrize("form", FORMS)
def test_the_model_s_own_settings_give_the_capture_s_weights_and_scores(form):
    c = capture_of(layer_of(**FORMS[form]))
    s = steps(c, LAYER, HEAD, QUERY)
    np.testing.assert_allclose(s.weights, c.weights(LAYER, HEAD, queries=QUERY), atol=1e-6)
    np.testing.assert_allclose(s.scores, c.scores(LAYER, HEAD, queries=QUERY), atol=1e-5)


def test_temperature_is_a_power_of_the_weights_and_weights_alone_allow_it():
    c = capture_of(layer_of())
    alone = from_attentions([None, None, None, c.weights(LAYER)], c.tokens)
    for temperature in (0.3, 1, 2.5, 50):
        full, less = (steps(each, LAYER, HEAD, QUERY, temperature=temperature) for each in (c, alone))
        own = c.weights(LAYER, HEAD, queries=QUERY).astype("f8")
        np.testing.assert_allclose(less.weights, own ** (1 / temperature) / (own ** (1 / temperature)).sum(), atol=1e-6)
        np.testing.assert_allclose(less.weights, full.weights, atol=1e-6)
    assert less.dots is less.scores is less.q is less.output is None
    assert "weights only" in less.missing
    with pytest.raises(AttnscopeError, match="temperature=1/√width"):
        steps(alone, LAYER, HEAD, QUERY, scaled=False)


def test_no_scale_is_a_temperature_of_one_over_the_root_of_the_width():
    c = from_queries_keys([numbers(2, 5, 16)], [numbers(2, 5, 16, seed=3)], [*"abcde"])
    np.testing.assert_allclose(
        steps(c, 0, 1, 2, scaled=False).weights, steps(c, 0, 1, 2, temperature=1 / 4).weights, atol=1e-6
    )


def test_a_row_that_keeps_less_than_one_keeps_its_sum():
    c = from_attentions([np.array([[[0.4, 0.1]]], "f4")], ["a"], key_tokens=["x", "y"])
    np.testing.assert_allclose(steps(c, 0, 0, 0, temperature=0.5).weights, 0.5 * np.array([16, 1]) / 17, atol=1e-6)


def test_extreme_temperatures_neither_overflow_nor_lose_the_row():
    c = capture_of(layer_of())
    sharp, flat = (steps(c, LAYER, HEAD, QUERY, temperature=t) for t in (1e-6, 1e6))
    own = c.weights(LAYER, HEAD, queries=QUERY)
    np.testing.assert_array_equal(sharp.weights, np.eye(N)[own.argmax()])
    np.testing.assert_allclose(flat.weights[:5], 0.2, atol=1e-5)


def test_a_query_that_sees_nothing_gives_nothing():
    mask = np.ones((3, 3), bool)
    mask[1] = False
    c = from_queries_keys([numbers(1, 3, 4)], [numbers(1, 3, 4)], [*"abc"], mask=mask, values=[numbers(1, 3, 4)])
    s = steps(c, 0, 0, 1)
    assert not s.weights.any()
    assert not s.output.any()
    assert (s.scores == -np.inf).all()


def test_a_group_s_row_stands_at_its_tokens_places():
    places = [np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7])]
    parts = [layer_of(4, values=(KEY_HEADS, 4, VALUE_WIDTH)) for _ in places]
    c = capture_of(Blocks(parts, places, 8))
    s = steps(c, LAYER, HEAD, 5)
    inner = steps(capture_of(parts[1]), LAYER, HEAD, 2)
    np.testing.assert_array_equal(s.dots[places[1]], inner.dots)
    np.testing.assert_array_equal(s.scores[places[1]], inner.scores)
    np.testing.assert_array_equal(s.output, inner.output)
    assert np.isnan(s.dots[places[0]]).all()
    assert (s.scores[places[0]] == -np.inf).all()
    np.testing.assert_allclose(s.weights, c.weights(LAYER, HEAD, queries=5), atol=1e-6)
    assert s.tokens == ("f", *"abcdefgh")
    assert s.visible.tolist() == [False, True, False, True, False, True, False, False]


def test_the_table_lists_what_is_known():
    s = steps(capture_of(layer_of(**FORMS["one bias"])), LAYER, HEAD, "e")
    frame = s.table()
    assert list(frame.columns) == [
        "key", "token", "visible", "dots", "multiplied", "capped", "bias", "scores", "weight",
    ]  # fmt: skip
    np.testing.assert_allclose(frame["weight"], s.weights)
    assert frame["token"].tolist() == [*"abcdef"]
    assert s.query == 4


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "1", True, None, np.inf])
def test_a_temperature_is_above_zero(wrong):
    with pytest.raises(AttnscopeError, match="above 0"):
        steps(capture_of(layer_of()), LAYER, HEAD, QUERY, temperature=wrong)


def test_what_is_not_there_is_refused():
    c = capture_of(layer_of())
    for place in [(0, HEAD, QUERY), (LAYER, 4, QUERY), (LAYER, HEAD, 6), (LAYER, HEAD, "z")]:
        with pytest.raises(AttnscopeError, match="There is no"):
            steps(c, *place)


def test_minilm_s_row_is_its_own(minilm):
    from attnscope import capture

    c = capture(minilm.model, minilm.tokenizer, "The cat sat on the mat because it was tired.", values=True)
    s = steps(c, 3, 1, "it")
    np.testing.assert_allclose(s.weights, c.weights(3, 1, queries=c.find("it")), atol=1e-6)
    assert s.weights[c.find("cat")] == pytest.approx(0.4915, abs=2e-3)
    assert s.scale == pytest.approx(32**-0.5)
    np.testing.assert_allclose(s.output, s.weights @ s.v, atol=1e-5)
