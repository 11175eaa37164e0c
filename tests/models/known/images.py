"""Models of images."""

from __future__ import annotations

from tests.models.known.family import SELF, Family, image, normal

VIT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
       "image_size": 16, "patch_size": 4}  # fmt: skip
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
NO_OWN = "its own output leaves blocks out, or is one window at a time"

FAMILIES = [
    Family("ViT", "ViTModel", VIT, image()),
    Family("DeiT", "DeiTModel", VIT, image()),
    Family("DINOv2", "Dinov2Model", VIT | {"mlp_ratio": 2}, image()),
    Family("DINOv2 with registers", "Dinov2WithRegistersModel", VIT | {"mlp_ratio": 2}, image()),
    Family("DINOv3", "DINOv3ViTModel", VIT | {"num_register_tokens": 2}, image()),
    Family("BEiT (position bias)", "BeitModel", VIT | {"use_relative_position_bias": True}, image()),
    Family("SigLIP, vision", "SiglipVisionModel", VIT, image()),
    Family("ViT-MAE", "ViTMAEModel", VIT, image()),
    Family("VideoMAE", "VideoMAEModel", VIT | {"num_frames": 4, "tubelet_size": 2},
           lambda: {"pixel_values": normal(2, 4, 3, 16, 16)}),
    Family("Segformer (fewer keys)", "SegformerModel",
           {"num_encoder_blocks": 2, "depths": [2, 2], "sr_ratios": [2, 1], "hidden_sizes": [16, 32],
            "num_attention_heads": [2, 4], "patch_sizes": [7, 3], "strides": [4, 2], "mlp_ratios": [2, 2],
            "decoder_hidden_size": 16}, image(32)),
    Family("Swin (shifted windows)", "SwinModel", SWIN, image(32), {}, why_not=NO_OWN),
    Family("Swin (padded windows)", "SwinModel", SWIN | {"window_size": 3, "image_size": 32}, image(32), {},
           why_not=NO_OWN),
    Family("Swin v2 (shifted windows)", "Swinv2Model", SWIN, image(32), {}, why_not=NO_OWN),
    Family("Donut, vision", "DonutSwinModel", SWIN, image(32), {}, why_not=NO_OWN),
    Family("DETR", "DetrModel",
           {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_queries": 6,
            "use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None,
            "backbone_config": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 8, 16],
                                "depths": [1, 1, 1, 1], "layer_type": "basic", "out_features": ["stage4"]}},
           image(64), {"encoder": "encoder_attentions", "decoder": "decoder_attentions", "cross": "cross_attentions"}),
    Family("SAM (windows, both directions)", "SamModel",
           {"vision_config": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32,
                              "patch_size": 4, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 48,
                              "output_channels": 32, "num_pos_feats": 16},
            "prompt_encoder_config": {"hidden_size": 32, "image_size": 32, "patch_size": 4, "mask_input_channels": 4},
            "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 4,
                                    "iou_head_hidden_dim": 16}},
           lambda: image(32)() | {"input_points": normal(2, 1, 2, 2).abs() * 8}, {},
           why_not="its own decoder output is not weights"),
]  # fmt: skip
__all__ = ["FAMILIES", "SELF"]
