"""Collecting what a forward pass shows: one record per layer and kind, checked as it comes in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.arrays import dtype_name
from attnscope.attention.layers import LazyWeights, QueriesKeys, StoredWeights
from attnscope.errors import ModelError
from attnscope.recording import check, models, softmaxes
from attnscope.recording.kinds import Place, place_of
from attnscope.recording.masks import MaskReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.layers import Layer
    from attnscope.recording.calls import AttentionCall, SoftmaxCall

UNDERSTOOD = {
    "scaling", "dropout", "is_causal", "softcap", "s_aux", "sinks", "position_bias", "added_keys",
    "sliding_window", "position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states",
    "return_dict", "logits_to_keep", "past_key_values", "position_embeddings", "cache",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Recorded:
    """One layer of a pass.

    Parameters
    ----------
    place
        The part of the model it is in.
    number
        Its layer number there.
    path
        Path of its module.
    tier
        How it was seen.
    items
        One layer per input of the batch.
    check
        The worst self-check over the inputs; NaN where there was nothing to check.
    allowed
        What the self-check may reach.
    unknown
        Options it was called with that are not understood.
    """

    place: Place
    number: int
    path: str
    tier: str
    items: Sequence[Layer]
    check: float
    allowed: float
    unknown: Sequence[str] = field(default_factory=list)


class Collector:
    """Takes the calls of one pass and makes layers of them.

    Parameters
    ----------
    wanted
        Numbers of the layers to keep; None for all.
    values
        Whether to keep value vectors.
    """

    def __init__(self, wanted: set[int] | None, *, values: bool) -> None:
        self.recorded: list[Recorded] = []
        self.numbers: dict[Place, list[int]] = {}
        self.odd: dict[str, str] = {}
        self.batch: int | None = None
        self._wanted = wanted
        self._values = values
        self._masks = MaskReader()
        self._kept = 0

    def take(self, call: AttentionCall) -> None:
        """Take a call whose queries and keys are known."""
        if call.options.get("dropout") and call.module.training:
            raise ModelError(
                f"{call.path} drops out weights at random (training mode). Call model.eval() first; model.train() "
                "brings training mode back."
            )
        if self.batch is not None and call.queries.shape[0] != self.batch:
            self.odd[call.path] = f"{call.queries.shape[0]} windows or groups of tokens for {self.batch} inputs"
            return
        place = place_of(call.module, call.path)
        number = self._number(place, call.module, call.path)
        if self._wanted is not None and number not in self._wanted:
            return
        items, figures = [], []
        for item in range(call.queries.shape[0]):
            layer = self._layer(call, item)
            figures.append(check.deviation(layer, call.values[item], call.output[item], call.project))
            items.append(layer)
        seen = [figure for figure in figures if not math.isnan(figure)]
        self.recorded.append(
            Recorded(
                place,
                number,
                call.path,
                call.tier,
                items,
                max(seen, default=math.nan),
                check.TOLERANCE.get(dtype_name(call.queries), 1e-4),
                sorted(name for name, value in call.options.items() if value is not None and name not in UNDERSTOOD),
            )
        )

    def take_softmax(self, call: SoftmaxCall) -> bool:
        """Take the softmax of an attention module; say whether it was one."""
        batch = self.batch or 1
        if not softmaxes.is_attention(call, batch):
            return False
        place = place_of(call.module, call.path)
        number = self._number(place, call.module, call.path)
        if self._wanted is not None and number not in self._wanted:
            return True
        weights = softmaxes.by_head(call.weights, batch)
        masks = [softmaxes.visible(weights[item]) for item in range(batch)]
        sums = weights.float().sum(-1)
        blind = (weights != 0).sum(-1) == 0
        off = float((sums - 1).abs().masked_fill(blind, 0).max())
        items: list[Layer]
        size = weights.numel() * 4
        if self._kept + size <= softmaxes.KEPT_BYTES:
            self._kept += size
            items = [StoredWeights(weights[i].cpu(), mask) for i, mask in enumerate(masks)]
            tier = "softmax"
        else:
            replay = softmaxes.Replay(call, batch)
            heads, dtype = weights.shape[1], dtype_name(weights)
            items = [LazyWeights(_of_item(replay, i), heads, mask, dtype) for i, mask in enumerate(masks)]
            tier = "replay"
        allowed = 10 * check.TOLERANCE.get(dtype_name(weights), 1e-4)
        self.recorded.append(Recorded(place, number, call.path, tier, items, off, allowed))
        return True

    def _number(self, place: Place, module: torch.nn.Module, path: str) -> int:
        """Number a layer as the model does, or by order where one number comes again."""
        taken = self.numbers.setdefault(place, [])
        number = models.layer_number(module, path)
        if number is None or number in taken:
            number = len(taken) if len(taken) not in taken else max(taken) + 1
        taken.append(number)
        return number

    def _layer(self, call: AttentionCall, item: int) -> QueriesKeys:
        mask, bias = self._masks.read(call, item)
        position_bias = call.options.get("position_bias")
        if position_bias is not None:
            added = position_bias[item if position_bias.shape[0] > 1 else 0]
            bias = added if bias is None else added + bias
        scale = call.options.get("scaling")
        sinks = call.options.get("s_aux", call.options.get("sinks"))
        return QueriesKeys(
            own(call.queries)[item],
            own(call.keys)[item, :, : mask.n_keys],
            call.queries.shape[-1] ** -0.5 if scale is None else float(scale),
            mask,
            softcap=call.options.get("softcap"),
            bias=None if bias is None else bias.detach().cpu(),
            sinks=None if sinks is None else sinks.detach().cpu().reshape(-1),
            values=own(call.values)[item] if self._values else None,
        )


def _of_item(replay: softmaxes.Replay, item: int) -> Any:
    def compute() -> np.ndarray:
        return replay.weights(item)

    return compute


def own(tensor: torch.Tensor) -> torch.Tensor:
    """Bring a tensor to the CPU; copy it if it is a view that would keep a larger one alive."""
    tensor = tensor.detach().cpu()
    shared = tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size()
    return tensor.clone() if shared else tensor
