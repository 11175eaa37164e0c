"""head_view and model_view on what users hand in, also where the original fails."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest
import torch
from IPython.display import HTML
from transformers.modeling_outputs import BaseModelOutput

from attnscope import AttentionWidget, AttnscopeError
from attnscope.compat.bertviz import head_view, model_view
from tests.unit.compat.given import PAIR, TEXT, eager, layers, names, translation, weights
from tests.unit.compat.peers import peer

views = pytest.mark.parametrize("view", [head_view, model_view], ids=["head_view", "model_view"])


def shown(view, *args, **options):
    return view(*args, html_action="widget", **options)


def holds(widget, kind, given):
    """Every layer has the weights that were handed in."""
    for number, layer in given.items():
        np.testing.assert_array_equal(widget.capture.weights(number, kind=kind), layer)


def original(name):
    return getattr(peer("bertviz"), name.__name__)


@views
@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "gpt2", "llama"])
def test_a_model_s_own_weights(view, name):
    model, tokenizer, _ = eager(name)
    ids = tokenizer.encode(TEXT, return_tensors="pt")
    with torch.no_grad():
        attention = model(ids, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(ids[0])
    assert isinstance(original(view)(attention, tokens, html_action="return"), HTML)
    widget = shown(view, attention, tokens)
    holds(widget, "self", {number: layer[0].numpy() for number, layer in enumerate(attention)})
    assert len(widget.capture.tokens) == len(tokens)


@views
def test_an_output_object_will_do(view):
    model, tokenizer, _ = eager()
    inputs = tokenizer(TEXT, return_tensors="pt")
    output = model(**inputs, output_attentions=True)
    widget = shown(view, output, inputs.tokens())
    assert widget.capture.n_layers == len(output.attentions)


def test_what_each_opens():
    head, grid = shown(head_view, layers(), names()), shown(model_view, layers(), names())
    assert (head.view, head.theme, head.heads) == ("links", "auto", [[0, 0], [0, 1], [0, 2], [0, 3]])
    assert (grid.view, grid.theme, grid.heads) == ("grid", "dark", [[0, 0]])
    assert shown(model_view, layers(), names(), display_mode="light").theme == "light"


def test_layer_and_heads_to_start_with():
    assert shown(head_view, layers(), names(), layer=2, heads=[3, 1]).heads == [[2, 3], [2, 1]]
    assert shown(head_view, layers(), names(), layer=1).heads == [[1, 0], [1, 1], [1, 2], [1, 3]]
    with pytest.raises(ValueError, match=r"layer 7 is not among the layers shown: 0, 1, 2"):
        head_view(layers(), names(), layer=7)
    with pytest.raises(ValueError, match=r"heads=\[4\].*the heads are 0 to 3"):
        head_view(layers(), names(), heads=[4])


@views
def test_layers_that_are_kept_keep_their_numbers(view):
    given = layers(4)
    widget = shown(view, given, names(), include_layers=[1, 3])
    assert widget.capture["self"].layers == (1, 3)
    holds(widget, "self", {number: given[number][0].numpy() for number in (1, 3)})
    assert shown(view, given, names(), include_layers=[-1]).capture["self"].layers == (3,)
    assert shown(view, given, names(), include_layers=[]).capture["self"].layers == (0, 1, 2, 3)
    with pytest.raises(ValueError, match=r"include_layers names layer 4, 9; layers are 0 to 3"):
        view(given, names(), include_layers=[4, 9])


def test_a_first_layer_has_to_be_kept():
    with pytest.raises(ValueError, match="layer 0 is not among the layers shown: 1, 2"):
        head_view(layers(), names(), layer=0, include_layers=[1, 2])
    assert shown(head_view, layers(), names(), include_layers=[1, 2]).layer == 1


def test_heads_that_are_kept_are_selected_under_their_own_numbers():
    assert shown(model_view, layers(2), names(), include_heads=[1, 3]).heads == [[0, 1], [0, 3], [1, 1], [1, 3]]
    with pytest.raises(ValueError, match="include_heads names head 4; heads are 0 to 3"):
        model_view(layers(2), names(), include_heads=[1, 4])


@views
def test_a_sentence_pair_is_shown_by_sentence(view):
    model, tokenizer, _ = eager()
    inputs = tokenizer(*PAIR, return_tensors="pt")
    with torch.no_grad():
        attention = model(**inputs, output_attentions=True).attentions
    start = inputs.token_type_ids[0].tolist().index(1)
    tokens = inputs.tokens()
    widget = shown(view, attention, tokens, start)
    assert widget.capture.kinds == ("self", "A → A", "B → B", "A → B", "B → A")
    assert widget.capture["self"].queries.segments.tolist() == inputs.token_type_ids[0].tolist()
    parts = {"A": slice(0, start), "B": slice(start, None)}
    for kind in widget.capture.kinds[1:]:
        rows, columns = parts[kind[0]], parts[kind[-1]]
        queries, keys = widget.capture.tokens_of(kind)
        assert (list(queries), list(keys)) == (tokens[rows], tokens[columns])
        holds(widget, kind, {n: layer[0, :, rows, columns].numpy() for n, layer in enumerate(attention)})


@pytest.mark.parametrize("start", [0, 5, -1, 2.5, True, "2"])
def test_a_second_sentence_that_is_none(start):
    with pytest.raises(ValueError, match="sentence_b_start"):
        head_view(layers(), names(), sentence_b_start=start)


def test_a_causal_model_has_no_link_from_the_first_sentence_to_the_second():
    widget = shown(head_view, layers(causal=True), names(), 2)
    assert widget.capture.kinds == ("self", "A → A", "B → B", "B → A")
    assert widget.capture["self"].is_causal


@views
def test_an_encoder_decoder_of_unequal_depths(view):
    output, source, target = translation()
    arguments = {
        "encoder_attention": output.encoder_attentions,
        "decoder_attention": output.decoder_attentions,
        "cross_attention": output.cross_attentions,
        "encoder_tokens": source,
        "decoder_tokens": target,
    }
    with pytest.raises(IndexError):
        original(view)(**arguments, html_action="return")
    widget = shown(view, **arguments)
    assert widget.capture.kinds == ("encoder", "decoder", "cross")
    for kind, given in (
        ("encoder", output.encoder_attentions),
        ("decoder", output.decoder_attentions),
        ("cross", output.cross_attentions),
    ):
        holds(widget, kind, {number: layer[0].numpy() for number, layer in enumerate(given)})
    assert [attention.n_layers for attention in widget.capture.attention.values()] == [3, 2, 2]
    queries, keys = widget.capture.tokens_of("cross")
    assert (len(queries), len(keys)) == (len(target), len(source))
    kept = shown(view, **arguments, include_layers=[1])
    assert [attention.layers for attention in kept.capture.attention.values()] == [(1,), (1,), (1,)]
    with pytest.raises(ValueError, match=r"include_layers=\[2\] leaves no layer of decoder_attention, which has 2"):
        view(**arguments, include_layers=[2])


def test_one_kind_of_an_encoder_decoder_alone():
    output, source, target = translation()
    widget = shown(head_view, cross_attention=output.cross_attentions, encoder_tokens=source, decoder_tokens=target)
    assert widget.capture.kinds == ("cross",)
    with pytest.raises(ValueError, match="decoder_tokens is required with cross_attention"):
        head_view(cross_attention=output.cross_attentions, encoder_tokens=source)


@views
@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_every_input_of_a_batch_is_shown_without_its_padding(view, padding_side):
    model, tokenizer, _ = eager()
    inputs = tokenizer([TEXT, "the dog runs"], return_tensors="pt", padding=True, padding_side=padding_side)
    with torch.no_grad():
        attention = model(**inputs, output_attentions=True).attentions
    tokens = [tokenizer.convert_ids_to_tokens(ids) for ids in inputs.input_ids]
    for given in (tokens, tokens[0]):
        with pytest.raises((ValueError, TypeError, IndexError)):
            original(view)(attention, given, html_action="return")
    both = shown(view, attention, tokens)
    assert [widget.capture.model_name for widget in both] == ["input 1 of 2", "input 2 of 2"]
    for number, widget in enumerate(both):
        real = inputs.attention_mask[number].bool()
        assert widget.capture.tokens == [t for t, keep in zip(tokens[number], real, strict=True) if keep]
        holds(widget, "self", {n: layer[number][:, real][:, :, real].numpy() for n, layer in enumerate(attention)})
    with pytest.raises(ValueError, match="attention holds 2 inputs and tokens the tokens of one"):
        view(attention, tokens[0])
    with pytest.raises(ValueError, match="tokens holds the tokens of 3 inputs and attention 2 of them"):
        view(attention, [*tokens, tokens[0]])


def test_padding_that_is_looked_at_stays():
    tokens = [["[CLS]", "a", "[PAD]"], ["[CLS]", "a", "b"]]
    for widget in shown(head_view, layers(n=3, inputs=2), tokens):
        assert len(widget.capture.tokens) == 3


def test_a_pair_in_a_batch_starts_where_its_padding_ends():
    given = torch.zeros(2, 1, 5, 5)
    given[0, :, :, 2:] = 1 / 3
    given[1] = 0.2
    tokens = [["[PAD]", "[PAD]", "a", "b", "c"], ["d", "e", "f", "g", "h"]]
    first, second = shown(head_view, [given], tokens, sentence_b_start=[4, 1])
    assert list(first.capture.tokens_of("B → B")[0]) == ["c"]
    assert list(second.capture.tokens_of("A → A")[0]) == ["d"]


def test_too_many_inputs_are_refused():
    with pytest.raises(ValueError, match="attention holds 17 inputs; up to 16 are shown"):
        head_view(layers(inputs=17), [names()] * 17)


HALVES = {
    "float16": lambda given: [layer.half() for layer in given],
    "bfloat16": lambda given: [layer.bfloat16() for layer in given],
    "float64": lambda given: [layer.double() for layer in given],
    "with gradient": lambda given: [layer.clone().requires_grad_() for layer in given],
    "numpy": lambda given: [layer.numpy() for layer in given],
    "numpy float16": lambda given: [layer.numpy().astype(np.float16) for layer in given],
    "without an axis of inputs": lambda given: [layer[0] for layer in given],
    "stacked": lambda given: torch.stack(given),
    "JAX": lambda given: [jax.numpy.asarray(layer.numpy()) for layer in given],
    "JAX bfloat16": lambda given: [jax.numpy.asarray(layer.numpy(), dtype="bfloat16") for layer in given],
    "an iterator": lambda given: iter(given),
    "one layer": lambda given: given[0],
}


@views
@pytest.mark.parametrize("form", HALVES)
def test_arrays_of_any_kind(view, form):
    given = HALVES[form](layers())
    widget = shown(view, given, names())
    expected = layers()[:1] if form == "one layer" else layers()
    assert widget.capture.n_layers == len(expected)
    for number, layer in enumerate(expected):
        error = 4e-3 if "16" in form else 1e-7
        np.testing.assert_allclose(widget.capture.weights(number), layer[0].numpy(), atol=error)


@pytest.mark.parametrize("form", ["numpy", "numpy float16", "without an axis of inputs", "one layer"])
def test_arrays_the_original_fails_on(form):
    with pytest.raises((TypeError, ValueError, IndexError)):
        peer("bertviz").head_view(HALVES[form](layers()), names(), html_action="return")


@views
def test_layers_of_different_numbers_of_heads(view):
    given = [weights(1, 3, 5, 5), None, weights(1, 2, 5, 5)]
    with pytest.raises((RuntimeError, IndexError)):
        original(view)([given[0], given[2]], names(), html_action="return")
    widget = shown(view, given, names())
    assert widget.capture["self"].layers == (0, 2)
    assert widget.capture["self"].head_counts == (3, 2)


@views
def test_many_heads_and_layers(view):
    widget = shown(view, [weights(1, 64, 4, 4, seed=seed) for seed in range(80)], names(4), include_layers=[79])
    assert widget.capture["self"].layers == (79,)
    assert len(shown(head_view, [weights(64, 4, 4)], names(4)).heads) == 64


@views
@pytest.mark.parametrize("empty", [(), [], (None, None), None, BaseModelOutput(attentions=(None, None))], ids=repr)
def test_no_attention_says_what_to_do(view, empty):
    with pytest.raises(AttnscopeError, match=r"sdpa(?s:.)*attnscope\.capture\(model, tokenizer, text\)"):
        view(empty, names())
    with pytest.raises((RuntimeError, ValueError, IndexError, AttributeError, TypeError)):
        original(view)(empty, names(), html_action="return")


@views
def test_the_default_of_transformers_says_what_to_do(view):
    """Loaded as by default, a model gives no weights, and its output's last field is something else."""
    _, tokenizer, model = eager()
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        output = model(**inputs)
    for given in (output.attentions, output[-1], output, output.last_hidden_state):
        with pytest.raises(AttnscopeError, match=r"attnscope\.capture\("):
            view(given, inputs.tokens())


@views
def test_the_weights_of_generate_say_what_to_do(view):
    model, tokenizer, _ = eager("gpt2")
    output = model.generate(
        **tokenizer(TEXT, return_tensors="pt"),
        max_new_tokens=2,
        output_attentions=True,
        return_dict_in_generate=True,
        do_sample=False,
    )
    with pytest.raises(AttnscopeError, match=r"attnscope\.record\(model\)"):
        view(output.attentions, names())


@views
def test_tokens_that_are_not_one_per_position(view):
    with pytest.raises(ValueError, match=r"tokens has 6 tokens, but attention has 5 queries \(layer 0"):
        view(layers(), names(6))
    output, source, target = translation()
    message = rf"decoder_tokens has {len(target) - 1} tokens, but cross_attention has {len(target)} queries"
    with pytest.raises(ValueError, match=message):
        view(cross_attention=output.cross_attentions, encoder_tokens=source, decoder_tokens=target[1:])
    with pytest.raises(ValueError, match="tokens is required with attention"):
        view(layers())


@views
def test_tokens_of_other_kinds(view):
    assert shown(view, layers(), np.array(names())).capture.tokens == names()
    both = shown(view, layers(inputs=2), np.array([names(), names()]))
    assert [widget.capture.tokens for widget in both] == [names(), names()]
    for ids in (torch.arange(5), list(range(5))):
        with pytest.raises(TypeError, match=r"For token ids, use tokenizer\.convert_ids_to_tokens"):
            view(layers(), ids)
    with pytest.raises(TypeError, match="got one string"):
        view(layers(), "words")


@views
def test_arguments_that_do_not_go_together(view):
    with pytest.raises(ValueError, match="does not go with encoder_tokens"):
        view(layers(), names(), encoder_tokens=names())
    with pytest.raises(ValueError, match="tokens belong to attention"):
        view(encoder_attention=layers(), tokens=names(), encoder_tokens=names())
    with pytest.raises(ValueError, match="different numbers of inputs"):
        view(
            encoder_attention=layers(inputs=2), encoder_tokens=[names()] * 2,
            decoder_attention=layers(), decoder_tokens=names(),
        )  # fmt: skip
    with pytest.raises(ValueError, match="sentence_b_start is for attention"):
        view(encoder_attention=layers(), encoder_tokens=names(), sentence_b_start=2)
    with pytest.raises(ValueError, match="html_action is 'view'"):
        view(layers(), names(), html_action="show")
    with pytest.raises(ValueError, match="first axis may count layers or inputs"):
        view(torch.stack(layers())[:, 0], names())


def test_a_display_mode_that_is_none():
    with pytest.raises(ValueError, match="display_mode is 'dark' or 'light', got 'auto'"):
        model_view(layers(), names(), display_mode="auto")


@pytest.mark.parametrize(
    ("tokens", "pretty"),
    [
        (["The", "Ġcat", "Ċ", "ĠÃ©", "s"], ["The", " cat", "\n", " é", "s"]),
        (["▁The", "▁cat", "s", "▁é", "."], [" The", " cat", "s", " é", "."]),
        (["[CLS]", "play", "##ing", "it", "[SEP]"], ["[CLS]", "play", "##ing", "it", "[SEP]"]),
        (["a</w>", "cat</w>", "run", "s</w>", "."], [" a", " cat", " run", "s", " ."]),
    ],
)
def test_tokens_made_readable_or_left_as_they_are(tokens, pretty):
    assert shown(head_view, layers(), tokens).capture.tokens == pretty
    assert shown(head_view, layers(), tokens, prettify_tokens=False).capture.tokens == tokens


@views
def test_view_displays_and_gives_nothing(view, monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", displayed.append)
    assert view(layers(inputs=2), [names()] * 2) is None
    assert len(displayed) == 2
    assert all(isinstance(one, AttentionWidget) for one in displayed)


@views
def test_return_gives_a_whole_page(view, tmp_path):
    page = view(layers(), names(), html_action="return")
    assert isinstance(page, HTML)
    assert page.data.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|import\s*\(|require\(", page.data)
    framed = page._repr_html_()
    assert framed.startswith("<iframe")
    assert framed.count("<") == 2
    assert page.__html__() == framed
    path = tmp_path / "page.html"
    path.write_text(page.data, encoding="utf-8")
    assert path.stat().st_size < 400_000


HOSTILE = "</script><script>window.hit=1</script>"


@views
def test_a_token_never_becomes_html(view):
    tokens = [HOSTILE, *names()[1:]]
    assert HOSTILE in original(view)(layers(), tokens, html_action="return").data
    page = view(layers(), tokens, html_action="return")
    assert "window.hit" not in page.data
    assert "window.hit" not in page._repr_html_()
