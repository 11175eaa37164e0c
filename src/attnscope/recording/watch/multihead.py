"""Queries, keys and values of ``nn.MultiheadAttention``, from what its function is called with."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from attnscope.errors import ModelError
from attnscope.recording.watch.calls import AttentionCall

if TYPE_CHECKING:
    from torch import nn

_SIGNATURE = inspect.signature(F.multi_head_attention_forward)


def as_call(
    module: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor
) -> AttentionCall:
    """Describe one call of ``F.multi_head_attention_forward``.

    The in-projection is computed again, as the function does it: together, or apart where keys and values have widths
    of their own; then learned key and value biases and a zero key are appended where the module has them.
    """
    bound = _SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    query, key, value = given["query"], given["key"], given["value"]
    if given["static_k"] is not None or given["static_v"] is not None:
        raise ModelError(
            f"{path} is called with static_k or static_v, keys and values that were projected before. Give its weights "
            "to attnscope.from_attentions(...): call it with need_weights=True, average_attn_weights=False."
        )
    if query.ndim == 2:
        query, key, value, output = query[:, None], key[:, None], value[:, None], output[:, None]
    heads, batch = given["num_heads"], query.shape[1]
    q, k, v = _project_in(given, query, key, value)
    names = []
    if given["bias_k"] is not None:
        k = torch.cat([k, given["bias_k"].expand(1, batch, -1)])
        v = torch.cat([v, given["bias_v"].expand(1, batch, -1)])
        names.append("<bias>")
    q, k, v = (_split(tensor, heads) for tensor in (q, k, v))
    if given["add_zero_attn"]:
        k, v = (F.pad(tensor, (0, 0, 0, 1)) for tensor in (k, v))
        names.append("<zero>")
    return AttentionCall(
        module,
        path,
        "multihead",
        "multihead",
        q,
        k,
        v,
        _mask(given, q, k, len(names)),
        output.transpose(0, 1),
        {
            "is_causal": False,
            "dropout": given["dropout_p"] if given["training"] else 0.0,
            "added_keys": tuple(names),
            "cross": given["key"] is not given["query"],
        },
        lambda rows: F.linear(rows, given["out_proj_weight"], given["out_proj_bias"]),
    )


def _project_in(
    given: dict[str, Any], query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> list[torch.Tensor]:
    if given["use_separate_proj_weight"]:
        weights = [given[f"{name}_proj_weight"] for name in "qkv"]
    else:
        weights = list(given["in_proj_weight"].chunk(3))
    bias = given["in_proj_bias"]
    biases = [None] * 3 if bias is None else list(bias.chunk(3))
    return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]


def _split(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """[tokens, batch, heads × width] to [batch, heads, tokens, width]."""
    tokens, batch, width = tensor.shape
    return tensor.reshape(tokens, batch, heads, width // heads).permute(1, 2, 0, 3)


def _mask(given: dict[str, Any], q: torch.Tensor, k: torch.Tensor, added: int) -> torch.Tensor | None:
    """Join the mask and the key padding into one additive [batch, 1 or heads, queries, keys]; both hide where True."""
    batch, heads, n_queries, _ = q.shape
    n_keys = k.shape[2] - added
    parts = []
    mask, padding = given["attn_mask"], given["key_padding_mask"]
    if mask is not None:
        mask = _additive(mask, q.dtype)
        parts.append(mask.reshape(batch, heads, n_queries, n_keys) if mask.ndim == 3 else mask[None, None])
    if padding is not None:
        parts.append(_additive(padding, q.dtype).reshape(batch, 1, 1, n_keys))
    if not parts:
        return None
    joined = sum(parts[1:], parts[0])
    return F.pad(joined.expand(batch, -1, n_queries, n_keys), (0, added))


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -torch.inf)
    return mask.detach()
