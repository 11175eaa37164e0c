"""How much does a text's loss depend on each head?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.heads import all_heads, attention_of, by_layer_and_head
from attnscope.analysis.causal.subject import prepared, running
from attnscope.analysis.tables import table
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention

SATURATED = 0.01
"""Below this loss, in nats, gradients hardly tell heads apart."""


@dataclass(frozen=True, eq=False)
class HeadImportance:
    """How much the loss depends on each head.

    Parameters
    ----------
    layers
        True numbers of the layers, the rows of the arrays.
    raw
        float32 [layers, heads]: mean over texts of ``|∂loss/∂gate|``.
    normalized
        float32 [layers, heads]: the same with each layer scaled to Euclidean length 1, as Michel et al. compare them.
    loss
        Mean loss of the texts, in nats.
    n_texts
        Number of texts.

    Examples
    --------
    >>> found = analysis.head_importance(model, tokenizer, [text])
    >>> found.n_texts, round(found.loss, 1), found.is_saturated
    (1, 7.3, False)
    """

    layers: tuple[int, ...]
    raw: np.ndarray
    normalized: np.ndarray
    loss: float
    n_texts: int

    @property
    def is_saturated(self) -> bool:
        """Whether the texts are foretold so surely that gradients say little: heads may matter all the same."""
        return self.loss < SATURATED

    def table(self) -> Any:
        """One row per head, the most important first; a pandas frame where pandas is installed."""
        order = np.argsort(-np.nan_to_num(self.raw, nan=-1.0), axis=None, kind="stable")
        places = [np.unravel_index(i, self.raw.shape) for i in order]
        return table(
            [
                {
                    "layer": self.layers[int(row)],
                    "head": int(head),
                    "raw": float(self.raw[row, head]),
                    "normalized": float(self.normalized[row, head]),
                }
                for row, head in places
                if not np.isnan(self.raw[row, head])
            ]
        )

    def __repr__(self) -> str:
        row, head = np.unravel_index(int(np.nanargmax(self.raw)), self.raw.shape)
        note = "; the loss is nearly 0, where gradients say little: compare ablate_heads" if self.is_saturated else ""
        return (
            f"HeadImportance({self.n_texts} texts, loss {self.loss:.4f}, most by L{self.layers[int(row)]}H{int(head)}, "
            f"{self.raw[row, head]:.3g}{note})"
        )


def head_importance(
    model: Any,
    tokenizer: Any,
    texts: Any,
    *,
    labels: Sequence[int | str] | None = None,
    decoder_texts: Sequence[str] | None = None,
    loss: Callable[[Any], Any] | None = None,
    kind: str | None = None,
) -> HeadImportance:
    """Rank heads by how much the loss changes with a gate on them (Michel et al. 2019, eq. 2).

    ``I_h = mean over texts of |∂L(x)/∂ξ_h|`` at ξ = 1, where ξ multiplies the head's output.

    Parameters
    ----------
    model, tokenizer
        As for :func:`attnscope.capture`.
    texts
        A text or several, run one by one.
    labels
        For classifiers, the class of each text by name or number; None takes what the model finds likeliest.
    decoder_texts
        For encoder–decoders, the decoder's text of each; None lets the model write them.
    loss
        A function of the model's output that gives a number; None takes the mean negative log probability of each
        next token, of each token masked in turn (masked language models), or of the class.
    kind
        Kind of attention; None for the first.

    Returns
    -------
    HeadImportance

    Raises
    ------
    ModelError
        For a model without a loss of its own, or with layers that cannot be reached.

    Notes
    -----
    It is a slope at the model as it is: heads that do the same work as others, and heads of a text that is foretold
    surely, get little, though the model may need them. :func:`ablate_heads` measures instead of extrapolating.

    Examples
    --------
    >>> found = analysis.head_importance(model, tokenizer, [text, "a dog ran . a dog ran ."])
    >>> found.normalized.round(2)
    array([[0.34, 0.79, 0.42, 0.3 ],
           [0.36, 0.7 , 0.32, 0.53]], dtype=float32)
    """
    given = [texts] if isinstance(texts, str) or not isinstance(texts, Sequence) else list(texts)
    if not given:
        raise InputError("There is no text: the list is empty. Give at least one text.")
    for name, others in (("labels", labels), ("decoder_texts", decoder_texts)):
        if isinstance(others, str) or (others is not None and len(others) != len(given)):
            raise InputError(f"Give one entry of {name} per text, a list: got {len(given)} texts and {others!r}.")
    if loss is not None and not callable(loss):
        raise InputTypeError(f"loss is a function of the model's output, got {loss!r}.")
    total: np.ndarray | None = None
    losses = []
    for i, text in enumerate(given):
        written = None if decoder_texts is None else decoder_texts[i]
        subject = prepared(model, tokenizer, text, decoder_text=written, read=False)
        attention = attention_of(subject.capture, kind)
        value, gradients = running().gate_gradients(subject, loss, None if labels is None else labels[i])
        losses.append(value)
        slopes = _of_heads(attention, gradients)
        total = slopes if total is None else total + slopes
    assert total is not None
    raw = (total / len(given)).astype(np.float32)
    length = np.sqrt(np.nansum(raw.astype(np.float64) ** 2, axis=1, keepdims=True))
    normalized = (raw / np.where(length > 0, length, 1)).astype(np.float32)
    return HeadImportance(attention.layers, raw, normalized, float(np.mean(losses)), len(given))


def _of_heads(attention: Attention, gradients: Any) -> np.ndarray:
    """Absolute gradients of one kind: float64 [layers, heads]."""
    values = [abs(float(gradients[attention.kind, layer][head])) for layer, head in all_heads(attention)]
    return by_layer_and_head(attention, values).astype(np.float64)
