"""Small image pipelines of each type, with random weights and tokenizers made here."""

from __future__ import annotations

from functools import cache
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import pre_tokenizers

from tests.models import words

LENGTH = 16
"""Tokens of a prompt, padding included."""
GAIN = 1.3


@cache
def clip_tokenizer() -> Any:
    """CLIP's type: ``</w>`` ends a word; ``<|startoftext|>`` first, padded with ``<|endoftext|>``."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>"), ("o", "n</w>"), ("a", "n"), ("an", "d</w>")]
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {piece: i for i, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def _t5_tokenizer() -> Any:
    tokenizer = words.sentencepiece(first=False, last=True)
    tokenizer.model_max_length = LENGTH
    return tokenizer


def _randomise(*modules: torch.nn.Module, gain: float = GAIN) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in modules:
            for name, weight in module.named_parameters():
                if weight.ndim > 1:
                    weight.normal_(0, gain / weight[0].numel() ** 0.5, generator=generator)
                elif name.endswith("bias"):
                    weight.normal_(0, 0.1, generator=generator)
            module.eval()


def _clip(width: int = 16, *, projected: bool = False) -> Any:
    tokenizer = clip_tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=LENGTH, projection_dim=width, bos_token_id=len(tokenizer) - 2,
        eos_token_id=len(tokenizer) - 1, pad_token_id=len(tokenizer) - 1,
    )  # fmt: skip
    return (transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel)(config)


def _t5(width: int = 16) -> Any:
    return transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=words.VOCABULARY, d_model=width, d_kv=8, num_heads=2, num_layers=2, d_ff=24, pad_token_id=0
        )
    )


def _vae(channels: int = 4) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(4, 4), layers_per_block=1, latent_channels=channels, norm_num_groups=2,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2, sample_size=32,
        use_quant_conv=channels == 4, use_post_quant_conv=channels == 4, shift_factor=0.0, scaling_factor=1.0,
    )  # fmt: skip


def _unet(**options: Any) -> Any:
    given = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": 8, "norm_num_groups": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "cross_attention_dim": 16,
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": 2,
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**given | options)


def stable_diffusion() -> Any:
    """Stable Diffusion 1's type: a U-Net with self- and cross-attention."""
    unet, text, vae = _unet(), _clip(), _vae()
    _randomise(unet, text, vae)
    scheduler = diffusers.PNDMScheduler(skip_prk_steps=True, steps_offset=1)
    return _quiet(
        diffusers.StableDiffusionPipeline(
            vae, text, clip_tokenizer(), unet, scheduler, None, None, requires_safety_checker=False
        )
    )


def stable_diffusion_xl() -> Any:
    """SDXL's type: two text encoders side by side, several transformer blocks per stage, other head counts."""
    unet = _unet(
        cross_attention_dim=40, transformer_layers_per_block=(1, 2), attention_head_dim=(2, 4),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 6 * 8,
        use_linear_projection=True,
    )  # fmt: skip
    first, second, vae = _clip(), _clip(24, projected=True), _vae()
    _randomise(unet, first, second, vae)
    tokenizer = clip_tokenizer()
    return _quiet(
        diffusers.StableDiffusionXLPipeline(
            vae, first, second, tokenizer, tokenizer, unet, diffusers.EulerDiscreteScheduler(), add_watermarker=False
        )
    )


def stable_diffusion_3(*, t5: bool = True) -> Any:
    """SD3's type: joint attention, image first, CLIP's and T5's tokens after it."""
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=32, out_channels=4,
        pos_embed_max_size=16,
    )  # fmt: skip
    first, second, vae = _clip(projected=True), _clip(projected=True), _vae()
    third = _t5(32) if t5 else None
    _randomise(*filter(None, (transformer, first, second, third, vae)))
    tokenizer = clip_tokenizer()
    return _quiet(
        diffusers.StableDiffusion3Pipeline(
            transformer,
            diffusers.FlowMatchEulerDiscreteScheduler(),
            vae,
            first,
            tokenizer,
            second,
            tokenizer,
            third,
            _t5_tokenizer() if t5 else None,
        )
    )


def flux() -> Any:
    """Flux's type: joint attention, T5's tokens first, then blocks over one sequence; rotary positions."""
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, axes_dims_rope=(2, 2, 4),
    )  # fmt: skip
    first, second, vae = _clip(), _t5(), _vae()
    _randomise(transformer, first, second, vae)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    return _quiet(diffusers.FluxPipeline(scheduler, vae, first, clip_tokenizer(), second, _t5_tokenizer(), transformer))


def pixart() -> Any:
    """PixArt's type: a transformer with cross-attention under a padding mask."""
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=8, num_layers=2, num_attention_heads=2,
        attention_head_dim=8, cross_attention_dim=16, caption_channels=16, use_additional_conditions=False,
        norm_num_groups=2,
    )  # fmt: skip
    text, vae = _t5(), _vae()
    _randomise(transformer, text, vae, gain=0.7)  # nothing normalises what its queries are made of
    tokenizer = _t5_tokenizer()
    return _quiet(diffusers.PixArtAlphaPipeline(tokenizer, text, vae, transformer, diffusers.DDIMScheduler()))


def _quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


CALLS: dict[str, dict[str, Any]] = {
    "stable_diffusion": {},
    "stable_diffusion_xl": {},
    "stable_diffusion_3": {"max_sequence_length": LENGTH},
    "flux": {"max_sequence_length": LENGTH},
    "pixart": {"max_sequence_length": LENGTH, "use_resolution_binning": False, "clean_caption": False},
}
"""What each pipeline is called with beside its prompt."""


@cache
def made(name: str) -> Any:
    """A pipeline by name, made once."""
    return globals()[name]()


def run(pipeline: Any, name: str, prompt: Any = "a red cat on", *, steps: int = 2, **options: Any) -> Any:
    """Make a non-square image from a seed: latents, as numpy."""
    given = {"height": 16, "width": 24, "guidance_scale": 4.0} | CALLS[name] | options
    generator = torch.Generator().manual_seed(1)
    output = pipeline(prompt, num_inference_steps=steps, generator=generator, output_type="latent", **given)
    return output.images.float().numpy()
