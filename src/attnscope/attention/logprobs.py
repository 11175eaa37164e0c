"""TokenLogprobs: how likely a language model found each token of a text, and what it would have said instead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.tokens import Tokens


class Alternative(NamedTuple):
    """A token the model could have said.

    Parameters
    ----------
    token
        As it is shown, a leading space where it begins with one.
    logprob
        Its natural log-probability; -inf where it was too unlikely to be told.
    """

    token: str
    logprob: float


@dataclass(frozen=True, eq=False)
class TokenLogprobs:
    """The log-probability of each token given those before it; from :func:`logprobs` or :func:`from_logprobs`.

    Parameters
    ----------
    tokens
        The tokens.
    logprobs
        float64 [tokens]: natural log-probability of each token given those before it. NaN where there is none, as for
        the first of a text; -inf where the model gave it no probability, or the server only told that it is very small.
    alternatives
        Per token, the likeliest tokens at its place, likeliest first; empty where none were told. The token itself is
        among them if it is likely enough.
    ranks
        int64 [tokens]: place of the token among all the model could have said, 1 for the likeliest; 0 where not known.
    entropies
        float64 [tokens] or None: entropy of the model's whole distribution at each place, in bits; None where only the
        alternatives are known, see :attr:`least_entropies`.
    model_name
        What the model is called.

    Examples
    --------
    >>> found = logprobs(model, tokenizer, text)
    >>> round(found.perplexity, 1)
    1422.2
    >>> [found.tokens[i] for i in found.most_surprising(3)]
    ['cat', 'small', 'saw']
    """

    tokens: Tokens
    logprobs: np.ndarray
    alternatives: tuple[tuple[Alternative, ...], ...]
    ranks: np.ndarray
    entropies: np.ndarray | None = None
    model_name: str = ""

    def __post_init__(self) -> None:
        n = len(self.tokens)
        for name in ("logprobs", "alternatives", "ranks", "entropies"):
            values = getattr(self, name)
            if values is not None and len(values) != n:
                raise InputError(f"There are {n} tokens but {len(values)} entries in {name}; give one per token.")
        if n == 0:
            raise InputError("There are no tokens. Give at least one.")
        wrong = np.flatnonzero(self.logprobs > 0)
        if wrong.size:
            at = int(wrong[0])
            raise InputError(
                f"The log-probability of token {at} ({self.tokens[at]!r}) is {self.logprobs[at]:g}, and none is above "
                "0. Give natural logarithms of probabilities, not probabilities or logits."
            )

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        name = f"{self.model_name}, " if self.model_name else ""
        return f"TokenLogprobs({name}{len(self)} tokens, {self.summary})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the tokens where a notebook displays them; see :class:`attnscope.LogprobsWidget`."""
        import attnscope  # through the front door: what shows log-probabilities stands above what holds them

        return attnscope.LogprobsWidget(self)._repr_mimebundle_(**kwargs)

    @property
    def surprisal(self) -> np.ndarray:
        """float64 [tokens]: −log₂ of each token's probability, in bits (Shannon 1948); NaN where there is none."""
        return np.abs(self.logprobs) / math.log(2)  # never -0.0

    @property
    def perplexity(self) -> float:
        """Exponential of the mean of −logprob over the tokens that have one; inf where one of them is -inf."""
        known = self.logprobs[~np.isnan(self.logprobs)]
        with np.errstate(over="ignore"):
            return float(np.exp(-known.mean())) if known.size else math.nan

    @property
    def least_entropies(self) -> np.ndarray:
        """float64 [tokens]: what the entropy at each place is at least, in bits, by the alternatives alone.

        All that is not listed is taken as one more token: to put outcomes together never raises an entropy (Cover and
        Thomas 2006, §2.5). NaN where no alternatives are known, and where their probabilities add up to more than 1.
        """
        found = np.full(len(self), np.nan)
        for at, listed in enumerate(self.alternatives):
            shares = np.exp([each.logprob for each in listed])
            rest = 1 - float(shares.sum())
            if listed and rest > -1e-3:
                every = np.append(shares, max(rest, 0.0))
                found[at] = -float((every[every > 0] * np.log2(every[every > 0])).sum()) + 0.0
        return found

    @property
    def summary(self) -> str:
        """Surprisal per token and perplexity in words."""
        known = self.surprisal[~np.isnan(self.surprisal)]
        if not known.size:
            return "no log-probabilities"
        if not np.isfinite(known).all():
            untold = int(np.isinf(known).sum())
            return f"{untold} of probability 0 or not told"
        return f"{known.mean():.2f} bits per token, perplexity {self.perplexity:.4g}"

    def most_surprising(self, k: int = 10) -> list[int]:
        """Positions of the k most surprising tokens, the most surprising first; ties in the order of the text.

        Raises
        ------
        InputTypeError
            When k is no whole number.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer):
            raise InputTypeError(f"k is a whole number, got {type(k).__name__} {k!r}.")
        order = np.argsort(-self.surprisal, kind="stable")
        return [int(at) for at in order if not np.isnan(self.surprisal[at])][: max(0, k)]


def ranks_among(logprobs: np.ndarray, alternatives: Sequence[Sequence[Alternative]]) -> np.ndarray:
    """Rank tokens by the alternatives listed beside them: int64 [tokens], 0 where the list does not reach that far.

    Some servers append the token itself to a list it was not likely enough for, so only as many alternatives count as
    every place has.
    """
    listed = [len(each) for each in alternatives if each]
    complete = min(listed, default=0)
    ranks = np.zeros(len(logprobs), np.int64)
    for at, each in enumerate(alternatives):
        if each and complete and logprobs[at] >= each[complete - 1].logprob and logprobs[at] > -np.inf:
            ranks[at] = 1 + sum(other.logprob > logprobs[at] for other in each)
    return ranks
