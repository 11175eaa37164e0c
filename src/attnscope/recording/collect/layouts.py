"""Where the tokens of a call stand among all tokens, for models that attend in windows, chunks or bands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.bands import Bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from attnscope.recording.watch.calls import SoftmaxCall
    from attnscope.recording.watch.running import Frame

_BANDED = re.compile(r"^(Longformer|LEDEncoder)SelfAttention$")
_IN_BLOCKS = re.compile(r"^LongT5LocalAttention$")
_UNREADABLE = (
    (
        re.compile(r"BigBird\w*BlockSparseAttention"),
        "it joins several softmaxes over gathered blocks, so that no row of weights sums to 1",
        'Capture it with full attention: model.set_attention_type("original_full"), or set '
        'attention_type="original_full" when loading it.',
    ),
    (
        re.compile(r"NystromformerSelfAttention"),
        "it approximates attention through landmarks and never computes token-to-token weights",
        "Load it with num_landmarks equal to segment_means_seq_len, which is full attention.",
    ),
    (
        re.compile(r"^(LSHSelfAttention|LocalSelfAttention|EfficientAttentionMixin)$"),
        "it sorts tokens into buckets by hashing and computes no softmax of its own",
        "Reformer's attention cannot be shown token by token.",
    ),
    (
        re.compile(r"Pegasus\w*GlobalLocalAttention|LongT5TransientGlobalAttention"),
        "it attends in blocks, to other keys for each block, and to sums of tokens",
        "Only the model's other attention can be shown.",
    ),
    (
        re.compile(r"Deformable"),
        "it reads a few sampled points of the image for each query, not tokens",
        "Its attention has no token-to-token weights.",
    ),
)


def unreadable(module: nn.Module, weights: torch.Tensor | None = None) -> str | None:
    """Say why a module's attention has no token-to-token weights, and what to do; None where it may have."""
    name = type(module).__name__
    for pattern, reason, remedy in _UNREADABLE:
        if pattern.search(name):
            square = weights is not None and weights.shape[-1] == weights.shape[-2]
            if name == "NystromformerSelfAttention" and square and _has_all_landmarks(module):
                return None
            return f"{reason}. {remedy}"
    return None


def is_banded(module: nn.Module) -> bool:
    """Whether a module keeps its weights as a band along the diagonal."""
    return bool(_BANDED.match(type(module).__name__))


def is_in_blocks(call: SoftmaxCall) -> bool:
    """Whether a softmax is over the keys of a block of queries, the block before it and the block after it."""
    known = _IN_BLOCKS.match(type(call.module).__name__) and call.weights.ndim == 5
    return bool(known) and isinstance(_named_input(call, "mask", 1), torch.Tensor)


def of_blocks(call: SoftmaxCall, item: int, n_tokens: int | None) -> Bands:
    """Place the weights of one input, block by block, as a band.

    Parameters
    ----------
    call
        The softmax, [batch, blocks, heads, block, 3 × block]; its module's mask says whom each query sees, at most
        ``block - 1`` tokens away.
    item
        Which input of the batch.
    n_tokens
        Tokens without what the model pads to whole blocks; None keeps all.
    """
    seen = _named_input(call, "mask", 1)
    seen = (seen[item if len(seen) > 1 else 0] > 0).transpose(0, 1)
    weights = call.weights[item].float().masked_fill(~seen, 0).cpu().numpy()
    blocks, heads, size, _ = weights.shape
    columns = np.arange(size)[:, None] + 1 + np.arange(2 * size - 1)  # key - query from 1 - size to size - 1
    band = np.take_along_axis(weights, np.broadcast_to(columns, (blocks, heads, *columns.shape)), axis=3)
    band = band.transpose(1, 0, 2, 3).reshape(heads, blocks * size, -1)
    return Bands(np.ascontiguousarray(band[:, :n_tokens]))


def bands(first: SoftmaxCall, rows: torch.Tensor | None, item: int, n_tokens: int | None) -> Bands:
    """Place the band of one input among its tokens.

    Parameters
    ----------
    first
        The softmax over the band, [batch, tokens, heads, global keys + band].
    rows
        The softmax of the global tokens, [batch × heads, global tokens, tokens]; None without any.
    item
        Which input of the batch.
    n_tokens
        Tokens without what the model pads to whole windows; None keeps all.
    """
    module: Any = first.module
    reach = int(module.one_sided_attn_window_size)
    weights = first.weights[item].float().cpu().numpy().transpose(1, 0, 2)
    n = weights.shape[1] if n_tokens is None else min(n_tokens, weights.shape[1])
    hidden = _named_input(first, "is_index_masked", 2)
    if isinstance(hidden, torch.Tensor):
        weights = np.where(hidden[item].cpu().numpy()[None, :, None], 0, weights)
    n_global = weights.shape[2] - (2 * reach + 1)
    band = np.ascontiguousarray(weights[:, :n, n_global:])
    if n_global == 0 or rows is None:
        return Bands(band)
    marked = _named_input(first, "is_index_global_attn", 3)
    positions = np.flatnonzero(marked[item].cpu().numpy())
    heads = weights.shape[0]
    own_rows = rows.reshape(-1, heads, *rows.shape[1:])[item].float().cpu().numpy()
    return Bands(
        band,
        positions,
        np.ascontiguousarray(weights[:, :n, : len(positions)]),
        np.ascontiguousarray(own_rows[:, : len(positions), :n]),
    )


def window_places(frames: Sequence[Frame], groups: int, batch: int) -> tuple[list[np.ndarray], int] | None:
    """Find the true positions of the tokens in each window of an image.

    Parameters
    ----------
    frames
        The running modules; the layer among them that knows its window, its shift and the image's size is asked.
    groups
        Windows of all inputs together.
    batch
        Inputs.

    Returns
    -------
    list of numpy.ndarray and int, or None
        For each window of one input the positions, patch by patch along the rows of the image, and the number of
        positions. Patches that are only padding to whole windows come after the true ones.
    """
    for frame in reversed(frames):
        size = getattr(frame.module, "window_size", None)
        shape = _image_size(frame)
        if not isinstance(size, int) or size < 1 or shape is None:
            continue
        places = _windows(*shape, size, int(getattr(frame.module, "shift_size", 0) or 0))
        if len(places) * batch == groups:
            return places, int(sum(len(place) for place in places))
    return None


def _windows(height: int, width: int, size: int, shift: int) -> list[np.ndarray]:
    """Positions in each window of a grid that is padded to whole windows and rolled by ``shift``."""
    tall, wide = -(-height // size) * size, -(-width // size) * size
    true = np.zeros((tall, wide), bool)
    true[:height, :width] = True
    number = np.zeros((tall, wide), np.int64)
    number[true] = np.arange(height * width)
    number[~true] = np.arange(height * width, tall * wide)
    rolled = np.roll(number, (-shift, -shift), axis=(0, 1))
    cut = rolled.reshape(tall // size, size, wide // size, size).transpose(0, 2, 1, 3)
    return list(cut.reshape(-1, size * size))


def _image_size(frame: Frame) -> tuple[int, int] | None:
    """Rows and columns of the image a layer was called with."""
    hidden = next((value for value in (*frame.args, *frame.kwargs.values()) if isinstance(value, torch.Tensor)), None)
    if hidden is None:
        return None
    if hidden.ndim == 4:
        return int(hidden.shape[1]), int(hidden.shape[2])
    given = frame.kwargs.get("input_dimensions", frame.args[1] if len(frame.args) > 1 else None)
    if not isinstance(given, tuple | list) or len(given) != 2 or hidden.ndim != 3:
        return None
    height, width = (int(length) for length in given)
    return (height, width) if height * width == hidden.shape[1] else None


def token_order(frames: Sequence[Frame], n_tokens: int) -> np.ndarray | None:
    """True positions of a sequence that the model sorted by windows (Qwen2.5-VL); None where it did not."""
    frame = next((f for f in frames if hasattr(f.module, "permute_input_for_window_attn")), None)
    if frame is None:
        return None
    from transformers.vision_utils import get_vision_window_index

    module: Any = frame.module
    grid = frame.kwargs.get("grid_thw", frame.args[1] if len(frame.args) > 1 else None)
    index, _ = get_vision_window_index(
        grid,
        spatial_merge_size=module.spatial_merge_size,
        window_size=module.window_size,
        patch_size=module.patch_size,
        kwargs={},
    )
    unit = module.spatial_merge_size**2
    order = (index.cpu().numpy()[:, None] * unit + np.arange(unit)).ravel()
    return order if len(order) == n_tokens else None


def input_length(frames: Sequence[Frame]) -> int | None:
    """Tokens the innermost module was called with, where its input is [tokens, width] or [batch, tokens, width]."""
    if not frames:
        return None
    given = (*frames[-1].args, *frames[-1].kwargs.values())
    hidden = next((value for value in given if isinstance(value, torch.Tensor) and value.is_floating_point()), None)
    return int(hidden.shape[-2]) if hidden is not None and hidden.ndim in (2, 3) else None


def _has_all_landmarks(module: Any) -> bool:
    return bool(module.num_landmarks == module.seq_len)


def _named_input(call: SoftmaxCall, name: str, position: int) -> Any:
    return call.kwargs.get(name, call.args[position] if len(call.args) > position else None)
