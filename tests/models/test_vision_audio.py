"""Images and sound: weights equal the models' own, and positions know their patch or their time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from attnscope import capture, record
from attnscope.errors import InputError, InputTypeError
from tests.models import words, zoo

TOLERANCE = 1e-5
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
VIT = SIZE | {"image_size": (24, 40), "patch_size": 8}
CLIP_VISION = SIZE | {"image_size": 24, "patch_size": 8}
LLAMA = SIZE | {"vocab_size": words.VOCABULARY, "num_key_value_heads": 2, "max_position_embeddings": 256}
WAV2VEC2 = SIZE | {
    "conv_dim": (16, 16), "conv_stride": (10, 8), "conv_kernel": (10, 8), "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2, "vocab_size": 12,
}  # fmt: skip
WHISPER = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_mel_bins": 16,
    "max_source_positions": 20, "max_target_positions": 16, "vocab_size": words.VOCABULARY, "pad_token_id": 0,
    "decoder_start_token_id": 1, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


class Sight(NamedTuple):
    """A vision model: what it is made of, the size of its image, its leading tokens and its grid."""

    name: str
    options: dict[str, Any]
    image: tuple[int, int]
    leading: list[str]
    grid: tuple[int, int]
    call: dict[str, Any] = {}  # noqa: RUF012

    def __str__(self):
        return self.name


SIGHTS = [
    Sight("ViT", VIT, (24, 40), ["[CLS]"], (3, 5)),
    Sight("DeiT", VIT, (24, 40), ["[CLS]", "[DIST]"], (3, 5)),
    Sight("Dinov2", CLIP_VISION, (24, 40), ["[CLS]"], (3, 5)),
    Sight("Dinov2WithRegisters", CLIP_VISION | {"num_register_tokens": 2}, (24, 40),
          ["[CLS]", "[REG 0]", "[REG 1]"], (3, 5)),
    Sight("DINOv3ViT", SIZE | {"image_size": 24, "patch_size": 8, "num_register_tokens": 1}, (24, 40),
          ["[CLS]", "[REG 0]"], (3, 5)),
    Sight("SiglipVision", CLIP_VISION, (24, 24), [], (3, 3)),
    Sight("CLIPVision", CLIP_VISION, (24, 24), ["[CLS]"], (3, 3)),
    Sight("CLIPVision", CLIP_VISION, (16, 40), ["[CLS]"], (2, 5), {"interpolate_pos_encoding": True}),
    Sight("Beit", CLIP_VISION | {"use_relative_position_bias": True}, (24, 24), ["[CLS]"], (3, 3)),
]  # fmt: skip


def make(kind, options, implementation=None, suffix="Model"):
    known = zoo.Family(kind, f"{kind}Config", f"{kind}{suffix}", options)
    return zoo.build(known, implementation)


def recorded(model, processor=None, **inputs):
    with torch.no_grad(), record(model) as recording:
        model(**inputs)
    return recording.capture(tokenizer=processor)


def image(*size, seed=0, n=1):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def assert_equal(found, kind, own):
    for number, expected in zip(found[kind].layers, own, strict=True):
        np.testing.assert_allclose(found.weights(number, kind=kind), expected[0].numpy(), rtol=0, atol=TOLERANCE)


def cells(rows, columns):
    return [[row, column, rows, columns] for row in range(rows) for column in range(columns)]


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
class TestVision:
    def test_weights_equal_the_models_own(self, sight):
        model = make(sight.name, sight.options)
        inputs = {"pixel_values": image(*sight.image)} | sight.call
        found = recorded(model, **inputs)
        with torch.no_grad():
            own = zoo.twin(model)(**inputs, output_attentions=True).attentions
        kind = found.kinds[0]
        assert kind == "self"
        assert_equal(found, kind, own)

    def test_every_position_knows_its_patch(self, sight):
        found = recorded(make(sight.name, sight.options), pixel_values=image(*sight.image), **sight.call)
        tokens = found.tokens_of(found.kinds[0])[0]
        n, rows, columns = len(sight.leading), *sight.grid
        assert list(tokens)[:n] == sight.leading
        assert tokens.special.tolist() == [True] * n + [False] * (rows * columns)
        assert tokens.patches[:n].tolist() == [[-1] * 4] * n
        assert tokens.patches[n:].tolist() == cells(rows, columns)
        assert found.find("patch 1,2") == n + columns + 2


def test_a_patch_lies_where_the_image_changes():
    model = make("ViT", VIT)
    plain = image(24, 40)
    changed = plain.clone()
    changed[:, :, 8:16, 24:32] += 3
    tokens = recorded(model, pixel_values=plain).tokens_of()[0]
    with torch.no_grad():
        before, after = (model.embeddings(pixels)[0] for pixels in (plain, changed))
    moved = (before - after).abs().sum(-1).argmax()
    row, column, rows, columns = tokens.patches[moved]
    assert (row * 24 // rows, (row + 1) * 24 // rows) == (8, 16)
    assert (column * 40 // columns, (column + 1) * 40 // columns) == (24, 32)


def test_stages_on_coarser_grids():
    options = {"hidden_sizes": [16, 32], "num_encoder_blocks": 2, "depths": [1, 1], "num_attention_heads": [2, 4],
               "sr_ratios": [2, 1], "strides": [4, 2], "patch_sizes": [7, 3], "mlp_ratios": [2, 2],
               "decoder_hidden_size": 16}  # fmt: skip
    found = recorded(make("Segformer", options), pixel_values=image(32, 64))
    grids = {tuple(tokens.patches[0, 2:]) for kind in found.kinds for tokens in found.tokens_of(kind)}
    assert grids == {(8, 16), (4, 8)}


def test_frames_of_a_video_follow_each_other():
    model = make("VideoMAE", SIZE | {"image_size": 16, "patch_size": 8, "num_frames": 4, "tubelet_size": 2})
    video = torch.randn(1, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    tokens = recorded(model, pixel_values=video).tokens_of()[0]
    assert tokens.patches.tolist() == cells(2, 2) * 2
    assert tokens[4:6] == ("frame 1 patch 0,0", "frame 1 patch 0,1")


def test_hidden_patches_are_not_guessed():
    model = make("ViTMAE", SIZE | {"image_size": 24, "patch_size": 8})
    tokens = recorded(model, pixel_values=image(24, 24)).tokens_of()[0]
    assert tokens.patches is None  # three quarters of them are left out, in an order of their own
    assert list(tokens)[:3] == ["0", "1", "2"]


class TestImagesAndText:
    def test_clip_has_its_text_and_its_image(self):
        text = SIZE | {"vocab_size": words.VOCABULARY, "max_position_embeddings": 32, "eos_token_id": 2}
        model = make("CLIP", {"text_config": text, "vision_config": CLIP_VISION, "projection_dim": 16})
        ids = torch.tensor([[5, 6, 7, 2]])
        found = recorded(model, input_ids=ids, pixel_values=image(24, 24))
        assert found.kinds == ("self", "vision")
        assert found.tokens_of("self")[0].patches is None
        assert found.tokens_of("vision")[0].patches[1:].tolist() == cells(3, 3)
        with torch.no_grad():
            own = zoo.twin(model)(input_ids=ids, pixel_values=image(24, 24), output_attentions=True)
        assert_equal(found, "self", own.text_model_output.attentions)
        assert_equal(found, "vision", own.vision_model_output.attentions)

    @pytest.fixture
    def llava(self):
        config = transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(**CLIP_VISION),
            text_config=transformers.LlamaConfig(**LLAMA),
            image_token_index=9,
        )
        model = transformers.LlavaForConditionalGeneration._from_config(config)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0, 2 / weight.shape[-1] ** 0.5, generator=generator)
        return model.eval()

    def test_image_tokens_in_the_text_know_their_patch(self, llava):
        ids = torch.tensor([[3, 20, *[9] * 9, 21, 22]])
        found = recorded(llava, words.sentencepiece(), input_ids=ids, pixel_values=image(24, 24))
        assert found.kinds == ("self", "vision")
        tokens = found.tokens_of("self")[0]
        assert tokens.patches[2:11].tolist() == cells(3, 3)
        assert (tokens.patches[[0, 1, 11, 12]] == -1).all()
        assert not tokens.special[2:11].any()
        assert len(set(tokens.words[1:].tolist())) == 12
        assert found.find("patch 2,1") == 9
        assert found.tokens_of("vision")[0][0] == "[CLS]"
        with torch.no_grad():
            own = zoo.twin(llava)(input_ids=ids, pixel_values=image(24, 24), output_attentions=True)
        assert_equal(found, "self", own.attentions)


class TestSound:
    def test_whisper_steps_know_their_seconds(self):
        model = make("Whisper", WHISPER)
        features = torch.randn(1, 16, 40, generator=torch.Generator().manual_seed(0))
        ids = torch.tensor([[1, 5, 6]])
        found = recorded(model, input_features=features, decoder_input_ids=ids)
        assert found.kinds == ("encoder", "decoder", "cross")
        tokens = found.tokens_of("cross")[1]
        np.testing.assert_allclose(tokens.times, [[i / 50, (i + 1) / 50] for i in range(20)], atol=1e-6)
        assert tokens[3] == "0.06–0.08 s"
        assert found.tokens_of("cross")[0].times is None
        with torch.no_grad():
            own = zoo.twin(model)(input_features=features, decoder_input_ids=ids, output_attentions=True)
        assert_equal(found, "encoder", own.encoder_attentions)
        assert_equal(found, "decoder", own.decoder_attentions)
        assert_equal(found, "cross", own.cross_attentions)

    @pytest.mark.parametrize("name", ["Wav2Vec2", "Hubert"])
    def test_steps_follow_from_the_convolutions(self, name):
        model = make(name, WAV2VEC2)
        samples = torch.randn(1, 1600, generator=torch.Generator().manual_seed(0))
        found = recorded(model, input_values=samples)
        with torch.no_grad():
            own = zoo.twin(model)(input_values=samples, output_attentions=True).attentions
        tokens = found.tokens_of()[0]
        assert_equal(found, "self", own)
        np.testing.assert_allclose(tokens.times[:, 0], np.arange(20) * 80 / 16_000, atol=1e-7)
        assert tokens[19] == "0.10–0.10 s"

    def test_the_processor_says_the_sampling_rate(self):
        model = make("Wav2Vec2", WAV2VEC2)
        extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=8_000)
        tokens = recorded(model, extractor, input_values=torch.zeros(1, 1600) + 0.1).tokens_of()[0]
        np.testing.assert_allclose(tokens.times[1], [0.01, 0.02], atol=1e-7)

    def test_patches_of_a_spectrogram_have_both(self):
        options = SIZE | {"patch_size": 8, "frequency_stride": 6, "time_stride": 5, "num_mel_bins": 20}
        options["max_length"] = 40
        model = make("AST", options)
        tokens = recorded(model, input_values=torch.zeros(1, 40, 20) + 0.1).tokens_of()[0]
        assert list(tokens)[:2] == ["[CLS]", "[DIST]"]
        assert tokens.patches[2:].tolist() == cells(3, 7)
        assert np.isnan(tokens.times[:2]).all()
        np.testing.assert_allclose(tokens.times[2 + 7 + 3], [0.15, 0.20], atol=1e-6)
        assert tokens[12] == "patch 1,3 (0.15–0.20 s)"


class TestAsTheyCome:
    """Images and samples go straight into capture(), with a processor."""

    @pytest.mark.parametrize("form", ["pil", "array"])
    def test_an_image(self, form):
        model = make("ViT", VIT)
        pixels = np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8)
        processor = transformers.ViTImageProcessorPil(do_resize=False)
        given = Image.fromarray(pixels) if form == "pil" else pixels
        found = capture(model, processor, given)
        expected = recorded(model, pixel_values=processor(images=given, return_tensors="pt")["pixel_values"])
        np.testing.assert_array_equal(found.weights(1), expected.weights(1))
        assert found.tokens == expected.tokens
        several = capture(model, processor, [given, given])
        assert [one.tokens for one in several] == [found.tokens] * 2

    def test_sound_at_the_processors_rate(self):
        model = make("Wav2Vec2", WAV2VEC2)
        extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=8_000)
        tokens = capture(model, extractor, np.sin(np.arange(1600.0))).tokens_of()[0]
        np.testing.assert_allclose(tokens.times[1], [0.01, 0.02], atol=1e-7)

    @pytest.mark.parametrize("processor", [None, words.wordpiece()])
    @pytest.mark.parametrize("given", [np.zeros((24, 40, 3)), np.zeros(1600)])
    def test_without_a_processor(self, processor, given):
        with pytest.raises(InputTypeError, match="go in through the model's processor"):
            capture(make("ViT", VIT), processor, given)

    def test_a_model_that_reads_text_beside_it(self):
        text = SIZE | {"vocab_size": words.VOCABULARY, "max_position_embeddings": 32, "eos_token_id": 2}
        model = make("CLIP", {"text_config": text, "vision_config": CLIP_VISION, "projection_dim": 16})
        with pytest.raises(InputError, match="text beside the image"):
            capture(model, transformers.ViTImageProcessorPil(), np.zeros((24, 24, 3), np.uint8))
