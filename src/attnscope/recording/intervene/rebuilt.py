"""The inputs a capture was made of, read off its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.attention.tokens import Tokens
    from attnscope.recording.intervene.subject import Subject

CLOSE = 1e-2
"""How far the weights of the same model on the same input may differ, on other kernels or in half precision."""


def inputs_of(capture: Capture) -> dict[str, torch.Tensor]:
    """Make the inputs of a capture again, of its token ids.

    Raises
    ------
    InputError
        When it holds none, or more than text.
    """
    if "cross" in capture.kinds:
        queries, keys = capture.tokens_of("cross")
        return {**_text(keys), "decoder_input_ids": _ids(queries)}
    if len(capture.kinds) > 1:
        raise InputError(
            f"The capture has {', '.join(map(repr, capture.kinds))} attention, and only inputs of text alone can be "
            "read off it. Give the model's inputs instead, a mapping of tensors."
        )
    return _text(capture.tokens_of()[0])


def require_same(subject: Subject, capture: Capture) -> None:
    """Refuse a run that is not the one that was captured.

    Raises
    ------
    InputError
        When layers or weights differ.
    """
    kind = capture.kinds[-1]
    mine, its = subject.capture.attention.get(kind), capture[kind]
    same = mine is not None and set(its.layers) <= set(mine.layers) and len(mine.queries) == len(its.queries)
    if same and mine is not None:
        last = its.layers[-1]
        row = len(its.queries) - 1
        found, shown = (one.weights(last, queries=row) for one in (mine, its))
        same = found.shape == shown.shape and bool(np.abs(found - shown).max() < CLOSE)
    if not same:
        raise InputError(
            "The model, run again on the capture's tokens, does not attend as in the capture. Is it another model, or "
            "was it given more than these tokens? Give the model that was captured, and its inputs as a mapping."
        )


def _text(tokens: Tokens) -> dict[str, torch.Tensor]:
    ids = _ids(tokens)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if tokens.segments is not None:
        inputs["token_type_ids"] = torch.as_tensor(tokens.segments.astype(np.int64))[None]
    return inputs


def _ids(tokens: Tokens) -> torch.Tensor:
    if tokens.ids is None or tokens.patches is not None or tokens.times is not None:
        raise InputError(
            "The capture does not hold the ids of a text, so the model cannot be run on it again. Give the model's "
            "inputs instead, a mapping of tensors."
        )
    return torch.as_tensor(np.asarray(tokens.ids).astype(np.int64))[None]
