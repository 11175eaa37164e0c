"""The models everybody is asked about: a GPT-2 and a grouped-head Llama with random weights, sharpened, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from benchmarks.sharpened import sharpen

if TYPE_CHECKING:
    from pathlib import Path

VOCABULARY = 1000


@dataclass(frozen=True)
class Shape:
    """What a model looks like.

    Parameters
    ----------
    kind
        ``"gpt2"`` or ``"llama"``.
    layers, heads, key_heads, width
        Numbers of layers, heads, and heads of keys; width is that of one head.
    positions
        The longest text.
    """

    kind: str
    layers: int
    heads: int
    key_heads: int
    width: int
    positions: int

    @property
    def name(self) -> str:
        """The shape in words."""
        if self.kind == "gpt2":
            return f"GPT-2 type, {self.layers} × {self.heads} heads of {self.width}"
        return f"Llama type, {self.layers} × {self.heads} heads of {self.width} over {self.key_heads} key heads"


GPT2 = Shape("gpt2", 12, 12, 12, 64, 4096)
LLAMA = Shape("llama", 4, 14, 2, 64, 4096)
SMALL_GPT2 = Shape("gpt2", 4, 4, 4, 32, 512)


def save(shape: Shape, folder: Path, *, rounds: int) -> None:
    """Make a model and save it, for every way to load the same weights.

    Parameters
    ----------
    shape
        What it looks like.
    folder
        Where to.
    rounds
        Corrections of its heads' sharpness; see `benchmarks.sharpened`.
    """
    torch.manual_seed(0)
    model = (_gpt2 if shape.kind == "gpt2" else _llama)(shape).eval()
    sharpen(model, _queries(model, shape), rounds)
    model.save_pretrained(folder)


def text(tokens: int) -> torch.Tensor:
    """Token ids of a text of random tokens, of shape [1, tokens]; the same each time."""
    return torch.randint(0, VOCABULARY, (1, tokens), generator=torch.Generator().manual_seed(1))


def names(tokens: int) -> list[str]:
    """What its tokens are called."""
    return [f"t{i}" for i in range(tokens)]


def _gpt2(shape: Shape) -> Any:
    hidden = shape.heads * shape.width
    given = {"n_layer": shape.layers, "n_head": shape.heads, "n_embd": hidden, "n_positions": shape.positions}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(**given, **ends, vocab_size=VOCABULARY, initializer_range=0.05))


def _llama(shape: Shape) -> Any:
    hidden = shape.heads * shape.width
    given = {"num_hidden_layers": shape.layers, "num_attention_heads": shape.heads, "hidden_size": hidden}
    given |= {"num_key_value_heads": shape.key_heads, "head_dim": shape.width, "intermediate_size": 4 * hidden}
    given |= {"max_position_embeddings": shape.positions, "vocab_size": VOCABULARY, "initializer_range": 0.05}
    return LlamaForCausalLM(LlamaConfig(**given, bos_token_id=0, eos_token_id=0))


def _queries(model: Any, shape: Shape) -> list[torch.Tensor]:
    """Give each layer's query projection, of shape [heads × width, hidden]; GPT-2 keeps it beside keys and values."""
    if shape.kind == "gpt2":
        return [block.attn.c_attn.weight.T[: shape.heads * shape.width] for block in model.transformer.h]
    return [layer.self_attn.q_proj.weight for layer in model.model.layers]
