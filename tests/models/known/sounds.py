"""Models of sound."""

from __future__ import annotations

from tests.models.known.family import PAIR, Family, ids, normal

WAV = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
       "conv_dim": [16, 16], "conv_stride": [5, 2], "conv_kernel": [10, 3], "num_conv_pos_embeddings": 8,
       "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2, "vocab_size": 20}  # fmt: skip


def wave() -> dict:
    """Two stretches of sound."""
    return {"input_values": normal(2, 200)}


FAMILIES = [
    Family("Whisper", "WhisperModel",
           {"vocab_size": 120, "d_model": 32, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_mel_bins": 8,
            "max_source_positions": 20, "max_target_positions": 32, "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2, "decoder_start_token_id": 1},
           lambda: {"input_features": normal(2, 8, 40), "decoder_input_ids": ids(2, 7)}, PAIR),
    Family("wav2vec 2.0", "Wav2Vec2Model", WAV, wave),
    Family("HuBERT", "HubertModel", WAV, wave),
    Family("wav2vec 2.0 Conformer", "Wav2Vec2ConformerModel", WAV | {"position_embeddings_type": "relative"}, wave),
    Family("WavLM (gated position bias)", "WavLMModel", WAV | {"num_buckets": 8, "max_bucket_distance": 16}, wave, {},
           why_not="its own output is the mean of the heads"),
    Family("AST", "ASTModel",
           {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
            "patch_size": 4, "frequency_stride": 4, "time_stride": 4, "max_length": 16, "num_mel_bins": 8},
           lambda: {"input_values": normal(2, 16, 8)}),
    Family("Time Series Transformer", "TimeSeriesTransformerModel",
           {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2], "num_time_features": 1,
            "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48},
           lambda: {"past_values": normal(2, 10), "past_time_features": normal(2, 10, 1),
                    "past_observed_mask": normal(2, 10) * 0 + 1, "future_values": normal(2, 4),
                    "future_time_features": normal(2, 4, 1)}, PAIR),
]  # fmt: skip
