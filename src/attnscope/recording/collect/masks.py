"""A model's mask, in any of the forms transformers passes, as a Mask and what is added to the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.mask import Mask
from attnscope.errors import ModelError

if TYPE_CHECKING:
    from attnscope.recording.watch.calls import AttentionCall


class MaskReader:
    """Reads the masks of one forward pass; layers that share a mask tensor share the Mask made of it."""

    def __init__(self) -> None:
        self._read: dict[tuple[Any, ...], tuple[Mask, torch.Tensor | None]] = {}
        self._sources: list[Any] = []

    def read(self, call: AttentionCall, item: int) -> tuple[Mask, torch.Tensor | None]:
        """Give the mask of one batch item, and the additive bias the mask carries, if any.

        Returns
        -------
        Mask, torch.Tensor or None
            The visible keys, and [1 or heads, queries, keys] to add to the scores.
        """
        size = (call.queries.shape[2], call.keys.shape[2])
        causal = call.mask is None and _is_causal(call)
        key = (causal, *size) if call.mask is None else (id(call.mask), item, *size)
        if key not in self._read:
            self._sources.append(call.mask)  # alive as long as its id is a key
            if call.mask is None:
                self._read[key] = (Mask.causal(*size) if causal else Mask.full(*size), None)
            else:
                self._read[key] = _read(call, item)
        return self._read[key]


def _is_causal(call: AttentionCall) -> bool:
    """Whether a call without a mask is causal, which the functions decide for themselves."""
    if call.tier == "sdpa":
        return bool(call.options.get("is_causal"))
    if call.implementation == "eager" or call.queries.shape[2] == 1:
        return False
    given = call.options.get("is_causal")
    return bool(getattr(call.module, "is_causal", True) if given is None else given)


def _read(call: AttentionCall, item: int) -> tuple[Mask, torch.Tensor | None]:
    n_queries, n_keys = call.queries.shape[2], call.keys.shape[2]
    if hasattr(call.mask, "mask_mod"):
        return Mask.of(_flex_visible(call.mask, item, n_queries, n_keys)), None
    if not isinstance(call.mask, torch.Tensor) or not (
        call.mask.ndim == 4 or (call.tier == "sdpa" and call.mask.ndim <= 4)
    ):
        form = f"{type(call.mask).__name__} {list(getattr(call.mask, 'shape', []))}"
        raise ModelError(
            f"{type(call.module).__name__} passed a mask of the form {form} to {call.implementation}, which attnscope "
            'cannot read. Use model.set_attn_implementation("sdpa") or "eager".'
        )
    mask = call.mask[(None,) * (4 - call.mask.ndim)]
    given = mask[item if mask.shape[0] > 1 else 0, :, :n_queries, :n_keys].expand(-1, n_queries, n_keys)
    if given.dtype == torch.bool:
        visible, bias = given, None
    else:
        visible = given > torch.finfo(given.dtype).min / 2
        bias = None if not bool((given[visible] != 0).any()) else given.masked_fill(~visible, 0).clone()
    if visible.shape[0] > 1 and not bool((visible == visible[:1]).all()):
        bias = torch.zeros(visible.shape, device=visible.device) if bias is None else bias
        bias = bias.masked_fill(~visible, -torch.inf)
        visible = visible.any(dim=0, keepdim=True)
    return Mask.of(visible[0].cpu().numpy()), bias


def _flex_visible(mask: Any, item: int, n_queries: int, n_keys: int) -> Any:
    """Ask a flex mask function for every pair of positions."""
    rows = torch.arange(n_queries)[:, None]
    columns = torch.arange(n_keys)[None, :]
    device = mask.kv_num_blocks.device
    visible = mask.mask_mod(
        torch.tensor(item, device=device), torch.tensor(0, device=device), rows.to(device), columns.to(device)
    )
    return visible.expand(n_queries, n_keys).cpu().numpy()
