"""What must hold before a recording becomes a capture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attnscope.errors import InputError, ModelError, NoAttentionError, NotFoundError, UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.recording.collect import Collector, Recorded


def require_one_pass(passes: int, name: str) -> None:
    """Refuse a recording of no pass or of several."""
    if passes > 1:
        raise InputError(
            f"{passes} forward passes ran inside the block, and a capture is of one. For generated text, generate "
            "first, then record one pass over the whole sequence: model(output_ids)."
        )
    if passes == 0:
        raise NoAttentionError(
            f"No attention was recorded: {name} did not run. Call model(**inputs) inside the with block, in the same "
            "thread."
        )


def require_attention(collector: Collector, wanted: set[int] | None, unseen: Sequence[str], name: str) -> None:
    """Refuse a pass that showed no attention, not all of it, or not what was asked for."""
    numbers = sorted({number for taken in collector.numbers.values() for number in taken})
    if not numbers and collector.odd:
        path, why = next(iter(collector.odd.items()))
        raise ModelError(
            f"{name} computes attention inside {why} ({path}), which attnscope cannot place among its tokens yet."
        )
    if not numbers:
        seen = f" The modules {', '.join(unseen[:3])} ran, but not with a softmax over all keys." if unseen else ""
        raise NoAttentionError(
            f"No attention was recorded, though {name} ran. Either it has no attention (state-space and recurrent "
            f"models), or it computes something else under that name.{seen} If it can return its weights, show those: "
            "from_attentions(model(**inputs, output_attentions=True), tokens)."
        )
    if wanted is not None:
        missing = sorted(wanted - set(numbers))
        if missing:
            raise NotFoundError(f"{name} has no attention in layer {missing[0]}; its layers are {numbers}.")
    elif unseen:
        raise ModelError(
            f"{name} computes attention in ways attnscope cannot read in {len(unseen)} of its modules, first in "
            f"{unseen[0]}. What it does elsewhere can be recorded by naming those layers: layers={numbers}."
        )


def require_verified(layer: Recorded) -> None:
    """Refuse a layer whose recomputed weights do not reproduce the model's own output."""
    if layer.tier in ("softmax", "replay"):
        if layer.check > layer.allowed:
            raise UnverifiedError(
                f"Layer {layer.number} ({layer.path}): the rows of its softmax sum to 1 only within {layer.check:.2g}, so "
                "they are no weights. Give the model's own weights to attnscope.from_attentions(...)."
            )
        return
    if math.isnan(layer.check):
        raise InputError(
            f"No token sees any other in layer {layer.number}: the attention mask hides everything. Pass a mask with 1 "
            "for the tokens to read and 0 for padding."
        )
    if math.isinf(layer.check):
        raise UnverifiedError(
            f"Layer {layer.number} ({layer.path}) computes with NaN or infinite numbers, so there are no weights to "
            "show. Check that the model's weights were loaded whole, or load it in a wider dtype: dtype=torch.float32."
        )
    if layer.check > layer.allowed:
        unknown = (
            f" It was called with {', '.join(layer.unknown)}, which attnscope does not know." if layer.unknown else ""
        )
        raise UnverifiedError(
            f"Layer {layer.number} ({layer.path}): weights recomputed from its queries and keys do not reproduce its "
            f"output (off by {layer.check:.2g}, at most {layer.allowed:.0e} expected).{unknown} The weights would be "
            "wrong, so they are not shown. Give the model's own weights to attnscope.from_attentions(...)."
        )
