"""Finding what a layer writes into the residual stream: its output projection, and what that is added to.

Nothing is looked up by name. The projection is the first linear module called with the heads' joined output; the
residual is what, with the projection's output added, the model goes on with: the input of a norm or of the next
attention, or that less what another module of the layer gave. Each step is held to the numbers of the pass.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from attnscope.attention.arrays import dtype_name
from attnscope.attention.stream import Norm, Write
from attnscope.recording.collect import check
from attnscope.recording.collect.norms import is_norm, read_norm
from attnscope.recording.parameters import here, tensor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnscope.attention.layers import QueriesKeys
    from attnscope.recording.collect.keeping import Keeping
    from attnscope.recording.collect.readout import Final
    from attnscope.recording.watch.calls import AttentionCall

SAMPLED = 8
"""Rows that sums are held to."""
UNLIKE = "the heads' output goes through something else than one linear map"
UNFOUND = "what its output is added to was not found"


@dataclass(frozen=True, eq=False)
class Seen:
    """A module that ran: its first tensor, and what it made of it."""

    module: nn.Module
    given: torch.Tensor
    gave: torch.Tensor


@dataclass(eq=False)
class Written:
    """What a layer writes, for all inputs of a pass; filled in as the pass goes on.

    ``before`` says that a norm comes before the attention, ``added`` holds some rows of what it adds. Where this
    process has but some of the heads (``split``), ``partial`` holds rows of what they add up to without the bias, and
    of what the module gave; those are compared, and held to ``allowed``, once the other heads are there.
    """

    path: str
    part: str
    split: bool = False
    partial: tuple[torch.Tensor, torch.Tensor] | None = None
    allowed: float = 1e-4
    output: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    check: float = float("nan")
    residual: torch.Tensor | None = None
    inner: Norm | None = None
    factor: float = 1.0
    norm: Norm | None = None
    before: bool = False
    added: torch.Tensor | None = None
    why: str = UNLIKE
    final: Final | None = None

    def item(self, number: int, rows: np.ndarray) -> Write | None:
        """Give one input's, of some rows."""
        if self.output is None:
            return None
        residual = None if self.residual is None else self.residual[number]
        if residual is not None and len(rows) < len(residual):
            residual = residual[torch.from_numpy(rows)]
        why = self.why if residual is None else ""
        return Write(self.output, self.bias, self.check, residual, self.inner, self.factor, self.norm, why)


@dataclass(eq=False)
class _Pending:
    """A layer whose attention has run, until the next one's does.

    Of what modules give after it some rows are kept, as they were then: models add in place.
    """

    written: Written
    call: AttentionCall
    layer: QueriesKeys
    items: int
    norms: list[Seen]
    inputs: list[torch.Tensor]
    made: torch.Tensor | None = None
    sample: Sample | None = None
    after: list[Seen] = field(default_factory=list)
    outputs: deque[torch.Tensor] = field(default_factory=lambda: deque(maxlen=32))


class Writes:
    """Follows a pass's modules for what layers write; hooks are removed on exit.

    Parameters
    ----------
    paths
        The model's modules by path.
    is_ours
        Whether the code running now belongs to the recording.
    keeping
        Where copies are kept.
    """

    def __init__(self, paths: Mapping[nn.Module, str], is_ours: Callable[[], bool], keeping: Keeping) -> None:
        self._paths, self._is_ours, self._keeping = paths, is_ours, keeping
        self._norms: deque[Seen] = deque(maxlen=8)
        self._pending: _Pending | None = None
        self._all: list[Written] = []
        self._hooks = ExitStack()
        self.on_module: Callable[[Seen, deque[Seen]], None] | None = None

    def __enter__(self) -> Writes:
        with self._hooks as stack:
            for module in self._paths:
                stack.callback(module.register_forward_hook(self._on_end, with_kwargs=True).remove)
            self._hooks = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()
        self._pending = None
        self._norms.clear()

    def attended(
        self, call: AttentionCall, layer: QueriesKeys, items: int, part: str, *, split: bool = False
    ) -> Written:
        """Start to follow what a layer does with its heads."""
        inputs = [t for frame in call.frames[:-4:-1] if (t := _first((frame.args, frame.kwargs))) is not None]
        self._finish(inputs)
        written = Written(call.path, part, split)
        self._all.append(written)
        self._pending = pending = _Pending(written, call, layer, items, list(self._norms), inputs)
        projection = getattr(call.module, "out_proj", None)
        if call.project is not None and isinstance(projection, nn.Linear):  # used by PyTorch's function, never called
            matrix = _matrix(projection)
            if matrix is not None:
                self._project(pending, matrix, tensor_of(projection, "bias"), call.output)
        return written

    def close(self) -> list[Written]:
        """Finish the last layer; layers of a stack that norms before attention all do, also one without a norm."""
        self._finish([])
        before = {_stack(written.path) for written in self._all if written.before}
        for written in self._all:
            if _stack(written.path) in before:
                written.norm = None
        return self._all

    @property
    def last(self) -> tuple[Written, list[torch.Tensor]] | None:
        """The layer being followed, and some rows of what modules gave since its attention."""
        return None if self._pending is None else (self._pending.written, list(self._pending.outputs))

    @torch.no_grad()
    def _on_end(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not self._is_ours():
            return
        given, gave = _first((args, kwargs)), _first(output)
        if given is None or gave is None:
            return
        seen, pending = Seen(module, given, gave), self._pending
        norm = is_norm(module) and given.shape == gave.shape
        matrix = None
        if pending is not None and pending.made is None:
            matrix = _matrix(module, split=pending.written.split)
            if matrix is None and _matrix(module, split=True) is not None and pending.written.why == UNLIKE:
                pending.written.why = "its output projection is split over several processes, and its heads are not"
        if pending is not None and matrix is not None:
            self._try_projection(pending, seen, matrix)
        elif pending is not None and pending.sample is not None and pending.sample.fits(gave):
            if norm:
                pending.after.append(Seen(module, pending.sample(given), pending.sample(gave)))
            pending.outputs.append(pending.sample(gave))
        if norm:
            self._norms.append(seen)
        if self.on_module is not None:
            self.on_module(seen, self._norms)

    def _try_projection(self, pending: _Pending, seen: Seen, matrix: torch.Tensor) -> None:
        """Take a linear module as the output projection, if it was called with the heads' output."""
        joined = pending.call.output
        if joined.numel() != seen.given.numel() or joined.shape[-1] * joined.shape[-2] != matrix.shape[0]:
            return
        if not bool(torch.equal(joined.reshape(seen.given.shape), seen.given)):
            return
        parent = self._paths.get(seen.module, "").rpartition(".")[0]
        if any(path == parent and hasattr(holder, "base_layer") for holder, path in self._paths.items()):
            pending.written.why = (
                "an adapter adds to its output projection; merge it first (model.merge_and_unload() of PEFT)"
            )
            return
        self._project(pending, matrix, tensor_of(seen.module, "bias"), seen.gave)

    def _project(self, pending: _Pending, matrix: torch.Tensor, bias: torch.Tensor | None, made: torch.Tensor) -> None:
        """Keep a projection, given as [heads × value width, model width], if it makes the module's own output."""
        call, written = pending.call, pending.written

        def project(rows: torch.Tensor) -> torch.Tensor:
            flat = rows.reshape(len(rows), -1).to(matrix)
            return flat @ matrix if bias is None or written.split else flat @ matrix + bias

        own = made.detach().reshape(pending.items, -1, made.shape[-1])
        rows = check.sampled_rows(pending.layer, call.values[0], own[0], project)
        if written.split:
            written.partial, written.allowed = rows, tolerance(made)
        elif rows is not None:
            written.check = check.relative(*rows)
        if rows is None or written.check > tolerance(made):
            written.why = f"its output projection gives something else (off by {written.check:.1g})"
            return
        written.output = self._keeping.parameter(matrix).reshape(pending.layer.n_heads, -1, matrix.shape[1])
        written.bias = None if bias is None else bias.cpu().clone()
        written.why = UNFOUND
        pending.made, pending.sample = made.detach(), Sample(made)

    @torch.no_grad()
    def _finish(self, following: list[torch.Tensor]) -> None:
        """Settle what the layer's output was added to, now that the next attention begins, or the pass is over."""
        pending, self._pending = self._pending, None
        if pending is None or pending.made is None or pending.sample is None:
            return
        written, made, sample = pending.written, pending.made, pending.sample
        added = sample(made)
        after = pending.after
        if after and torch.equal(after[0].given, added):
            first, after = after[0], after[1:]
            written.inner = read_norm(first.module, added, first.gave, tolerance(made))
            if written.inner is None:
                return
            added = first.gave
        inputs = [given for given in pending.inputs if sample.fits(given)]
        normed = [
            seen.given
            for seen in reversed(pending.norms)
            if sample.fits(seen.given) and any(torch.equal(sample(seen.gave), sample(given)) for given in inputs)
        ]
        sums = [seen.given for seen in after]
        sums += [sample(given) for given in following if sample.fits(given)]
        starts = [(given, True) for given in normed] + [(given, False) for given in inputs]
        for (start, before), (number, goal) in product(starts, enumerate(sums)):
            factor = multiple(goal - sample(start), added, goal, made.dtype)
            if factor is None:
                continue
            if not before and number < len(after):
                norm = read_norm(after[number].module, goal, after[number].gave, tolerance(made))
                if norm is None:
                    return
                written.norm = norm
            self._place(pending, start, factor * added, factor, before=before)
            return
        for (start, before), goal, other in product(starts, sums, pending.outputs):
            rest = goal - sample(start) - added
            if multiple(rest, other, goal, made.dtype) == 1:
                self._place(pending, start, added, before=before)
                return

    def _place(
        self, pending: _Pending, start: torch.Tensor, added: torch.Tensor, factor: float = 1.0, *, before: bool
    ) -> None:
        written = pending.written
        written.added = added
        kept = self._keeping.parameter(start)
        if kept.ndim == 3 and len(kept) != pending.items and kept.shape[1] == pending.items:
            kept = kept.transpose(0, 1)
        written.residual = kept.reshape(pending.items, -1, kept.shape[-1])
        written.factor, written.before = factor, before


class Sample:
    """Some rows of tensors that are shaped as one of them."""

    def __init__(self, like: torch.Tensor) -> None:
        self._width, self._size = like.shape[-1], like.numel()
        self._shape = like.shape
        rows = self._size // self._width
        self._rows = torch.from_numpy(np.unique(np.linspace(0, rows - 1, SAMPLED).round().astype(int)))

    def fits(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor has as many rows, as wide."""
        return tensor.shape[-1] == self._width and tensor.numel() == self._size

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """Give the rows: float32 [rows, width], on the CPU, as layers may lie on several devices."""
        return tensor.detach().reshape(-1, self._width)[self._rows.to(tensor.device)].cpu().float()


def multiple(rest: torch.Tensor, of: torch.Tensor, near: torch.Tensor, dtype: torch.dtype) -> float | None:
    """How many times ``of`` a difference is; None where it is no multiple within the rounding of ``near``."""
    square = float((of * of).sum())
    if square == 0:
        return 1.0 if not rest.any() else None
    factor = float((rest * of).sum()) / square
    if not 0.01 < factor < 100:
        return None
    allowed = 4 * torch.finfo(dtype).eps * (near.abs() + of.abs() + rest.abs())
    for tried in (1.0, factor):
        if bool(((rest - tried * of).abs() <= allowed + 1e-6 * near.abs().mean()).all()):
            return tried
    return None


def tolerance(like: torch.Tensor) -> float:
    """What differences may reach, relative to the largest number of a tensor's precision."""
    return check.TOLERANCE.get(dtype_name(like), 1e-4)


def _matrix(module: nn.Module, *, split: bool = False) -> torch.Tensor | None:
    """The matrix [in, out] of a plain linear module; with ``split``, the part of it that this process has will do."""
    is_linear = isinstance(module, nn.Linear)
    weight = tensor_of(module, "weight", split=split) if is_linear or type(module).__name__ == "Conv1D" else None
    if weight is None or weight.ndim != 2 or not weight.is_floating_point():
        return None
    return weight.T if is_linear else weight


def _first(values: Any) -> torch.Tensor | None:
    """The first floating tensor with an axis of vectors among nested values."""
    return next(_tensors(values), None)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        if values.is_floating_point() and values.ndim >= 2:
            yield here(values)
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, list | tuple) and isinstance(values, Iterable):
        for value in values:
            yield from _tensors(value)


def _stack(path: str) -> str:
    return re.sub(r"\d+", "*", path)
