"""In which dtype, and where, what is recorded of a call is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.appending import AppendedFile
from attnscope.attention.arrays import dtype_name
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.storing import storing_error
from attnscope.errors import InputError, InputTypeError, ModelError
from attnscope.recording.watch import softmaxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.recording.watch.calls import AttentionCall

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WITH_MODEL = "model"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Keeping:
    """How what is recorded is kept.

    Parameters
    ----------
    dtype
        Of queries, keys and values; None as the model gives them.
    device
        Where tensors are brought to, layer by layer while the pass runs; None leaves them where the layer runs.
    file
        What they are written to in place of memory; what is kept is mapped from it.
    """

    dtype: torch.dtype | None = None
    device: torch.device | None = CPU
    file: AppendedFile | None = None

    @classmethod
    def of(cls, dtype: Any, device: Any, path: str | os.PathLike[str] | None = None) -> Keeping:
        """Read what a user asked for.

        Raises
        ------
        InputError, InputTypeError
            For a dtype or device that does not exist, or what is no path.
        WriteError
            When nothing can be written at the path.
        """
        found = cls(_dtype(dtype), _device(device))
        if path is None:
            return found
        if not isinstance(path, str | os.PathLike):
            raise InputTypeError(f"path names the file to write to, got {type(path).__name__} {path!r}.")
        if found.device != CPU:
            raise InputError(
                f"path keeps queries and keys in a file, and device={device!r} elsewhere. Give one of both."
            )
        return replace(found, file=AppendedFile(path))

    def tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """Bring a tensor to where it is kept; copy it if it is a view that would keep a larger one alive."""
        return self._brought([tensor])[0]

    def parameter(self, tensor: torch.Tensor) -> torch.Tensor:
        """Keep a copy of what belongs to the model, on the CPU or in the file."""
        return tensor.detach().cpu().clone() if self.file is None else self.file.append([tensor])[0]

    def _brought(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self._placed(tensor) for tensor in tensors] if self.file is None else self.file.append(tensors)

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach()
        tensor = tensor if self.device is None else tensor.to(self.device)
        shared = tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size()
        return tensor.clone() if shared else tensor

    def weights(self, weights: torch.Tensor) -> StoredWeights:
        """Keep one input's weights [heads, queries, keys]; what every head gives exactly nothing is masked."""
        return StoredWeights(self.tensor(weights), softmaxes.visible(weights))

    def layers(self, call: AttentionCall, seen: Sequence[QueriesKeys], *, values: bool) -> list[QueriesKeys]:
        """Keep the layers of one call, one per input, with the error that storing adds to their weights.

        Raises
        ------
        ModelError
            Where numbers are too large for the dtype.
        """
        n_keys = seen[0].n_keys
        names = ("queries", "keys", "values") if values else ("queries", "keys")
        given: dict[str, torch.Tensor] = {name: getattr(call, name).detach() for name in names}
        given = {name: tensor if name == "queries" else tensor[:, :, :n_keys] for name, tensor in given.items()}
        cast = {name: tensor if self.dtype is None else tensor.to(self.dtype) for name, tensor in given.items()}
        errors = [0.0] * len(seen)
        if self.dtype not in (None, call.queries.dtype):
            for name, tensor in cast.items():
                self._require_finite(call.path, given[name], tensor)
            errors = [
                storing_error(layer, replace(layer, queries=cast["queries"][item], keys=cast["keys"][item]))
                for item, layer in enumerate(seen)
            ]
        whole = self if len(seen) == 1 else replace(self, file=None)  # of several, parts are put together at the end
        kept = dict(zip(cast, whole._brought(list(cast.values())), strict=True))
        other = dtype_name(call.queries) if self.dtype not in (None, call.queries.dtype) else None
        return [
            replace(
                layer,
                queries=kept["queries"][item],
                keys=kept["keys"][item],
                values=kept["values"][item] if values else None,
                bias=None if layer.bias is None else self._beside(layer.bias),
                sinks=None if layer.sinks is None else self._beside(layer.sinks),
                error=error,
                computed_in=other,
            )
            for item, (layer, error) in enumerate(zip(seen, errors, strict=True))
        ]

    def _beside(self, tensor: torch.Tensor) -> torch.Tensor:
        """Bring to the same device what belongs to queries and keys and is shared by layers."""
        return tensor.detach() if self.device is None else tensor.detach().to(self.device)

    def _require_finite(self, path: str, given: torch.Tensor, cast: torch.Tensor) -> None:
        assert self.dtype is not None
        largest = torch.finfo(self.dtype).max
        if not bool(cast.isfinite().all()) and bool(given.isfinite().all()):
            raise ModelError(
                f"{path or 'The model'} computes with numbers up to {float(given.abs().max()):.3g}, and "
                f"{dtype_name(cast)} ends at {largest:.3g}. Keep them in bfloat16, which reaches as far as float32: "
                'dtype="bfloat16".'
            )


def _dtype(given: Any) -> torch.dtype | None:
    known: dict[Any, torch.dtype | None] = {None: None, **DTYPES, **{dtype: dtype for dtype in DTYPES.values()}}
    try:
        return known[given]
    except (KeyError, TypeError):
        names = ", ".join(map(repr, DTYPES))
        raise InputError(
            f"dtype is what queries and keys are kept in: one of {names}, or None for as the model gives them; got "
            f"{given!r}."
        ) from None


def _device(given: Any) -> torch.device | None:
    if given is None:
        return CPU
    if given == WITH_MODEL:
        return None
    try:
        found = torch.device(given)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        raise InputError(
            f'device is where queries and keys are kept: "cpu" (also for None), "model" for where each layer runs, or '
            f"a device of this machine; got {given!r} ({str(error).splitlines()[0].rstrip('.')})."
        ) from error
    return found
