"""What may be changed of one attention layer while the model runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Outputs = Callable[[torch.Tensor], torch.Tensor]
"""Takes and gives the heads' outputs, [batch, queries, heads, value width], before the output projection."""
Numbers = Callable[[torch.Tensor], torch.Tensor]
"""Takes and gives scores or weights, [batch, heads, queries, keys], float32 or wider; masked scores are ``-inf``."""


@dataclass(frozen=True, eq=False)
class Change:
    """What one layer does differently.

    Parameters
    ----------
    outputs
        Changes what the heads give, position by position or by means over positions; the layer runs on the model's own
        attention function. It may be given rows of weights instead, [batch, queries, heads, keys], where the module
        mixes values itself.
    of_vectors
        Whether ``outputs`` must be given the outputs themselves.
    scores, weights
        Changes scores before, or weights after softmax; the layer's attention is then computed step by step, where
        gradients can be taken of its weights.
    """

    outputs: Outputs | None = None
    of_vectors: bool = False
    scores: Numbers | None = None
    weights: Numbers | None = None

    @property
    def needs_steps(self) -> bool:
        """Whether attention must be computed step by step."""
        return self.scores is not None or self.weights is not None


Changes = Mapping[tuple[str, int], Change]
"""Changes by kind of attention and layer number."""


def replaced(rows: torch.Tensor, by: torch.Tensor | str) -> Outputs:
    """Replace the outputs of some heads.

    Parameters
    ----------
    rows
        bool [variants, heads]: which heads of which variant; the batch holds the variants one after the other.
    by
        ``"zero"``; ``"mean"`` for each head's mean over the text's positions; or values [heads, value width].
    """

    def change(outputs: torch.Tensor) -> torch.Tensor:
        chosen = rows.to(outputs.device).repeat_interleave(outputs.shape[0] // len(rows), dim=0)[:, None, :, None]
        if isinstance(by, torch.Tensor):
            new = by.to(outputs).expand_as(outputs)
        else:
            new = torch.zeros_like(outputs) if by == "zero" else outputs.mean(1, keepdim=True).expand_as(outputs)
        return torch.where(chosen, new, outputs)

    return change


def scaled(gates: torch.Tensor) -> Outputs:
    """Multiply each head's output by its gate, [heads]."""
    return lambda outputs: outputs * gates.to(outputs)[:, None]


def cut(links: torch.Tensor) -> Numbers:
    """Hide keys from queries: bool [variants, heads, queries, keys], True where a link is cut."""

    def change(scores: torch.Tensor) -> torch.Tensor:
        return scores.masked_fill(links.to(scores.device), -torch.inf)

    return change
