"""Images of several texts that a vision tower reads as one sequence: which of them belong to which text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.layers import Layer


def images_by_text(model: Any, inputs: Mapping[str, Any]) -> list[slice] | None:
    """Tell which images belong to each text, by the image tokens among its ids and the images' grids, in order.

    Returns
    -------
    list of slice, or None
        Into ``image_grid_thw``, one per text; None where the model has no such grids, or they do not fit the ids.
    """
    ids, grids = inputs.get("input_ids"), inputs.get("image_grid_thw")
    config = getattr(model, "config", None)
    number = getattr(config, "image_token_id", None)
    if not isinstance(ids, torch.Tensor) or not isinstance(grids, torch.Tensor) or number is None:
        return None
    merged = int(getattr(getattr(config, "vision_config", None), "spatial_merge_size", 1) or 1) ** 2
    sizes, first, found = (grids.prod(dim=1) // merged).tolist(), 0, []
    for count in (ids == number).sum(dim=1).tolist():
        last = first
        while count > 0 and last < len(sizes):
            count, last = count - sizes[last], last + 1
        if count:
            return None
        found.append(slice(first, last))
        first = last
    return found if first == len(sizes) else None


def patches_by_text(model: Any, inputs: Mapping[str, Any]) -> list[np.ndarray] | None:
    """Positions of each text's patches in the sequence of all; None where they cannot be told."""
    images = images_by_text(model, inputs)
    if images is None or inputs.get("pixel_values_videos") is not None:
        return None
    ends = np.concatenate([[0], np.cumsum(inputs["image_grid_thw"].prod(dim=1).cpu().numpy())])
    return [np.arange(ends[some.start], ends[some.stop]) for some in images]


def of_text(model: Any, inputs: Mapping[str, Any], item: int) -> Mapping[str, Any]:
    """The inputs with the grids of one text's images only."""
    images = images_by_text(model, inputs)
    return inputs if images is None else {**inputs, "image_grid_thw": inputs["image_grid_thw"][images[item]]}


def split(layer: Layer, positions: Sequence[np.ndarray]) -> list[Layer]:
    """Split a layer over the patches of all texts into one for each, whose patches see no others."""
    if not isinstance(layer, Blocks):
        return [layer.take(some, some) for some in positions]
    found: list[Layer] = []
    for some in positions:
        mine = [i for i, place in enumerate(layer.places) if np.isin(place, some).all()]
        places = [layer.places[i] - some[0] for i in mine]
        found.append(Blocks([layer.parts[i] for i in mine], places, len(some)))
    return found
