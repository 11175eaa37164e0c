"""Attention computed step by step in PyTorch, where it can be changed in the middle and gradients flow through it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.arrays import dtype_name
from attnscope.errors import UnverifiedError
from attnscope.recording.collect.check import TOLERANCE
from attnscope.recording.collect.masks import MaskReader
from attnscope.recording.intervene.readout import wide

if TYPE_CHECKING:
    from attnscope.recording.intervene.change import Change
    from attnscope.recording.watch.calls import AttentionCall


def step_by_step(call: AttentionCall, change: Change) -> torch.Tensor:
    """Compute a call's output as in :mod:`attnscope.attention.compute`, with changes in the middle.

    Returns
    -------
    torch.Tensor
        [batch, queries, heads, value width], before the output projection, in the dtype of the values.

    Raises
    ------
    UnverifiedError
        When without changes the steps do not give what the model's own function gave.
    """
    scores, seen = _scores(call)
    sinks = call.options.get("s_aux", call.options.get("sinks"))
    with torch.no_grad():
        _require_same(call, _mixed(_softmax(scores.detach(), sinks), call.values), seen)
    if change.scores is not None:
        scores = change.scores(scores)
    weights = _softmax(scores, sinks)
    if change.weights is not None:
        weights = change.weights(weights)
    return _mixed(weights, call.values)


def _scores(call: AttentionCall) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores [batch, heads, queries, keys], and which queries see a key, bool [batch, queries]."""
    options, queries = call.options, wide(call.queries)
    keys = _shared(wide(call.keys), queries.shape[1])
    given = options.get("scaling")
    scores = (queries * (queries.shape[-1] ** -0.5 if given is None else float(given))) @ keys.transpose(-1, -2)
    cap = options.get("softcap")
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    position_bias = options.get("position_bias")
    if position_bias is not None:
        scores = scores + wide(position_bias)
    reader = MaskReader()
    hidden = []
    rows = []
    for item in range(scores.shape[0]):
        mask, bias = reader.read(call, item)
        hidden.append(torch.as_tensor(~mask.allowed(slice(None)), device=scores.device))
        rows.append(scores[item] if bias is None else scores[item] + wide(bias.to(scores.device)))
    blocked = torch.stack(hidden)
    return torch.stack(rows).masked_fill(blocked[:, None], -torch.inf), ~blocked.all(-1)


def _softmax(scores: torch.Tensor, sinks: Any) -> torch.Tensor:
    """Weights; a query that sees no key gives zeros."""
    blind = (scores == -torch.inf).all(-1, keepdim=True)
    scores = scores.masked_fill(blind, 0.0)
    if sinks is not None:
        column = sinks.to(scores).reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        weights = torch.cat([scores, column], dim=-1).softmax(-1)[..., :-1]
    else:
        weights = scores.softmax(-1)
    return weights.masked_fill(blind, 0.0)


def _mixed(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    mixed = weights @ _shared(wide(values), weights.shape[1])
    return mixed.transpose(1, 2).to(values.dtype)


def _shared(tensor: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Give every head the key head it reads."""
    return tensor.repeat_interleave(n_heads // tensor.shape[1], dim=1)


def _require_same(call: AttentionCall, again: torch.Tensor, seen: torch.Tensor) -> None:
    """Compare with the model's own function, on queries that see a key."""
    mine = again if call.project is None else call.project(again.flatten(-2))
    mine, its = wide(mine[seen]), wide(call.output[seen])
    if not its.numel():
        return
    worst, largest = float((mine - its).abs().max()), float(its.abs().max())
    allowed = TOLERANCE.get(dtype_name(call.queries), 1e-4)
    if not math.isfinite(worst) or worst > allowed * max(largest, 1e-30):
        raise UnverifiedError(
            f"{type(call.module).__name__} ({call.path}) does something to its attention that is not known here: "
            f"computed step by step its output differs by {worst / max(largest, 1e-30):.2g} of the largest "
            f"({allowed:g} is allowed). Nothing inside it can be changed truly; try "
            'model.set_attn_implementation("eager").'
        )
