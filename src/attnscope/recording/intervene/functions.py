"""Changing what PyTorch's own attention functions give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from attnscope.recording.watch import functions, multihead
from attnscope.recording.watch.interface import inside_interface

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from attnscope.recording.watch.calls import AttentionCall
    from attnscope.recording.watch.running import Running


class FunctionChange(TorchFunctionMode):
    """Hands calls of PyTorch's attention functions to ``changer``, and gives back what it says.

    Parameters
    ----------
    running
        Tells which module is running.
    changer
        Takes a call and gives its output anew.
    """

    def __init__(self, running: Running, changer: Callable[[AttentionCall], torch.Tensor]) -> None:
        super().__init__()
        self._running = running
        self._changer = changer

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function as it is, and change what it gives if it is attention."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        frame = self._running.attending()
        if frame is None or inside_interface():
            return result
        if func in functions.SDPA:
            call = functions.as_call(frame, args, kwargs, result)
            return self._changer(call).transpose(1, 2).reshape(result.shape)
        if func is F.multi_head_attention_forward:
            call = multihead.as_call(frame.module, frame.path, args, kwargs, result[0])
            changed = self._changer(call).transpose(0, 1).reshape(result[0].shape)
            return (changed, *result[1:])
        return result
