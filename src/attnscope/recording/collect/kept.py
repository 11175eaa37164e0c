"""Reading a call as a layer: its queries, keys, mask and what is added to the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.attention.layers import QueriesKeys

if TYPE_CHECKING:
    from attnscope.recording.collect.masks import MaskReader
    from attnscope.recording.watch.calls import AttentionCall

_UNDERSTOOD = {
    "scaling", "dropout", "is_causal", "softcap", "s_aux", "sinks", "position_bias", "added_keys", "cross",
    "sliding_window", "position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states",
    "return_dict", "logits_to_keep", "past_key_values", "position_embeddings", "cache",
}  # fmt: skip


def not_understood(call: AttentionCall) -> list[str]:
    """Names of options a call was made with that may change its weights in unknown ways."""
    return sorted(name for name, value in call.options.items() if value is not None and name not in _UNDERSTOOD)


def layer_of(call: AttentionCall, item: int, masks: MaskReader) -> QueriesKeys:
    """Make the layer of one input of a call, whose arrays are the model's own until they are kept."""
    mask, bias = masks.read(call, item)
    position_bias = call.options.get("position_bias")
    if position_bias is not None:
        added = position_bias[item if position_bias.shape[0] > 1 else 0]
        bias = added if bias is None else added + bias
    scale = call.options.get("scaling")
    sinks = call.options.get("s_aux", call.options.get("sinks"))
    return QueriesKeys(
        call.queries[item].detach(),
        call.keys[item, :, : mask.n_keys].detach(),
        call.queries.shape[-1] ** -0.5 if scale is None else float(scale),
        mask,
        softcap=call.options.get("softcap"),
        bias=None if bias is None else bias.detach(),
        sinks=None if sinks is None else sinks.detach().reshape(-1),
    )
