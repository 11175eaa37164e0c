"""Models of text with images, and of anything."""

from __future__ import annotations

from typing import Any

import torch

from tests.models.known.decoders import LLAMA, OPT
from tests.models.known.encoders import BERT
from tests.models.known.family import Family, ids, image, normal, padded
from tests.models.known.images import VIT

CLIP = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
        "projection_dim": 16}  # fmt: skip
TEXT = CLIP | {
    "vocab_size": 120,
    "max_position_embeddings": 32,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "pad_token_id": 0,
}
TWO = {"self": "text_model_output.attentions", "vision": "vision_model_output.attentions"}
IMAGE_TOKEN = 119
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}


def text_and_image() -> dict[str, Any]:
    """Two texts, each with one image beside it."""
    return padded() | image()()


def with_image_tokens(patches: int, size: int = 16) -> dict[str, Any]:
    """Two texts with the image's patches among their tokens."""
    tokens = ids(2, 8).clamp(max=100)
    marks = torch.full((2, patches), IMAGE_TOKEN)
    return {"input_ids": torch.cat([tokens[:, :2], marks, tokens[:, 2:]], 1), "pixel_values": normal(2, 3, size, size),
            "attention_mask": torch.ones(2, 8 + patches, dtype=torch.long)}  # fmt: skip


def qwen(grid: tuple[int, int]) -> dict[str, Any]:
    """One text with one image of ``grid`` patches, which the model merges by fours."""
    tall, wide = grid
    tokens, merged = ids(1, 8).clamp(max=100), tall * wide // 4
    marks = torch.full((1, merged), IMAGE_TOKEN)
    given = torch.cat([tokens[:, :2], torch.full((1, 1), 117), marks, torch.full((1, 1), 118), tokens[:, 2:]], 1)
    return {"input_ids": given, "pixel_values": normal(tall * wide, 3 * 2 * 4 * 4),
            "image_grid_thw": torch.tensor([[1, tall, wide]]), "attention_mask": torch.ones_like(given),
            "mm_token_type_ids": (given == IMAGE_TOKEN).long()}  # fmt: skip


QWEN = {"text_config": LLAMA | {"rope_parameters": MROPE, "rope_scaling": MROPE},
        "image_token_id": IMAGE_TOKEN, "vision_start_token_id": 117, "vision_end_token_id": 118,
        "video_token_id": 116}  # fmt: skip
QWEN_EYES = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 4,
             "temporal_patch_size": 2, "spatial_merge_size": 2, "in_channels": 3, "in_chans": 3}  # fmt: skip

FAMILIES = [
    Family("CLIP", "CLIPModel", {"text_config": TEXT, "vision_config": VIT | {"projection_dim": 16},
                                 "projection_dim": 16}, text_and_image, TWO),
    Family("SigLIP", "SiglipModel", {"text_config": TEXT, "vision_config": VIT}, text_and_image, TWO),
    Family("BLIP", "BlipModel", {"text_config": TEXT, "vision_config": VIT, "projection_dim": 16}, text_and_image, TWO),
    Family("ViLT", "ViltModel", BERT | VIT, text_and_image),
    Family("LXMERT (both directions)", "LxmertModel",
           {"vocab_size": 120, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "l_layers": 3,
            "x_layers": 2, "r_layers": 2, "visual_feat_dim": 16, "visual_pos_dim": 4},
           lambda: padded() | {"visual_feats": normal(2, 5, 16), "visual_pos": normal(2, 5, 4)},
           {"self": "language_attentions", "vision": "vision_attentions", "cross": "cross_encoder_attentions"},
           why_not="its own output gives only one direction"),
    Family("LLaVA", "LlavaModel",
           {"text_config": LLAMA | {"model_type": "llama"}, "vision_config": VIT | {"model_type": "clip_vision_model"},
            "image_token_index": IMAGE_TOKEN, "image_seq_length": 16}, lambda: with_image_tokens(16),
           why_not="its own output leaves the vision tower out"),
    Family("BLIP-2", "Blip2Model",
           {"vision_config": VIT, "qformer_config": BERT | {"encoder_hidden_size": 32, "cross_attention_frequency": 2,
                                                            "num_hidden_layers": 4},
            "text_config": OPT | {"model_type": "opt"}, "num_query_tokens": 4, "image_token_index": IMAGE_TOKEN},
           lambda: with_image_tokens(4),
           {"self": "language_model_outputs.attentions", "vision": "vision_outputs.attentions"},
           why_not="its own Q-Former output mixes self- and cross-attention", layers={"cross": (0, 2)}),
    Family("Qwen2-VL", "Qwen2VLModel", QWEN | {"vision_config": QWEN_EYES}, lambda: qwen((4, 4)),
           why_not="its own output leaves the vision tower out"),
    Family("Qwen2.5-VL (windows)", "Qwen2_5_VLModel",
           QWEN | {"vision_config": QWEN_EYES | {"window_size": 16, "fullatt_block_indexes": [1],
                                                 "intermediate_size": 48, "out_hidden_size": 32}},
           lambda: qwen((8, 12)), why_not="its own output leaves the vision tower out"),
    Family("Gemma 3 (with images)", "Gemma3Model",
           {"text_config": LLAMA | {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6},
            "vision_config": VIT, "mm_tokens_per_image": 4, "image_token_index": IMAGE_TOKEN,
            "boi_token_index": 117, "eoi_token_index": 118},
           lambda: with_image_tokens(4)
           | {"token_type_ids": (with_image_tokens(4)["input_ids"] == IMAGE_TOKEN).long()},
           why_not="its own output leaves the vision tower out"),
    Family("Perceiver (latents)", "PerceiverModel",
           {"num_latents": 6, "d_latents": 16, "d_model": 16, "num_blocks": 1, "num_self_attends_per_block": 3,
            "num_self_attention_heads": 4, "num_cross_attention_heads": 4}, lambda: {"inputs": normal(2, 12, 16)},
           {"self": "attentions", "cross": "cross_attentions"}),
    Family("Decision Transformer (no text)", "DecisionTransformerModel",
           {"state_dim": 4, "act_dim": 2, "hidden_size": 32, "n_layer": 3, "n_head": 4, "max_ep_len": 50},
           lambda: {"states": normal(2, 5, 4), "actions": normal(2, 5, 2), "returns_to_go": normal(2, 5, 1),
                    "timesteps": torch.arange(5).repeat(2, 1), "attention_mask": torch.ones(2, 5)}),
]  # fmt: skip
