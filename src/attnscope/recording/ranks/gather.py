"""The heads of all ranks in one layer: each rank's are a block of their own, in the order of the ranks."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.errors import ModelError
from attnscope.recording.collect import check
from attnscope.recording.ranks.exchange import exchanged
from attnscope.recording.watch import softmaxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnscope.attention.layers import Layer
    from attnscope.attention.mask import Mask
    from attnscope.recording.collect.recorded import Recorded
    from attnscope.recording.collect.written import Written
    from attnscope.recording.ranks.shards import Ranks

_BY_HEAD = ("queries", "keys", "bias", "sinks", "values")


def described(recorded: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Say of each layer what the other ranks must know; ``is`` must be the same in all.

    Raises
    ------
    ModelError
        Where a layer was recorded in a way that cannot be gathered.
    """
    return [
        {
            "is": [layer.number, layer.path, layer.tier, layer.split, len(layer.items), _masks(layer)],
            "check": layer.check,
            "errors": [getattr(item, "error", 0.0) for item in layer.items],
            "shapes": [list(tensor.shape) for tensor in _tensors(layer)],
        }
        for layer in recorded
    ]


def gathered(ranks: Ranks, recorded: Sequence[Recorded], notes: Sequence[Sequence[dict[str, Any]]]) -> list[Recorded]:
    """Give each layer with all its heads; in every rank, which all call this at once.

    Parameters
    ----------
    notes
        What each rank said of its layers; see :func:`described`.

    Raises
    ------
    ModelError
        Where ranks recorded other layers.
    """
    for number, note in enumerate(notes):
        if [one["is"] for one in note] != [one["is"] for one in notes[0]]:
            raise ModelError(
                f"Rank {number} recorded other layers than rank 0, so their heads cannot be put together. Load the "
                "model without tensor parallel to capture it."
            )
    found = []
    for layer, *each in zip(recorded, *notes, strict=True):
        checked = replace(layer, check=max(one["check"] for one in each))
        found.append(_joined(ranks, checked, each) if layer.split else checked)
    return found


def _joined(ranks: Ranks, layer: Recorded, notes: Sequence[dict[str, Any]]) -> Recorded:
    """Exchange the tensors of one layer, and put them together along their heads."""
    mine = _tensors(layer)
    width = [tensor.element_size() for tensor in mine]
    counts = [
        [size * torch.Size(shape).numel() for size, shape in zip(width, one["shapes"], strict=True)] for one in notes
    ]
    flat = torch.cat([tensor.cpu().contiguous().reshape(-1).view(torch.uint8) for tensor in mine])
    each = exchanged(ranks, flat, [sum(count) for count in counts])
    blocks = [
        [
            part.clone().view(tensor.dtype).reshape(shape).to(tensor.device)
            for part, tensor, shape in zip(torch.split(bytes_, count), mine, one["shapes"], strict=True)
        ]
        for bytes_, count, one in zip(each, counts, notes, strict=True)
    ]
    parts = iter(zip(*blocks, strict=True))
    errors = [max(some) for some in zip(*(one["errors"] for one in notes), strict=True)]
    items = [_whole(item, parts, error) for item, error in zip(layer.items, errors, strict=True)]
    if layer.written is not None and layer.written.output is not None:
        _complete(layer.written, parts)
    return replace(layer, items=items, split=False)


def _tensors(layer: Recorded) -> list[torch.Tensor]:
    """What differs from rank to rank, in a fixed order; nothing of a layer that every rank has whole."""
    if not layer.split:
        return []
    found = [tensor for item in layer.items for tensor in _of_heads(item, layer.path)]
    written = layer.written
    if written is not None and written.output is not None:
        assert written.partial is not None
        found += [written.output, written.partial[0]]
    return found


def _of_heads(item: Layer, path: str) -> list[torch.Tensor]:
    if isinstance(item, QueriesKeys):
        return [getattr(item, name) for name in _by_head(item)]
    if isinstance(item, StoredWeights):
        return [item.weights]
    if isinstance(item, Blocks):
        return [tensor for part in item.parts for tensor in _of_heads(part, path)]
    raise ModelError(
        f"{path} is split over several ranks, and its attention was recorded as {type(item).__name__}, which cannot be "
        "gathered. Load the model without tensor parallel to capture it."
    )


def _by_head(item: QueriesKeys) -> list[str]:
    """Names of the arrays that have an entry for each head."""
    arrays = {name: getattr(item, name) for name in _BY_HEAD}
    shared = item.bias is not None and item.bias.shape[0] == 1
    return [name for name, array in arrays.items() if array is not None and not (name == "bias" and shared)]


def _whole(item: Any, parts: Iterator[Sequence[torch.Tensor]], error: float) -> Any:
    """Put one input's layer together of the next parts."""
    if isinstance(item, Blocks):
        return replace(item, parts=[_whole(part, parts, getattr(part, "error", 0.0)) for part in item.parts])
    if isinstance(item, StoredWeights):
        weights = torch.cat(list(next(parts)))
        return replace(item, weights=weights, mask=softmaxes.visible(weights), error=error)
    found = {name: next(parts) for name in _by_head(item)}
    vectors = [name for name in ("keys", "values") if name in found]
    if all(_is_one_head(found[name]) for name in vectors):  # one key head for all, which each rank has
        found |= {name: found[name][:1] for name in vectors}
    return replace(item, **{name: torch.cat(list(some)) for name, some in found.items()}, error=error)


def _is_one_head(tensors: Sequence[torch.Tensor]) -> bool:
    return all(tensor.shape[0] == 1 and torch.equal(tensor, tensors[0]) for tensor in tensors)


def _complete(written: Written, parts: Iterator[Sequence[torch.Tensor]]) -> None:
    """Put the output projection together, and hold what all heads add up to to what the module gave."""
    assert written.partial is not None
    written.output = torch.cat(list(next(parts)))
    again, (_, real) = torch.stack(list(next(parts))).sum(0), written.partial
    again = again if written.bias is None else again + written.bias.to(again)
    written.check = check.relative(again, real)
    if written.check > written.allowed:
        written.output, written.residual = None, None
        written.why = f"its output projection gives something else (off by {written.check:.1g})"
    written.partial = None


def _masks(layer: Recorded) -> list[int]:
    return [_fingerprint(item.mask) for item in layer.items if not isinstance(item, StoredWeights)]


def _fingerprint(mask: Mask) -> int:
    """A checksum of which keys each query sees."""
    found = zlib.crc32(mask.stop.tobytes(), zlib.crc32(mask.start.tobytes()))
    return found if mask.bits is None else zlib.crc32(mask.bits.tobytes(), found)
