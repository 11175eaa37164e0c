"""CircuitsVis's views of attention on what users hand in, also where the original fails or says nothing."""

from __future__ import annotations

import re
import sys
import warnings

import numpy as np
import pytest
import torch

import attnscope.compat.circuitsvis as cv
from attnscope import AttentionWidget, AttnscopeError
from attnscope.errors import AttnscopeWarning
from tests.unit.compat.given import TEXT, eager, layers, names, weights
from tests.unit.compat.peers import peer

HEADS = weights(4, 5, 5, causal=True)
CALLS = {
    "attention_heads": lambda module, given, tokens, **options: module.attention_heads(given, tokens, **options),
    "attention_pattern": lambda module, given, tokens, **options: module.attention_pattern(
        tokens, given[0] if given is not None and len(given) else given, **options
    ),
    "attention_patterns": lambda module, given, tokens: module.attention_patterns(tokens, given),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(scope="module")
def original():
    return peer("circuitsvis").attention


def holds(widget, given):
    np.testing.assert_array_equal(widget.capture.weights(0), np.asarray(given, np.float32))


def test_what_each_opens(original):
    for call, view, heads in (
        ("attention_heads", "grid", [[0, 0]]),
        ("attention_pattern", "matrix", [[0, 0]]),
        ("attention_patterns", "text", [[0, 0], [0, 1], [0, 2], [0, 3]]),
    ):
        assert type(CALLS[call](original, HEADS, names())).__name__ == "RenderedHTML"
        widget = CALLS[call](cv.attention, HEADS, names())
        assert isinstance(widget, AttentionWidget)
        assert (widget.view, widget.heads) == (view, heads)
        holds(widget, HEADS[:1] if call == "attention_pattern" else HEADS)
        assert widget.capture.tokens == names()


def test_keywords_in_any_order():
    model, tokenizer, _ = eager("gpt2")
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        attention = model(**inputs, output_attentions=True).attentions
    tokens = [tokenizer.decode([token]) for token in inputs.input_ids[0]]
    holds(cv.attention.attention_heads(tokens=tokens, attention=attention[1][0]), attention[1][0])
    holds(cv.attention.attention_patterns(attention=attention[1], tokens=tokens), attention[1][0])
    holds(cv.attention.attention_pattern(attention=attention[1][0, 2], tokens=tokens), attention[1][0, 2:3])


FORMS = {
    "lists": lambda given: given.tolist(),
    "list of tensors": list,
    "list of arrays": lambda given: [head.numpy() for head in given],
    "numpy": lambda given: given.numpy(),
    "float64": lambda given: given.double(),
    "one input": lambda given: given[None],
    "with gradient": lambda given: given.clone().requires_grad_(),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_any_kind(form):
    holds(cv.attention.attention_heads(FORMS[form](HEADS), names()), HEADS)


@calls
def test_half_precision(call):
    for dtype in (torch.float16, torch.bfloat16):
        widget = call(cv.attention, HEADS.to(dtype), names())
        np.testing.assert_array_equal(widget.capture.weights(0)[0], HEADS.to(dtype)[0].float().numpy())


def test_the_page_as_text(tmp_path):
    shown = cv.attention.attention_heads(HEADS, names())
    page = str(shown)
    assert page == shown.show_code()
    assert page.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|unpkg|import\s*\(", page)
    framed = shown._repr_html_()
    assert framed == shown.__html__()
    assert framed.startswith("<iframe")
    assert framed.count("<") == 2
    assert "text/html" in shown._repr_mimebundle_()[0]
    assert "AttentionWidget" in repr(shown)


def test_the_mask_is_seen_from_the_weights_or_as_asked_for():
    both_ways = weights(2, 5, 5)
    assert cv.attention.attention_heads(HEADS, names()).capture["self"].is_causal
    assert not cv.attention.attention_heads(HEADS, names(), mask_upper_tri=False).capture["self"].is_causal
    shown = cv.attention.attention_heads(both_ways, names())
    assert not shown.capture["self"].is_causal
    holds(shown, both_ways)
    with pytest.warns(AttnscopeWarning, match=r"mask_upper_tri=True hides \d+\.\d% of the weight"):
        shown = cv.attention.attention_heads(both_ways, names(), mask_upper_tri=True)
    assert shown.capture["self"].is_causal
    holds(shown, both_ways.tril())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        holds(cv.attention.attention_pattern(names(), HEADS[0], mask_upper_tri=True), HEADS[:1])


def test_arguments_that_change_nothing_are_named():
    with pytest.warns(AttnscopeWarning, match="max_value.*positive_color") as told:
        cv.attention.attention_heads(HEADS, names(), max_value=0.5, positive_color="green")
    assert [warning.filename for warning in told] == [__file__]
    with pytest.warns(AttnscopeWarning, match="show_axis_labels=False"):
        cv.attention.attention_pattern(names(), HEADS[0], show_axis_labels=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cv.attention.attention_heads(HEADS, names(), min_value=-1, negative_color="red")
        cv.attention.attention_pattern(names(), HEADS[0], show_axis_labels=True)


@calls
def test_tokens_that_are_not_one_per_position(call, original):
    assert call(original, HEADS, names(7)) is not None, "the original shows a picture with wrong names"
    with pytest.raises(ValueError, match="tokens has 7 tokens, but attention has 5 queries"):
        call(cv.attention, HEADS, names(7))


@calls
@pytest.mark.parametrize("empty", [None, (), [], np.zeros((0, 5, 5))], ids=["None", "()", "[]", "no heads"])
def test_no_attention_says_what_to_do(call, empty):
    with pytest.raises(AttnscopeError, match=r"attention is (None|\(\)|\[\]|empty)"):
        call(cv.attention, empty, names())


@calls
def test_numbers_that_are_no_weights(call):
    signed = HEADS * 2 - 1
    with pytest.raises(ValueError, match=r"from -1 to 1; weights are between 0 and 1.*circuitsvis\.attention"):
        call(cv.attention, signed, names())
    with pytest.raises(ValueError, match="NaN"):
        call(cv.attention, HEADS.masked_fill(torch.eye(5).bool(), torch.nan), names())


def test_shapes_that_are_something_else():
    with pytest.raises(ValueError, match="attention_pattern shows one head"):
        cv.attention.attention_pattern(names(), HEADS)
    with pytest.raises(ValueError, match=r"\[heads, queries, keys\], got shape \(5, 5\)"):
        cv.attention.attention_heads(HEADS[0], names())
    with pytest.raises(ValueError, match=r"use attnscope\.compat\.bertviz\.model_view"):
        cv.attention.attention_heads(layers(), names())
    with pytest.raises(ValueError, match="different shapes"):
        cv.attention.attention_heads([HEADS[0], HEADS[0, :2]], names())


def test_every_input_is_shown(monkeypatch):
    batch = weights(3, 4, 5, 5)
    with pytest.raises(ValueError, match="attention holds 3 inputs and tokens the tokens of one"):
        cv.attention.attention_heads(batch, names())
    shown = cv.attention.attention_heads(batch, [names()] * 3)
    for widget, given in zip(shown, batch, strict=True):
        holds(widget, given)
    assert str(shown).count("<iframe") == shown._repr_html_().count("<iframe") == shown.__html__().count("<iframe") == 3
    displayed = []
    monkeypatch.setattr("IPython.display.display", displayed.append)
    shown._ipython_display_()
    assert displayed == list(shown)


HOSTILE = "</script><script>window.hit=1</script>"


@calls
def test_a_token_never_becomes_html(call, original):
    tokens = [HOSTILE, *names()[1:]]
    assert HOSTILE in call(original, HEADS, tokens).local_src
    shown = call(cv.attention, HEADS, tokens)
    assert "window.hit" not in str(shown)
    assert "window.hit" not in shown._repr_html_()


CACHE = {f"blocks.{number}.attn.hook_pattern": layer for number, layer in enumerate(layers(causal=True))}


class TestCache:
    """A cache of TransformerLens: arrays by name."""

    def test_heads_and_layers(self):
        shown = cv.attention.from_cache(CACHE, names(), heads=[(2, 1), (0, 3)], display_mode="light", title="mine")
        assert (shown.view, shown.theme, shown.heads) == ("grid", "light", [[2, 1], [0, 3]])
        assert shown.capture.model_name == "mine"
        for number, layer in enumerate(CACHE.values()):
            np.testing.assert_array_equal(shown.capture.weights(number), layer[0])
        assert cv.attention.from_cache(CACHE, names(), layers=[-1]).capture["self"].layers == (2,)
        assert cv.attention.from_cache(CACHE, names(), layers=1).capture["self"].layers == (1,)

    @pytest.mark.parametrize(("mode", "view"), [("large", "grid"), ("small", "text"), ("lines", "links")])
    def test_modes(self, mode, view):
        assert cv.attention.from_cache(CACHE, names(), mode=mode).view == view

    def test_a_batch(self):
        batch = {name: torch.cat([layer, layer]) for name, layer in CACHE.items()}
        both = cv.attention.from_cache(batch, [names(), names()], batch_labels=["a", "b"])
        assert [shown.capture.model_name for shown in both] == ["a", "b"]
        second = cv.attention.from_cache(batch, [names(), names()], batch_idx=1)
        assert second.capture.model_name == "input 2 of 2"
        with pytest.raises(ValueError, match="batch_idx is 2; the cache holds 2 inputs"):
            cv.attention.from_cache(batch, [names(), names()], batch_idx=2)

    def test_view_displays(self, monkeypatch):
        displayed = []
        monkeypatch.setattr("IPython.display.display", displayed.append)
        assert cv.attention.from_cache(CACHE, names(), return_mode="view") is None
        assert len(displayed) == 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"attention_type": "value-weighted"}, r'measure="value_weighted"'),
            ({"mode": "huge"}, "mode is 'large', 'small', 'lines'"),
            ({"return_mode": "browser"}, r"shown\.save"),
            ({"layers": [3]}, "the cache has layers 0 to 2"),
            ({"display_mode": "blue"}, "display_mode"),
        ],
    )
    def test_what_is_not_there_says_so(self, options, message):
        with pytest.raises(ValueError, match=message):
            cv.attention.from_cache(CACHE, names(), **options)


THEIRS = {
    "activations": "text_neuron_activations",
    "examples": "hello",
    "logits": "token_log_probs",
    "tokens": "colored_tokens",
    "topk_samples": "topk_samples",
    "topk_tokens": "topk_tokens",
}


@pytest.mark.parametrize(("module", "function"), THEIRS.items())
def test_what_is_not_about_attention_is_the_original_s(module, function):
    circuitsvis = peer("circuitsvis")
    found = {}
    exec(f"from attnscope.compat.circuitsvis.{module} import {function}", found)
    assert found[function] is getattr(getattr(cv, module), function) is getattr(getattr(circuitsvis, module), function)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = getattr(cv, module).nothing


def test_without_circuitsvis_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "circuitsvis.tokens", None)
    with pytest.raises(ImportError, match=r"is not about attention.*pip install circuitsvis"):
        exec("from attnscope.compat.circuitsvis.tokens import colored_tokens")
    with pytest.raises(ImportError, match=r"is not about attention.*pip install circuitsvis"):
        _ = cv.tokens.colored_tokens


def test_heads_have_the_names_they_were_given():
    shown = cv.attention.attention_heads(HEADS, names(), ["L5H3", "L7H1", "L7H1", " "])
    assert shown.capture["self"].head_names == {0: ["L5H3", "L7H1 (1)", "L7H1 (2)", "(3)"]}
    with pytest.raises(ValueError, match="attention_head_names has 2 names, but attention has 4 heads"):
        cv.attention.attention_heads(HEADS, names(), ["a", "b"])
