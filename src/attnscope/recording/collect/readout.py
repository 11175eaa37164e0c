"""Finding how a model reads logits off its residual stream: the final norm and the unembedding."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from attnscope.attention.arrays import to_float32
from attnscope.attention.stream import Norm, Readout
from attnscope.recording.collect.norms import read_norm
from attnscope.recording.collect.written import Sample, Seen, multiple, tolerance
from attnscope.recording.parameters import tensor_of

if TYPE_CHECKING:
    from collections import deque

    from attnscope.recording.collect.written import Writes, Written

SPLIT = "its unembedding is split over several processes"
LIKELIEST = 10
"""Likeliest next tokens whose unembedding is kept."""


@dataclass(frozen=True, eq=False)
class Final:
    """How the logits of a pass were made; or why that cannot be said.

    Parameters
    ----------
    residual
        [inputs, tokens, width]: the residual stream after the last layer.
    """

    why: str = ""
    residual: torch.Tensor | None = None
    norm: Norm | None = None
    head: weakref.ref[nn.Module] | None = None
    check: float = float("nan")

    def item(self, number: int, rows: np.ndarray, ids: np.ndarray | None, name: Any) -> Readout | str:
        """Give one input's readout, of some rows; or why there is none.

        Parameters
        ----------
        ids
            Token ids of the text; None where they are not known.
        name
            Gives the texts of ids.
        """
        head = None if self.head is None else self.head()
        if self.residual is None or self.norm is None or head is None:
            return self.why
        found = _parts(head)
        if found is None:
            return SPLIT
        residual, (weight, bias) = self.residual[number][torch.from_numpy(rows)], found
        last = torch.from_numpy(self.norm(to_float32(residual[-1:]))[0])
        logits = weight @ last.to(weight)
        logits = logits if bias is None else logits + bias
        likeliest = torch.topk(logits, min(LIKELIEST, len(logits))).indices.cpu().numpy()
        known = np.zeros(0, np.int64) if ids is None else ids[(ids >= 0) & (ids < len(logits))]
        chosen = np.array(list(dict.fromkeys([*likeliest.tolist(), *known.tolist()])), np.int64)
        at = torch.from_numpy(chosen).to(weight.device)
        return Readout(
            residual,
            self.norm,
            chosen,
            tuple(name(chosen.tolist())),
            weight[at].cpu().clone(),
            None if bias is None else bias[at].cpu().clone(),
            self.check,
            LiveRows(self.head),
        )


class Readouts:
    """Watches a model's unembedding for the final norm before it."""

    def __init__(self, model: Any, writes: Writes) -> None:
        self._head = _unembedding(model)
        self._model = type(model).__name__
        self._writes = writes
        self._seen: tuple[Seen, list[Seen], Written | None, list[torch.Tensor]] | None = None
        writes.on_module = self._on_module

    def close(self, written: list[Written]) -> None:
        """Hand what was found to the layers of the stack that was read."""
        final, part = self._final()
        for one in written:
            if part is None or one.part == part:
                one.final = final

    def _on_module(self, seen: Seen, norms: deque[Seen]) -> None:
        if seen.module is self._head and self._seen is None:
            last = self._writes.last
            self._seen = (seen, list(norms), *(last or (None, [])))

    @torch.no_grad()
    def _final(self) -> tuple[Final, str | None]:
        seen, self._seen = self._seen, None
        if self._head is None or seen is None:
            return Final(f"{self._model} has no unembedding; load the model with its language-model head"), None
        head, norms, written, outputs = seen
        if written is None:
            return Final("its last layer was not recorded; capture all layers"), None
        if written.residual is None:
            return Final(written.why), written.part
        norm = next((one for one in reversed(norms) if _is_end_of(head.given, one.gave)), None)
        if norm is None or written.norm is not None:
            return Final("its logits are not read off the residual stream through one norm alone"), written.part
        sample = Sample(norm.given)
        made = read_norm(norm.module, sample(norm.given), sample(norm.gave), tolerance(norm.gave))
        if made is None or not _continues(written, norm.given, outputs, sample):
            return Final("more happens between its last layer and its logits than a norm"), written.part
        parts = _parts(head.module)
        if parts is None:
            return Final(SPLIT), written.part
        weight, bias = parts
        rows = head.given.reshape(-1, head.given.shape[-1])[-4:].to(weight.device)
        logits = rows @ weight.T if bias is None else rows @ weight.T + bias
        own = head.gave.reshape(-1, head.gave.shape[-1])[-4:].to(weight.device)
        error = float((logits - own).abs().max() / own.abs().max().clamp(min=1e-9))
        if not error <= tolerance(own):
            return Final(f"its unembedding gives other logits than the model (off by {error:.1g})"), written.part
        residual = norm.given.detach().cpu().clone().reshape(len(written.residual), -1, norm.given.shape[-1])
        return Final("", residual, made, weakref.ref(head.module), error), written.part


def _continues(written: Written, end: torch.Tensor, outputs: list[torch.Tensor], sample: Sample) -> bool:
    """Whether the stream after the last layer is what that layer read, its attention and one more output added."""
    start = written.residual
    assert start is not None
    if start.numel() != end.numel():
        return False
    goal, rest = sample(end), sample(end) - sample(start.to(end.device).reshape(end.shape))
    if written.added is None or written.added.shape != rest.shape:
        return False
    rest = rest - written.added
    return any(multiple(rest, one, goal, end.dtype) is not None for one in outputs) or not bool(
        (rest.abs() > 1e-5 * goal.abs().max()).any()
    )


def _is_end_of(given: torch.Tensor, gave: torch.Tensor) -> bool:
    """Whether a tensor is another, or its last rows."""
    if given.ndim != gave.ndim or given.shape[-1] != gave.shape[-1]:
        return False
    end = gave[..., -given.shape[-2] :, :]
    return end.shape == given.shape and bool(torch.equal(end, given))


def _unembedding(model: Any) -> nn.Module | None:
    try:
        found = model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Linear) else None


def _parts(head: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """The unembedding's matrix and bias; None where this process has but a part of them."""
    weight = tensor_of(head, "weight")
    return None if weight is None else (weight, tensor_of(head, "bias"))


def _version(head: nn.Module) -> int:
    """How often the unembedding has been changed."""
    weight = head.weight
    assert isinstance(weight, torch.Tensor)
    return weight._version


class LiveRows:
    """Reads unembeddings off a model while it lives and was not changed since; forgets it when copied or pickled."""

    def __init__(self, head: weakref.ref[nn.Module] | None = None) -> None:
        module = None if head is None else head()
        self._head, self._version = head, -1 if module is None else _version(module)

    def __call__(self, token: int) -> tuple[np.ndarray, float] | None:
        """Give a token's unembedding and bias; None where they cannot be had."""
        module = None if self._head is None else self._head()
        if module is None:
            return None
        found = _parts(module) if _version(module) == self._version else None
        if found is None or not 0 <= token < len(found[0]):
            return None
        weight, bias = found
        return to_float32(weight[token]), 0.0 if bias is None else float(bias[token])

    def __reduce__(self) -> tuple[type[LiveRows], tuple[()]]:
        return LiveRows, ()
