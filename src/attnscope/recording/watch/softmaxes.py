"""Tier 3: which softmaxes are attention, and what their results say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.recording.watch.calls import SoftmaxCall

_ATTENTION = re.compile(r"attn|attention|head$")
_OTHER = re.compile(r"router|gate$|gating|expert|pool|conv|moe")
KEPT_BYTES = 1 << 28
"""Weights of one pass that are kept as they are, 256 MiB; beyond, modules are run again when they are looked at."""


def may_be_attention(call: SoftmaxCall) -> bool:
    """Whether a softmax stands where attention does: not in a router or a gate, and with its heads somewhere."""
    name = f"{call.path.rsplit('.', maxsplit=1)[-1]} {type(call.module).__name__}".lower()
    if _OTHER.search(name) and not _ATTENTION.search(name):
        return False
    return bool(_ATTENTION.search(name)) or (call.weights.ndim == 4 and call.weights.shape[-2] in set(_lengths(call)))


def misfit(call: SoftmaxCall, batch: int) -> str | None:
    """Say why a softmax's result is not [inputs, heads, queries, keys] of its module's input; None where it is.

    Queries and keys are looked for among the lengths of what the module was called with, so that weights in another
    layout (bands, blocks, sampled points) are not taken for token-to-token weights.
    """
    shape = list(call.weights.shape)
    if len(shape) > 4:
        return f"weights in the layout {shape}"
    if shape[0] % batch or (len(shape) == 4 and shape[0] != batch):
        return f"weights of {shape[0]} groups of tokens for {batch} inputs"
    lengths = set(_lengths(call))
    n_queries, n_keys = shape[-2:]
    cached = any(hasattr(value, "get_seq_length") for value in (*call.args, *call.kwargs.values()))
    if lengths and (n_queries not in lengths or (n_keys not in lengths and not cached)):
        return f"weights {n_queries} × {n_keys}, which are not the lengths of its input"
    return None


def by_head(weights: torch.Tensor, batch: int) -> torch.Tensor:
    """Give a softmax's result the axes [batch, heads, queries, keys]."""
    if weights.ndim == 4:
        return weights
    return weights.reshape(batch, weights.shape[0] // batch, *weights.shape[1:])


def visible(weights: torch.Tensor) -> Mask:
    """Read the mask off one input's weights [heads, queries, keys]: what every head gives exactly nothing is hidden."""
    return Mask.of((weights != 0).any(dim=0).cpu().numpy())


def row_error(weights: torch.Tensor) -> float:
    """Largest distance of a row's sum from 1; rows that are 0 throughout see no key and are left out."""
    sums = weights.detach().sum(-1, dtype=torch.float32)
    return float((sums - 1).abs().masked_fill(sums == 0, 0).max())


def _lengths(call: SoftmaxCall) -> Iterator[int]:
    """Lengths of the sequences and images a module was called with, whatever the order of their axes."""
    for tensor in tensors_in((*call.args, *call.kwargs.values())):
        if tensor.ndim in (3, 4) and tensor.is_floating_point():
            yield from tensor.shape
            if tensor.ndim == 4:
                yield tensor.shape[1] * tensor.shape[2]
                yield tensor.shape[2] * tensor.shape[3]


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """Give the tensors among some values and in their lists and tuples."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)
