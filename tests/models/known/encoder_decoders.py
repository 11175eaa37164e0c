"""Text encoder–decoders."""

from __future__ import annotations

from tests.models.known.encoders import BERT
from tests.models.known.family import PAIR, WORDS, Family, both, padded

T5 = {"vocab_size": WORDS, "d_model": 32, "d_kv": 8, "num_heads": 4, "num_layers": 3, "num_decoder_layers": 2,
      "d_ff": 48, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}  # fmt: skip
BART = {"vocab_size": WORDS, "d_model": 32, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 96,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}  # fmt: skip
GEMMA = {"vocab_size": WORDS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8,
         "sliding_window": 5, "pad_token_id": 0}  # fmt: skip

FAMILIES = [
    Family("T5 (position bias)", "T5Model", T5, both(), PAIR, gain=1.0),
    Family("mT5", "MT5Model", T5, both(), PAIR, gain=1.0),
    Family("UMT5", "UMT5Model", T5, both(), PAIR, gain=1.0),
    Family("Switch Transformers (experts)", "SwitchTransformersModel", T5 | {"num_experts": 2}, both(),
           PAIR, gain=1.0),
    Family("LongT5 (local encoder)", "LongT5Model",
           T5 | {"local_radius": 3, "encoder_attention_type": "local", "num_decoder_layers": 3}, both(),
           {"decoder": "decoder_attentions", "cross": "cross_attentions"}, gain=1.0,
           why_not="the encoder's own output is one block at a time"),
    Family("LongT5 (sums of tokens in the encoder)", "LongT5Model",
           T5 | {"local_radius": 3, "global_block_size": 4, "encoder_attention_type": "transient-global",
                 "num_decoder_layers": 3}, both(),
           {"decoder": "decoder_attentions", "cross": "cross_attentions"}, gain=1.0, left_out="sums of tokens",
           why_not="the encoder also attends to sums of tokens and is left out"),
    Family("BART", "BartModel", BART, both(), PAIR),
    Family("mBART", "MBartModel", BART, both(), PAIR),
    Family("Marian", "MarianModel", BART, both(), PAIR),
    Family("Pegasus", "PegasusModel", BART, both(), PAIR),
    Family("Blenderbot", "BlenderbotModel", BART, both(), PAIR),
    Family("M2M-100", "M2M100Model", BART, both(), PAIR),
    Family("T5Gemma (soft cap)", "T5GemmaModel", {"encoder": GEMMA, "decoder": GEMMA | {"num_hidden_layers": 3},
                                                  "vocab_size": WORDS}, both(), PAIR),
    Family("BERT to BERT", "EncoderDecoderModel",
           {"encoder": BERT | {"model_type": "bert"},
            "decoder": BERT | {"model_type": "bert", "is_decoder": True, "add_cross_attention": True,
                               "num_hidden_layers": 2}, "decoder_start_token_id": 2, "pad_token_id": 0}, both(), PAIR),
    Family("LED (windows)", "LEDModel", BART | {"attention_window": 4, "max_encoder_position_embeddings": 96,
                                                "max_decoder_position_embeddings": 96, "decoder_layers": 3}, both(13),
           {"decoder": "decoder_attentions", "cross": "cross_attentions"},
           why_not="the encoder's own output is a band"),
    Family("BigBird-Pegasus (full attention)", "BigBirdPegasusModel",
           BART | {"attention_type": "original_full"}, both(), PAIR),
    Family("ProphetNet (two streams)", "ProphetNetModel",
           {"vocab_size": WORDS, "hidden_size": 32, "num_encoder_layers": 3, "num_decoder_layers": 2,
            "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4, "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48, "max_position_embeddings": 96, "ngram": 2, "pad_token_id": 0, "num_buckets": 8,
            "relative_max_distance": 16}, both(), {"decoder": "decoder_attentions"},
           why_not="its own encoder and cross output is raw scores"),
    Family("FSMT", "FSMTModel",
           {key: value for key, value in BART.items() if key != "vocab_size"}
           | {"src_vocab_size": WORDS, "tgt_vocab_size": WORDS, "langs": ["en", "de"]},
           lambda: padded() | {"decoder_input_ids": padded(7, 2)["input_ids"].clamp(min=3)}, PAIR),
]  # fmt: skip
