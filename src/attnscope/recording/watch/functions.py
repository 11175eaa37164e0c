"""Watching PyTorch's own attention functions: tier 2, and the softmaxes tier 3 starts from.

A ``TorchFunctionMode`` sees every call of ``scaled_dot_product_attention``, ``multi_head_attention_forward`` and
``softmax`` that Python code makes, whatever model makes it. Calls made inside transformers' attention interface are
left to that tier.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch._C._functorch import is_batchedtensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from attnscope.errors import ModelError
from attnscope.recording.parameters import is_distributed
from attnscope.recording.watch import multihead
from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall
from attnscope.recording.watch.interface import inside_interface, note_softmax
from attnscope.recording.watch.products import SOFTMAXES, Products

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.recording.watch.running import Frame, Running

SDPA = {F.scaled_dot_product_attention, torch.ops.aten.scaled_dot_product_attention.default}
_DROPOUTS = {F.dropout, torch.dropout, torch.dropout_, torch.ops.aten.dropout.default}


class FunctionWatch(TorchFunctionMode):
    """Shows PyTorch's attention calls to the recording.

    Parameters
    ----------
    running
        Tells which module is running.
    on_call
        Takes attention calls whose queries and keys are known.
    on_softmax
        Takes softmaxes of modules not seen otherwise.
    follow
        Whether to follow softmaxes to the values they weigh, and take only those that do, as in modules nothing is
        known of; dropout is refused then wherever it is.
    """

    def __init__(
        self,
        running: Running,
        on_call: Callable[[AttentionCall], None],
        on_softmax: Callable[[SoftmaxCall], None],
        *,
        follow: bool = False,
    ) -> None:
        super().__init__()
        self._running = running
        self._on_call = on_call
        self._on_softmax = on_softmax
        self._products = Products(running, on_softmax) if follow else None
        if self._products is not None:
            running.on_pass_end = self._products.close
        running.on_start = _require_plain

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function as it is, and show it if it is attention."""
        kwargs = kwargs or {}
        if self._products is not None and func in _DROPOUTS and self._running.innermost is not None:
            _require_no_dropout(self._running.innermost, *args, **kwargs)
        if func in SDPA and self._running.innermost is not None:
            _require_padded(self._running.innermost, *args[:1], *kwargs.values())
            _require_whole(self._running.innermost, *args[:2], *kwargs.values())
        result = func(*args, **kwargs)
        if inside_interface():
            if func in SOFTMAXES and looks_like_attention(args, kwargs, result):
                note_softmax(result.detach())
            return result
        if func in SDPA:
            self._sdpa(args, kwargs, result)
        elif func is F.multi_head_attention_forward:
            self._multihead(args, kwargs, result)
        elif self._products is not None:
            self._products.saw(func, args, kwargs, result)
        elif func in SOFTMAXES:
            self._softmax(args, kwargs, result)
        return result

    def _sdpa(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        frame = self._running.attending()
        if frame is not None:
            frame.seen = True
            self._on_call(as_call(frame, args, kwargs, result).detached())

    def _multihead(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        frame = self._running.attending()
        if frame is not None:
            frame.seen = True
            with torch.no_grad():
                self._on_call(multihead.as_call(frame.module, frame.path, args, kwargs, result[0]).detached())

    def _softmax(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        frame = self._running.attending()
        if frame is None or frame.seen or not looks_like_attention(args, kwargs, result):
            return
        index, frame.softmaxes = frame.softmaxes, frame.softmaxes + 1
        self._on_softmax(SoftmaxCall(frame.module, frame.path, frame.args, frame.kwargs, index, result.detach()))


def as_call(frame: Frame, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> AttentionCall:
    """Describe one call of ``scaled_dot_product_attention``, whatever axes it has."""
    given = sdpa_arguments(*args, **kwargs)
    query = given["query"]
    groups = _leading(query, frame)
    queries, keys, values, output = (
        tensor.reshape(groups(tensor.shape)) for tensor in (query, given["key"], given["value"], result)
    )
    mask = given["attn_mask"]
    if mask is not None:
        mask = _plain_mask(mask).detach()
        if query.ndim not in (2, 4) and mask.ndim > 2:
            mask = mask.broadcast_to(*query.shape[:-2], *mask.shape[-2:])
            mask = mask.reshape(groups(mask.shape))
    keys, values = (tensor.expand(len(queries), -1, -1, -1) for tensor in (keys, values))
    if keys.shape[1] != values.shape[1]:
        heads = max(keys.shape[1], values.shape[1])
        keys, values = (tensor.expand(-1, heads, -1, -1) for tensor in (keys, values))
    return AttentionCall(
        frame.module,
        frame.path,
        "sdpa",
        "sdpa",
        queries,
        keys,
        values,
        mask,
        output.transpose(1, 2),
        {"scaling": given["scale"], "is_causal": given["is_causal"], "dropout": given["dropout_p"]},
    )


def looks_like_attention(args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> bool:
    """Whether a softmax is over the last axis of something shaped [.., queries, keys]."""
    if not isinstance(result, torch.Tensor) or result.ndim < 3:
        return False
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return dim in (-1, result.ndim - 1)


def sdpa_arguments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001
) -> dict[str, Any]:
    """Arguments of ``scaled_dot_product_attention`` by name, however they were given, with the scale it takes."""
    return {
        "query": query, "key": key, "value": value, "attn_mask": attn_mask, "dropout_p": dropout_p,
        "is_causal": is_causal, "scale": query.shape[-1] ** -0.5 if scale is None else float(scale),
    }  # fmt: skip


def _leading(query: torch.Tensor, frame: Frame) -> Callable[[torch.Size], tuple[int, ...]]:
    """How to bring a call's tensors to the axes [groups, heads, tokens, width].

    Three axes are heads where the module runs on one input, and groups otherwise: inputs with one head each, or inputs
    and heads joined, which are told apart when the pass is over.
    """
    if query.ndim == 3 and n_inputs(frame, query.shape[-2]) == 1:
        return lambda shape: (1, *shape)
    if query.ndim == 3:
        return lambda shape: (shape[0], 1, *shape[1:])
    return lambda shape: (math.prod(shape[:-3]), *((1,) * (3 - len(shape))), *shape[-3:])


def n_inputs(frame: Frame, n_queries: int) -> int | None:
    """Number of inputs a module was called with, by its first tensor; tokens may be on the first axis or the second."""
    given = (*frame.args, *frame.kwargs.values())
    first = next((value for value in given if isinstance(value, torch.Tensor) and value.ndim), None)
    if first is None:
        return None
    if first.ndim == 1 or (first.ndim == 2 and first.is_floating_point() and len(first) == n_queries):
        return 1
    sequence_first = first.ndim in (2, 3) and n_queries != first.shape[1] and n_queries == first.shape[0]
    return int(first.shape[1 if sequence_first else 0])


def _plain_mask(mask: torch.Tensor) -> torch.Tensor:
    """Write out PyTorch's causal masks, which are tensors in name only."""
    from torch.nn.attention.bias import CausalBias, CausalVariant

    if not isinstance(mask, CausalBias):
        return mask
    shift = mask.seq_len_kv - mask.seq_len_q if mask.variant == CausalVariant.LOWER_RIGHT else 0
    return torch.ones(mask.seq_len_q, mask.seq_len_kv, dtype=torch.bool).tril(shift)


def _require_plain(frame: Frame) -> None:
    """Refuse inputs that attention runs on without leaving tensors to keep."""
    given = (*frame.args, *frame.kwargs.values())
    if isinstance(frame.module, torch.nn.MultiheadAttention):
        _require_padded(frame, *given)
    if not frame.path and any(isinstance(one, torch.Tensor) and is_batchedtensor(one) for one in given):
        raise ModelError(
            f"{type(frame.module).__name__} runs under torch.vmap, which hides the inputs from each other and from the "
            "recording. Pass them as one batch, or record one input at a time."
        )


def _require_padded(frame: Frame, *tensors: Any) -> None:
    if any(isinstance(tensor, torch.Tensor) and tensor.is_nested for tensor in tensors):
        raise ModelError(
            f"{frame.path or type(frame.module).__name__} attends over nested tensors, whose inputs differ in length. "
            "Pass padded tensors with a mask, or record one input at a time."
        )


def _require_whole(frame: Frame, *tensors: Any) -> None:
    if any(is_distributed(tensor) for tensor in tensors):
        raise ModelError(
            f"{frame.path or type(frame.module).__name__} attends over tensors that several processes share, so this "
            "one does not see all queries and keys. Run the model without context parallel; with tensor parallel, let "
            "the projections give local tensors (use_local_output=True)."
        )


def _require_no_dropout(
    frame: Frame, _input: Any = None, p: float = 0.5, training: bool = True, *_: Any, **named: Any
) -> None:
    if p > 0 and named.get("train", training):
        where = frame.path or type(frame.module).__name__
        raise ModelError(
            f"{where} drops out numbers at random (p={p}), so its attention would not be what the model computes. Call "
            "model.eval() first; where F.dropout is called directly, pass training=self.training."
        )


class SoftmaxWatch(TorchFunctionMode):
    """Keeps the results of all softmaxes that look like attention, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[torch.Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function as it is, and keep what a softmax gives."""
        result = func(*args, **(kwargs or {}))
        if func in SOFTMAXES and looks_like_attention(args, kwargs or {}, result):
            self.results.append(result.detach())
        return result
