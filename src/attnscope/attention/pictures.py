"""Small pictures of what a model was shown, to lie under the attention of their patches."""

from __future__ import annotations

from typing import Any

import numpy as np

from attnscope.attention.arrays import to_float32
from attnscope.errors import InputError, InputTypeError

MOST_SIDE = 256
"""Longest side of a kept picture, in pixels."""


def read_picture(image: Any) -> np.ndarray:
    """Make a small picture of an image.

    Parameters
    ----------
    image
        A PIL image, or an array [height, width] or [height, width, 1, 3 or 4]; whole numbers run from 0 to 255, others
        from 0 to 1.

    Returns
    -------
    numpy.ndarray
        uint8 [height, width, 3], at most 256 pixels a side, each the mean of what it covers.

    Raises
    ------
    InputTypeError
        For anything else.
    InputError
        For an array of another shape, or without pixels.
    """
    if hasattr(image, "getbands") and hasattr(image, "convert"):
        pixels = np.asarray(image.convert("RGB"), np.float32)
    else:
        if not hasattr(image, "__array__") and not hasattr(image, "__dlpack__"):
            raise InputTypeError(f"A picture is a PIL image or an array of pixels, got {type(image).__name__}.")
        pixels = to_float32(image)
        if str(image.dtype).rsplit(".", maxsplit=1)[-1].startswith(("float", "bfloat")):
            pixels = pixels * 255
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise InputError(
            f"A picture's array has the shape [height, width] or [height, width, 1, 3 or 4], got {pixels.shape}. "
            "Move the channels last."
        )
    pixels = pixels[..., :3] if pixels.shape[2] > 1 else pixels.repeat(3, axis=2)
    largest = max(pixels.shape[:2])
    for axis in (0, 1):
        pixels = _shrunk(pixels, axis, min(1, MOST_SIDE / largest))
    return np.clip(np.nan_to_num(pixels).round(), 0, 255).astype(np.uint8)


def _shrunk(pixels: np.ndarray, axis: int, factor: float) -> np.ndarray:
    """Average neighbours along one axis."""
    before = pixels.shape[axis]
    after = max(1, round(before * factor))
    starts = np.arange(after) * before // after
    counts = np.diff(np.append(starts, before))
    shape = [1, 1, 1]
    shape[axis] = after
    return np.asarray(np.add.reduceat(pixels, starts, axis=axis) / counts.reshape(shape), np.float32)
