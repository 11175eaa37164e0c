"""Every statistic of a head that is a mean over its rows, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from attnscope.analysis.measures import (
    Measure,
    Share,
    distance_of_rows,
    effective_of_rows,
    gini_of_rows,
    max_of_rows,
    normalized_entropy,
)
from attnscope.analysis.rows import attention_of, head_mean, is_one_sequence
from attnscope.analysis.targets import (
    Class,
    Duplicate,
    Induction,
    Offset,
    Sink,
    Window,
    has_duplicates,
    is_punctuation,
    is_separator,
    is_special,
)
from attnscope.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from attnscope.attention.capture import Attention, Capture


def _always(attention: Attention) -> bool:  # noqa: ARG001 - one signature for every condition
    return True


@dataclass(frozen=True)
class Statistic:
    """A number per head.

    Parameters
    ----------
    measure
        The number per row it is a mean of.
    says
        What it says, in a few words.
    applies
        Whether some row of an attention can show it.
    in_tokens
        Whether it counts tokens; the others lie between 0 and 1.

    Examples
    --------
    >>> entropy = analysis.STATISTICS["entropy"]
    >>> entropy.says
    'how evenly weight spreads over the keys seen, 0 to 1'
    >>> entropy.in_tokens
    False
    """

    measure: Measure
    says: str
    applies: Callable[[Attention], bool] = _always
    in_tokens: bool = False


def _looks_ahead(attention: Attention) -> bool:
    return is_one_sequence(attention) and not attention.is_causal


def _repeats(attention: Attention) -> bool:
    return is_one_sequence(attention) and has_duplicates(attention.keys)


STATISTICS: dict[str, Statistic] = {
    "entropy": Statistic(normalized_entropy, "how evenly weight spreads over the keys seen, 0 to 1"),
    "max_weight": Statistic(max_of_rows, "largest weight of a query"),
    "effective_keys": Statistic(
        effective_of_rows, "number of keys an even spread of this entropy would have", in_tokens=True
    ),
    "gini": Statistic(gini_of_rows, "inequality of weights, 0 even to 1 all on one key"),
    "sink_share": Statistic(Share(Sink()), "weight on the first token"),
    "special_share": Statistic(
        Share(Class(is_special)), "weight on special tokens", lambda attention: bool(attention.keys.special.any())
    ),
    "separator_share": Statistic(
        Share(Class(is_separator)),
        "weight on special tokens after the first",
        lambda attention: bool(is_separator(attention.keys).any()),
    ),
    "punctuation_share": Statistic(
        Share(Class(is_punctuation)),
        "weight on punctuation",
        lambda attention: bool(is_punctuation(attention.keys).any()),
    ),
    "previous_token": Statistic(Share(Offset(-1)), "weight on the token before", is_one_sequence),
    "self_share": Statistic(Share(Offset(0)), "weight on the token itself", is_one_sequence),
    "next_token": Statistic(Share(Offset(1)), "weight on the token after", _looks_ahead),
    "local_share": Statistic(Share(Window(3)), "weight at most 3 tokens away", is_one_sequence),
    "mean_distance": Statistic(distance_of_rows, "tokens between query and key", is_one_sequence, in_tokens=True),
    "mean_offset": Statistic(
        partial(distance_of_rows, signed=True),
        "tokens from query to key, below 0 for earlier ones",
        is_one_sequence,
        in_tokens=True,
    ),
    "duplicate_token": Statistic(Share(Duplicate()), "weight on earlier occurrences of the same token", _repeats),
    "induction": Statistic(Share(Induction()), "weight on what followed earlier occurrences of the token", _repeats),
}


def measures_of(c: Capture, kind: str | None) -> dict[str, Measure]:
    """Name the statistics that mean something for one kind of attention.

    Those about positions need queries and keys of one text; what no row can show is left out: the next token under
    a causal mask, special tokens where there are none, induction where no token occurs twice.
    """
    attention = attention_of(c, kind)
    return {name: known.measure for name, known in STATISTICS.items() if known.applies(attention)}


def statistic(c: Capture, name: str, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Give one statistic of every head by name, as float32 [layers, heads].

    Raises
    ------
    NotFoundError
        With the statistics there are.

    Examples
    --------
    >>> analysis.statistic(c, "max_weight").round(2)
    array([[0.32, 0.79, 0.95, 0.64],
           [0.82, 0.83, 0.92, 0.91]], dtype=float32)
    >>> sorted(analysis.STATISTICS)[:3]
    ['duplicate_token', 'effective_keys', 'entropy']
    """
    measures = measures_of(c, kind)
    if name not in measures:
        raise NotFoundError(f"There is no statistic {name!r} here; there are {', '.join(measures)}.")
    return head_mean(c, measures[name], kind, content=content)
