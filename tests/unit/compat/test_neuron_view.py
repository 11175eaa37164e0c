"""neuron_view's data, of any model: equal to the original's own copies of BERT and GPT-2 on the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope import capture, from_attentions
from attnscope.compat.bertviz import neuron_view
from attnscope.compat.bertviz.neuron_view import get_attention, show
from attnscope.errors import InputError, InputTypeError, ModelError
from tests.models import zoo
from tests.unit.compat.given import PAIR, TEXT, eager, layers, names
from tests.unit.compat.peers import peer


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=2e-5, rtol=2e-5)


@pytest.fixture
def theirs():
    """BertViz's own copy of BERT with the same weights."""
    peer("bertviz.transformers_neuron_view")
    from bertviz.transformers_neuron_view.modeling_bert import BertConfig, BertModel

    model, tokenizer, _ = eager()
    copy = BertModel(BertConfig(vocab_size_or_config_json_file=model.config.vocab_size, **{
        name: getattr(model.config, name)
        for name in (
            "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings",
            "type_vocab_size",
        )
    }, output_attentions=True))  # fmt: skip
    known = copy.state_dict()
    weights = {name: value for name, value in model.state_dict().items() if name in known}
    assert set(known) <= set(weights) | {"embeddings.position_ids"}
    copy.load_state_dict(weights)
    return copy.eval(), tokenizer


@pytest.mark.parametrize("second", [None, PAIR[1]], ids=["one sentence", "a pair"])
def test_data_equals_the_original_s(theirs, second):
    from bertviz.neuron_view import get_attention as original

    copy, tokenizer = theirs
    expected = original(copy, "bert", tokenizer, TEXT, second, include_queries_and_keys=True)
    for model in (eager()[0], eager()[2]):
        found = get_attention(model, "bert", tokenizer, TEXT, second, include_queries_and_keys=True)
        assert list(found) == list(expected)
        for part, given in expected.items():
            assert set(found[part]) == set(given)
            assert found[part]["left_text"] == given["left_text"]
            assert found[part]["right_text"] == given["right_text"]
            for name in ("attn", "queries", "keys"):
                close(found[part][name], given[name])


def test_queries_and_keys_are_left_out_unless_asked_for():
    model, tokenizer, _ = eager()
    assert set(get_attention(model, "bert", tokenizer, TEXT)["all"]) == {"attn", "left_text", "right_text"}


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2", "distilbert", "roberta"])
def test_any_model_that_can_be_captured(name):
    known = zoo.family(name)
    model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
    found = get_attention(model, None, tokenizer, TEXT, include_queries_and_keys=True)["all"]
    captured = capture(model, tokenizer, TEXT)
    for number, (weights, queries, keys) in enumerate(zip(found["attn"], found["queries"], found["keys"], strict=True)):
        close(weights, captured.weights(number))
        layer = captured["self"].layer(number)
        scores = layer.scale * torch.tensor(queries) @ torch.tensor(keys).transpose(1, 2)
        visible = torch.from_numpy(layer.mask.allowed(slice(None)))
        close(scores.masked_fill(~visible, -torch.inf).softmax(-1).numpy(), weights)


def test_show_opens_the_arithmetic_of_the_first_word():
    model, tokenizer, _ = eager()
    widget = show(model, "bert", tokenizer, *PAIR, layer=2, head=3, html_action="widget")
    assert (widget.view, widget.theme, widget.heads, widget.query) == ("steps", "dark", [[2, 3]], 1)
    assert widget.capture["self"].queries.segments.max() == 1
    assert show(model, "bert", tokenizer, TEXT, display_mode="light", html_action="widget").theme == "light"
    page = show(model, "bert", tokenizer, TEXT, html_action="return")
    assert page.data.startswith("<!doctype html>")


def test_what_cannot_be_shown_says_why(theirs):
    model, tokenizer, _ = eager()
    with pytest.raises(InputTypeError, match="BertViz's own copy, which is not needed"):
        show(theirs[0], "bert", tokenizer, TEXT)
    with pytest.raises(ValueError, match="sentence_a is a text"):
        show(model, "bert", tokenizer, "")
    with pytest.raises(ValueError, match="html_action"):
        show(model, "bert", tokenizer, TEXT, html_action="no")
    with pytest.raises(IndexError, match=r"layer 9.*the layers are 0 to 2"):
        show(model, "bert", tokenizer, TEXT, layer=9)


def test_a_pair_of_a_decoder():
    """The original refuses any."""
    model, tokenizer = zoo.small("gpt2")
    found = get_attention(model, "gpt2", tokenizer, *PAIR)
    first = len(tokenizer.tokenize(PAIR[0]))
    assert len(found["aa"]["left_text"]) == first
    close(np.array(found["ba"]["attn"]), np.array(found["all"]["attn"])[:, :, first:, :first])


def test_what_is_not_known_says_so():
    given = from_attentions(layers(1), names())["self"]
    with pytest.raises(InputError, match="Which tokens are of the second sentence is not known"):
        neuron_view._second_start(given)
    with pytest.raises(ModelError, match=r"Layer 0 gives its weights only \(given\)"):
        neuron_view._vectors(given, 0)
