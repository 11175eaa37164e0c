"""Tier 3: weights seen in a module's own softmax, kept, or computed again by running that module once more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.mask import Mask
from attnscope.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from attnscope.recording.calls import SoftmaxCall

_ATTENTION = re.compile(r"attn|attention|head$")
_OTHER = re.compile(r"router|gate$|gating|expert|pool|conv")
KEPT_BYTES = 1 << 28
"""Weights of one pass that are kept as they are, 256 MiB; beyond, modules are run again when they are looked at."""


def is_attention(call: SoftmaxCall, batch: int) -> bool:
    """Whether a softmax is the one of an attention module: four axes, or three with the heads in the batch."""
    name = f"{call.path.rsplit('.', maxsplit=1)[-1]} {type(call.module).__name__}".lower()
    if _OTHER.search(name) and not _ATTENTION.search(name):
        return False
    shape = call.weights.shape
    if len(shape) == 4:
        return shape[0] == batch
    return len(shape) == 3 and shape[0] % batch == 0 and bool(_ATTENTION.search(name))


def by_head(weights: torch.Tensor, batch: int) -> torch.Tensor:
    """Give a softmax's result the axes [batch, heads, queries, keys]."""
    if weights.ndim == 4:
        return weights
    return weights.reshape(batch, weights.shape[0] // batch, *weights.shape[1:])


def visible(weights: torch.Tensor) -> Mask:
    """Read the mask off one input's weights [heads, queries, keys]: what every head gives exactly nothing is hidden."""
    return Mask.of((weights != 0).any(dim=0).cpu().numpy())


class Replay:
    """One module call that can be run again.

    Parameters
    ----------
    call
        The softmax that was seen, with the module and what it was called with.
    batch
        Inputs of the pass.

    Notes
    -----
    The module's parameters are watched: once they have changed, what it would compute is no longer what was captured,
    and it is refused.
    """

    def __init__(self, call: SoftmaxCall, batch: int) -> None:
        self._module, self._path = call.module, call.path
        self._args, self._kwargs = _copied(call.args), _copied(call.kwargs)
        self._index, self._batch = call.index, batch
        self._versions = _versions(call.module)
        self._kept: torch.Tensor | None = None

    def weights(self, item: int) -> np.ndarray:
        """Weights of one input, float32 [heads, queries, keys]."""
        if _versions(self._module) != self._versions:
            raise ModelError(
                f"The weights of {self._path} are computed by running it again, and its parameters have changed since "
                "the capture. Capture again; to keep a capture, save it before the model is trained further."
            )
        if self._kept is None:
            from attnscope.recording.functions import SoftmaxWatch

            with torch.no_grad(), SoftmaxWatch() as watch:
                self._module(*self._args, **self._kwargs)
            self._kept = by_head(watch.results[self._index], self._batch)
        return np.asarray(self._kept[item].float().cpu().numpy())

    def forget(self) -> None:
        """Drop what the last run left."""
        self._kept = None


def _versions(module: nn.Module) -> tuple[tuple[int, int], ...]:
    return tuple((parameter.data_ptr(), parameter._version) for parameter in module.parameters())  # noqa: SLF001


def _copied(value: Any) -> Any:
    """Copy tensors, so that what the model writes into them later does not reach the copy."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_copied(entry) for entry in value)
    return value
