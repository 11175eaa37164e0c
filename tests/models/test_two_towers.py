"""Models that read text in one tower and images or sound in another; and what is said when a model itself stops."""

from functools import cache

import pytest
import torch
import transformers

from attnscope import capture
from attnscope.errors import AttnscopeWarning, InputError, ModelError, TooLargeError
from tests.models import zoo
from tests.models.known.family import ids, normal

TEXT = {
    "vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 16,
    "patch_size": 8,
}  # fmt: skip
GROUPS = {
    "num_hidden_layers": 6, "depths": [2, 2, 2], "num_group_tokens": [4, 2, 0], "num_output_groups": [4, 2, 2],
    "patch_size": 4,
}  # fmt: skip
SOUND = {
    "window_size": 4, "num_mel_bins": 32, "spec_size": 64, "hidden_size": 32, "patch_size": 4, "patch_stride": [4, 4],
    "num_classes": 4, "depths": [1, 1], "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16,
}  # fmt: skip
CONFIGS = {
    "CLIP": {"text_config": TEXT, "vision_config": VISION},
    "Siglip": {"text_config": TEXT, "vision_config": VISION},
    "AltCLIP": {"text_config": TEXT | {"project_dim": 32}, "vision_config": VISION},
    "ChineseCLIP": {"text_config": TEXT, "vision_config": VISION},
    "CLIPSeg": {"text_config": TEXT, "vision_config": VISION},
    "OwlViT": {"text_config": TEXT, "vision_config": VISION},
    "GroupViT": {"text_config": TEXT, "vision_config": VISION | GROUPS, "projection_intermediate_dim": 16},
    "Blip": {"text_config": TEXT | {"encoder_hidden_size": 32}, "vision_config": VISION},
    "Flava": {"text_config": TEXT, "image_config": VISION, "multimodal_config": VISION},
    "Align": {"text_config": TEXT, "vision_config": {"width_coefficient": 0.1, "depth_coefficient": 0.1}},
    "Clap": {"text_config": TEXT | {"projection_dim": 32}, "audio_config": SOUND | {"projection_dim": 32}},
}
IMAGES = {"pixel_values": normal(2, 3, 16, 16)}
HEARD = {"input_features": normal(2, 1, 64, 32), "is_longer": torch.zeros(2, 1, dtype=torch.bool)}
READ = {"input_ids": ids(2, 6)}


@cache
def model_of(name):
    cls = getattr(transformers, f"{name}Model")
    sizes = {"hidden_size": 32} if name == "Flava" else {"projection_dim": 32}
    return cls(cls.config_class(**CONFIGS[name], **sizes)).eval()


def beside(name):
    larger = {"pixel_values": normal(2, 3, 32, 32)}
    return {"Clap": HEARD, "Align": larger}.get(name, IMAGES)


@pytest.mark.parametrize("name", CONFIGS)
def test_both_towers_are_captured(name):
    found, _ = capture(model_of(name), None, READ | beside(name))
    assert len(found["self"].queries) == 6
    other = {"Clap": "audio", "Align": None}.get(name, "vision")  # ALIGN sees images by convolution
    assert (other is None) == (set(found.kinds) == {"self"})
    assert other is None or other in found.kinds


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "Flava"])
def test_one_tower_alone_is_told_what_it_lacks(name):
    lacking = next(iter(beside(name)))
    with pytest.raises(InputError, match=rf"given input_ids int64 \[2, 6\], not {lacking}, which it reads") as raised:
        capture(model_of(name), None, READ)
    assert "or capture one of its towers: model.text_model or model." in str(raised.value)
    assert raised.value.__cause__ is not None
    assert type(raised.value.__cause__).__name__ in str(raised.value)
    with pytest.raises(InputError, match=r"not input_ids, which it reads too\. Encode all it reads"):
        capture(model_of(name), None, beside(name))


def test_the_remedy_works():
    found, _ = capture(model_of("CLIP").text_model, None, READ)
    assert found.kinds == ("self",)
    found, _ = capture(model_of("CLIP").vision_model, None, IMAGES)
    assert len(found[found.kinds[0]].queries) == 5


@pytest.mark.parametrize(("texts", "images"), [(3, 1), (1, 3)])
def test_unequal_counts_leave_the_images_out_and_say_so(texts, images):
    given = {"input_ids": ids(texts, 6), "pixel_values": normal(images, 3, 16, 16)}
    with pytest.warns(AttnscopeWarning, match=f"{images} images or sounds for {texts} texts: give one for each"):
        found = capture(model_of("CLIP"), None, given)
    assert (found if texts == 1 else found[0]).kinds == ("self",)


def test_a_text_too_long_for_the_texts_tower():
    with pytest.raises(InputError, match="The text has 40 tokens, and BlipModel takes at most 32"):
        capture(model_of("Blip"), None, {"input_ids": ids(2, 40)} | IMAGES)


def test_ids_the_texts_tower_does_not_know():
    with pytest.raises(InputError, match="There is a token with id 500, but CLIPModel knows the ids 0 to 119"):
        capture(model_of("CLIP"), None, {"input_ids": torch.full((2, 6), 500)} | IMAGES)


class TestWhenTheModelStops:
    def test_for_another_reason(self):
        with pytest.raises(ModelError, match=r"CLIPModel stopped: ValueError: .*pixel_values float32 \[2, 3, 8, 8\]\."):
            capture(model_of("CLIP"), None, READ | {"pixel_values": normal(2, 3, 8, 8)})

    @pytest.mark.parametrize(
        ("error", "told", "said"),
        [
            (KeyError("rope"), ModelError, r"BertModel stopped: KeyError: 'rope'\. It was given input_ids int64 \["),
            (RuntimeError(), ModelError, "BertModel stopped: RuntimeError. It was given"),
            (MemoryError("no room"), TooLargeError, r"MemoryError: no room\. .* record fewer layers \(layers=\[…\]\)"),
            (torch.OutOfMemoryError("CUDA"), TooLargeError, "OutOfMemoryError: CUDA"),
            (InputError("as it is"), InputError, "^as it is$"),
        ],
        ids=repr,
    )
    def test_the_error_is_told_and_chained(self, error, told, said):
        model, tokenizer = zoo.small("bert")
        with stopping(model.encoder.layer[1], error), pytest.raises(told, match=said) as raised:
            capture(model, tokenizer, "The cat sat.")
        assert raised.value is error or raised.value.__cause__ is error

    def test_an_interrupt_is_no_error(self):
        model, tokenizer = zoo.small("bert")
        with stopping(model.encoder.layer[1], KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            capture(model, tokenizer, "The cat sat.")


def stopping(module, error):
    def stop(*_):
        raise error

    return module.register_forward_hook(stop)
