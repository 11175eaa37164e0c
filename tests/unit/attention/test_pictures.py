"""Pictures that lie under patches: small, of their images, and kept with the capture."""

import numpy as np
import pytest
import torch
from PIL import Image

import attnscope
from attnscope.attention.pictures import MOST_SIDE, read_picture
from attnscope.errors import FileError, InputError, InputTypeError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def capture():
    return attnscope.from_attentions([np.full((1, 2, 2), 0.5, "f4")], ["a", "b"])


@pytest.mark.parametrize(
    "image",
    [
        PIXELS,
        torch.as_tensor(PIXELS),
        Image.fromarray(PIXELS),
        PIXELS.astype("f4") / 255,
        np.dstack([PIXELS, np.full((20, 30), 7, np.uint8)]),
    ],
    ids=["array", "tensor", "PIL", "float", "with alpha"],
)
def test_small_images_stay_what_they_are(image):
    np.testing.assert_array_equal(read_picture(image), PIXELS)


def test_grey_becomes_three_channels():
    grey = read_picture(PIXELS[..., 0])
    assert grey.shape == (20, 30, 3)
    np.testing.assert_array_equal(grey[..., 2], PIXELS[..., 0])


def test_large_images_are_averaged_and_keep_their_shape():
    large = PIXELS.repeat(40, axis=0).repeat(40, axis=1)
    small = read_picture(large)
    assert small.shape == (171, MOST_SIDE, 3)
    np.testing.assert_allclose(small.mean(axis=(0, 1)), large.mean(axis=(0, 1)), atol=0.6)
    np.testing.assert_array_equal(small[4, 4], PIXELS[0, 0])
    assert read_picture(np.zeros((3, 5000), np.uint8)).shape == (1, MOST_SIDE, 3)


@pytest.mark.parametrize(
    ("image", "error"),
    [("a.png", InputTypeError), (None, InputTypeError), (np.zeros(4), InputError), (np.zeros((3, 4, 5)), InputError),
     (np.zeros((0, 4, 3)), InputError)],
)  # fmt: skip
def test_what_is_no_picture_is_refused(image, error):
    with pytest.raises(error):
        read_picture(image)


def test_pictures_are_saved_and_loaded(tmp_path):
    given = capture().with_pictures(PIXELS, PIXELS[:5])
    given.save(tmp_path / "a.attn")
    found = attnscope.load(tmp_path / "a.attn").pictures
    assert len(found) == 2
    for one, other in zip(found, given.pictures, strict=True):
        np.testing.assert_array_equal(one, other)
    assert attnscope.load(save(capture(), tmp_path)).pictures == ()


def save(held, tmp_path):
    held.save(tmp_path / "b.attn")
    return tmp_path / "b.attn"


def test_a_file_whose_pictures_are_missing_is_damaged(tmp_path):
    path = save(capture().with_pictures(PIXELS), tmp_path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'\\"pictures\\": 1', b'\\"pictures\\": 2'))
    assert path.read_bytes() != data
    with pytest.raises(FileError):
        attnscope.load(path)
