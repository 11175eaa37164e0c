"""Weights that are computed again, by running one module once more on what it was called with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.layers import LazyWeights
from attnscope.errors import ModelError, UnverifiedError
from attnscope.recording.watch import softmaxes

if TYPE_CHECKING:
    from torch import nn

    from attnscope.recording.watch.calls import SoftmaxCall

CACHED_BYTES = 1 << 28
"""Recomputed weights held for the next look, 256 MiB in all captures together; the last one whatever its size."""
SAMPLED_ROWS = 4


class Copies:
    """Copies of what modules are called with; what several are called with is copied once.

    The original is held beside its copy while the pass runs, so that its identity stays its own.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}

    def of(self, value: Any) -> Any:
        """Copy tensors, also within lists and mappings; caches are left out, so that nothing is added to them."""
        if isinstance(value, torch.Tensor):
            key = (id(value), value._version)
            if key not in self._made:
                self._made[key] = (value, value.detach().clone())
            return self._made[key][1]
        if isinstance(value, dict):
            return {key: self.of(entry) for key, entry in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.of(entry) for entry in value)
        return None if hasattr(value, "get_seq_length") else value

    def close(self) -> None:
        """Let the originals go; copies stay with those that hold them."""
        self._made.clear()


class Replay:
    """One module call that can be run again.

    Parameters
    ----------
    call
        The softmax that was seen, with the module and what it was called with.
    batch
        Inputs of the pass.
    copies
        Copies what the module was called with.

    Notes
    -----
    The module's parameters and buffers are watched: once they have changed, what it would compute is no longer what was
    captured, and it is refused. A few rows of the pass are kept and compared with each new run.
    """

    def __init__(self, call: SoftmaxCall, batch: int, copies: Copies) -> None:
        self._module, self._path = call.module, call.path
        self._args, self._kwargs = copies.of(call.args), copies.of(call.kwargs)
        self._index, self._batch = call.index, batch
        self._versions = _versions(call.module)
        weights = softmaxes.by_head(call.weights, batch)
        self._rows = np.unique(np.linspace(0, weights.shape[2] - 1, SAMPLED_ROWS).round().astype(int))
        self._sample = weights[:, :, self._rows].float().cpu()
        self._lock = threading.Lock()

    def layer(self, weights: torch.Tensor, item: int) -> LazyWeights:
        """The layer of one input, its shape and mask read off the weights of the pass."""
        mask = softmaxes.visible(weights[item])
        return LazyWeights(lambda: self.weights(item), weights.shape[1], mask, str(weights.dtype).split(".")[-1])

    def weights(self, item: int) -> np.ndarray:
        """Weights of one input, float32 [heads, queries, keys]."""
        if _versions(self._module) != self._versions:
            raise ModelError(
                f"The weights of {self._path} are computed by running it again, and its parameters have changed since "
                "the capture. Capture again; to keep a capture, save it before the model is trained further."
            )
        with self._lock:
            kept = _recent.get(self)
            if kept is None:
                kept = self._run()
                _recent.put(self, kept)
        return kept[item]

    def _run(self) -> np.ndarray:
        from attnscope.recording.watch.functions import SoftmaxWatch
        from attnscope.recording.watch.interface import paused

        with torch.no_grad(), paused(), SoftmaxWatch() as watch:
            self._module(*self._args, **self._kwargs)
        again = softmaxes.by_head(watch.results[self._index], self._batch).float().cpu()
        sample = again[:, :, self._rows] if again.shape[2] > self._rows[-1] else again
        if sample.shape != self._sample.shape or not torch.allclose(sample, self._sample, atol=1e-4, rtol=0):
            raise UnverifiedError(
                f"Running {self._path} again did not give the weights of the captured pass: it depends on more than "
                "its inputs. Capture a shorter input, whose weights are kept as they are."
            )
        return np.asarray(again.numpy())


class _Recent:
    """The weights computed last, up to a number of bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Replay, np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, replay: Replay) -> np.ndarray | None:
        """What a replay gave last, if it is still here."""
        with self._lock:
            found = self._kept.get(id(replay))
            if found is None:
                return None
            self._kept.move_to_end(id(replay))
            return found[1]

    def put(self, replay: Replay, weights: np.ndarray) -> None:
        """Keep what a replay gave, and drop what was looked at longest ago beyond the limit."""
        with self._lock:
            self._kept[id(replay)] = (replay, weights)
            while len(self._kept) > 1 and sum(kept.nbytes for _, kept in self._kept.values()) > CACHED_BYTES:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


_recent = _Recent()


def _versions(module: nn.Module) -> tuple[tuple[int, int], ...]:
    tensors = [*module.parameters(), *module.buffers()]
    return tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
