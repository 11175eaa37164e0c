"""Changing what PyTorch's own attention functions give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from attnscope.recording.watch import functions, multihead
from attnscope.recording.watch.interface import inside_interface
from attnscope.recording.watch.products import SOFTMAXES

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from attnscope.recording.watch.calls import AttentionCall
    from attnscope.recording.watch.running import Frame, Running

    Again = Callable[[torch.Tensor], torch.Tensor]


class FunctionChange(TorchFunctionMode):
    """Hands calls of PyTorch's attention functions to ``changer``, and gives back what it says.

    Parameters
    ----------
    running
        Tells which module is running.
    changer
        Takes a call and gives its output anew.
    softener
        Takes the running module, a softmax's result, the softmax and its scores, and gives the result anew.
    """

    def __init__(
        self,
        running: Running,
        changer: Callable[[AttentionCall], torch.Tensor],
        softener: Callable[[Frame, torch.Tensor, Again, torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__()
        self._running = running
        self._changer = changer
        self._softener = softener

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
        if func in SOFTMAXES and functions.looks_like_attention(args, kwargs, result):
            name = "self" if "self" in kwargs else "input"
            scores = args[0] if args else kwargs[name]

            def again(given: torch.Tensor) -> torch.Tensor:
                return func(given, *args[1:], **kwargs) if args else func(**{**kwargs, name: given})

            return self._softener(frame, result, again, scores)
        return result
