"""Rows of queries and columns of keys that passes add to a layer, joined to the layer one pass would have shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.mask import Mask

if TYPE_CHECKING:
    from attnscope.attention.layers import QueriesKeys
    from attnscope.recording.collect.recorded import Recorded


@dataclass(eq=False)
class Rows:
    """What one pass adds to one layer of one input."""

    first: int
    queries: torch.Tensor
    mask: Mask
    offset: int
    bias: torch.Tensor | None
    keys: torch.Tensor | None
    values: torch.Tensor | None
    error: float = 0.0

    @property
    def stop(self) -> int:
        """Position after the last row."""
        return self.first + self.queries.shape[1]

    def until(self, stop: int) -> Rows:
        """Keep the rows, and columns, before a position."""
        count = stop - self.first
        mask = self.mask.take(np.arange(count), np.arange(self.mask.n_keys))
        return replace(
            self,
            queries=self.queries[:, :count],
            mask=mask,
            bias=None if self.bias is None else self.bias[:, :count],
            keys=None if self.keys is None else self.keys[:, :count],
            values=None if self.values is None else self.values[:, :count],
        )


@dataclass(eq=False)
class Growing:
    """One layer over all passes."""

    seen: Recorded
    whole: list[QueriesKeys]
    items: list[list[Rows]]
    figures: list[float] = field(default_factory=list)


def same_past(keys: Any, rows: list[Rows], offset: int) -> bool:
    """Whether the last key before this pass, and the first of all, are as they were."""
    last, first = rows[-1], rows[0]
    assert last.keys is not None
    assert first.keys is not None
    same = last.stop - 1 < offset or torch.equal(keys[:, last.stop - 1 - offset], last.keys[:, -1])
    return same and (offset > 0 or torch.equal(keys[:, 0], first.keys[:, 0]))


def joined(layer: Growing, total: int, masks: dict[bytes, Mask]) -> Recorded:
    """Join the first ``total`` rows of all passes; layers given the same ``masks`` share equal ones."""
    items = []
    for whole, rows in zip(layer.whole, layer.items, strict=True):
        kept = [row if row.stop <= total else row.until(total) for row in rows if row.first < total]
        cross = layer.seen.place.cross
        mask = _mask(kept, whole.n_keys if cross else total)
        mask = masks.setdefault(mask.start.tobytes() + b"," + mask.stop.tobytes() + _bits(mask), mask)
        items.append(
            replace(
                whole,
                queries=torch.cat([row.queries for row in kept], dim=1),
                keys=whole.keys if cross else _cat([row.keys for row in kept]),
                values=whole.values if cross else _cat([row.values for row in kept]),
                mask=mask,
                bias=_bias(kept, mask.n_keys),
                error=max(row.error for row in kept),
            )
        )
    seen = [figure for figure in layer.figures if figure == figure]  # without NaN, a row that sees no key
    return replace(layer.seen, items=items, check=max(seen, default=float("nan")))


def _mask(rows: list[Rows], n_keys: int) -> Mask:
    if all(row.mask.bits is None for row in rows):
        start = np.concatenate([np.minimum(row.mask.start + row.offset, n_keys) for row in rows])
        stop = np.concatenate([np.minimum(row.mask.stop + row.offset, n_keys) for row in rows])
        return Mask(start.astype(np.int32), stop.astype(np.int32), n_keys)
    allowed = np.zeros((rows[-1].stop, n_keys), bool)
    for row in rows:
        width = min(row.mask.n_keys, n_keys - row.offset)
        allowed[row.first : row.stop, row.offset : row.offset + width] = row.mask.allowed(slice(None))[:, :width]
    return Mask.of(allowed)


def _bias(rows: list[Rows], n_keys: int) -> torch.Tensor | None:
    known = [row.bias for row in rows if row.bias is not None]
    if not known:
        return None
    bias = known[0].new_zeros(max(len(one) for one in known), rows[-1].stop, n_keys)
    for row in rows:
        if row.bias is not None:
            width = min(row.bias.shape[-1], n_keys - row.offset)
            bias[:, row.first : row.stop, row.offset : row.offset + width] = row.bias[..., :width]
    return bias


def _cat(parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known, dim=1) if known else None


def _bits(mask: Mask) -> bytes:
    return b"" if mask.bits is None else mask.bits.tobytes()


def copied(tensor: Any) -> Any:
    """A copy that the next pass does not change."""
    return None if tensor is None else tensor.detach().clone()


def kept(layer: QueriesKeys) -> QueriesKeys:
    """A layer whose tensors are its own."""
    return replace(
        layer,
        queries=copied(layer.queries),
        keys=copied(layer.keys),
        values=copied(layer.values),
        bias=copied(layer.bias),
        sinks=copied(layer.sinks),
    )


def emptied(layer: QueriesKeys) -> QueriesKeys:
    """A layer without rows and columns, for those to come."""
    return replace(
        layer,
        queries=copied(layer.queries[:, :0]),
        keys=copied(layer.keys[:, :0]),
        values=None,
        bias=None,
        sinks=copied(layer.sinks),
        mask=Mask.full(0, 0),
    )


def spread(recorded: Recorded, batch: int) -> Recorded:
    """Give each of several sequences of one input what that input has."""
    count = len(recorded.items)
    if count in (0, batch) or batch % count:
        return recorded
    return replace(recorded, items=[recorded.items[i * count // batch] for i in range(batch)])
