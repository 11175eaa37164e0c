"""Collecting what a forward pass shows: one record per layer and kind, checked as it comes in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.arrays import dtype_name
from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import QueriesKeys
from attnscope.errors import ModelError
from attnscope.recording import room
from attnscope.recording.collect import check, layouts, packs
from attnscope.recording.collect.keeping import Keeping
from attnscope.recording.collect.kept import layer_of, not_understood
from attnscope.recording.collect.masks import MaskReader
from attnscope.recording.collect.numbering import Numbers
from attnscope.recording.collect.recorded import Recorded
from attnscope.recording.collect.replay import Copies, Replay
from attnscope.recording.watch import softmaxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.layers import Layer
    from attnscope.recording.collect.kinds import Place
    from attnscope.recording.collect.written import Writes
    from attnscope.recording.ranks.shards import Ranks
    from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall


@dataclass(eq=False)
class _Run:
    """What one run of one module showed so far."""

    place: Place
    number: int
    calls: int = 0
    wanted: bool = True
    band: SoftmaxCall | None = None
    layer: Recorded | None = None
    length: int | None = None
    chunks: list[tuple[list[Layer], np.ndarray, float]] = field(default_factory=list)


class Collector:
    """Takes the calls of one pass and makes layers of them.

    Parameters
    ----------
    wanted
        Numbers of the layers to keep; None for all.
    values
        Whether to keep value vectors.
    keeping
        In which dtype and where what is recorded is kept.
    """

    def __init__(self, wanted: set[int] | None, *, values: bool, keeping: Keeping | None = None) -> None:
        self.recorded: list[Recorded] = []
        self.odd: dict[str, str] = {}
        self.batch: int | None = None
        self.media: int | None = None
        self.lengths: dict[str, int] = {}
        self.packed: list[np.ndarray] | None = None
        self._numbers = Numbers()
        self._wanted = wanted
        self._values = values
        self._keeping = keeping or Keeping()
        self._masks = MaskReader()
        self._copies = Copies()
        self._kept = 0
        self._runs: dict[tuple[torch.nn.Module, int], _Run] = {}
        self._serial = 0
        self._called: tuple[_Run, torch.Tensor, torch.Tensor] | None = None
        self.writes: Writes | None = None
        self.ranks: Ranks | None = None

    @property
    def numbers(self) -> dict[Place, list[int]]:
        """Numbers of the layers seen in each place, kept or not."""
        return self._numbers.taken

    def expect(self, model: Any, lengths: dict[str, int]) -> None:
        """Learn how long the texts of the pass are, and refuse what would not fit in memory."""
        self.lengths = lengths
        if "" in lengths:
            room.require_room(
                model, lengths[""], self.batch or 1, self._wanted, values=self._values, keeping=self._keeping
            )

    def take(self, call: AttentionCall) -> None:
        """Take a call whose queries and keys are known."""
        if call.options.get("dropout") and call.module.training:
            raise ModelError(
                f"{call.path} drops out weights at random (training mode). Call model.eval() first; model.train() "
                "brings training mode back."
            )
        batch = self.batch or call.queries.shape[0]
        groups = call.queries.shape[0]
        packed = self._packed(call, batch)
        windows = None if packed or groups == batch else layouts.window_places(call.frames, groups, batch)
        if groups != batch and windows is None and not packed:
            self.odd[call.path] = (
                f"there are {groups} images or sounds for {batch} texts: give one for each text"
                if groups == self.media
                else f"there are {groups} windows or groups of tokens for {batch} inputs, and no telling where"
            )
            return
        run = self._run(call)
        if not run.wanted or self._is_same(call, run):
            return
        recorded = self._record(call, run, windows, 1 if packed else batch)
        if recorded is not None:
            items = packs.split(recorded.items[0], self.packed or []) if packed else recorded.items
            self.recorded.append(replace(recorded, items=items))

    def take_softmax(self, call: SoftmaxCall) -> bool:
        """Take the softmax of an attention module; say whether it was one, or one that is known not to be readable."""
        if not softmaxes.may_be_attention(call):
            return False
        batch = self.batch or 1
        reason = layouts.unreadable(call.module, call.weights)
        if reason is not None:
            self.odd[call.path] = reason
            return True
        if layouts.is_in_blocks(call):
            self._take_blocks(call, batch)
            return True
        if layouts.is_banded(call.module):
            self._take_band(call, batch)
            return True
        places = None
        if call.weights.ndim == 4 and call.weights.shape[0] != batch:
            places = layouts.window_places(call.frames, call.weights.shape[0], batch)
        if call.weights.ndim == 5 and call.weights.shape[0] == batch and call.index:
            self._take_streams(call, batch)
            return True
        misfit = None if places else softmaxes.misfit(call, batch)
        if misfit is not None:
            if call.index == 0 or call.weights.ndim > 3:
                self.odd[call.path] = f"its softmax gives {misfit}, not a weight for each pair of tokens"
            return True
        run = self._run(call)
        if not run.wanted:
            return True
        if places is not None:
            items: list[Layer] = [
                Blocks([self._keeping.weights(weights) for weights in some], *places)
                for some in _chunked(call.weights, batch)
            ]
            self._put(run, call, items, "softmax", call.weights)
            return True
        weights = softmaxes.by_head(call.weights, batch)
        if self._keep(weights):
            items, tier = [self._keeping.weights(weights[item]) for item in range(batch)], "softmax"
        else:
            again = Replay(call, batch, self._copies)
            items, tier = [again.layer(weights, item) for item in range(batch)], "replay"
        self._put(run, call, items, tier, weights)
        return True

    def close(self) -> None:
        """Let go of what only the running pass needs; leave out layers that were not seen whole."""
        for run in self._runs.values():
            if run.chunks:
                self.odd[run.place.where] = (
                    f"only {sum(len(chunk[1]) for chunk in run.chunks)} of its {run.length} tokens attend"
                )
        self._copies.close()
        self._runs.clear()
        self._called = None

    def _run(self, call: AttentionCall | SoftmaxCall) -> _Run:
        """Find or number the run of the module a call comes from; another of its calls is another stream."""
        self._serial -= 1
        key = (call.module, call.frames[-1].serial if call.frames else self._serial)
        if key not in self._runs:
            place, number = self._numbers.of(call.module, call.path, call.frames)
            wanted = self._wanted is None or number in self._wanted
            self._runs[key] = _Run(place, number, wanted=wanted)
        run = self._runs[key]
        run.calls += 1
        return run

    def _is_same(self, call: AttentionCall, run: _Run) -> bool:
        """Whether a module attends once more with the queries and keys it just attended with, to other values."""
        before, self._called = self._called, (run, call.queries, call.keys)
        if before is None or before[0] is not run:
            return False
        return all(
            a.shape == b.shape and bool(torch.equal(a, b))
            for a, b in zip(before[1:], (call.queries, call.keys), strict=True)
        )

    def _packed(self, call: AttentionCall, batch: int) -> bool:
        """Whether a call is over the images of all texts, one after another."""
        return (
            self.packed is not None
            and call.queries.shape[0] == 1 < batch == len(self.packed)
            and layouts.input_length(call.frames) == sum(len(some) for some in self.packed)
            and all(len(some) for some in self.packed)
        )

    def _record(
        self, call: AttentionCall, run: _Run, windows: tuple[list[np.ndarray], int] | None, batch: int
    ) -> Recorded | None:
        """Make a layer of a call."""
        groups = call.queries.shape[0]
        layers = [layer_of(call, group, self._masks) for group in range(groups)]
        figures = check.deviations(layers, call)
        seen = [figure for figure in figures if not math.isnan(figure)]
        worst, tier = max(seen, default=math.nan), call.tier
        allowed = check.TOLERANCE.get(dtype_name(call.queries), 1e-4)
        own_weights = self._own_weights(call, allowed) if worst > allowed else None
        items: list[Layer]
        if own_weights is not None:
            (items, worst), tier = own_weights, "softmax"
        else:
            items = list(self._keeping.layers(call, layers, values=self._values))
        if windows is not None:
            places, n_tokens = windows
            items = [Blocks(some, places, n_tokens) for some in _chunked(items, batch)]
        else:
            order = self._order(call, run, items[0])
            if run.length is not None:
                start = sum(len(places) for _, places, _ in run.chunks)
                run.chunks.append((items, order[start : start + items[0].n_queries], worst))
                if start + items[0].n_queries < run.length:
                    return None
                parts = [[chunk[0][item] for chunk in run.chunks] for item in range(batch)]
                items = [Blocks(some, [chunk[1] for chunk in run.chunks], run.length) for some in parts]
                worst = max(chunk[2] for chunk in run.chunks)
                run.chunks = []
            elif order.size:
                items = [Blocks([item], [order], len(order)) for item in items]
        unknown = not_understood(call)
        place = run.place
        if run.calls > 1 and run.length is None:
            place = place._replace(stream=place.stream + run.calls - 1)
            self.numbers.setdefault(place, []).append(run.number)
        added = call.options.get("added_keys", ())
        written, split = None, self.ranks is not None and self.ranks.splits(call)
        if self.writes is not None and all(isinstance(item, QueriesKeys) for item in items):
            written = self.writes.attended(call, layers[0], batch, place.part, split=split)
        return Recorded(
            place, run.number, call.path, tier, items, worst, allowed, unknown, added, written=written, split=split
        )

    def _order(self, call: AttentionCall, run: _Run, layer: Layer) -> np.ndarray:
        """True positions of the tokens of a run, where it is over chunks of them or the model has sorted them."""
        n = layer.n_queries
        if n != layer.n_keys or run.place.cross:
            return np.zeros(0, np.int64)
        length = layouts.input_length(call.frames) or n
        order = layouts.token_order(call.frames, length)
        if length > n and run.calls == 1:
            run.length = length
        if order is None and run.length is not None:
            return np.arange(length)
        return np.zeros(0, np.int64) if order is None else order

    def _own_weights(self, call: AttentionCall, allowed: float) -> tuple[list[Layer], float] | None:
        """The function's own weights, where those reproduce its output though recomputed ones do not."""
        shape = (*call.queries.shape[:3], call.keys.shape[2])
        for weights in call.weights:
            if tuple(weights.shape) != shape or call.project is not None:
                continue
            groups = range(shape[0])
            worst = max(check.weights_deviation(weights[i], call.values[i], call.output[i]) for i in groups)
            if worst <= allowed and self._keep(weights):
                return [self._keeping.weights(weights[i]) for i in groups], worst
        return None

    def _take_band(self, call: SoftmaxCall, batch: int) -> None:
        """Take the band of a layer, then the rows of its global tokens."""
        run = self._run(call)
        if not run.wanted:
            return
        rows = None
        if run.band is not None:
            rows, call = call.weights, replace(run.band)
            if run.layer in self.recorded:
                self.recorded.remove(run.layer)
        run.band = call
        n_tokens = self.lengths.get("")
        items: list[Layer] = [layouts.bands(call, rows, item, n_tokens) for item in range(batch)]
        self._put(run, call, items, "softmax", call.weights, stream=0)
        run.layer = self.recorded[-1]

    def _take_blocks(self, call: SoftmaxCall, batch: int) -> None:
        """Take a softmax over each block of queries and the blocks beside it."""
        run = self._run(call)
        if run.wanted:
            n_tokens = self.lengths.get("")
            items: list[Layer] = [layouts.of_blocks(call, item, n_tokens) for item in range(batch)]
            self._put(run, call, items, "softmax", call.weights)

    def _take_streams(self, call: SoftmaxCall, batch: int) -> None:
        """Take softmaxes over several streams at once, [batch, streams, heads, queries, keys] (ProphetNet)."""
        run = self._run(call)
        if run.wanted:
            for stream in range(call.weights.shape[1]):
                weights = call.weights[:, stream]
                items: list[Layer] = [self._keeping.weights(weights[item]) for item in range(batch)]
                self._put(run, call, items, "softmax", weights, stream=call.index + stream)

    def _put(
        self,
        run: _Run,
        call: SoftmaxCall,
        items: Sequence[Layer],
        tier: str,
        weights: torch.Tensor,
        stream: int | None = None,
    ) -> None:
        place = run.place._replace(stream=run.place.stream + (run.calls - 1 if stream is None else stream))
        if run.number not in self.numbers.setdefault(place, []):
            self.numbers[place].append(run.number)
        allowed = 10 * check.TOLERANCE.get(dtype_name(weights), 1e-4)
        error = softmaxes.row_error(weights)
        self.recorded.append(Recorded(place, run.number, call.path, tier, items, error, allowed))

    def _keep(self, weights: torch.Tensor) -> bool:
        """Whether there is room to keep weights as they are; always in a file."""
        if self._keeping.file is not None:
            return True
        size = weights.numel() * 4
        if self._kept + size > softmaxes.KEPT_BYTES:
            return False
        self._kept += size
        return True


def _chunked(entries: Any, batch: int) -> list[list[Any]]:
    """Split what is listed window by window into one list per input."""
    each = len(entries) // batch
    return [[entries[i] for i in range(item * each, (item + 1) * each)] for item in range(batch)]
