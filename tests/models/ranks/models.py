"""The small models that are split, the same in every process."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.models import words, zoo

TEXTS = [words.SENTENCES[0][:24], "A dog runs."]
SHARED_KEYS = {
    "model.layers.*.self_attn.k_proj": "colwise_gather_output",
    "model.layers.*.self_attn.v_proj": "colwise_gather_output",
}
"""Fewer key heads than ranks: each rank has all of them."""

_MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}
FAMILIES = {
    "llama": zoo.Family("llama", "LlamaConfig", "LlamaForCausalLM", zoo.LLAMA),
    "one key head": zoo.Family(
        "one key head", "LlamaConfig", "LlamaForCausalLM", zoo.LLAMA | {"num_key_value_heads": 1}
    ),
    "qwen3": zoo.Family("qwen3", "Qwen3Config", "Qwen3ForCausalLM", zoo.LLAMA | {"head_dim": 16}),
    "mixtral": zoo.Family("mixtral", "MixtralConfig", "MixtralForCausalLM", zoo.LLAMA | _MOE),
    "gpt_neox": zoo.Family(
        "gpt_neox",
        "GPTNeoXConfig",
        "GPTNeoXForCausalLM",
        {key: value for key, value in zoo.LLAMA.items() if key != "num_key_value_heads"},
    ),
    "phi3, heads in every rank": zoo.Family("phi3", "Phi3Config", "Phi3ForCausalLM", zoo.LLAMA),
}


def plan_of(name: str):
    """How transformers splits it."""
    return SHARED_KEYS if name == "one key head" else "auto"


class Attention(nn.Module):
    """Attention in code of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        q, k, v = (part(x).unflatten(-1, (-1, 8)).transpose(1, 2) for part in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(mixed.transpose(1, 2).flatten(2))


class Plain(nn.Module):
    """A stack of them, as a model that is none of transformers'."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Attention() for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return x


def plain() -> tuple[nn.Module, torch.Tensor]:
    """The model and its input."""
    torch.manual_seed(0)
    return Plain().eval(), torch.randn(1, 7, 32)
