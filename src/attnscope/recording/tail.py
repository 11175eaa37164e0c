"""A causal model's logits for a whole text, a block of positions at a time: tokens × vocabulary never stand at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.memory import require_memory
from attnscope.recording import models
from attnscope.recording.failure import explained
from attnscope.recording.forward import arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST = 1 << 23
"""Most logits that stand at once."""
_CLOSE = 1e-3
"""Largest difference between the logits of a last position alone and within its block, in parts of the largest."""


def logits_of(model: Any, inputs: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    """Run the model once and give its logits [positions, vocabulary], block after block, as it computes them itself.

    The body of the model runs once; what comes after it (norms, the output matrix, caps and scales) is the model's own
    code run again over its last hidden state, block by block. Where that does not give back what the whole model gave,
    or there is no such body, the whole model gives all logits at once.

    Parameters
    ----------
    model
        In eval mode.
    inputs
        One text.

    Raises
    ------
    TooLargeError
        When all logits stand at once and would not fit in memory.
    """
    plain = models.unwrapped(model)
    n_tokens = inputs["input_ids"].shape[-1]
    last, body = _whole(plain, {**inputs}, logits_to_keep=1)
    size = max(1, MOST // last.shape[-1])
    if len(last) == n_tokens:
        yield from torch.split(last, size)
        return
    if body is None or not _gives_back(plain, inputs, body, last):
        require_memory(4 * n_tokens * last.shape[-1], "The logits of all positions", "Give a shorter text")
        yield from torch.split(_whole(plain, inputs)[0], size)
        return
    for start in range(0, n_tokens, size):
        yield _tail(plain, inputs, body, slice(start, start + size))


def _whole(model: Any, inputs: Mapping[str, Any], **options: Any) -> tuple[torch.Tensor, Any]:
    """Run the whole model: its logits [positions, vocabulary], and what its body gave."""
    body, kept = _body(model), []
    given = arguments(model, inputs, return_dict=True, **options)
    hook = None if body is None else body.register_forward_hook(lambda _module, _given, output: kept.append(output))
    try:
        with torch.no_grad(), explained(model, given):
            logits = model(**given).logits[0]
    finally:
        if hook is not None:
            hook.remove()
    return logits, kept[-1] if len(kept) == 1 and _hidden(kept[-1]) is not None else None


def _tail(model: Any, inputs: Mapping[str, Any], body: Any, block: slice | list[int]) -> torch.Tensor:
    hidden = _hidden(body)
    assert hidden is not None
    given = arguments(model, inputs, return_dict=True)
    with torch.no_grad(), _answering(_body(model), _with_hidden(body, hidden[:, block])), explained(model, given):
        return model(**given).logits[0]


def _gives_back(model: Any, inputs: Mapping[str, Any], body: Any, last: torch.Tensor) -> bool:
    """Whether the logits of the last position come back, also where it stands first: no place may matter."""
    hidden = _hidden(body)
    n_tokens = inputs["input_ids"].shape[-1]
    if hidden is None or hidden.ndim != 3 or hidden.shape[1] != n_tokens:
        return False
    again = _tail(model, inputs, body, [n_tokens - 1, n_tokens - 2])
    limit = _CLOSE if again.dtype == torch.float32 else 30 * _CLOSE
    finite = last[-1][torch.isfinite(last[-1])]
    scale = finite.abs().max().clamp(min=1) if len(finite) else 1.0
    return again.shape[0] == 2 and torch.allclose(
        again[0].float(), last[-1].float(), rtol=0, atol=limit * float(scale), equal_nan=True
    )


@contextmanager
def _answering(body: Any, output: Any) -> Iterator[None]:
    """Let a module give the same answer whatever it is asked, without running."""
    mine, before = vars(body), vars(body).get("forward")
    body.forward = lambda *_args, **_named: output
    try:
        yield
    finally:
        if before is None:
            mine.pop("forward", None)
        else:
            body.forward = before


def _body(model: Any) -> Any:
    body = getattr(model, "base_model", None)
    return body if isinstance(body, torch.nn.Module) and body is not model else None


def _hidden(output: Any) -> torch.Tensor | None:
    hidden = output[0] if isinstance(output, tuple) else getattr(output, "last_hidden_state", None)
    return hidden if isinstance(hidden, torch.Tensor) else None


def _with_hidden(output: Any, hidden: torch.Tensor) -> Any:
    if isinstance(output, tuple):
        return (hidden, *output[1:])
    return type(output)(**{**output, "last_hidden_state": hidden})
