"""Text decoders."""

from __future__ import annotations

from tests.models.known.family import WORDS, Family, left, plain

LLAMA = {
    "vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 96, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
ONE_TO_ONE = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
GPT2 = {"vocab_size": WORDS, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 96, "bos_token_id": 0,
        "eos_token_id": 0}  # fmt: skip
GPTJ = GPT2 | {"rotary_dim": 4}
OPT = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "ffn_dim": 48,
       "max_position_embeddings": 96, "word_embed_proj_dim": 32, "pad_token_id": 1, "bos_token_id": 0,
       "eos_token_id": 0}  # fmt: skip
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = {"num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 12, "qk_nope_head_dim": 8,
          "qk_rope_head_dim": 4, "v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1,
          "topk_group": 1, "moe_intermediate_size": 16, "first_k_dense_replace": 1, "n_shared_experts": 1}  # fmt: skip
WINDOWED = {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
FALCON = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}

FAMILIES = [
    Family("GPT-2", "GPT2Model", GPT2, left()),
    Family("GPT-BigCode (multi-query)", "GPTBigCodeModel", GPT2 | {"multi_query": True}, left()),
    Family("GPT-NeoX", "GPTNeoXModel", ONE_TO_ONE, left()),
    Family("GPT-Neo (local layers)", "GPTNeoModel",
           {"vocab_size": WORDS, "hidden_size": 32, "num_layers": 4, "num_heads": 4, "intermediate_size": 48,
            "attention_types": [[["global", "local"], 2]], "window_size": 5, "max_position_embeddings": 96}, left()),
    Family("GPT-J", "GPTJModel", GPTJ, left()),
    Family("CodeGen", "CodeGenModel", GPTJ, left()),
    Family("OpenAI GPT", "OpenAIGPTModel", GPT2, left()),
    Family("CTRL", "CTRLModel", GPT2 | {"dff": 48}, left()),
    Family("OPT", "OPTModel", OPT, left()),
    Family("BioGPT", "BioGptModel", ONE_TO_ONE | {"pad_token_id": 1}, left()),
    Family("XGLM", "XGLMModel",
           {"vocab_size": WORDS, "d_model": 32, "ffn_dim": 48, "num_layers": 3, "attention_heads": 4,
            "max_position_embeddings": 96, "pad_token_id": 1}, left()),
    Family("BLOOM (ALiBi)", "BloomModel", {"vocab_size": WORDS, "hidden_size": 32, "n_layer": 3, "n_head": 4}, left()),
    Family("MPT (ALiBi)", "MptModel",
           {"vocab_size": WORDS, "d_model": 32, "n_layers": 3, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 96},
           left()),
    Family("Falcon (rotary, multi-query)", "FalconModel",
           FALCON | {"alibi": False, "multi_query": True, "new_decoder_architecture": False}, left()),
    Family("Falcon (ALiBi)", "FalconModel",
           FALCON | {"alibi": True, "multi_query": False, "new_decoder_architecture": False}, left(), {},
           why_not="its eager code adds ALiBi before scaling, which the code it runs does not"),
    Family("Llama (grouped heads)", "LlamaModel", LLAMA, left()),
    Family("Mistral (windows)", "MistralModel", LLAMA | {"sliding_window": 5}, left()),
    Family("Mixtral (experts)", "MixtralModel", LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2}, left()),
    Family("Qwen2", "Qwen2Model", LLAMA, left()),
    Family("Qwen2-MoE", "Qwen2MoeModel", LLAMA | MOE | {"shared_expert_intermediate_size": 16}, left()),
    Family("Qwen3", "Qwen3Model", LLAMA | {"head_dim": 8}, left()),
    Family("Qwen3-MoE", "Qwen3MoeModel", LLAMA | MOE | {"head_dim": 8}, left()),
    Family("Gemma (one key head)", "GemmaModel", LLAMA | {"head_dim": 8, "num_key_value_heads": 1}, left()),
    Family("Gemma 2 (soft cap)", "Gemma2Model",
           LLAMA | {"head_dim": 8, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 4.0, "sliding_window": 5},
           left()),
    Family("Gemma 3 (windows)", "Gemma3TextModel",
           LLAMA | WINDOWED | {"head_dim": 8, "query_pre_attn_scalar": 8}, left()),
    Family("Phi", "PhiModel", LLAMA | {"partial_rotary_factor": 0.5}, left()),
    Family("Phi-3 (windows)", "Phi3Model", LLAMA | {"sliding_window": 5}, left()),
    Family("OLMo", "OlmoModel", LLAMA, left()),
    Family("OLMo 2", "Olmo2Model", LLAMA, left()),
    Family("OLMo 3 (windows)", "Olmo3Model", LLAMA | WINDOWED, left()),
    Family("OLMoE", "OlmoeModel", LLAMA | {"num_experts": 4, "num_experts_per_tok": 2}, left()),
    Family("Cohere", "CohereModel", LLAMA, left()),
    Family("Cohere 2 (windows)", "Cohere2Model", LLAMA | WINDOWED, left()),
    Family("StableLM", "StableLmModel", LLAMA, left()),
    Family("StarCoder2 (windows)", "Starcoder2Model", LLAMA | {"sliding_window": 5}, left()),
    Family("gpt-oss (sinks)", "GptOssModel",
           LLAMA | {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 5}, left()),
    Family("Granite", "GraniteModel", LLAMA, left()),
    Family("Granite MoE", "GraniteMoeModel", LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2}, left()),
    Family("GLM", "GlmModel", LLAMA | {"head_dim": 8}, left()),
    Family("GLM 4", "Glm4Model", LLAMA | {"head_dim": 8}, left()),
    Family("Nemotron", "NemotronModel", LLAMA | {"head_dim": 8}, left()),
    Family("Persimmon", "PersimmonModel", ONE_TO_ONE, left()),
    Family("EXAONE 4 (windows)", "Exaone4Model", LLAMA | WINDOWED, left()),
    Family("SmolLM3", "SmolLM3Model", LLAMA, left()),
    Family("Helium", "HeliumModel", LLAMA | {"head_dim": 8}, left()),
    Family("ERNIE 4.5", "Ernie4_5Model", LLAMA | {"head_dim": 8}, left()),
    Family("HunYuan", "HunYuanDenseV1Model", LLAMA | {"head_dim": 8}, left()),
    Family("DiffLlama (two calls per layer)", "DiffLlamaModel", LLAMA, left()),
    Family("Doge (real-valued masks)", "DogeModel", LLAMA, left()),
    Family("Arcee", "ArceeModel", LLAMA, left()),
    Family("Apertus", "ApertusModel", LLAMA, left()),
    Family("DeepSeek-V2 (latent)", "DeepseekV2Model", LLAMA | LATENT | {"topk_method": "greedy"}, left()),
    Family("DeepSeek-V3 (latent)", "DeepseekV3Model", LLAMA | LATENT, left()),
    Family("Llama 4 (chunks)", "Llama4TextModel",
           LLAMA | {"head_dim": 8, "intermediate_size_mlp": 48, "num_local_experts": 2, "attention_chunk_size": 5,
                    "interleave_moe_layer_step": 2, "no_rope_layers": [1, 1, 0]}, left()),
    Family("Image GPT", "ImageGPTModel", GPT2, plain()),
]  # fmt: skip
