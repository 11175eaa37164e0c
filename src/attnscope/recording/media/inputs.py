"""Images and sound, as they come, to a model's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from attnscope.errors import InputError, InputTypeError
from attnscope.recording import models
from attnscope.recording.media import sound


def is_media(given: Any) -> bool:
    """Whether this is an image (PIL, or an array of two or three axes) or sound (an array of samples)."""
    if isinstance(given, np.ndarray | torch.Tensor):
        name = str(given.dtype).rsplit(".", maxsplit=1)[-1]
        sampled = name == "int16" or name.startswith(("float", "bfloat"))
        return given.ndim in (2, 3) or (given.ndim == 1 and sampled)
    return hasattr(given, "getbands") and hasattr(given, "convert")


def are_media(given: Any) -> bool:
    """Whether this is a sequence of images or of sounds."""
    return isinstance(given, Sequence) and bool(given) and all(is_media(one) for one in given)


def encode_media(model: Any, processor: Any, given: Any) -> dict[str, Any]:
    """Make a model's inputs of one image or one sound.

    Parameters
    ----------
    model
        The model they are for.
    processor
        Its processor, image processor or feature extractor. Sound is taken to have its sampling rate.
    given
        The image or sound.

    Raises
    ------
    InputTypeError
        When the processor is missing or of another kind.
    InputError
        When the model reads text beside the image or sound.
    """
    heard = isinstance(given, np.ndarray | torch.Tensor) and given.ndim == 1
    what, part = ("sound", "feature_extractor") if heard else ("image", "image_processor")
    encoder = getattr(processor, part, processor)
    reads = ("input_features", "input_values") if heard else ("pixel_values",)
    if not callable(encoder) or not set(reads) & set(getattr(encoder, "model_input_names", ())):
        raise InputTypeError(
            f"{what.capitalize()}s go in through the model's processor, got {type(processor).__name__}. Load it with "
            f"AutoProcessor.from_pretrained(...), as you loaded the model: capture(model, processor, {what})."
        )
    if getattr(models.unwrapped(model), "main_input_name", None) == "input_ids":
        raise InputError(
            f"{type(models.unwrapped(model)).__name__} reads text beside the {what}. Encode both and give the result: "
            f'capture(model, processor, processor(text=…, {"audio" if heard else "images"}=…, return_tensors="pt")).'
        )
    if heard:
        samples = np.asarray(given.detach().cpu() if isinstance(given, torch.Tensor) else given, np.float32)
        return dict(encoder(samples, sampling_rate=sound.rate(encoder), return_tensors="pt"))
    return dict(encoder(images=given, return_tensors="pt"))
