"""Images a model was called with are kept as the model saw them, and nothing else of them is touched."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTModel

import attnscope
from attnscope.recording.media.pictures import MOST, keep_pictures
from attnscope.wire.answer import answer

MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[24, 40],
        patch_size=8,
    )
    return ViTModel(config).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(1))


def normalised(images):
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def test_one_image_is_shown_as_the_model_saw_it(vit, images):
    pixels = normalised(images[:1])
    before = pixels.clone()
    processor = SimpleNamespace(image_mean=MEAN, image_std=DEVIATION, do_normalize=True)
    (found,) = keep_pictures(
        [attnscope.capture(vit, None, {"pixel_values": pixels})], {"pixel_values": pixels}, processor
    )
    (picture,) = found.pictures
    np.testing.assert_allclose(picture, 255 * images[0].permute(1, 2, 0).numpy(), atol=0.51)
    assert torch.equal(pixels, before)


def test_capture_keeps_them_by_itself_one_per_image_of_a_batch(vit, images):
    found = attnscope.capture(vit, None, {"pixel_values": images})
    for one, image in zip(found, images, strict=True):
        (picture,) = one.pictures
        stretched = (image - image.min()) / (image.max() - image.min())
        np.testing.assert_allclose(picture, 255 * stretched.permute(1, 2, 0).numpy(), atol=0.51)


def test_pixels_cross_to_the_page_exactly(vit, images):
    found = attnscope.capture(vit, None, {"pixel_values": images[:1]})
    reply, (data,) = answer(found, {"id": 1, "type": "picture", "kind": found.kinds[0], "number": 0})
    assert reply["shape"] == [24, 40]
    packed = np.frombuffer(data, "<f4").astype(int).reshape(24, 40)
    np.testing.assert_array_equal(np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1), found.pictures[0])
    assert "error" in answer(found, {"id": 1, "type": "picture", "kind": found.kinds[0], "number": 1})[0]


def test_what_is_no_image_or_too_many_is_left_out(vit, images):
    captures = [attnscope.capture(vit, None, {"pixel_values": images[:1]})]
    bare = [attnscope.Capture(captures[0].attention)]
    for inputs in (
        {},
        {"pixel_values": torch.zeros(12, 588)},
        {"pixel_values": torch.zeros(1, 5, 8, 8)},
        {"pixel_values": torch.zeros(1, MOST + 1, 3, 8, 8)},
    ):
        assert keep_pictures(bare, inputs, None)[0].pictures == ()
    assert len(keep_pictures(bare, {"pixel_values": torch.zeros(1, 4, 3, 8, 8)}, None)[0].pictures) == 4
