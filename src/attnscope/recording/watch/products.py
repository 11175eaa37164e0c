"""Which softmaxes weigh values: those whose result is multiplied with something over their last axis.

That is what attention is, whatever the module is called: a router's, a gate's or an output's softmax is used in other
ways. Between softmax and product the weights may be dropped out, cast, masked, reshaped or transposed; in a module
named after attention, heads may be mixed too. What is kept is what the values were multiplied with.
"""

from __future__ import annotations

import operator
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from attnscope.recording.watch import softmaxes
from attnscope.recording.watch.calls import SoftmaxCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.recording.watch.running import Frame, Running

_aten = torch.ops.aten
SOFTMAXES = {
    torch.softmax, F.softmax, torch.Tensor.softmax, torch.special.softmax,
    _aten.softmax.int, _aten._softmax.default,
}  # fmt: skip
_PRODUCTS = {
    torch.matmul, torch.bmm, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.Tensor.__rmatmul__, torch.Tensor.bmm,
    operator.matmul, _aten.matmul.default, _aten.bmm.default,
}  # fmt: skip
_REVERSED = {torch.Tensor.__rmatmul__}
_EINSUMS = {torch.einsum, _aten.einsum.default}
_KEEPING = {
    "dropout", "dropout_", "feature_dropout", "to", "type", "type_as", "float", "half", "bfloat16", "double",
    "masked_fill", "masked_fill_", "where", "nan_to_num", "mul", "mul_", "__mul__", "__rmul__", "multiply", "div",
    "div_", "__truediv__", "view", "reshape", "transpose", "permute", "unsqueeze", "squeeze", "flatten", "unflatten",
    "contiguous", "clone", "detach", "expand", "expand_as", "__getitem__", "swapaxes", "swapdims", "movedim",
    "moveaxis", "__get__", "t", "view_as", "reshape_as", "alias",
}  # fmt: skip
"""Names of the functions that leave weights weights."""


class Products:
    """Follows softmaxes to the product with their values.

    Parameters
    ----------
    running
        Tells which modules are running.
    found
        Takes each softmax that weighs values, once, with the weights as they were multiplied.
    """

    def __init__(self, running: Running, found: Callable[[SoftmaxCall], None]) -> None:
        self._running = running
        self._found = found
        self._followed: dict[int, tuple[weakref.ref[torch.Tensor], _Softmax]] = {}
        self._waiting: list[_Softmax] = []

    def saw(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Take one function call and what it gave."""
        if func in SOFTMAXES:
            self._start(args, kwargs, result)
        elif self._followed:
            operands = list(softmaxes.tensors_in((args, tuple(kwargs.values()))))
            for operand in operands:
                softmax = self._softmax_of(operand)
                if softmax is not None:
                    self._use(softmax, operand, func, args, operands, result)
                    break

    def close(self) -> None:
        """End of the pass: give the softmaxes of attention modules that attend in no other way."""
        for softmax in self._waiting:
            if not softmax.done and softmax.kept is not None and not softmax.call.frames[-1].seen:
                self._found(replace(softmax.call, weights=softmax.kept))
        self._waiting.clear()
        self._followed.clear()

    def _start(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Follow a softmax over the last axis of something shaped [.., queries, keys]."""
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        frame = self._running.attending()
        if frame is None or not isinstance(result, torch.Tensor) or result.ndim < 3 or dim not in (-1, result.ndim - 1):
            return
        for key in [key for key, (tensor, _) in self._followed.items() if tensor() is None]:
            del self._followed[key]
        frames = self._running.frames_to(frame.module)
        index = frame.softmaxes
        for outer in frames:
            outer.softmaxes += 1
        call = SoftmaxCall(frame.module, frame.path, frame.args, frame.kwargs, index, result, frames)
        named = result.ndim == 4 and softmaxes.may_be_attention(call) and _is_named(frame)
        softmax = _Softmax(replace(call, weights=result.new_empty(0)), result.shape, result.detach() if named else None)
        self._waiting = [other for other in self._waiting if not other.done]
        self._waiting += [softmax] if named else []
        self._follow(result, softmax)

    def _follow(self, tensor: torch.Tensor, softmax: _Softmax) -> None:
        self._followed[id(tensor)] = (weakref.ref(tensor), softmax)

    def _softmax_of(self, tensor: torch.Tensor) -> _Softmax | None:
        found = self._followed.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor and not found[1].done else None

    def _use(
        self,
        softmax: _Softmax,
        operand: torch.Tensor,
        func: Any,
        args: tuple[Any, ...],
        operands: list[torch.Tensor],
        result: Any,
    ) -> None:
        """See whether the weights are multiplied with values here; if not, follow what was made of them."""
        if func in _PRODUCTS or func in _EINSUMS:
            pair = operands[::-1] if func in _REVERSED else operands
            weights = None
            if len(pair) == 2 and pair[0] is not pair[1]:
                side = 0 if pair[0] is operand else 1
                equation = args[0] if func in _EINSUMS else None
                weights = _summed(equation, pair, side) if equation else _multiplied(softmax.shape, pair, side)
            if weights is not None:
                softmax.done, softmax.kept = True, None
                self._found(replace(softmax.call, weights=weights.detach()))
        elif isinstance(result, torch.Tensor) and result.shape.numel() == softmax.shape.numel():
            name = getattr(func, "__name__", "").split(".")[0]
            if result.is_floating_point() and (name in _KEEPING or softmax.kept is not None):
                self._follow(result, softmax)


class _Softmax:
    """A softmax that is followed; ``kept`` holds its result where the module's name alone says it is attention."""

    def __init__(self, call: SoftmaxCall, shape: torch.Size, kept: torch.Tensor | None) -> None:
        self.call, self.shape, self.kept, self.done = call, shape, kept, False


def _is_named(frame: Frame) -> bool:
    name = f"{frame.path.rsplit('.', maxsplit=1)[-1]} {type(frame.module).__name__}".lower()
    return "attn" in name or "attention" in name


def _multiplied(shape: torch.Size, pair: list[torch.Tensor], side: int) -> torch.Tensor | None:
    """The weights of a matrix product in the shape of their softmax: on the left, or transposed on the right."""
    weights, values = pair[side], pair[1 - side]
    if values.ndim < 3 or isinstance(values, nn.Parameter) or weights.ndim < 3 or weights.numel() != shape.numel():
        return None
    rows, columns = weights.shape[-2:]
    if side == 0 and (rows, columns) == tuple(shape[-2:]):
        return weights.reshape(shape)
    transposed = rows != columns or weights.stride(-2) < weights.stride(-1)
    if side == 1 and (columns, rows) == tuple(shape[-2:]) and transposed:
        return weights.mT.reshape(shape)
    return None


def _summed(equation: Any, pair: list[torch.Tensor], side: int) -> torch.Tensor | None:
    """The weights of an einsum as [.., queries, keys]: keys are summed over, queries are not the values'."""
    if not isinstance(equation, str) or "->" not in equation:
        return None
    given, out = equation.replace(" ", "").split("->")
    names = [
        name.replace("...", "".join(chr(0x391 + i) for i in reversed(range(tensor.ndim - len(name) + 3))))
        for name, tensor in zip(given.split(","), pair, strict=True)
    ]
    weights, values = names[side], names[1 - side]
    free = "".join(dict.fromkeys(letter for name in names for letter in name if letter > "z"))
    out = out.replace("...", free)
    keys = [letter for letter in weights if letter in values and letter not in out]
    queries = [letter for letter in weights if letter in out and letter not in values]
    if len(keys) != 1 or len(queries) != 1 or values == weights or pair[1 - side].ndim < 3:
        return None
    order = [letter for letter in weights if letter not in (keys[0], queries[0])] + [queries[0], keys[0]]
    return pair[side].permute([weights.index(letter) for letter in order])
