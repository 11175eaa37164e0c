"""Running a model once over given inputs, as generate() and training would."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnscope.recording import models
from attnscope.recording.failure import explained
from attnscope.recording.parameters import device_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def run_once(model: Any, inputs: Mapping[str, Any]) -> None:
    """Run the model once, without gradients, a cache, or logits nobody reads; see :func:`.failure.explained`."""
    given = arguments(model, inputs, logits_to_keep=1)
    with torch.no_grad(), explained(model, given):
        models.runnable(model)(**given)


def arguments(model: Any, inputs: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """What the model is called with for one whole pass: those inputs and options it takes, on its device, no cache."""
    accepted = inspect.signature(models.unwrapped(model).forward).parameters
    wanted = {name: value for name, value in inputs.items() if name in accepted}
    extra = {name: value for name, value in {"use_cache": False, **options}.items() if name in accepted}
    if "position_ids" in accepted and "position_ids" not in wanted:
        wanted.update(positions_past_padding(model, wanted))
    device = device_of(models.unwrapped(model))
    moved = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in wanted.items()}
    return {**extra, **moved}


def positions_past_padding(model: Any, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Count positions from the first token that is no padding, as generate() does, where padding stands before tokens.

    Empty where the model counts so by itself.
    """
    ids = next((inputs[name] for name in ("input_ids", "inputs_embeds") if inputs.get(name) is not None), None)
    mask = inputs.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or ids is None or mask.shape != ids.shape[:2]:
        return {}
    after_padding = (mask[:, 1:] != 0) & (mask[:, :-1] == 0)
    if not bool(after_padding.any()) or _counts_itself(model):
        return {}
    return {"position_ids": (mask.long().cumsum(-1) - 1).clamp(min=0)}


def _counts_itself(model: Any) -> bool:
    """Whether positions follow from the ids (RoBERTa's) or have several axes (images among text)."""
    for path, module in models.unwrapped(model).named_modules():
        if hasattr(module, "get_rope_index"):
            return True
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return True
    return False
