"""Is this picture true? Take away the tokens it points at: does the prediction go sooner than by chance?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.effect import cosine_distance, describe
from attnscope.analysis.causal.subject import prepared, running
from attnscope.analysis.tables import table
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.recording.intervene import Reading, Subject

WAYS = ("mask", "hide", "replace", "remove")


@dataclass(frozen=True, eq=False)
class DeletionCurve:
    """What is left of a prediction as tokens go, in the order of their scores and in random orders.

    Parameters
    ----------
    read, target
        What was looked at, and the token or class followed, in words.
    how
        How tokens were taken away.
    counts
        int [points]: how many tokens are gone.
    order
        int [tokens]: positions of the tokens, the first to go first.
    ordered
        float64 [points]: the target's probability in the order of the scores. For models without a head the cosine
        between the hidden states and those of the whole text; with a target function what that gave.
    random
        float64 [draws, points]: the same in random orders.
    interval
        Bootstrap interval of :attr:`between`, over the random orders.
    confidence
        Of the interval.

    Examples
    --------
    >>> found = analysis.attributions(model, tokenizer, prompt)
    >>> curve = analysis.deletion_curve(model, tokenizer, prompt, found.scores, draws=10)
    >>> curve.ordered[:4].round(2)
    array([1., 0., 0., 0.])
    """

    read: str
    target: str
    how: str
    counts: np.ndarray
    order: np.ndarray
    ordered: np.ndarray
    random: np.ndarray
    interval: tuple[float, float]
    confidence: float

    @property
    def area(self) -> float:
        """Mean height of the curve in the order of the scores: low where the prediction goes soon."""
        return float(areas(self.counts, self.ordered[None])[0])

    @property
    def between(self) -> float:
        """Area between the random orders' mean curve and the scores': above 0 where the scores do better."""
        return float(areas(self.counts, self.random).mean()) - self.area

    @property
    def share_as_good(self) -> float:
        """Share of random orders whose area is as small as the scores'."""
        return float((areas(self.counts, self.random) <= self.area).mean())

    def table(self) -> Any:
        """One row per point of the curves; a pandas frame where pandas is installed."""
        low, high = np.quantile(self.random, [0.05, 0.95], axis=0)
        return table(
            [
                {
                    "gone": int(self.counts[i]),
                    "ordered": float(self.ordered[i]),
                    "random": float(self.random[:, i].mean()),
                    "random_5": float(low[i]),
                    "random_95": float(high[i]),
                }
                for i in range(len(self.counts))
            ]
        )

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"DeletionCurve({self.read}, {self.target!r}: area {self.area:.3f}, chance {self.area + self.between:.3f}, "
            f"difference {self.between:+.3f} [{low:+.3f}, {high:+.3f}]; {self.share_as_good:.0%} of {len(self.random)} "
            "random orders do as well)"
        )


def deletion_curve(
    model: Any,
    tokenizer: Any,
    text: Any,
    scores: Sequence[float] | np.ndarray,
    text_pair: str | None = None,
    *,
    how: str | None = None,
    by: int | None = None,
    draws: int = 50,
    points: int = 20,
    seed: int = 0,
    confidence: float = 0.95,
    position: int | str | None = None,
    target: Any = None,
    decoder_text: str | None = None,
) -> DeletionCurve:
    """Take tokens away, the highest score first, and follow the prediction; beside it, in random orders.

    If scores say what a prediction rests on, it goes sooner in their order than in random ones (the deletion test of
    Petsiuk et al. 2018 and, for texts, DeYoung et al. 2020). Special tokens and the token the prediction is read at
    stay.

    Parameters
    ----------
    model, tokenizer, text, text_pair, position, target, decoder_text
        As for :func:`ablate_heads`. For encoder–decoders tokens of the source go.
    scores
        One per token, special tokens included: a row of weights, ``relevance(…).tokens``, attributions …
    how
        ``"mask"`` puts the mask token there; ``"hide"`` cuts the links from all other tokens in every layer;
        ``"replace"`` puts the token ``by`` there; ``"remove"`` shortens the text, so that later tokens move up. None
        masks where the model reads both ways and has a mask token, and hides otherwise.
    by
        Id of the token to put there.
    draws
        Number of random orders.
    points
        Points of the curve at most, evenly spaced, the whole text and none of the tokens among them.
    seed
        Of the random orders and the bootstrap.
    confidence
        Of the interval, ``scipy.stats.bootstrap`` over random orders (percentiles of 2,000 samples).

    Returns
    -------
    DeletionCurve

    Raises
    ------
    InputError
        For scores that do not fit the tokens, or a way that needs what is not there.

    Examples
    --------
    >>> found = analysis.attributions(model, tokenizer, prompt)
    >>> curve = analysis.deletion_curve(model, tokenizer, prompt, found.scores, draws=10)
    >>> round(curve.area, 2), round(curve.share_as_good, 2)
    (0.04, 0.0)
    """
    if draws < 2 or points < 2 or not 0 < confidence < 1:
        raise InputError(
            f"Give draws and points of at least 2 and a confidence between 0 and 1; got draws={draws}, "
            f"points={points}, confidence={confidence}."
        )
    from scipy.stats import bootstrap

    subject = prepared(model, tokenizer, text, text_pair, position=position, target=target, decoder_text=decoder_text)
    how, token = _way(subject, how, by)
    order = _order(subject, scores)
    counts = np.unique(np.linspace(0, len(order), points).round().astype(int))
    generator = np.random.default_rng(seed)
    orders = [order, *(generator.permutation(order) for _ in range(draws))]
    values = np.array([_values(subject, [o[:count] for o in orders], how, token) for count in counts]).T
    between = areas(counts, values[1:]) - areas(counts, values[:1])
    low, high = bootstrap(
        (between,),
        np.mean,
        confidence_level=confidence,
        n_resamples=2000,
        method="percentile",
        random_state=generator,
    ).confidence_interval
    interval = (float(low), float(high))
    return DeletionCurve(*describe(subject), how, counts, order, values[0], values[1:], interval, confidence)


def areas(counts: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Area under curves by trapezoids, divided by its width: their mean height."""
    steps = np.diff(counts) / (counts[-1] - counts[0])
    heights: np.ndarray = (curves[:, 1:] + curves[:, :-1]) @ steps / 2
    return heights


def _order(subject: Subject, scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """Positions that may go, the highest score first."""
    tokens = subject.source.queries
    given = np.asarray(scores, np.float64)
    if given.shape != (len(tokens),) or not np.isfinite(given).all():
        raise InputError(
            f"Give one finite score per token, {len(tokens)} with special tokens ({tokens!r}); got shape "
            f"{given.shape}{'' if np.isfinite(given).all() else ' with numbers that are not finite'}."
        )
    goes = ~tokens.special
    if subject.readout.position is not None and "decoder" not in subject.capture.kinds:
        goes[subject.readout.position] = False
    places = np.flatnonzero(goes)
    if len(places) < 2:
        raise InputError("Fewer than two tokens can go, so there is no order to compare. Give a longer text.")
    return places[np.argsort(-given[places], kind="stable")]


def _way(subject: Subject, how: str | None, by: int | None) -> tuple[str, int | None]:
    if how is None:
        how = "mask" if subject.mask_token is not None and not subject.source.is_causal else "hide"
    if how not in WAYS:
        raise InputError(f"how is one of {', '.join(map(repr, WAYS))}, got {how!r}.")
    if how == "mask" and subject.mask_token is None:
        raise InputError("The tokenizer has no mask token. Use how='hide', or how='replace' with by=token id.")
    if (how == "replace") != (by is not None):
        raise InputError("how='replace' puts a token there, and needs by=its id; the other ways take none.")
    return how, subject.mask_token if how == "mask" else by


def _values(subject: Subject, gone: list[np.ndarray], how: str, token: int | None) -> list[float]:
    """Read the prediction without each of some sets of tokens, all of one size."""
    n = len(subject.source.queries)
    if how == "hide":
        kinds = ["encoder", "cross"] if "cross" in subject.capture.kinds else [subject.source.kind]
        readings = list(running().with_keys_hidden(subject, gone, kinds))
    elif how == "remove":
        readings = []
        for positions in gone:
            kept = np.setdiff1d(np.arange(n), positions)
            readings += running().with_inputs(subject.moved(kept), [subject.with_source(kept)])
    else:
        variants = []
        for positions in gone:
            inputs = subject.with_source(np.arange(n))
            inputs["input_ids"] = inputs["input_ids"].copy()
            inputs["input_ids"][positions] = token
            variants.append(inputs)
        readings = list(running().with_inputs(subject, variants))
    return [_left(subject, reading) for reading in readings]


def _left(subject: Subject, reading: Reading) -> float:
    """What is left of the prediction: the probability, the cosine of hidden states, or the function's value."""
    if reading.log_probs is not None:
        assert reading.value is not None
        return float(np.exp(reading.value))
    if reading.states is not None:
        return 1 - cosine_distance(running().unchanged(subject).states, reading.states)
    assert reading.value is not None
    return reading.value
