"""The images a model was called with, as small pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.pictures import read_picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.capture import Capture

MOST = 16
"""Most pictures kept of one input."""


def keep_pictures(captures: Sequence[Capture], inputs: Mapping[str, Any], processor: Any) -> list[Capture]:
    """Give captures the images their inputs held, as the model saw them: resized and cropped as its patches are.

    Images that come cut into patches already, and more than there is room for, are left out.
    """
    pixels = inputs.get("pixel_values")
    pixels = inputs.get("pixel_values_videos") if pixels is None else pixels
    if not isinstance(pixels, torch.Tensor) or pixels.ndim not in (4, 5) or pixels.shape[-3] not in (1, 3):
        return list(captures)
    if len(captures) == 1:
        groups = [pixels.reshape(-1, *pixels.shape[-3:])]
    elif len(captures) == len(pixels):
        groups = [one.reshape(-1, *one.shape[-3:]) for one in pixels]
    else:
        return list(captures)
    return [
        capture if len(group) > MOST else replace(capture, pictures=tuple(_picture(one, processor) for one in group))
        for capture, group in zip(captures, groups, strict=True)
    ]


def _picture(pixels: torch.Tensor, processor: Any) -> np.ndarray:
    """Undo a processor's normalisation; without one, stretch what there is from black to white."""
    image = pixels.detach().float().cpu().permute(1, 2, 0).numpy()
    reader = getattr(processor, "image_processor", processor)
    mean, deviation = (
        np.asarray(getattr(reader, name, None) or [], np.float32) for name in ("image_mean", "image_std")
    )
    if mean.size == deviation.size == image.shape[2] and getattr(reader, "do_normalize", True):
        return read_picture(np.clip(image * deviation + mean, 0, 1))
    least, most = float(image.min()), float(image.max())
    return read_picture((image - least) / (most - least) if most > least else np.full_like(image, 0.5))
