"""One family: its class, a small configuration, its inputs, and what its own eager code gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = 120
"""Token ids are below this."""

SELF = {"self": "attentions"}
PAIR = {"encoder": "encoder_attentions", "decoder": "decoder_attentions", "cross": "cross_attentions"}


@dataclass(frozen=True, eq=False)
class Family:
    """A family of models.

    Parameters
    ----------
    name
        Its name, and what is special about it.
    model
        Name of the model class in transformers; its configuration class is found through it.
    options
        What the configuration sets.
    inputs
        Makes what the model is called with.
    own
        For each kind of attention, where the model's eager output has the weights.
    layers
        For each kind, the true layer numbers; kinds not named have 0, 1, … as many as there are.
    why_not
        Why the model's own output is no reference for the other kinds.
    refused
        Words of the error, where the family is refused.
    left_out
        Words of the warning, where a part is left out.
    attends
        Whether the family has attention at all.
    gain
        Spread of a projection's outputs.
    """

    name: str
    model: str
    options: dict[str, Any]
    inputs: Callable[[], dict[str, Any]]
    own: dict[str, str] = field(default_factory=lambda: SELF)
    layers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    why_not: str = ""
    refused: str = ""
    left_out: str = ""
    attends: bool = True
    gain: float = 1.5

    def __str__(self) -> str:
        return self.name


def ids(batch: int, n: int, seed: int = 0) -> torch.Tensor:
    """Token ids, no special ones among them."""
    return torch.randint(10, WORDS, (batch, n), generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    """Numbers of a unit's spread."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def padded(n: int = 12, pads: int = 4, *, left: bool = False) -> dict[str, Any]:
    """Two texts, the second padded on the right or on the left."""
    given, mask = ids(2, n), torch.ones(2, n, dtype=torch.long)
    mask[1, slice(0, pads) if left else slice(n - pads, n)] = 0
    return {"input_ids": given * mask, "attention_mask": mask}


def right(n: int = 12) -> Callable[[], dict[str, Any]]:
    """Texts for an encoder."""
    return lambda: padded(n)


def left(n: int = 12) -> Callable[[], dict[str, Any]]:
    """Texts for a decoder."""
    return lambda: padded(n, left=True)


def plain(n: int = 12, batch: int = 2) -> Callable[[], dict[str, Any]]:
    """Texts of one length, for models that take no padding."""
    return lambda: {"input_ids": ids(batch, n)}


def both(n: int = 12, n_decoder: int = 7) -> Callable[[], dict[str, Any]]:
    """Texts for an encoder–decoder."""
    return lambda: padded(n) | {"decoder_input_ids": ids(2, n_decoder, seed=2)}


def image(size: int = 16, **more: Any) -> Callable[[], dict[str, Any]]:
    """Two images."""
    return lambda: {"pixel_values": normal(2, 3, size, size)} | more
