"""Recording any PyTorch module: nothing is known of its inputs, its layers or what it calls them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.arrays import dtype_name
from attnscope.errors import InputError, ModelError, NoAttentionError
from attnscope.recording.collect import check
from attnscope.recording.collect.collector import Collector
from attnscope.recording.collect.heads import joined
from attnscope.recording.collect.kept import layer_of
from attnscope.recording.collect.recorded import Recorded
from attnscope.recording.collect.replay import Replay
from attnscope.recording.watch import softmaxes
from attnscope.recording.watch.functions import n_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.layers import Layer
    from attnscope.recording.collect.keeping import Keeping
    from attnscope.recording.collect.kinds import Place
    from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall
    from attnscope.recording.watch.running import Frame


class ModuleCollector(Collector):
    """Takes the calls of one pass of any module.

    How many inputs there were is settled when the pass is over, by :attr:`batches` and by what was seen; layers over
    another number of groups of tokens are left out and named. Modules that attend with one head each, one beside the
    other on the same tokens, are the heads of one layer.
    """

    def __init__(self, wanted: set[int] | None, *, values: bool, keeping: Keeping | None = None) -> None:
        super().__init__(wanted, values=values, keeping=keeping)
        self.batches: tuple[int, ...] = ()
        self._unit: Frame | None = None
        self._last: tuple[Place, int] | None = None

    def take(self, call: AttentionCall) -> None:
        """Take a call whose queries and keys are known."""
        if call.options.get("dropout"):
            raise ModelError(
                f"{call.path or type(call.module).__name__} drops out weights at random (dropout_p is "
                f"{call.options['dropout']}). Call model.eval() first; where the model passes dropout_p itself, it has "
                "to pass 0.0 outside training."
            )
        groups, n_heads, n_queries, _ = call.queries.shape
        place, number, joins = self._placed(call, n_heads)
        cross = call.options.get("cross")
        place = place._replace(cross=_crosses(place, n_queries, call.keys.shape[2]) if cross is None else cross)
        if self._wanted is not None and number not in self._wanted:
            return
        layers = [layer_of(call, group, self._masks) for group in range(groups)]
        figures = check.deviations(layers, call)
        seen = [figure for figure in figures if not math.isnan(figure)]
        written, split = None, self.ranks is not None and self.ranks.splits(call)
        if self.writes is not None and not joins:
            written = self.writes.attended(call, layers[0], groups, place.part, split=split)
        names = {dtype_name(tensor) for tensor in (call.queries, call.values, call.output)}
        self.recorded.append(
            Recorded(
                place,
                number,
                call.path,
                call.tier,
                self._keeping.layers(call, layers, values=self._values),
                max(seen, default=math.nan),
                max(check.TOLERANCE.get(name, 1e-4) for name in names),
                added=call.options.get("added_keys", ()),
                joins=joins,
                written=written,
                split=split,
            )
        )

    def take_softmax(self, call: SoftmaxCall) -> bool:
        """Take a softmax that weighs values: [inputs, heads, queries, keys], or [groups, queries, keys]."""
        shape = call.weights.shape
        groups, n_heads = shape[0], shape[1] if len(shape) == 4 else 1
        if len(shape) == 3 and n_inputs(call.frames[-1], shape[1]) == 1:
            groups, n_heads = 1, shape[0]
        if len(shape) > 4:
            groups, n_heads = math.prod(shape[:-3]), shape[-3]
        weights = call.weights.reshape(groups, n_heads, *shape[-2:])
        place, number, joins = self._placed(call, n_heads)
        place = place._replace(cross=_crosses(place, *shape[-2:]))
        if self._wanted is not None and number not in self._wanted:
            return True
        call = replace(call, weights=weights)
        items: list[Layer]
        if self._keep(weights):
            items, tier = [self._keeping.weights(one) for one in weights], "softmax"
        else:
            again = Replay(call, groups, self._copies)
            items, tier = [again.layer(weights, group) for group in range(groups)], "replay"
        allowed = 10 * check.TOLERANCE.get(dtype_name(weights), 1e-4)
        error = softmaxes.row_error(weights)
        self.recorded.append(Recorded(place, number, call.path, tier, items, error, allowed, joins=joins))
        return True

    def close(self) -> None:
        """Settle the number of inputs, join what are heads of one layer, let go of what only the pass needs."""
        super().close()
        counts = {len(layer.items) for layer in self.recorded}
        batch = next((n for n in self.batches if n in counts), None)
        if batch is None and not self.batches and len(counts) == 1:
            batch = next(iter(counts))
        for layer in self.recorded:
            if len(layer.items) != batch:
                self.odd[layer.path or "the model"] = (
                    f"its attention is over {len(layer.items)} groups of tokens (windows, or heads and inputs on one "
                    f"axis), and there are {self.batches[0] if self.batches else 1} inputs. Record one input at a "
                    "time, or give the weights to attnscope.from_attentions(...)"
                )
        self.recorded[:] = joined([layer for layer in self.recorded if len(layer.items) == batch])
        self._unit = None

    def _placed(self, call: AttentionCall | SoftmaxCall, n_heads: int) -> tuple[Place, int, bool]:
        """Number a layer; one head that runs beside the head before it belongs to the same."""
        unit = next((frame for frame in reversed(call.frames) if re.search(r"(^|\.)\d+$", frame.path)), None)
        if n_heads == 1 and unit is not None and self._last is not None and _beside(unit, self._unit):
            self._unit = unit
            return (*self._last, True)
        self._unit, self._last = unit, self._numbers.of(call.module, call.path, call.frames)
        return (*self._last, False)


def batch_sizes(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """Numbers of inputs a pass may be over, the likeliest first, by its first tensor; tokens may come first in it."""
    first = next((value for value in _flat(inputs) if isinstance(value, torch.Tensor) and value.ndim), None)
    if first is None:
        return ()
    if first.ndim == 1:
        return (1,)
    sizes = (first.size(0),) if first.is_nested or first.ndim > 3 else tuple(first.shape[:2])
    return (*sizes, 1) if first.is_floating_point() and first.ndim in (2, 3) else sizes


def require_one_module_pass(passes: int, name: str) -> None:
    """Refuse several passes; loops of a model's own, as round its ``generate``, are not followed."""
    if passes > 1:
        raise InputError(
            f"{passes} forward passes of {name} ran inside the block, and a capture is of one. Open a block for each; "
            "for generated text, generate first, then record one pass over the whole sequence."
        )


def require_seen_here(passes: int, elsewhere: int, name: str) -> None:
    """Refuse passes that ran only where they cannot be seen."""
    if passes == 0 and elsewhere:
        raise NoAttentionError(
            f"No attention was recorded: {name} did not run where this recording sees it, but in another thread (as "
            "DataParallel and thread pools do) or inside another recording of it. Call the model itself in the thread "
            "that opened the block."
        )


def _crosses(place: Place, n_queries: int, n_keys: int) -> bool:
    return place.cross or 1 < n_queries != n_keys


def _beside(unit: Frame, before: Frame | None) -> bool:
    """Whether two modules of one list are called with the very same tensors, side by side."""
    if before is None or unit is before or unit.path.rpartition(".")[0] != before.path.rpartition(".")[0]:
        return False
    mine, its = ([t for t in _flat((f.args, f.kwargs)) if isinstance(t, torch.Tensor)] for f in (unit, before))
    return bool(mine) and len(mine) == len(its) and all(a is b for a, b in zip(mine, its, strict=True))


def _flat(values: Any) -> list[Any]:
    """Everything within lists and mappings."""
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [entry for value in values for entry in _flat(value)]
    return [values]
