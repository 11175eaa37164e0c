"""The places of an image as a denoiser holds them: how many there are, and on which grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEPS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Canvas:
    """The finest grid of an image being made.

    Parameters
    ----------
    rows, columns
        Its size.
    tokens
        Image tokens in the denoiser's sequence; more than the grid has where a reference image follows it.
    """

    rows: int
    columns: int
    tokens: int

    def grid(self, n: int, path: str) -> tuple[int, int, int]:
        """Rows and columns of a layer with ``n`` image tokens, and how many finest rows one of its rows covers."""
        if n == self.tokens:
            return self.rows, self.columns, 1
        for step in _STEPS:
            rows, columns = -(-self.rows // step), -(-self.columns // step)
            if rows * columns == n:
                return rows, columns, step
        raise ModelError(
            f"{path} has {n} image tokens, which no grid of the {self.rows} × {self.columns} latent image has."
        )


def canvas_of(denoiser: Any, given: Mapping[str, Any]) -> Canvas:
    """Read the grid off what a denoiser was called with.

    Raises
    ------
    ModelError
        When the image's size cannot be told, or several frames are made.
    """
    image = given.get("sample", given.get("hidden_states"))
    if isinstance(image, torch.Tensor) and image.ndim == 4:
        patch = int(getattr(denoiser.config, "patch_size", None) or 1)
        rows, columns = image.shape[2] // patch, image.shape[3] // patch
        return Canvas(rows, columns, rows * columns)
    ids, shapes = given.get("img_ids"), given.get("img_shapes")
    if isinstance(ids, torch.Tensor):
        places = (ids[0] if ids.ndim == 3 else ids).round().long()
        own = places[places[:, 0] == places[0, 0]]
        rows, columns = (int(own[:, axis].max()) + 1 for axis in (1, 2))
        canvas = Canvas(rows, columns, len(places))
        if rows * columns == len(own) and torch.equal(own[:, 1] * columns + own[:, 2], torch.arange(len(own)).to(own)):
            return canvas
    elif shapes:
        sizes = [shapes[0]] if isinstance(shapes[0], tuple) else list(shapes[0])
        if sizes[0][0] == 1:
            return Canvas(sizes[0][1], sizes[0][2], sum(frames * rows * columns for frames, rows, columns in sizes))
    raise ModelError(
        f"{type(denoiser).__name__} does not say how its image tokens lie on a grid, or makes several frames at once; "
        "attnscope draws maps over one image. U-Nets, and transformers called with 4-axis latents or img_ids, can be "
        "recorded."
    )
