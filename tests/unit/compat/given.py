"""Weights and tokens as users have them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from tests.models import zoo
from tests.models.test_encoder_decoder import loaded

TEXT = "The cat sat on the mat"
PAIR = ("The cat sat on the mat", "the dog runs after the cat.")


def weights(*shape: int, seed: int = 0, causal: bool = False) -> torch.Tensor:
    """Rows that sum to 1."""
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))
    if causal:
        scores = scores.masked_fill(torch.ones(shape[-2:], dtype=torch.bool).triu(1), -torch.inf)
    return scores.softmax(-1)


def layers(count: int = 3, heads: int = 4, n: int = 5, inputs: int = 1, **options: bool) -> tuple[torch.Tensor, ...]:
    """One [inputs, heads, n, n] per layer, as a model gives them."""
    return tuple(weights(inputs, heads, n, n, seed=seed, **options) for seed in range(count))


def names(n: int = 5) -> list[str]:
    """Tokens that are told apart."""
    return ["[CLS]", *(f"t{number}" for number in range(1, n - 1)), "[SEP]"]


@cache
def eager(name: str = "bert"):
    """A model that gives its weights, its tokenizer, and the same model as it is loaded by default."""
    model, tokenizer = zoo.small(name)
    return zoo.twin(model), tokenizer, zoo.twin(model, "sdpa")


@cache
def translation():
    """An encoder–decoder of 3 and 2 layers that gives its weights, its inputs, and its output."""
    _, model, tokenizer = loaded("bart")
    source = tokenizer("The cat sat on the mat.", return_tensors="pt").input_ids
    target = tokenizer("It was tired.", return_tensors="pt").input_ids
    with torch.no_grad():
        output = model(input_ids=source, decoder_input_ids=target, output_attentions=True)
    return output, tokenizer.convert_ids_to_tokens(source[0]), tokenizer.convert_ids_to_tokens(target[0])
