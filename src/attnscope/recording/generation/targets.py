"""The decoder's input of an encoder–decoder, made of a target text as in training."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import InputError
from attnscope.recording import models
from attnscope.recording.failure import explained
from attnscope.recording.parameters import device_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_WRITTEN = 128
"""Tokens an encoder–decoder writes at most, where its generation config sets no length."""


def decoder_inputs(model: Any, tokenizer: Any, targets: list[str]) -> dict[str, torch.Tensor]:
    """Tokenize target texts and shift them right, so that each position foretells the token after it.

    Raises
    ------
    InputError
        When the model does not say what its decoder starts with.
    """
    batch = tokenizer(text_target=targets, padding=len(targets) > 1, padding_side="right", return_tensors="pt")
    labels, mask = batch["input_ids"], batch["attention_mask"]
    start = _start(model)
    hears = "input_features" in inspect.signature(models.unwrapped(model).forward).parameters
    if hears and labels.shape[1] > 1 and bool((labels[:, 0] == start).all()):
        labels, mask = labels[:, 1:], mask[:, 1:]  # speech tokenizers write the start token themselves
    return {"decoder_input_ids": shifted_right(model, labels), "decoder_attention_mask": mask}


def has_decoder_input(inputs: Mapping[str, Any]) -> bool:
    """Whether inputs encoded beforehand say what the decoder reads."""
    names = ("decoder_input_ids", "decoder_inputs_embeds", "labels")
    return any(inputs.get(name) is not None for name in names)


def write(model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
    """Let an encoder–decoder write its text, greedily.

    Returns
    -------
    torch.Tensor
        What generate() gave: the decoder's token ids, its start token first.

    Raises
    ------
    InputError
        When it cannot write.
    """
    plain = models.unwrapped(model)
    can = getattr(plain, "can_generate", None)
    if not callable(getattr(plain, "generate", None)) or (can is not None and not can()):
        raise InputError(
            f"{type(plain).__name__} cannot write text by itself. Give the decoder's text with target=…, or load the "
            "model with its language head."
        )
    device = device_of(plain)
    moved = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in inputs.items()}
    accepted = inspect.signature(plain.forward).parameters
    wanted = {name: value for name, value in moved.items() if name in accepted}
    with explained(model, wanted):
        return plain.generate(**wanted, **_length(plain), do_sample=False, num_beams=1)


def _length(model: Any) -> dict[str, int]:
    """How much to write where the model does not say: without that, transformers stops after 20 tokens."""
    config = model.generation_config
    if config.max_length is not None or config.max_new_tokens is not None:
        return {}
    places = [getattr(model.config, name, None) for name in ("max_target_positions", "max_position_embeddings")]
    return {"max_new_tokens": min([MOST_WRITTEN, *(most - 1 for most in places if isinstance(most, int))])}


def shifted_right(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """Shift labels right by the model's own rule, or put its start token before them where it has none."""
    model = models.unwrapped(model)
    config = model.config
    by_itself = getattr(model, "prepare_decoder_input_ids_from_labels", None) or getattr(model, "_shift_right", None)
    by_module = getattr(sys.modules.get(type(model).__module__), "shift_tokens_right", None)
    start = _start(model)
    try:
        if by_itself is not None:
            return by_itself(labels)
        if by_module is not None and len(inspect.signature(by_module).parameters) == 2:
            return by_module(labels, config.pad_token_id)
        if by_module is not None and start is not None:
            return by_module(labels, config.pad_token_id, start)
    except (AttributeError, ValueError):
        start = None
    if start is None:
        raise InputError(
            f"{type(model).__name__} does not say which token its decoder starts with. Set "
            "model.config.decoder_start_token_id and pad_token_id, or pass encoded inputs with 'decoder_input_ids'."
        )
    return torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)


def _start(model: Any) -> int | None:
    model = models.unwrapped(model)
    for config in (model.config, getattr(model, "generation_config", None)):
        start = getattr(config, "decoder_start_token_id", None)
        if start is not None:
            return int(start[0] if isinstance(start, list) else start)
    return None
