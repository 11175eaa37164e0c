"""Which tokens did a prediction rest on? Relevance through all layers, by gradients and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.effect import describe
from attnscope.analysis.causal.gradient import checked_way
from attnscope.analysis.causal.subject import prepared, running
from attnscope.analysis.tables import table
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture


@dataclass(frozen=True, eq=False)
class Relevance:
    """How relevant tokens are to what each position became.

    Parameters
    ----------
    read, target
        What was looked at and which token or class was followed, in words.
    matrices
        float64 [queries, keys] by kind: ``"self"``; for encoder–decoders ``"encoder"``, ``"decoder"``, and ``"cross"``
        for the source tokens' relevance to the decoder's positions. Those of one text start from the identity.
    position
        The row of the prediction.
    capture
        The capture they belong to.

    Examples
    --------
    >>> found = analysis.relevance(model, tokenizer, prompt)
    >>> found.target, found.capture.tokens[found.tokens.argmax()]
    ('red', 'red')
    """

    read: str
    target: str
    matrices: Mapping[str, np.ndarray]
    position: int
    capture: Capture

    @property
    def tokens(self) -> np.ndarray:
        """float64 [keys]: relevance of each token to the prediction, of the source's for encoder–decoders.

        What a position has from itself before any attention, 1, is left out.
        """
        if "cross" in self.matrices:
            return self.matrices["cross"][self.position]
        (matrix,) = self.matrices.values()
        row: np.ndarray = matrix[self.position].copy()
        row[self.position] -= 1
        return row

    def table(self) -> Any:
        """One row per token with its relevance; a pandas frame where pandas is installed."""
        kind = "cross" if "cross" in self.matrices else next(iter(self.matrices))
        keys = self.capture[kind].keys
        return table(
            [{"position": i, "token": keys[i], "relevance": float(value)} for i, value in enumerate(self.tokens)]
        )

    def __repr__(self) -> str:
        best = int(self.tokens.argmax())
        kind = "cross" if "cross" in self.matrices else next(iter(self.matrices))
        token = self.capture[kind].keys[best].strip()
        return f"Relevance({self.read}, {self.target!r}: most by {token!r}, position {best}, {self.tokens[best]:.3g})"


def relevance(
    model: Any,
    tokenizer: Any,
    text: Any,
    text_pair: str | None = None,
    *,
    of: str = "logit",
    position: int | str | None = None,
    target: Any = None,
    decoder_text: str | None = None,
) -> Relevance:
    """Follow relevance through the layers (Chefer et al. 2021, "Generic Attention-model Explainability").

    Each layer adds ``R ← R + Ā R`` with ``Ā = mean over heads of max(0, ∂y/∂A ⊙ A)``, from the identity (eq. 5 and
    6). For encoder–decoders the decoder's rows also gather the source, ``R_ds ← R_ds + Ā_dd R_ds`` (eq. 7), and each
    cross-attention adds ``R̂_ddᵀ Ā_ds R̂_ee`` (eq. 10), where R̂ is R without its identity, rows scaled to 1, plus
    the identity (eq. 8 and 9).

    Parameters
    ----------
    model, tokenizer, text, text_pair, of, position, target, decoder_text
        As for :func:`grad_weights`.

    Returns
    -------
    Relevance

    Raises
    ------
    InputError
        For models with kinds of attention other than one self-attention, or encoder, decoder and cross.
    ModelError, UnverifiedError, TooLargeError
        As :func:`grad_weights`.

    Notes
    -----
    Eq. 10 has ``R̂_ddᵀ``: it brings a position what later ones looked up. In a causal decoder that is nothing at the
    last position, where predictions are usually read. Only what speaks for the target counts (the ``max``).

    Examples
    --------
    >>> found = analysis.relevance(model, tokenizer, prompt)
    >>> found.tokens.round(2)
    array([0.  , 0.  , 0.  , 0.01, 0.04, 0.  , 0.41, 0.01, 0.01, 0.03, 0.01,
           0.01, 0.  , 0.07])
    """
    checked_way(of)
    subject = prepared(model, tokenizer, text, text_pair, position=position, target=target, decoder_text=decoder_text)
    kinds = subject.capture.kinds
    if len(kinds) > 1 and set(kinds) != {"encoder", "decoder", "cross"}:
        raise InputError(
            f"Relevance is followed through one self-attention, or encoder, decoder and cross-attention; "
            f"{subject.capture.model_name} has {', '.join(map(repr, kinds))}."
        )
    _, arrays = running().weight_gradients(subject, of)
    means = {place: np.maximum(weights * slopes, 0).mean(axis=0) for place, (weights, slopes) in arrays.items()}
    layers = {
        kind: [means[kind, number].astype(np.float64) for number in subject.capture[kind].layers] for kind in kinds
    }
    if len(kinds) == 1:
        matrices = {kinds[0]: followed(layers[kinds[0]])}
    else:
        matrices = followed_across(layers["encoder"], layers["decoder"], layers["cross"])
    return Relevance(*describe(subject), matrices, subject.row, subject.capture)


def followed(layers: list[np.ndarray]) -> np.ndarray:
    """Relevance through layers of self-attention: float64 [tokens, tokens]."""
    found = np.eye(len(layers[0]))
    for mean in layers:
        found = found + mean @ found
    return found


def followed_across(
    encoder: list[np.ndarray], decoder: list[np.ndarray], cross: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Relevance through an encoder, then a decoder whose layers look at themselves and then at the encoder."""
    source = followed(encoder)
    own, found = np.eye(len(decoder[0])), np.zeros((len(decoder[0]), len(source)))
    for mean, across in zip(decoder, cross, strict=True):
        own, found = own + mean @ own, found + mean @ found
        found = found + _scaled(own).T @ across @ _scaled(source)
    return {"encoder": source, "decoder": own, "cross": found}


def _scaled(relevance: np.ndarray) -> np.ndarray:
    """Scale rows of what was added to the identity to sum 1; a row nothing was added to stays the identity's."""
    identity = np.eye(len(relevance))
    added = relevance - identity
    sums = added.sum(axis=1, keepdims=True)
    scaled: np.ndarray = added / np.where(sums > 0, sums, 1) + identity
    return scaled
