"""Decoders most of whose layers have no attention, and models without any."""

from __future__ import annotations

from tests.models.known.decoders import LLAMA, MOE
from tests.models.known.family import WORDS, Family, plain

MAMBA = {"mamba_d_state": 4, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_chunk_size": 4}

FAMILIES = [
    Family("Qwen3-Next (hybrid)", "Qwen3NextModel",
           LLAMA | MOE | {"num_hidden_layers": 4, "head_dim": 8, "shared_expert_intermediate_size": 16,
                          "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
                          "linear_value_head_dim": 8}, plain(), layers={"self": (3,)}),
    Family("Jamba (hybrid)", "JambaModel",
           LLAMA | {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
                    "expert_layer_offset": 1, "num_experts": 2, "num_experts_per_tok": 1, "mamba_d_state": 4,
                    "use_mamba_kernels": False}, plain(), layers={"self": (1, 3)}),
    Family("Bamba (hybrid)", "BambaModel",
           LLAMA | MAMBA | {"attn_layer_indices": [1]}, plain(), layers={"self": (1,)}),
    Family("Zamba2 (hybrid, one shared block)", "Zamba2Model",
           LLAMA | {"num_hidden_layers": 6, "num_key_value_heads": 4, "mamba_d_state": 4, "n_mamba_heads": 4,
                    "mamba_headdim": 16, "mamba_ngroups": 1, "chunk_size": 4, "num_mem_blocks": 1,
                    "layers_block_type": ["mamba", "hybrid", "mamba", "mamba", "hybrid", "mamba"],
                    "use_mem_rope": True}, plain(), layers={"self": (1, 4)}),
    Family("RecurrentGemma (hybrid)", "RecurrentGemmaModel",
           LLAMA | {"lru_width": 32, "attention_window_size": 5, "head_dim": 8, "conv1d_width": 2}, plain(),
           layers={"self": (2,)}),
    Family("LFM2 (hybrid)", "Lfm2Model",
           LLAMA | {"layer_types": ["conv", "full_attention", "conv"], "block_ff_dim": 48}, plain(),
           layers={"self": (1,)}),
    Family("Mamba (no attention)", "MambaModel",
           {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}, plain(),
           refused="no attention", attends=False),
    Family("RWKV (no attention)", "RwkvModel",
           {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32,
            "context_length": 64}, plain(), refused="attention", attends=False),
]  # fmt: skip
