"""What do other methods say? Captum's attributions, beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.effect import describe
from attnscope.analysis.causal.gradient import checked_way
from attnscope.analysis.causal.heads import all_heads, by_layer_and_head
from attnscope.analysis.causal.subject import prepared, running
from attnscope.analysis.tables import table
from attnscope.errors import InputError, ModelError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

METHODS = ("integrated_gradients", "input_x_gradient", "ablation", "shapley")


@dataclass(frozen=True, eq=False)
class Attributions:
    """What each token contributes to a prediction, by one of Captum's methods.

    Parameters
    ----------
    read, target
        What was looked at, and the token or class followed, in words.
    method
        Captum's method.
    scores
        float64 [tokens]: in the unit of what was followed; 0 for special tokens, which stay as they are.
    baseline
        Id of the token that stood for a missing one.
    error
        Integrated gradients' error of completeness, by Captum: how far the sum is from the difference between the text
        and the baseline. None for other methods.
    row
        Query whose weights stand beside.
    capture
        The capture they are read from.

    Examples
    --------
    >>> found = analysis.attributions(model, tokenizer, prompt)
    >>> found.agreement().round(1)
    array([[ 0.2,  0. , -0.2, -0.1],
           [-0.3, -0.2, -0.3, -0. ]], dtype=float32)
    """

    read: str
    target: str
    method: str
    scores: np.ndarray
    baseline: int
    error: float | None
    row: int
    capture: Capture

    def weights(self, layer: int | None = None, head: int | None = None) -> np.ndarray:
        """Weights of the row the prediction is read at: float32 [tokens].

        Parameters
        ----------
        layer, head
            One head; without a head the mean over heads, without a layer the mean over layers too.
        """
        attention = self._beside
        layers = attention.layers if layer is None else [layer]
        rows = [np.atleast_2d(attention.weights(number, head, queries=self.row)).mean(axis=0) for number in layers]
        return np.asarray(np.mean(rows, axis=0, dtype=np.float32))

    def agreement(self) -> np.ndarray:
        """Rank correlation (Spearman) of each head's weights with the attributions: float32 [layers, heads].

        Over content tokens; NaN where the head's weights do not differ among them.
        """
        from scipy.stats import spearmanr

        attention = self._beside
        content = ~attention.keys.special
        values = []
        for layer, head in all_heads(attention):
            row = attention.weights(layer, head, queries=self.row)[content]
            same = np.ptp(row) == 0 or np.ptp(self.scores[content]) == 0
            values.append(np.nan if same else float(spearmanr(row, self.scores[content]).statistic))
        return by_layer_and_head(attention, values)

    def table(self, layer: int | None = None, head: int | None = None) -> Any:
        """One row per token: its attribution beside its weight; a pandas frame where pandas is installed."""
        weights, tokens = self.weights(layer, head), self._beside.keys
        return table(
            [
                {"position": i, "token": tokens[i], "attribution": float(self.scores[i]), "weight": float(weights[i])}
                for i in range(len(tokens))
            ]
        )

    @property
    def _beside(self) -> Attention:
        return self.capture["cross" if "cross" in self.capture.kinds else self.capture.kinds[0]]

    def __repr__(self) -> str:
        best = int(np.abs(self.scores).argmax())
        error = "" if self.error is None else f", error {self.error:.2g}"
        return (
            f"Attributions({self.method}{error}; {self.read}, {self.target!r}: most by "
            f"{self._beside.keys[best].strip()!r}, position {best}, {self.scores[best]:+.3g})"
        )


def attributions(
    model: Any,
    tokenizer: Any,
    text: Any,
    text_pair: str | None = None,
    *,
    method: str = "integrated_gradients",
    of: str = "logit",
    baseline: int | None = None,
    steps: int = 50,
    samples: int = 25,
    seed: int = 0,
    position: int | str | None = None,
    target: Any = None,
    decoder_text: str | None = None,
) -> Attributions:
    """Attribute a prediction to tokens by Captum's own implementation, to be read beside the weights.

    Parameters
    ----------
    model, tokenizer, text, text_pair, position, target, decoder_text
        As for :func:`ablate_heads`. For encoder–decoders the source's tokens are attributed to.
    method
        ``"integrated_gradients"`` (Sundararajan et al. 2017) or ``"input_x_gradient"`` at the tokens' vectors;
        ``"ablation"``, one token at a time; ``"shapley"``, sampled Shapley values.
    of
        ``"logit"`` or ``"log probability"``.
    baseline
        Id of the token that stands for a missing one; None for the tokenizer's mask, padding or unknown token.
    steps, samples, seed
        Steps of integrated gradients; permutations of Shapley values and their seed.

    Returns
    -------
    Attributions

    Raises
    ------
    MissingPackageError
        When Captum is not installed.
    InputError, ModelError
        For another method, a model that predicts nothing, or one that takes no vectors in place of ids.

    Examples
    --------
    >>> found = analysis.attributions(model, tokenizer, prompt)
    >>> found.target, found.capture.tokens[found.scores.argmax()]
    ('red', 'red')
    """
    if method not in METHODS:
        raise InputError(f"method is one of {', '.join(map(repr, METHODS))}, got {method!r}.")
    checked_way(of)
    subject = prepared(model, tokenizer, text, text_pair, position=position, target=target, decoder_text=decoder_text)
    if len(subject.capture.kinds) > 1 and "cross" not in subject.capture.kinds:
        raise ModelError(f"Attributions are to the tokens of a text, and {subject.capture.model_name} reads more.")
    scores, missing, error = running().attribute(
        subject, method, of=of, baseline=baseline, steps=steps, samples=samples, seed=seed
    )
    return Attributions(*describe(subject), method, scores, missing, error, subject.row, subject.capture)
