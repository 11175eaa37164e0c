"""Live steps of generation: query rows and key columns of each pass joined to one square of attention."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.errors import InputError, ModelError
from attnscope.recording.collect.collector import Collector, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnscope.attention.capture import Capture
    from attnscope.recording.collect.kinds import Place
    from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall

_APART = ("vision", "audio", "qformer")
_ELSE = "Record without live=True: then one pass over the finished text is captured."


@dataclass(frozen=True, eq=False)
class Step:
    """One pass of a generation, handed to ``on_step`` when it is over.

    Parameters
    ----------
    number
        Which pass, from zero; the first reads the prompt.
    ids
        The token ids this pass read, one list per input: the prompt at first, then each new token. None where the
        model was given vectors.
    capture
        Makes the capture of all rows so far, as :meth:`Recording.capture` does; ``capture(tokenizer=tokenizer)``.
    """

    number: int
    ids: list[list[int]] | None
    capture: Callable[..., Capture]


@dataclass(eq=False)
class _Rows:
    """What one pass adds to one layer of one input."""

    first: int
    queries: torch.Tensor
    mask: Mask
    offset: int
    bias: torch.Tensor | None
    keys: torch.Tensor | None
    values: torch.Tensor | None

    @property
    def stop(self) -> int:
        return self.first + self.queries.shape[1]

    def until(self, stop: int) -> _Rows:
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
class _Growing:
    """One layer over all passes."""

    seen: Recorded
    whole: list[QueriesKeys]
    items: list[list[_Rows]]
    figures: list[float] = field(default_factory=list)


class Steps:
    """Joins the passes of one generation.

    Parameters
    ----------
    wanted
        Numbers of the layers to keep; None for all.
    values
        Whether to keep value vectors.
    encoder_decoder
        Whether the model is one, so that its encoder runs once and is looked at by every row.
    """

    def __init__(self, wanted: set[int] | None, *, values: bool, encoder_decoder: bool) -> None:
        self._wanted, self._values = wanted, values
        self._encoder_decoder = encoder_decoder
        self._growing: dict[tuple[Place, int], _Growing] = {}
        self._past = 0
        self._until: int | None = None
        self._pass: Collector | None = None
        self.whole = Collector(wanted, values=values)
        self.total = 0
        self.restarts = 0
        self.fed: torch.Tensor | None = None
        self.ids: torch.Tensor | None = None
        self.mask: torch.Tensor | None = None

    def begin(self, inputs: Mapping[str, Any], batch: int | None) -> None:
        """Begin a pass, called with these inputs."""
        self._past = past_length(inputs.get("past_key_values"))
        if self._past > self.total:
            raise InputError(
                f"The cache already held {self._past} tokens and this recording saw {self.total} of them, so the rows "
                f"of the others are missing. Let the whole text run inside the block, with an empty cache. {_ELSE}"
            )
        self.restarts += self._past == 0 and self.total > 0
        self._pass = Collector(self._wanted, values=self._values)
        self._pass.batch = batch
        self._read(inputs)

    def end(self) -> None:
        """End a pass."""
        if self._pass is not None:
            self._pass.close()
            self.whole.odd |= self._pass.odd
            for place, numbers in self._pass.numbers.items():
                self.whole.numbers.setdefault(place, numbers)
        self._pass = None
        self.total = max((layer.items[0][-1].stop for layer in self._growing.values()), default=0)

    def take(self, call: AttentionCall) -> None:
        """Take a call at once: the cache's storage is used again on the next pass."""
        collector = self.whole if self._pass is None else self._pass
        before = len(collector.recorded)
        collector.take(call)
        self._sort(collector, before)

    def take_softmax(self, call: SoftmaxCall) -> bool:
        """Take a softmax where it stands alone; of what grows, weights alone are refused."""
        collector = self.whole if self._pass is None else self._pass
        before = len(collector.recorded)
        taken = collector.take_softmax(call)
        self._sort(collector, before)
        return taken

    def recorded(self, total: int | None = None) -> list[Recorded]:
        """Give the layers as one pass over the first ``total`` tokens would have shown them; all rows for None."""
        masks: dict[bytes, Mask] = {}
        total = total or self._until or self.total
        grown = [_joined(layer, total, masks) for layer in self._growing.values() if total]
        batch = max((len(layer.items) for layer in grown), default=1)
        return [_spread(layer, batch) for layer in self.whole.recorded] + grown

    def inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What one pass over all tokens so far would have been called with; ``given``: with what else."""
        names = self._names()
        mask = self.mask if self.mask is not None and self.mask.shape[-1] == self.total else None
        prompt = given.get(names[1])
        if mask is None and isinstance(prompt, torch.Tensor) and prompt.ndim == 2 and prompt.shape[1] <= self.total:
            mask = torch.cat([prompt, prompt.new_ones(len(prompt), self.total - prompt.shape[1])], dim=1)
        return {**given, names[0]: self.ids, names[1]: mask}

    def finished_inputs(self, whole: Mapping[str, Any]) -> dict[str, Any]:
        """Check the passes against all that was written, whose last token was not read.

        Parameters
        ----------
        whole
            The inputs of one pass over all that was read and written.

        Raises
        ------
        InputError
            When the passes read something else, as they do when beams change places.
        """
        names = self._names()
        text = whole.get(names[0], whole.get("inputs_embeds"))
        self._until = text.shape[1] - 1 if isinstance(text, torch.Tensor) else self.total
        fits = self.total >= self._until > 0
        if fits and self.ids is not None and names[0] in whole:
            fits = torch.equal(self.ids[:, : self._until], text[:, : self._until].cpu())
        if not fits:
            raise InputError(
                "The live steps did not read the text that generate() gave back: it chose among several on the way. "
                f"{_ELSE}"
            )
        cut = {name: whole[name][:, : self._until] for name in (*names, "inputs_embeds") if name in whole}
        return {**whole, **cut}

    def _names(self) -> tuple[str, str]:
        if self._encoder_decoder:
            return "decoder_input_ids", "decoder_attention_mask"
        return "input_ids", "attention_mask"

    def _sort(self, collector: Collector, before: int) -> None:
        """Put what was just recorded to the rows that grow, or to what is whole after one pass."""
        new = collector.recorded[before:]
        del collector.recorded[before:]
        for recorded in new:
            if not self._stands_alone(recorded.place):
                self._add(recorded)
            elif not any((r.place, r.number) == (recorded.place, recorded.number) for r in self.whole.recorded):
                self.whole.recorded.append(recorded)

    def _stands_alone(self, place: Place) -> bool:
        return not place.cross and (place.part in _APART or (self._encoder_decoder and place.part == "encoder"))

    def _read(self, inputs: Mapping[str, Any]) -> None:
        ids, mask = (inputs.get(name) for name in self._names())
        self.mask = mask if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None
        self.fed = ids.detach().cpu().clone() if isinstance(ids, torch.Tensor) and ids.ndim == 2 else None
        if self.fed is None or self._past == 0:
            self.ids = self.fed
        elif self.ids is not None:
            self.ids = torch.cat([self.ids[:, : self._past], self.fed], dim=1)

    def _add(self, recorded: Recorded) -> None:
        layers = [item for item in recorded.items if isinstance(item, QueriesKeys)]
        if len(layers) < len(recorded.items):
            raise ModelError(
                f"{recorded.path} computes its attention in a way that shows weights only, and live steps join queries "
                f"and keys. {_ELSE}"
            )
        key = (recorded.place, recorded.number)
        if key not in self._growing:
            emptied = _kept if recorded.place.cross else _emptied
            self._growing[key] = _Growing(
                replace(recorded, items=[]), [emptied(layer) for layer in layers], [[] for _ in layers]
            )
        layer = self._growing[key]
        if len(layer.items) != len(layers):
            raise InputError(f"The number of sequences changed from {len(layer.items)} to {len(layers)}. {_ELSE}")
        layer.figures.append(recorded.check)
        for rows, new in zip(layer.items, layers, strict=True):
            while rows and rows[-1].stop > self._past:  # a pass that takes tokens back
                last = rows.pop()
                if last.first < self._past:
                    rows.append(last.until(self._past))
            rows.append(self._rows(new, rows, recorded))

    def _rows(self, new: QueriesKeys, rows: list[_Rows], recorded: Recorded) -> _Rows:
        if recorded.place.cross:
            return _Rows(self._past, _copy(new.queries), new.mask, 0, _copy(new.bias), None, None)
        total = self._past + new.n_queries
        offset = max(0, total - new.n_keys)  # a window's cache gives the last keys only
        columns = slice(self._past - offset, total - offset)
        if rows and not _same_past(new.keys, rows, offset):
            raise ModelError(
                f"The keys in the cache of {recorded.path} are not those that were put there: beams change places, and "
                f"a quantised cache rounds them. Rows and columns of different passes do not fit together. {_ELSE}"
            )
        return _Rows(
            self._past,
            _copy(new.queries),
            new.mask,
            offset,
            _copy(new.bias),
            _copy(new.keys[:, columns]),
            None if new.values is None else _copy(new.values[:, columns]),
        )


def past_length(cache: Any) -> int:
    """How many tokens a cache holds."""
    if cache is None:
        return 0
    if hasattr(cache, "get_seq_length"):
        return int(cache.get_seq_length() or 0)
    try:
        return int(cache[0][0].shape[-2])
    except (TypeError, IndexError, AttributeError, KeyError):
        return 0


def _same_past(keys: Any, rows: list[_Rows], offset: int) -> bool:
    """Whether the last key before this pass, and the first of all, are as they were."""
    last, first = rows[-1], rows[0]
    assert last.keys is not None
    assert first.keys is not None
    same = last.stop - 1 < offset or torch.equal(keys[:, last.stop - 1 - offset], last.keys[:, -1])
    return same and (offset > 0 or torch.equal(keys[:, 0], first.keys[:, 0]))


def _joined(layer: _Growing, total: int, masks: dict[bytes, Mask]) -> Recorded:
    items = []
    for whole, rows in zip(layer.whole, layer.items, strict=True):
        kept = [row if row.stop <= total else row.until(total) for row in rows if row.first < total]
        cross = layer.seen.place.cross
        mask = _joined_mask(kept, whole.n_keys if cross else total)
        mask = masks.setdefault(mask.start.tobytes() + b"," + mask.stop.tobytes() + _bits(mask), mask)
        items.append(
            replace(
                whole,
                queries=torch.cat([row.queries for row in kept], dim=1),
                keys=whole.keys if cross else _cat([row.keys for row in kept]),
                values=whole.values if cross else _cat([row.values for row in kept]),
                mask=mask,
                bias=_joined_bias(kept, mask.n_keys),
            )
        )
    seen = [figure for figure in layer.figures if figure == figure]  # without NaN, a row that sees no key
    return replace(layer.seen, items=items, check=max(seen, default=float("nan")))


def _joined_mask(rows: list[_Rows], n_keys: int) -> Mask:
    if all(row.mask.bits is None for row in rows):
        start = np.concatenate([np.minimum(row.mask.start + row.offset, n_keys) for row in rows])
        stop = np.concatenate([np.minimum(row.mask.stop + row.offset, n_keys) for row in rows])
        return Mask(start.astype(np.int32), stop.astype(np.int32), n_keys)
    allowed = np.zeros((rows[-1].stop, n_keys), bool)
    for row in rows:
        width = min(row.mask.n_keys, n_keys - row.offset)
        allowed[row.first : row.stop, row.offset : row.offset + width] = row.mask.allowed(slice(None))[:, :width]
    return Mask.of(allowed)


def _joined_bias(rows: list[_Rows], n_keys: int) -> torch.Tensor | None:
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


def _copy(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().cpu().clone()


def _kept(layer: QueriesKeys) -> QueriesKeys:
    """A layer whose tensors are its own."""
    return replace(
        layer,
        queries=_copy(layer.queries),
        keys=_copy(layer.keys),
        values=_copy(layer.values),
        bias=_copy(layer.bias),
        sinks=_copy(layer.sinks),
    )


def _emptied(layer: QueriesKeys) -> QueriesKeys:
    """A layer without rows and columns, for those to come."""
    return replace(
        layer,
        queries=_copy(layer.queries[:, :0]),
        keys=_copy(layer.keys[:, :0]),
        values=None,
        bias=None,
        sinks=_copy(layer.sinks),
        mask=Mask.full(0, 0),
    )


def _spread(recorded: Recorded, batch: int) -> Recorded:
    """Give each of several sequences of one input what that input has."""
    count = len(recorded.items)
    if count in (0, batch) or batch % count:
        return recorded
    return replace(recorded, items=[recorded.items[i * count // batch] for i in range(batch)])
