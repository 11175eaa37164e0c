"""Small models and many texts, the same in every run."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from attnscope import profile
from tests.models.sentences import sentence
from tests.models.words import byte_level, wordpiece

LAYERS, HEADS, LONGEST = 2, 4, 96


@cache
def bert():
    """A BERT with random weights, large enough that heads differ."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 32}
    model = BertModel(BertConfig(vocab_size=400, max_position_embeddings=LONGEST, initializer_range=0.5, **shape))
    return model.eval()


@cache
def gpt2():
    """A GPT-2 with random weights."""
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    shape = {"n_embd": 32, "n_layer": LAYERS, "n_head": HEADS}
    return GPT2Model(GPT2Config(vocab_size=330, n_positions=LONGEST, initializer_range=0.5, **shape)).eval()


MODELS = {"bert": (bert, wordpiece), "gpt2": (gpt2, byte_level)}


def pair(name):
    """A model and its tokenizer."""
    model, tokenizer = MODELS[name]
    return model(), tokenizer()


@cache
def texts(count=200, seed=0):
    """Sentences of different lengths, short enough for both models."""
    random = np.random.default_rng(seed)
    return [sentence(random)[0][: int(random.integers(12, 60))].strip() for _ in range(count)]


@cache
def small_profile():
    """A profile of the BERT over a few texts."""
    return profile(*pair("bert"), texts()[:24], progress=False, batch_size=4)
