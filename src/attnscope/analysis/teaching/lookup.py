"""Attention as a dictionary that is looked up softly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.steps import require_temperature
from attnscope.analysis.tables import table
from attnscope.analysis.teaching.worked import masked_attention
from attnscope.errors import InputError, InputTypeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True, eq=False)
class SoftLookup:
    """What a soft dictionary gives for a key.

    Parameters
    ----------
    keys
        The dictionary's keys.
    weights
        float64 [keys]: how much of each value is taken; they sum to 1.
    value
        float64 [value shape]: the values, weighted and added.

    Examples
    --------
    >>> found = analysis.soft_lookup({"cat": 1.0, "dog": 3.0}, "cat", temperature=0.5)
    >>> found.weights.round(2)
    array([0.88, 0.12])
    """

    keys: tuple[Hashable, ...]
    weights: np.ndarray
    value: np.ndarray

    def table(self) -> Any:
        """List ``key`` and ``weight``, as a pandas frame where pandas is installed."""
        return table([{"key": key, "weight": float(w)} for key, w in zip(self.keys, self.weights, strict=True)])


def soft_lookup(
    dictionary: Mapping[Hashable, Any],
    key: Hashable,
    *,
    temperature: float = 1.0,
    vectors: Mapping[Hashable, Any] | None = None,
) -> SoftLookup:
    """Look a key up as attention does: every value is taken, in proportion to how well its key matches.

    Without ``vectors`` every key is a vector of its own (1 in one place, 0 elsewhere), so the match scores 1 and all
    others 0; :func:`lookup_weight` is what the match then gets. As the temperature goes to 0 this becomes the usual
    look-up; as it grows, the mean of all values.

    Parameters
    ----------
    dictionary
        Values, numbers or arrays of one shape, by key.
    key
        What to look up.
    temperature
        What the scores are divided by.
    vectors
        A vector for each key, and for what is looked up, which then need not be in the dictionary: near keys share
        their values.

    Raises
    ------
    NotFoundError
        Where the key, or its vector, is not there.

    Examples
    --------
    >>> found = analysis.soft_lookup({"cat": 1.0, "dog": 3.0}, "cat")
    >>> round(float(found.value), 2)
    1.54
    """
    require_temperature(temperature)
    if not isinstance(dictionary, Mapping) or not dictionary:
        raise InputTypeError(f"A dictionary maps keys to values, and holds at least one; got {dictionary!r}.")
    names = tuple(dictionary)
    if vectors is None:
        vectors = dict(zip(names, np.eye(len(names)), strict=True))
    missing = [name for name in (*names, key) if name not in vectors]
    if missing:
        raise NotFoundError(f"There is no vector for {missing[0]!r}; there are {', '.join(map(repr, vectors))}.")
    values = [np.asarray(dictionary[name], np.float64) for name in names]
    if len({value.shape for value in values}) > 1:
        raise InputError(f"Values have one shape, so that they can be added; got {[value.shape for value in values]}.")
    keys = np.stack([np.asarray(vectors[name], np.float64) for name in names])
    query = np.asarray(vectors[key], np.float64)[None]
    found = masked_attention(query, keys, scale=1.0, temperature=temperature)
    weights = found.weights[0]
    return SoftLookup(names, weights, np.tensordot(weights, np.stack(values), axes=1))


def lookup_weight(n_keys: int, temperature: float = 1.0) -> float:
    """Give the weight of the matching key among ``n_keys`` that share nothing: ``e^(1/T) / (e^(1/T) + n - 1)``.

    Examples
    --------
    >>> round(analysis.lookup_weight(4), 2), round(analysis.lookup_weight(4, temperature=0.1), 2)
    (0.48, 1.0)
    """
    require_temperature(temperature)
    if n_keys < 1:
        raise InputError(f"A dictionary has at least one key, got {n_keys}.")
    return float(1 / (1 + (n_keys - 1) * np.exp(-1 / temperature)))
