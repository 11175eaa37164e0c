"""Arrays from anywhere to numpy, and back to where they came from."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from attnscope.errors import InputTypeError

Array = Any
"""A numpy array, a torch tensor, or another array of the Python array API."""


def is_torch(array: object) -> bool:
    """Whether the array is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def to_float32(array: Array) -> np.ndarray:
    """Give the values as a float32 numpy array.

    Parameters
    ----------
    array
        numpy, torch (any float dtype, any device, with or without gradient), or anything that numpy can read
        through ``__array__`` or DLPack.

    Raises
    ------
    InputTypeError
        When numpy cannot read it.
    """
    if is_torch(array):
        return np.asarray(array.detach().float().cpu().numpy())
    try:
        if not hasattr(array, "__array__") and hasattr(array, "__dlpack__"):
            array = np.from_dlpack(array)
        return np.asarray(array, dtype=np.float32)
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        raise InputTypeError(
            f"Expected an array of numbers (numpy, torch, JAX, or anything with __array__ or DLPack), "
            f"got {type(array).__name__}: {error}. Convert it to a numpy array first."
        ) from error


def float32_like(array: Array) -> Array:
    """Give the same values as float32 in the array's own library, on its own device."""
    xp = array_namespace(array)
    return xp.astype(array, xp.float32, copy=False)


def moved_like(values: np.ndarray, like: Array) -> Array:
    """Bring a numpy array into the library and onto the device of another array."""
    xp = array_namespace(like)
    return xp.asarray(values, device=device(like))


def dtype_name(array: Array) -> str:
    """Name the array's dtype without its library: ``float32``, ``bfloat16``."""
    return str(array.dtype).rsplit(".", maxsplit=1)[-1]


def byte_count(array: Array) -> int:
    """Count the bytes the values take."""
    return int(np.prod(array.shape, dtype=np.int64)) * int(array.dtype.itemsize)
