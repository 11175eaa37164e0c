"""Watching PyTorch's own attention functions: tier 2, and the softmaxes tier 3 starts from.

A ``TorchFunctionMode`` sees every call of ``scaled_dot_product_attention``, ``multi_head_attention_forward`` and
``softmax`` that Python code makes, whatever model makes it. Calls made inside transformers' attention interface are
left to that tier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from attnscope.recording import multihead
from attnscope.recording.calls import AttentionCall, SoftmaxCall
from attnscope.recording.interface import inside_interface, note_softmax

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.recording.running import Frame, Running

_SOFTMAXES = {torch.softmax, F.softmax, torch.Tensor.softmax, torch.special.softmax}


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
    """

    def __init__(
        self,
        running: Running,
        on_call: Callable[[AttentionCall], None],
        on_softmax: Callable[[SoftmaxCall], None],
    ) -> None:
        super().__init__()
        self._running = running
        self._on_call = on_call
        self._on_softmax = on_softmax

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function as it is, and show it if it is attention."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if inside_interface():
            if func in _SOFTMAXES and looks_like_attention(args, kwargs, result):
                note_softmax(result.detach())
            return result
        if func is F.scaled_dot_product_attention:
            self._sdpa(args, kwargs, result)
        elif func is F.multi_head_attention_forward:
            self._multihead(args, kwargs, result)
        elif func in _SOFTMAXES:
            self._softmax(args, kwargs, result)
        return result

    def _sdpa(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        frame = self._running.attending()
        if frame is None:
            return
        given = _sdpa_arguments(*args, **kwargs)
        batch = [_batched(given[name], frame) for name in ("query", "key", "value")]
        output = _batched(result, frame)
        if any(tensor is None for tensor in (*batch, output)):
            return
        queries, keys, values = batch
        mask = given["attn_mask"]
        frame.seen = True
        self._on_call(
            AttentionCall(
                frame.module,
                frame.path,
                "sdpa",
                "sdpa",
                queries,
                keys,
                values,
                None if mask is None else mask.detach(),
                output.transpose(1, 2),
                {"scaling": given["scale"], "is_causal": given["is_causal"], "dropout": given["dropout_p"]},
            )
        )

    def _multihead(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        frame = self._running.attending()
        if frame is not None:
            frame.seen = True
            with torch.no_grad():
                self._on_call(multihead.as_call(frame.module, frame.path, args, kwargs, result[0]))

    def _softmax(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        frame = self._running.attending()
        if frame is None or frame.seen or not looks_like_attention(args, kwargs, result):
            return
        index, frame.softmaxes = frame.softmaxes, frame.softmaxes + 1
        self._on_softmax(SoftmaxCall(frame.module, frame.path, frame.args, frame.kwargs, index, result.detach()))


def looks_like_attention(args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> bool:
    """Whether a softmax is over the last axis of something shaped [.., queries, keys]."""
    if not isinstance(result, torch.Tensor) or result.ndim < 3:
        return False
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return dim in (-1, result.ndim - 1)


def _sdpa_arguments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001
) -> dict[str, Any]:
    return {
        "query": query, "key": key, "value": value, "attn_mask": attn_mask, "dropout_p": dropout_p,
        "is_causal": is_causal, "scale": scale,
    }  # fmt: skip


def _batched(tensor: torch.Tensor, frame: Frame) -> torch.Tensor | None:
    """Give a tensor the axes [batch, heads, tokens, width]; None where it has others."""
    tensor = tensor.detach()
    if tensor.ndim == 4:
        return tensor
    if tensor.ndim == 3:
        first = next((value for value in frame.args if isinstance(value, torch.Tensor)), None)
        unbatched = first is not None and first.ndim == 2
        return tensor[None] if unbatched else tensor[:, None]
    if tensor.ndim == 2:
        return tensor[None, None]
    return None


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
        if func in _SOFTMAXES and looks_like_attention(args, kwargs or {}, result):
            self.results.append(result.detach())
        return result
