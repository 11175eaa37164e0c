"""A file written while what is in it is still being made: arrays first, one after another, the header last.

It ends as one safetensors file that :func:`attnscope.load` reads. Room for the header is left at its beginning and
filled up with spaces, as the format allows. Until then it stands under another name, and its first bytes are no header.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import struct
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

import numpy as np

from attnscope.attention.arrays import dtype_name, is_torch
from attnscope.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch

    from attnscope.attention.arrays import Array

UNFINISHED = ".unfinished"
"""How the name of a file ends that is still written to, or whose writer was stopped."""
HEADER_BYTES = (1 << 18) - 8
"""Room left for the header, for some 2,000 arrays; where there are more, the file is copied once."""
_ALIGNED = 16
_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


class AppendedFile:
    """A safetensors file that grows array by array, and is there once :meth:`finish` has been called.

    Parameters
    ----------
    path
        Where it is to be.

    Raises
    ------
    WriteError
        When there is something already, or nothing can be written there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._require_free()
        self._unfinished = self.path.with_name(f"{self.path.name}.{uuid4().hex[:8]}{UNFINISHED}")
        try:
            self._file: BinaryIO = self._unfinished.open("xb+")
        except OSError as error:
            raise WriteError(f"Nothing can be written to {str(self.path)!r}: {error.strerror}.") from error
        self._end = 8 + HEADER_BYTES
        self._regions: dict[tuple[int, int], tuple[int, torch.Tensor]] = {}
        self._spare: dict[int, int] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self.is_finished = False
        self.discard = weakref.finalize(self, _discard, self._file, self._unfinished)
        """Closes the file, and removes it if it was not finished; done too once nobody holds it any more."""

    def append(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Write tensors, and give them back as they are mapped from the file."""
        import torch

        arrays = [tensor.detach().cpu().contiguous() for tensor in tensors]
        places = [self._put(_bytes(array)) for array in arrays]
        if not any(array.numel() for array in arrays):
            return arrays
        try:
            self._file.flush()
            first = places[0] // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
            mapped = mmap.mmap(self._file.fileno(), self._end - first, access=mmap.ACCESS_COPY, offset=first)
        except OSError as error:
            raise self._failed(error) from error
        found = []
        for array, place in zip(arrays, places, strict=True):
            if array.numel():
                flat = torch.frombuffer(mapped, dtype=array.dtype, count=array.numel(), offset=place - first)
                self._regions[flat.data_ptr(), flat.nbytes] = place, flat  # held, so that its address stays its own
                array = flat.reshape(array.shape)
            found.append(array)
        return found

    def __setitem__(self, name: str, array: Array) -> None:
        """Name an array; it is written now, unless it is one that was."""
        if is_torch(array):
            array = array.detach().cpu().contiguous()
            written = self._regions.pop((array.data_ptr(), array.nbytes), None)
        else:
            array, written = np.ascontiguousarray(array), None
        place = self._put(_bytes(array)) if written is None else written[0]
        self._spare.pop(place, None)
        self._enter(name, _NAMES[dtype_name(array)], list(array.shape), place, array.nbytes)

    def update(self, arrays: dict[str, Array]) -> None:
        """Name several arrays."""
        for name, array in arrays.items():
            self[name] = array

    def finish(self, metadata: str) -> None:
        """Write the header and give the file its name; ``metadata`` is found in the array ``header``."""
        self["header"] = np.frombuffer(metadata.encode(), np.uint8)
        for number, (place, size) in enumerate(self._spare.items()):
            self._enter(f"spare.{number}", "U8", [size], place, size)
        marked = {"__metadata__": {"attnscope": json.dumps({"header": "header"})}}
        header = json.dumps(marked | self._entries).encode()
        room = max(HEADER_BYTES, -(-len(header) // 8) * 8)
        try:
            with self._roomy(room) as file:
                file.seek(0)
                file.write(struct.pack("<Q", room) + header.ljust(room))
                file.flush()
                os.fsync(file.fileno())
            self._require_free()
            Path(file.name).replace(self.path)
        except OSError as error:
            raise error if isinstance(error, WriteError) else self._failed(error) from error
        self.is_finished = True
        self.discard()

    def _enter(self, name: str, dtype: str, shape: list[int], place: int, size: int) -> None:
        start = place - 8 - HEADER_BYTES
        self._entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + size]}

    def _roomy(self, room: int) -> BinaryIO:
        """Give the file, or a copy of it with more room before its arrays."""
        if room == HEADER_BYTES:
            return self._file
        self._file.seek(8 + HEADER_BYTES)
        copy = self._unfinished.with_name(f"{self.path.name}.{uuid4().hex[:8]}{UNFINISHED}")
        wide: BinaryIO = copy.open("xb+")
        weakref.finalize(self, _discard, wide, copy)
        wide.seek(8 + room)
        shutil.copyfileobj(self._file, wide)
        return wide

    def _put(self, data: memoryview) -> int:
        """Write bytes at the end, at a place that fits every dtype; say where."""
        try:
            self._file.seek(self._end)
            beside = -self._end % _ALIGNED
            if beside:
                self._file.write(bytes(beside))
                self._spare[self._end] = beside
                self._end += beside
            place, size = self._end, data.nbytes
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error
        if size:
            self._spare[place] = size
        self._end += size
        return place

    def _failed(self, error: OSError) -> WriteError:
        return WriteError(
            f"Writing to {str(self.path)!r} stopped after {self._end / 1e6:.0f} MB: {error.strerror}. Nothing of it is "
            "left. Free some space or give another path, record fewer layers, or keep them in 16 bits: "
            'dtype="bfloat16".'
        )

    def _require_free(self) -> None:
        if self.path.exists():
            raise WriteError(
                f"There is already something at {str(self.path)!r}, and a recording overwrites nothing. Give another "
                "path, or remove it first."
            )


def unfinished_beside(path: Path) -> Iterable[Path]:
    """Find what writers that were stopped have left of a file."""
    return sorted(one for one in path.parent.glob(f"*{UNFINISHED}") if one.name.startswith(f"{path.name}."))


def _bytes(array: Array) -> memoryview:
    if is_torch(array):
        import torch

        array = array.reshape(-1).view(torch.uint8).numpy()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _discard(file: BinaryIO, unfinished: Path) -> None:
    try:
        file.close()
    except OSError:
        pass  # what could not be written is not kept either
    finally:
        unfinished.unlink(missing_ok=True)
