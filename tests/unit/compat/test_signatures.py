"""The calls are the originals': names, order and defaults of every argument."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from tests.unit.compat.peers import peer

# As of BertViz 1.4.1 and CircuitsVis 1.43.3, for where they are not installed.
KNOWN = {
    "bertviz.head_view": {
        "attention": None, "tokens": None, "sentence_b_start": None, "prettify_tokens": True, "layer": None,
        "heads": None, "encoder_attention": None, "decoder_attention": None, "cross_attention": None,
        "encoder_tokens": None, "decoder_tokens": None, "include_layers": None, "html_action": "view",
    },
    "bertviz.model_view": {
        "attention": None, "tokens": None, "sentence_b_start": None, "prettify_tokens": True, "display_mode": "dark",
        "encoder_attention": None, "decoder_attention": None, "cross_attention": None, "encoder_tokens": None,
        "decoder_tokens": None, "include_layers": None, "include_heads": None, "html_action": "view",
    },
    "bertviz.neuron_view.show": {
        "model": ..., "model_type": ..., "tokenizer": ..., "sentence_a": ..., "sentence_b": None,
        "display_mode": "dark", "layer": None, "head": None, "html_action": "view",
    },
    "bertviz.neuron_view.get_attention": {
        "model": ..., "model_type": ..., "tokenizer": ..., "sentence_a": ..., "sentence_b": None,
        "include_queries_and_keys": False,
    },
    "circuitsvis.attention.attention_heads": {
        "attention": ..., "tokens": ..., "attention_head_names": None, "max_value": None, "min_value": None,
        "negative_color": None, "positive_color": None, "mask_upper_tri": None,
    },
    "circuitsvis.attention.attention_pattern": {
        "tokens": ..., "attention": ..., "max_value": None, "min_value": None, "negative_color": None,
        "show_axis_labels": None, "positive_color": None, "mask_upper_tri": None,
    },
    "circuitsvis.attention.attention_patterns": {"tokens": ..., "attention": ...},
}  # fmt: skip


def arguments(prefix: str, name: str) -> list[tuple[str, object]]:
    module, function = f"{prefix}{name}".rsplit(".", 1)
    parameters = inspect.signature(getattr(import_module(module), function)).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return [(p.name, ... if p.default is p.empty else p.default) for p in parameters]


@pytest.mark.parametrize("name", KNOWN)
def test_arguments_are_the_originals(name):
    assert arguments("attnscope.compat.", name) == list(KNOWN[name].items())


@pytest.mark.parametrize("name", KNOWN)
def test_the_originals_are_as_they_were(name):
    peer(name.split(".")[0])
    assert arguments("", name) == list(KNOWN[name].items())


def test_every_import_of_the_originals_works_with_the_prefix():
    for statement in (
        "from attnscope.compat import bertviz, circuitsvis",
        "from attnscope.compat.bertviz import head_view, model_view",
        "from attnscope.compat.bertviz.head_view import head_view",
        "from attnscope.compat.bertviz.neuron_view import show, get_attention",
        "from attnscope.compat.bertviz.transformers_neuron_view import BertModel, BertTokenizer, GPT2Model",
        "import attnscope.compat.circuitsvis as cv; cv.attention.attention_heads",
        "from attnscope.compat.circuitsvis.attention import attention_pattern, attention_patterns, from_cache",
    ):
        exec(statement, {})
