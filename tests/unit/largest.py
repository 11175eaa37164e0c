"""The largest array that is made while something is computed."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Largest:
    """Bytes: the most held by numpy and Python at once, and the largest tensor torch made."""

    held: int = 0
    tensor: int = 0

    @property
    def nbytes(self) -> int:
        """The larger of both."""
        return max(self.held, self.tensor)


class _Watch(TorchFunctionMode):
    def __init__(self, found: Largest) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.found.tensor = max(self.found.tensor, tensor.numel() * tensor.element_size())
        return made


@contextmanager
def largest() -> Iterator[Largest]:
    """Watch what is made inside; views count as what they show."""
    found = Largest()
    tracemalloc.start()
    try:
        with _Watch(found):
            yield found
        found.held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
