"""Text encoders."""

from __future__ import annotations

from typing import Any

import torch

from tests.models.known.family import SELF, WORDS, Family, ids, padded, plain, right

BERT = {
    "vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 96, "pad_token_id": 0,
}  # fmt: skip
NARROW = BERT | {"embedding_size": 16}
LONG = BERT | {"pad_token_id": 1, "max_position_embeddings": 80}
XLNET = {"vocab_size": WORDS, "d_model": 32, "n_layer": 3, "n_head": 4, "d_inner": 48}


def longformer(*, with_global: bool) -> dict[str, Any]:
    """A text the model pads to whole windows, some of its tokens global."""
    given = padded(13)
    given["input_ids"] = given["input_ids"].clamp(min=1)
    marked = torch.zeros_like(given["input_ids"])
    marked[0, [0, 5]] = marked[1, 0] = 1
    return given | ({"global_attention_mask": marked} if with_global else {})


def two_streams() -> dict[str, Any]:
    """A permuted language modelling input: three tokens to predict."""
    target = torch.zeros(2, 3, 12)
    target[:, range(3), [4, 7, 9]] = 1
    return {"input_ids": ids(2, 12), "target_mapping": target, "perm_mask": torch.zeros(2, 12, 12)}


FAMILIES = [
    Family("BERT", "BertModel", BERT, right()),
    Family("RoBERTa", "RobertaModel", BERT | {"pad_token_id": 1}, right()),
    Family("XLM-RoBERTa", "XLMRobertaModel", BERT | {"pad_token_id": 1}, right()),
    Family("CamemBERT", "CamembertModel", BERT | {"pad_token_id": 1}, right()),
    Family("ELECTRA", "ElectraModel", NARROW, right()),
    Family("ERNIE", "ErnieModel", BERT, right()),
    Family("DistilBERT", "DistilBertModel",
           {"vocab_size": WORDS, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}, right()),
    Family("ALBERT (one shared layer)", "AlbertModel", NARROW, right()),
    Family("ModernBERT (windows)", "ModernBertModel",
           BERT | {"num_hidden_layers": 4, "global_attn_every_n_layers": 2, "local_attention": 6, "cls_token_id": 2,
                   "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}, right()),
    Family("ESM", "EsmModel", BERT | {"pad_token_id": 1, "mask_token_id": 4, "position_embedding_type": "rotary"},
           right()),
    Family("LayoutLM", "LayoutLMModel", BERT, right()),
    Family("MPNet", "MPNetModel", BERT | {"pad_token_id": 1}, right()),
    Family("DeBERTa", "DebertaModel",
           BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16}, right()),
    Family("DeBERTa-v2, v3", "DebertaV2Model",
           BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8,
                   "share_att_key": True}, right()),
    Family("ConvBERT (with convolution)", "ConvBertModel", NARROW, right()),
    Family("RoFormer", "RoFormerModel", NARROW, right()),
    Family("SqueezeBERT", "SqueezeBertModel", NARROW | {"embedding_size": 32}, right(), own={},
           why_not="its own output is raw scores"),
    Family("LUKE", "LukeModel", BERT | {"entity_vocab_size": 10, "entity_emb_size": 16}, right()),
    Family("XLNet", "XLNetModel", XLNET, plain()),
    Family("XLNet (two streams)", "XLNetModel", XLNET, two_streams, own={},
           why_not="its own output holds both streams in pairs",
           layers={"self": (0, 1, 2), "self stream 2": (0, 1, 2)}),
    Family("Funnel (pooled queries)", "FunnelModel",
           {"vocab_size": WORDS, "block_sizes": [2, 2], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48,
            "num_decoder_layers": 1}, plain(), own={},
           why_not="layers of several sizes; one kind for each"),
    Family("Longformer (windows)", "LongformerModel", LONG | {"attention_window": [4, 4, 4]},
           lambda: longformer(with_global=False), own={}, why_not="its own output is a band"),
    Family("Longformer (global tokens)", "LongformerModel", LONG | {"attention_window": [4, 4, 4]},
           lambda: longformer(with_global=True), own={}, why_not="its own output is a band"),
    Family("BigBird (full attention)", "BigBirdModel", BERT | {"attention_type": "original_full"}, right()),
    Family("BigBird (block sparse)", "BigBirdModel",
           BERT | {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}, right(64),
           refused="original_full"),
    Family("Nystromformer (all landmarks)", "NystromformerModel",
           BERT | {"num_landmarks": 12, "segment_means_seq_len": 12, "conv_kernel_size": 5}, right()),
    Family("Nystromformer (fewer landmarks)", "NystromformerModel",
           BERT | {"num_landmarks": 4, "segment_means_seq_len": 12, "conv_kernel_size": 5}, plain(),
           refused="landmarks"),
    Family("Reformer", "ReformerModel",
           {"vocab_size": WORDS, "hidden_size": 32, "num_attention_heads": 2, "attention_head_size": 16,
            "attn_layers": ["local", "lsh"], "axial_pos_embds": False, "feed_forward_size": 32,
            "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4, "num_buckets": 2, "num_hashes": 1,
            "max_position_embeddings": 64, "is_decoder": True, "hash_seed": 0}, plain(16), refused="attention"),
]  # fmt: skip
__all__ = ["FAMILIES", "SELF"]
