"""Which weights would move the prediction? Gradient × weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.effect import describe
from attnscope.analysis.causal.heads import attention_of
from attnscope.analysis.causal.subject import prepared, running
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture

MEASURE = "gradient"
"""Name of the measure in a capture: ``capture[kind].extra["gradient"]``."""
WAYS = ("logit", "log probability")


@dataclass(frozen=True, eq=False)
class GradWeights:
    """Attention weights times the prediction's gradient with respect to them.

    Parameters
    ----------
    capture
        The capture, every kind of attention with the measure ``"gradient"``: show it in a widget with
        ``measure="gradient"``.
    read, target
        What was looked at and which token or class was followed, in words.
    value
        The number the gradient is of.

    Examples
    --------
    >>> found = analysis.grad_weights(model, tokenizer, prompt)
    >>> found.target, round(found.value, 1)
    ('red', 11.6)
    >>> found.summed().shape
    (2, 14, 14)
    """

    capture: Capture
    read: str
    target: str
    value: float

    @property
    def values(self) -> Mapping[int, np.ndarray]:
        """Per layer, float32 [heads, queries, keys]; of the first kind of attention."""
        return self.of_kind()

    def of_kind(self, kind: str | None = None) -> Mapping[int, np.ndarray]:
        """Per layer, float32 [heads, queries, keys], of one kind of attention."""
        return {layer: np.asarray(array) for layer, array in attention_of(self.capture, kind).extra[MEASURE].items()}

    def summed(self, kind: str | None = None) -> np.ndarray:
        """Summed over heads: float32 [layers, queries, keys]."""
        return np.stack([array.sum(axis=0) for array in self.of_kind(kind).values()])

    def by_head(self, kind: str | None = None) -> np.ndarray:
        """Summed over queries and keys: float32 [layers, heads]; the slope of a gate on each head's output."""
        layers = [array.sum(axis=(1, 2)) for array in self.of_kind(kind).values()]
        table = np.full((len(layers), max(map(len, layers))), np.nan, np.float32)
        for row, sums in enumerate(layers):
            table[row, : len(sums)] = sums
        return table

    def __repr__(self) -> str:
        return f"GradWeights({self.read}, {self.target!r}: {self.value:.4g}; {self.capture!r})"


def grad_weights(
    model: Any,
    tokenizer: Any,
    text: Any,
    text_pair: str | None = None,
    *,
    of: str = "logit",
    position: int | str | None = None,
    target: Any = None,
    decoder_text: str | None = None,
) -> GradWeights:
    """Multiply every weight with the gradient of the prediction with respect to it, ``∂y/∂A ⊙ A``.

    Attention is computed step by step, checked against the model's own, so that gradients flow to the weights. What is
    positive speaks for the target, what is negative against it; weights of later layers are taken to change with
    those of earlier ones.

    Parameters
    ----------
    model, tokenizer, text, text_pair, position, target, decoder_text
        As for :func:`ablate_heads`.
    of
        ``"logit"``, or ``"log probability"``, whose gradient vanishes where the model is sure.

    Returns
    -------
    GradWeights
        Of every layer, head, query and key, for every kind of attention of the model.

    Raises
    ------
    ModelError
        For a model that predicts nothing, or with a layer that cannot be reached.
    UnverifiedError
        For a layer that does something to its attention that cannot be computed step by step.
    TooLargeError
        When queries × keys of all heads would not fit in memory.

    Examples
    --------
    >>> found = analysis.grad_weights(model, tokenizer, text)
    >>> found.by_head().round(2)
    array([[-0.05, -1.82, -0.52, -1.1 ],
           [ 0.63,  0.36,  0.15,  0.24]], dtype=float32)
    """
    subject = prepared(model, tokenizer, text, text_pair, position=position, target=target, decoder_text=decoder_text)
    value, arrays = running().weight_gradients(subject, checked_way(of))
    products = {place: (weights * slopes).astype(np.float32) for place, (weights, slopes) in arrays.items()}
    measured = running().by_kind(products)
    capture = replace(
        subject.capture,
        attention={
            kind: replace(attention, extra={**attention.extra, MEASURE: measured[kind]})
            for kind, attention in subject.capture.attention.items()
        },
    )
    return GradWeights(capture, *describe(subject), value)


def checked_way(of: str) -> str:
    """Check which number gradients are taken of."""
    if of not in WAYS:
        raise InputError(f"of is {' or '.join(map(repr, WAYS))}, got {of!r}.")
    return of
