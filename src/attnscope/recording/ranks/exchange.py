"""What ranks tell each other, with an end to waiting: notes, and the bytes of tensors."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from attnscope.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.recording.ranks.shards import Ranks

PATIENCE = 300.0
"""Seconds that a rank waits for the others."""


def told(ranks: Ranks, note: dict[str, Any]) -> list[dict[str, Any]]:
    """Tell all ranks a note of plain values, and give what each told, in their order."""
    text = torch.frombuffer(bytearray(json.dumps(note).encode()), dtype=torch.uint8)
    lengths = _gathered(ranks, torch.tensor([len(text)]), [torch.zeros(1, dtype=torch.int64)] * ranks.size)
    each = exchanged(ranks, text, [int(length) for length in lengths])
    return [json.loads(one.numpy().tobytes()) for one in each]


def exchanged(ranks: Ranks, mine: torch.Tensor, sizes: Sequence[int]) -> list[torch.Tensor]:
    """Give every rank's bytes, uint8 [size], on the CPU; of how many each has is known."""
    longest = max(sizes)
    padded = torch.zeros(longest, dtype=torch.uint8)
    padded[: len(mine)] = mine
    each = _gathered(ranks, padded, [torch.empty(longest, dtype=torch.uint8)] * ranks.size)
    return [one[:size] for one, size in zip(each, sizes, strict=True)]


def _gathered(ranks: Ranks, mine: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Gather one tensor of the same shape from every rank."""
    into = [torch.empty_like(one, device=ranks.device) for one in like]
    until = time.monotonic() + PATIENCE
    try:
        work = distributed.all_gather(into, mine.to(ranks.device), group=ranks.group, async_op=True)
        while work is not None and not work.is_completed() and time.monotonic() < until:
            time.sleep(0.0005)
        if work is None or work.is_completed():
            if work is not None:
                work.wait()
            return [one.cpu() for one in into]
    except RuntimeError as error:
        raise ModelError(f"{_alone(ranks)} The connection said: {error}") from error
    raise ModelError(f"{_alone(ranks)} Rank {ranks.rank} waited {PATIENCE:.0f} seconds for them.")


def _alone(ranks: Ranks) -> str:
    return (
        f"The other ranks did not come to where rank {ranks.rank} is: a model that {ranks.size} ranks run together is "
        "captured by all of them, in the same order and with the same arguments. One may have stopped with an error of "
        "its own; see what it printed, and start them all again."
    )
