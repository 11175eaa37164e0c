"""What a pass was called with, and what was asked of its recording."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from attnscope.errors import InputError, InputTypeError

_MEDIA = ("pixel_values", "pixel_values_videos", "input_features", "input_values", "audio_values")


def by_name(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a module's forward by their names."""
    bound = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
    return {**bound, **bound.get("kwargs", {})}


def batch_size(inputs: dict[str, Any]) -> int | None:
    """Number of inputs of a pass: the first axis of its first tensor."""
    first = next((value for value in inputs.values() if isinstance(value, torch.Tensor) and value.ndim > 1), None)
    return None if first is None else int(first.size(0))


def media_count(inputs: Mapping[str, Any]) -> int | None:
    """Number of images or sounds of a pass, beside a text; None where there are none, or nothing else."""
    given = next((inputs[name] for name in _MEDIA if isinstance(inputs.get(name), torch.Tensor)), None)
    return None if given is None or inputs.get("input_ids") is None else int(given.shape[0])


def token_counts(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Tokens of the text a model was called with, and of its decoder's text."""
    counts = {}
    for part, names in (
        ("", ("input_ids", "inputs_embeds")),
        ("decoder", ("decoder_input_ids", "decoder_inputs_embeds")),
    ):
        given = next((inputs[name] for name in names if isinstance(inputs.get(name), torch.Tensor)), None)
        if given is not None and given.ndim > 1:
            counts[part] = int(given.shape[1])
    return counts


def layer_numbers(layers: Iterable[int] | None) -> set[int] | None:
    """Check the layers asked for."""
    if layers is None:
        return None
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise InputTypeError(f"layers is a list of layer numbers, got {layers!r}. For one layer, write layers=[0].")
    numbers = list(layers)
    wrong = [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | np.integer)]
    if wrong:
        raise InputTypeError(f"A layer is a number, got {type(wrong[0]).__name__} {wrong[0]!r} in layers.")
    if not numbers:
        raise InputError("layers is empty: name at least one layer, or leave it None for all.")
    return {int(number) for number in numbers}


def require_live(live: bool, on_step: Any, unknown: str | None, file: Any) -> None:
    """Refuse what does not go together with the steps of a generation, or goes with them alone.

    Parameters
    ----------
    live, on_step
        What was asked for.
    unknown
        Name of the module, where it is no transformers model.
    file
        What is written to while the model runs; None for nothing.
    """
    if on_step is not None and not live:
        raise InputError("on_step is called at each step of live recording: record(model, live=True, on_step=…).")
    if live and unknown is not None:
        raise InputError(
            f"live=True follows the cache of a transformers model, and {unknown} is none. "
            "Generate first, then record one pass over the whole sequence."
        )
    if live and file is not None:
        raise InputError(
            "path writes the layers of one pass, and live=True joins the rows of many in memory. Leave one of them "
            "out: without live=True one pass over the finished text is recorded. Or save the capture with save(path)."
        )
