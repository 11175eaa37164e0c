"""Models of several families with a head, for questions that run them again."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch

from tests.models import words, zoo
from tests.models.test_encoder_decoder import BART, T5

TEXT = words.SENTENCES[0]
TARGET = "It was tired."

FAMILIES = {
    known.name: known
    for known in [
        zoo.Family("gpt2", "GPT2Config", "GPT2LMHeadModel", zoo.GPT2, "byte_level"),
        zoo.Family("llama", "LlamaConfig", "LlamaForCausalLM", zoo.LLAMA),
        zoo.Family("bert", "BertConfig", "BertForMaskedLM", zoo.BERT, "wordpiece"),
        zoo.Family(
            "classifier", "BertConfig", "BertForSequenceClassification",
            zoo.BERT | {"id2label": {0: "bad", 1: "fair", 2: "good"}, "label2id": {"bad": 0, "fair": 1, "good": 2}},
            "wordpiece",
        ),
        zoo.Family("falcon", "FalconConfig", "FalconForCausalLM",
                   {"vocab_size": words.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2,
                    "num_attention_heads": 4, "bos_token_id": 0, "eos_token_id": 0}, "byte_level"),
        zoo.Family("bloom", "BloomConfig", "BloomForCausalLM",
                   {"vocab_size": words.VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "byte_level"),
        zoo.Family("gptj", "GPTJConfig", "GPTJForCausalLM", zoo.GPT2 | {"rotary_dim": 4}, "byte_level"),
        zoo.Family("diffllama", "DiffLlamaConfig", "DiffLlamaForCausalLM", zoo.LLAMA),
        zoo.Family("t5", "T5Config", "T5ForConditionalGeneration", T5, "sentencepiece_last", gain=1.0),
        zoo.Family("bart", "BartConfig", "BartForConditionalGeneration", BART, "sentencepiece_last"),
    ]
}  # fmt: skip

PROJECTIONS = {
    "gpt2": ("transformer.h.{}.attn.c_proj", "self"),
    "llama": ("model.layers.{}.self_attn.o_proj", "self"),
    "bert": ("bert.encoder.layer.{}.attention.output.dense", "self"),
    "classifier": ("bert.encoder.layer.{}.attention.output.dense", "self"),
    "falcon": ("transformer.h.{}.self_attention.dense", "self"),
    "bloom": ("transformer.h.{}.self_attention.dense", "self"),
    "gptj": ("transformer.h.{}.attn.out_proj", "self"),
    "t5": ("decoder.block.{}.layer.1.EncDecAttention.o", "cross"),
    "bart": ("model.encoder.layers.{}.self_attn.out_proj", "encoder"),
}
"""Where a layer's heads are joined, and the kind of attention it is."""


@cache
def loaded(name: str) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    known = FAMILIES[name]
    return zoo.build(known), zoo.tokenizer_of(known)


def text_of(name: str) -> str:
    """A text it predicts something for."""
    return TEXT.replace("mat", "[MASK]") if name == "bert" else TEXT


def options_of(name: str) -> dict[str, str]:
    """What else it is called with."""
    return {"decoder_text": TARGET} if name in ("t5", "bart") else {}


def without_head(name: str, layer: int, head: int) -> Any:
    """A copy of the model whose output projection reads nothing from one head."""
    model, _ = loaded(name)
    other = copy.deepcopy(model)
    projection = other.get_submodule(PROJECTIONS[name][0].format(layer))
    width = 8
    with torch.no_grad():
        # GPT-2 keeps its projections the other way round
        weight = projection.weight if name == "gpt2" else projection.weight.T
        weight[head * width : (head + 1) * width] = 0
    return other
