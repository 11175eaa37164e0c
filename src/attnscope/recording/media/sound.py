"""Names for positions that stand for a span of sound."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLING_RATE, HOP = 16_000, 160
"""Samples per second, and samples per frame of a spectrogram, of nearly every speech model; a processor says others."""


def of(inputs: Mapping[str, Any]) -> torch.Tensor | None:
    """The sound a model was called with: samples [batch, samples], or a spectrogram with three axes."""
    for name in ("input_features", "input_values"):
        given = inputs.get(name)
        if isinstance(given, torch.Tensor) and given.ndim in (2, 3):
            return given
    return None


def rate(processor: Any) -> int:
    """Samples per second, as the processor has it."""
    extractor = getattr(processor, "feature_extractor", processor)
    return int(getattr(extractor, "sampling_rate", None) or SAMPLING_RATE)


def frame_seconds(processor: Any) -> float:
    """Seconds from one frame of the spectrogram to the next."""
    extractor = getattr(processor, "feature_extractor", processor)
    return int(getattr(extractor, "hop_length", None) or HOP) * int(getattr(extractor, "stride", 1)) / rate(processor)


def name(heard: torch.Tensor, model: Any, processor: Any, n: int) -> Tokens | None:
    """Name the ``n`` positions of a sound encoder by their time; None where their number does not fit."""
    config = getattr(model, "config", None)
    if heard.ndim == 2:
        strides, kernels = getattr(config, "conv_stride", None), getattr(config, "conv_kernel", None)
        if not strides or not kernels or _after(heard.shape[1], strides, kernels) != n:
            return None
        return spans(n, math.prod(strides) / rate(processor))
    bands = getattr(config, "num_mel_bins", None)
    frames = heard.shape[1] if heard.shape[2] == bands or bands is None else heard.shape[2]
    joined = round(frames / n)
    if joined < 1 or -(-frames // joined) != n:
        return None
    return spans(n, joined * frame_seconds(processor))


def spans(n: int, step: float) -> Tokens:
    """Name ``n`` steps of equal length."""
    times = (np.arange(n)[:, None] + np.array([0, 1])) * step
    texts = tuple(span_text(*span) for span in times)
    return Tokens(texts, np.zeros(n, bool), np.arange(n, dtype=np.int32), times=times.astype(np.float32))


def span_text(start: float, end: float) -> str:
    """Write a span of time."""
    return f"{start:.2f}–{end:.2f} s"


def _after(samples: int, strides: Any, kernels: Any) -> int:
    """How many steps convolutions leave of some samples."""
    for stride, kernel in zip(strides, kernels, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples
