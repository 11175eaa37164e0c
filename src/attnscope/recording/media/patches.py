"""Names for positions that stand for a patch of an image or a span of sound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from attnscope.attention.tokens import Tokens
from attnscope.recording import models
from attnscope.recording.media import sound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEADING = {"cls_token": "[CLS]", "class_embedding": "[CLS]", "distillation_token": "[DIST]"}
_MERGES = (1, 2, 4, 8, 16, 32)
"""How many patches of a side later stages, pooling or pixel shuffles may join into one."""


class Grid(NamedTuple):
    """Patches of one image or frame; ``block`` patches of a side stand together, as they will be merged."""

    rows: int
    columns: int
    block: int = 1

    def merged(self, by: int) -> Grid:
        """The grid of every ``by`` × ``by`` patches."""
        return Grid(-(-self.rows // by), -(-self.columns // by))

    def cells(self) -> np.ndarray:
        """Row, column, rows and columns of each patch, in the order the model holds them: int32 [patches, 4]."""
        row, column = np.divmod(np.arange(self.rows * self.columns, dtype=np.int32), self.columns)
        if self.block > 1:
            order = np.lexsort((column, row, column // self.block, row // self.block))
            row, column = row[order], column[order]
        return np.stack([row, column, np.full_like(row, self.rows), np.full_like(row, self.columns)], axis=1)


class Media:
    """What the positions of a model's image or sound tower stand for, in one input.

    Parameters
    ----------
    model
        The model that ran.
    inputs
        What it was called with.
    processor
        Its processor or feature extractor, for the sampling rate of sound; None for the usual 16 kHz.
    """

    def __init__(self, model: Any, inputs: Mapping[str, Any], processor: Any = None) -> None:
        self._model = models.unwrapped(model)
        self._inputs = inputs
        self._processor = processor

    def side(self, part: str, n: int) -> Tokens | None:
        """Name the ``n`` positions of a tower; None where it is not known what they stand for."""
        if part in ("qformer", "decoder") or n < 2:
            return None
        heard = sound.of(self._inputs)
        if heard is not None and (part == "audio" or not self._has_image()):
            spectrogram = self._spectrogram(heard)
            if spectrogram is not None:
                leading = self._leading(self._convolution(nn.Conv2d, 1))
                return _of_spectrogram(spectrogram, leading, sound.frame_seconds(self._processor), n)
            return sound.name(heard, self._model, self._processor, n)
        if self._has_image() and part != "audio":
            return _of_grids(self._grids(), self._leading(self._embedding()), n, self._kind_of_frame())
        return None

    def among_text(self, tokens: Tokens, ids: np.ndarray) -> Tokens:
        """Give the image tokens inside a text, by its ids, their patches; other tokens stay as they are."""
        config = getattr(self._model, "config", None)
        number = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
        if number is None or not self._has_image() or hasattr(config, "qformer_config"):
            return tokens
        at = np.flatnonzero(ids == number)
        pictures = self._pictures_of(ids, number) if at.size else None
        if pictures is None or len(pictures) != at.size:
            return tokens
        texts, special, words = list(tokens.text), tokens.special.copy(), tokens.words.copy()
        patches = np.full((len(tokens), 4), -1, np.int32)
        for i, position in enumerate(at):
            texts[position] = pictures.text[i]
        assert pictures.patches is not None
        special[at], patches[at] = pictures.special, pictures.patches
        words[at] = np.where(pictures.special, -1, words.max(initial=-1) + 1 + np.arange(at.size))
        return replace(tokens, text=tuple(texts), special=special, words=words, patches=patches)

    def _has_image(self) -> bool:
        return any(isinstance(self._inputs.get(name), torch.Tensor) for name in ("pixel_values", "pixel_values_videos"))

    def _pixels(self) -> torch.Tensor:
        found = self._inputs.get("pixel_values")
        return self._inputs["pixel_values_videos"] if found is None else found

    def _kind_of_frame(self) -> str:
        return "frame" if self._pixels().ndim == 5 else "image"

    def _embedding(self) -> tuple[str, Any] | None:
        """The convolution that makes patches of the image, with its path."""
        pixels = self._pixels()
        if pixels.ndim == 5:
            return self._convolution(nn.Conv3d, pixels.shape[2])
        return self._convolution(nn.Conv2d, pixels.shape[1]) if pixels.ndim == 4 else None

    def _grids(self) -> list[Grid]:
        """The finest grid of each image or frame of this input; empty where it is not known."""
        sizes = self._inputs.get("image_grid_thw")
        if isinstance(sizes, torch.Tensor):
            block = int(getattr(getattr(self._model.config, "vision_config", None), "spatial_merge_size", 1) or 1)
            return [Grid(rows, columns, block) for frames, rows, columns in sizes.tolist() for _ in range(frames)]
        pixels, found = self._pixels(), self._embedding()
        if found is None:
            return []
        if pixels.ndim == 4:
            return [Grid(*_outputs(found[1], tuple(pixels.shape[2:])))]
        frames, rows, columns = _outputs(found[1], (pixels.shape[1], *pixels.shape[3:]))
        return [Grid(rows, columns)] * frames

    def _pictures_of(self, ids: np.ndarray, number: int) -> Tokens | None:
        """Name the image tokens of a text, image after image."""
        grids, n = self._grids(), int((ids == number).sum())
        if not grids:
            return None
        if "image_grid_thw" in self._inputs:
            merged = [Grid(*grid.merged(grid.block)) for grid in grids]
            return _of_grids(merged, [], n, "image")
        every = self._inputs["input_ids"]
        each, rest = divmod(int((every == number).sum()), self._pixels().shape[0])
        if rest or not each or n % each:
            return None
        one = _of_grids(grids, self._leading(self._embedding()), each, "image")
        return None if one is None else _repeated(one, n // each)

    def _convolution(self, kind: type[nn.Module], channels: int) -> tuple[str, Any] | None:
        """The first convolution with a stride that takes the image, with its path."""
        convolutions: list[tuple[str, Any]] = [
            (path, module) for path, module in self._model.named_modules() if isinstance(module, kind)
        ]
        return next((c for c in convolutions if c[1].in_channels == channels and max(c[1].stride) > 1), None)

    def _leading(self, found: tuple[str, Any] | None) -> list[str]:
        """Tokens the tower puts before its patches, by the parameters beside its patch embedding."""
        parts = found[0].split(".") if found is not None else []
        names: list[str] = []
        registers = 0
        for depth in range(len(parts) - 1, -1, -1):
            own = dict(self._model.get_submodule(".".join(parts[:depth])).named_parameters(recurse=False))
            names += [name for key, name in _LEADING.items() if key in own and name not in names]
            if "register_tokens" in own:
                registers = own["register_tokens"].shape[-2]
        return names + [f"[REG {i}]" for i in range(registers)]

    def _spectrogram(self, heard: torch.Tensor) -> tuple[Grid, int] | None:
        """The grid of patches of a spectrogram [batch, frames, bands], and frames per patch; None for other sound."""
        found = self._convolution(nn.Conv2d, 1)
        if heard.ndim != 3 or found is None:
            return None
        return Grid(*_outputs(found[1], (heard.shape[2], heard.shape[1]))), int(found[1].stride[1])


def _outputs(convolution: Any, sizes: Sequence[int]) -> list[int]:
    """How many outputs a convolution has along each axis."""
    padding = convolution.padding if not isinstance(convolution.padding, str) else (0,) * len(sizes)
    return [
        (size + 2 * padding[i] - convolution.kernel_size[i]) // convolution.stride[i] + 1
        for i, size in enumerate(sizes)
    ]


def _of_grids(grids: Sequence[Grid], leading: Sequence[str], n: int, frame: str) -> Tokens | None:
    """Name ``n`` positions as patches of some images; None where their number fits no way of laying them out."""
    for by in _MERGES:
        stage = list(grids) if by == 1 else [grid.merged(by) for grid in grids]
        count = sum(grid.rows * grid.columns for grid in stage)
        for names in dict.fromkeys((tuple(leading), ())):
            if count and n == count + len(names):
                cells = [grid.cells() for grid in stage]
                texts = [
                    f"{f'{frame} {i} ' if len(cells) > 1 else ''}patch {row},{column}"
                    for i, some in enumerate(cells)
                    for row, column, *_ in some.tolist()
                ]
                return _joined(names, texts, np.concatenate(cells))
    return None


def _of_spectrogram(found: tuple[Grid, int], leading: Sequence[str], seconds: float, n: int) -> Tokens | None:
    """Name patches of a spectrogram: rows are bands, low ones first, columns are time."""
    grid, frames = found
    tokens = _of_grids([grid], leading, n, "")
    if tokens is None or tokens.patches is None or tokens.patches[-1, 2] != grid.rows:
        return None
    start = tokens.patches[:, 1] * frames * seconds
    times = np.stack([start, start + frames * seconds], axis=1).astype(np.float32)
    times[tokens.patches[:, 0] < 0] = np.nan
    texts = [
        text if np.isnan(span).any() else f"{text} ({sound.span_text(*span)})"
        for text, span in zip(tokens.text, times, strict=True)
    ]
    return Tokens(tuple(texts), tokens.special, tokens.words, patches=tokens.patches, times=times)


def _joined(leading: Sequence[str], texts: Sequence[str], cells: np.ndarray) -> Tokens:
    special = np.arange(len(leading) + len(texts)) < len(leading)
    words = np.where(special, -1, np.arange(len(special)) - len(leading)).astype(np.int32)
    patches = np.concatenate([np.full((len(leading), 4), -1, np.int32), cells])
    return Tokens((*leading, *texts), special, words, patches=patches)


def _repeated(one: Tokens, times: int) -> Tokens:
    """The tokens of several images of one size, one after another."""
    if times == 1:
        return one
    assert one.patches is not None
    texts = tuple(f"image {i} {text}" for i in range(times) for text in one.text)
    special, count = np.tile(one.special, times), len(one) * times
    words = np.where(special, -1, np.arange(count)).astype(np.int32)
    return Tokens(texts, special, words, patches=np.tile(one.patches, (times, 1)))


def grid_tokens(rows: int, columns: int) -> Tokens:
    """Name the patches of one image, row by row."""
    return _joined((), [f"patch {row},{column}" for row in range(rows) for column in range(columns)],
                   Grid(rows, columns).cells())  # fmt: skip
