"""Small models of many families with random weights, and the weights their own eager code gives."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers

from tests.models import words

GAIN = 1.5
"""Spread of a projection's outputs, so that scores are a few units wide and weights far from uniform."""


@dataclass(frozen=True, eq=False)
class Family:
    """A model class, the configuration that matters, and the type of tokenizer it comes with."""

    name: str
    config: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = "sentencepiece"
    takes_pairs: bool = False
    rows_sum_to_one: bool = True
    gain: float = GAIN

    def __str__(self) -> str:
        return self.name


BERT = {
    "vocab_size": words.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 96, "pad_token_id": 0,
}  # fmt: skip
LLAMA = {
    "vocab_size": words.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 256, "pad_token_id": 0,
    "bos_token_id": 3, "eos_token_id": 1,
}  # fmt: skip
GPT2 = {
    "vocab_size": words.VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 96,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip

FAMILIES = [
    Family("bert", "BertConfig", "BertModel", BERT, "wordpiece", takes_pairs=True),
    Family("distilbert", "DistilBertConfig", "DistilBertModel",
           {"vocab_size": words.VOCABULARY, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48,
            "max_position_embeddings": 96}, "wordpiece", takes_pairs=True),
    Family("roberta", "RobertaConfig", "RobertaModel",
           BERT | {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1},
           "marks", takes_pairs=True),
    Family("electra", "ElectraConfig", "ElectraModel", BERT | {"embedding_size": 16}, "wordpiece", takes_pairs=True),
    Family("albert, one shared layer", "AlbertConfig", "AlbertModel", BERT | {"embedding_size": 16}, "wordpiece",
           takes_pairs=True),
    Family("modernbert, window and full", "ModernBertConfig", "ModernBertModel",
           BERT | {"num_hidden_layers": 4, "global_attn_every_n_layers": 2, "local_attention": 6, "cls_token_id": 2,
                   "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}, "wordpiece"),
    Family("t5 encoder, position bias", "T5Config", "T5EncoderModel",
           {"vocab_size": words.VOCABULARY, "d_model": 32, "d_kv": 8, "num_heads": 4, "num_layers": 3, "d_ff": 48,
            "pad_token_id": 0, "eos_token_id": 1}, "sentencepiece_last", gain=1.0),
    Family("gpt2", "GPT2Config", "GPT2LMHeadModel", GPT2, "byte_level"),
    Family("gpt2, scaled by layer", "GPT2Config", "GPT2Model",
           GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "byte_level"),
    Family("gpt_bigcode, multi-query", "GPTBigCodeConfig", "GPTBigCodeModel", GPT2 | {"multi_query": True},
           "byte_level"),
    Family("gpt_neox", "GPTNeoXConfig", "GPTNeoXModel",
           {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}, "byte_level"),
    Family("opt", "OPTConfig", "OPTModel",
           {"vocab_size": words.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
            "ffn_dim": 48, "max_position_embeddings": 96, "word_embed_proj_dim": 32, "pad_token_id": 1,
            "bos_token_id": 0, "eos_token_id": 0}, "byte_level"),
    Family("llama, grouped heads", "LlamaConfig", "LlamaForCausalLM", LLAMA),
    Family("mistral, window", "MistralConfig", "MistralModel", LLAMA | {"sliding_window": 5}),
    Family("qwen2", "Qwen2Config", "Qwen2Model", LLAMA, "byte_level"),
    Family("qwen2, window on some layers", "Qwen2Config", "Qwen2Model",
           LLAMA | {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}, "byte_level"),
    Family("qwen3", "Qwen3Config", "Qwen3Model", LLAMA | {"head_dim": 8}, "byte_level"),
    Family("gemma, one key head", "GemmaConfig", "GemmaModel", LLAMA | {"head_dim": 16, "num_key_value_heads": 1}),
    Family("gemma2, soft cap", "Gemma2Config", "Gemma2Model",
           LLAMA | {"head_dim": 8, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 4.0, "sliding_window": 5}),
    Family("gemma3, window and full", "Gemma3TextConfig", "Gemma3TextModel",
           LLAMA | {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 5,
                    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    Family("phi", "PhiConfig", "PhiModel", LLAMA | {"partial_rotary_factor": 0.5}, "byte_level"),
    Family("phi3, window", "Phi3Config", "Phi3Model", LLAMA | {"sliding_window": 5}),
    Family("deepseek_v3, latent", "DeepseekV3Config", "DeepseekV3Model",
           LLAMA | {"num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 12, "qk_nope_head_dim": 8,
                    "qk_rope_head_dim": 4, "v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2,
                    "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16, "first_k_dense_replace": 3}),
    Family("gpt_oss, sinks", "GptOssConfig", "GptOssModel",
           LLAMA | {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 5},
           rows_sum_to_one=False),
]  # fmt: skip

TOKENIZERS = {
    "wordpiece": words.wordpiece,
    "byte_level": words.byte_level,
    "marks": lambda: words.byte_level(marks=True),
    "sentencepiece": words.sentencepiece,
    "sentencepiece_last": lambda: words.sentencepiece(first=False, last=True),
}


def family(name: str) -> Family:
    """Look a family up by the first word of its name."""
    return next(known for known in FAMILIES if known.name.split(",")[0] == name)


def tokenizer_of(known: Family) -> Any:
    """The tokenizer a family comes with."""
    return TOKENIZERS[known.tokenizer]()


def build(known: Family, implementation: str | None = None, *, seed: int = 0) -> Any:
    """Make the model in eval mode, with weights drawn from a seed; global random state stays as it is."""
    config = getattr(transformers, known.config)(**copy.deepcopy(known.options))
    model = getattr(transformers, known.model)._from_config(config, attn_implementation=implementation)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, known.gain / weight.shape[-1] ** 0.5, generator=generator)
            elif name.endswith("sinks"):
                weight.normal_(0, 1, generator=generator)
            elif name.endswith("bias"):
                weight.normal_(0, 0.1, generator=generator)
    return model.eval()


def twin(model: Any, implementation: str = "eager") -> Any:
    """A second model with the same weights on another attention implementation."""
    other = type(model)._from_config(copy.deepcopy(model.config), attn_implementation=implementation)
    other.load_state_dict(model.state_dict())
    return other.to(model.dtype).eval()


def own_weights(model: Any, inputs: Any) -> list[Any]:
    """The weights an eager model gives by itself, numpy [batch, heads, queries, keys] per layer."""
    with torch.no_grad():
        output = model(**inputs, output_attentions=True)
    return [weights.float().numpy() for weights in output.attentions]


def small(name: str = "bert", **options: Any) -> tuple[Any, Any]:
    """A small model of a family and its tokenizer, for tests that are not about the family."""
    known = family(name)
    known = Family(known.name, known.config, known.model, known.options | options, known.tokenizer, gain=known.gain)
    return build(known), tokenizer_of(known)
