"""How attention differs between two captures: two prompts, two models, two checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.divergence import jensen_shannon
from attnscope.analysis.joined_rows import JoinedRows
from attnscope.analysis.rows import attention_of
from attnscope.analysis.same_text import align, groups, matched
from attnscope.analysis.tables import table
from attnscope.attention.memory import require_memory
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer
    from attnscope.attention.tokens import Tokens

MOST_CELLS = 1 << 27
"""Most weights compared, all heads together; beyond that, evenly spaced queries are."""
ROWS = 256


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two captures have in common, and how much each head changed.

    Parameters
    ----------
    kind
        Kind of attention compared.
    layers
        True numbers of the layers both have.
    numbers
        True number of the layer in each row of ``change``: the layers of the first.
    queries, keys
        int32 [groups, 4]: the groups of tokens that stand for the same text, as the first token and the one past the
        last in the first capture, then in the second. Most hold one token of each; where two tokenizers split a text
        differently, as few as can be are joined. Tokens in no group were inserted or deleted.
    change
        float32 [layers of the first, most heads]: mean Jensen–Shannon divergence between the rows of a head in both
        captures, as a share of ln 2: 0 for the same, 1 for never the same key. NaN for heads only one of them has.
    largest
        float32, likewise: the largest change of one weight among the groups both have.
    rows
        How many pairs of rows each mean is over.
    a, b
        What was compared.

    Examples
    --------
    >>> found = analysis.compare(c, capture(model, tokenizer, text.replace("red", "blue")))
    >>> found.change.round(2)
    array([[0.07, 0.12, 0.13, 0.1 ],
           [0.08, 0.05, 0.07, 0.09]], dtype=float32)
    >>> found.difference(1, 0).shape
    (15, 15)
    """

    kind: str
    layers: tuple[int, ...]
    numbers: tuple[int, ...]
    queries: np.ndarray
    keys: np.ndarray
    change: np.ndarray
    largest: np.ndarray
    rows: int
    a: Attention = field(repr=False)
    b: Attention = field(repr=False)

    def ranked(self) -> list[tuple[int, int, float]]:
        """Give layer, head and change of every head in both, the most changed first."""
        there = np.argwhere(~np.isnan(self.change)).tolist()
        found = [(self.numbers[row], head, float(self.change[row, head])) for row, head in there]
        return sorted(found, key=lambda entry: -entry[2])

    def table(self) -> Any:
        """List the heads both have, the most changed first.

        Returns
        -------
        pandas.DataFrame or list of dict
            Per head ``layer``, ``head``, ``change`` (mean divergence) and ``largest`` (change of one weight).
        """
        largest = dict(zip(self.numbers, self.largest, strict=True))
        rows = [
            {"layer": layer, "head": head, "change": change, "largest": float(largest[layer][head])}
            for layer, head, change in self.ranked()
        ]
        return table(rows, ["layer", "head", "change", "largest"])

    def pairs(self, side: str = "query") -> list[tuple[str | None, str | None]]:
        """Give the tokens of both texts beside each other, in order; None opposite an insertion or deletion.

        Parameters
        ----------
        side
            ``"query"`` or ``"key"``.
        """
        if side not in ("query", "key"):
            raise InputError(f"side is 'query' or 'key', got {side!r}.")
        one, two = (self.a.queries, self.b.queries) if side == "query" else (self.a.keys, self.b.keys)
        return [(_text(one, i, stop), _text(two, j, other)) for i, stop, j, other in groups(one, two)]

    def difference(self, layer: int, head: int, *, other: tuple[int, int] | None = None) -> np.ndarray:
        """Change of every weight of a head among the groups both captures have: second minus first.

        Where a group holds several tokens, weights are added over its keys and averaged over its queries.

        Parameters
        ----------
        layer, head
            The head.
        other
            Layer and head in the second capture, where heads are matched across models; None for the same.

        Returns
        -------
        numpy.ndarray
            float32 [query groups, key groups], in the order of ``queries`` and ``keys``. Rows need not sum to 0:
            weight on tokens that one text lacks is in no column.
        """
        layer_b, head_b = (layer, head) if other is None else other
        one, two = self.a.layer(layer), self.b.layer(layer_b)
        head, head_b = self.a.head(layer, head), self.b.head(layer_b, head_b)
        shape = len(self.queries), len(self.keys)
        require_memory(4 * shape[0] * shape[1], "This difference", "Compare shorter texts, or look at table()")
        result = np.empty(shape, np.float32)
        joined = _both(self.queries, self.keys, one, two)
        for start in range(0, shape[0], ROWS):
            block = slice(start, start + ROWS)
            result[block] = joined[1].shared(two, head_b, block) - joined[0].shared(one, head, block)
        return result


def compare(a: Capture, b: Capture, *, kind: str | None = None) -> Comparison:
    """Compare two captures head by head.

    Equal tokens are aligned, the longest runs first, as text tools compare lines; the rest is an insertion or a
    deletion and never stretched over other tokens. Where two tokenizers split the same text differently, tokens are
    joined to the finest groups both agree on: weights are added over a group's keys and averaged over its queries, so
    rows still sum to 1. The two rows of an aligned query are compared over the keys of both texts together: attention
    to a token the other text lacks counts as changed.

    Parameters
    ----------
    a, b
        The captures: of two texts, two models or two checkpoints. Heads are compared by number; heads of models that
        were trained apart are matched by :func:`match_heads`.

    Raises
    ------
    InputError
        Where they have no kind of attention, no layer or no token in common.

    Examples
    --------
    >>> other = capture(model, tokenizer, text.replace("red", "blue"))
    >>> analysis.compare(c, other).ranked()[0][:2]
    (0, 2)
    """
    first, second, layers = _two_kinds(a, b, kind)
    queries = matched(groups(first.queries, second.queries))
    keys = queries if _one_text(first, second) else matched(groups(first.keys, second.keys))
    require_some_tokens(queries)
    change, largest, rows = _changes(first, second, layers, queries, keys)
    return Comparison(first.kind, layers, first.layers, queries, keys, change, largest, rows, first, second)


@dataclass(frozen=True, eq=False)
class Common:
    """What two captures have in common, token by token.

    Parameters
    ----------
    kind, layers
        As in :class:`Comparison`.
    queries, keys
        int32 [runs, 3]: runs of equal tokens, as the first position in each capture and the length.
    """

    kind: str
    layers: tuple[int, ...]
    queries: np.ndarray
    keys: np.ndarray


def common(a: Capture, b: Capture, *, kind: str | None = None) -> Common:
    """Find the tokens two captures have in common, or refuse as :func:`compare` does."""
    first, second, layers = _two_kinds(a, b, kind)
    queries = align(first.queries, second.queries)
    keys = queries if _one_text(first, second) else align(first.keys, second.keys)
    require_some_tokens(queries)
    return Common(first.kind, layers, queries, keys)


def _two_kinds(a: Capture, b: Capture, kind: str | None) -> tuple[Attention, Attention, tuple[int, ...]]:
    first = attention_of(a, kind)
    if first.kind not in b.kinds:
        raise InputError(
            f"The second capture has no {first.kind!r} attention to compare, only {', '.join(map(repr, b.kinds))}."
        )
    second = b[first.kind]
    layers = tuple(number for number in first.layers if number in second.stored)
    if not layers:
        raise InputError(
            f"The captures have no layer in common: {list(first.layers)} and {list(second.layers)}. "
            "Layers are compared by their numbers."
        )
    return first, second, layers


def _one_text(first: Attention, second: Attention) -> bool:
    return first.keys is first.queries and second.keys is second.queries


def require_some_tokens(queries: np.ndarray) -> None:
    """Refuse two texts without a token in common."""
    if not len(queries):
        raise InputError("The captures have no token in common, so no row of one has a row of the other beside it.")


def _text(tokens: Tokens, start: int, stop: int) -> str | None:
    if start == stop:
        return None
    return "".join(text.removeprefix("##") if at else text for at, text in enumerate(tokens.text[start:stop]))


def _changes(
    a: Attention, b: Attention, layers: Sequence[int], queries: np.ndarray, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    change = np.full((a.n_layers, a.n_heads), np.nan, np.float32)
    largest = change.copy()
    heads = sum(min(a.layer(number).n_heads, b.layer(number).n_heads) for number in layers)
    chosen = sampled(queries, heads * (len(a.keys) + len(b.keys)))
    for row, number in enumerate(a.layers):
        if number not in layers:
            continue
        one, two = a.layer(number), b.layer(number)
        for head in range(min(one.n_heads, two.n_heads)):
            change[row, head], largest[row, head] = _change(one, two, head, chosen, keys)
    return change, largest, len(chosen)


def sampled(queries: np.ndarray, cells_per_row: int) -> np.ndarray:
    """Keep as many groups of queries, evenly spaced, as can be compared in reasonable time."""
    most = max(16, MOST_CELLS // max(1, cells_per_row))
    if len(queries) <= most:
        return queries
    return queries[np.unique(np.linspace(0, len(queries) - 1, most).round().astype(int))]


def _both(queries: np.ndarray, keys: np.ndarray, one: Layer, two: Layer) -> tuple[JoinedRows, JoinedRows]:
    return JoinedRows.of(queries, keys, one.n_keys, two.n_keys)


def _change(one: Layer, two: Layer, head: int, queries: np.ndarray, keys: np.ndarray) -> tuple[float, float]:
    """Mean divergence of a head's rows, and the largest change; rows that attend to nothing are left out."""
    total, count, largest = 0.0, 0, np.nan
    joined = _both(queries, keys, one, two)
    for start in range(0, len(queries), ROWS):
        block = slice(start, start + ROWS)
        p, q = joined[0].rows(one, head, block), joined[1].rows(two, head, block)
        sums = p.sum(-1), q.sum(-1)
        full = (sums[0] > 0) & (sums[1] > 0)
        p, q = p[full], q[full]
        if not len(p):
            continue
        here = np.abs(q - p)[:, : len(keys)]
        largest = np.fmax(largest, here.max(initial=0))
        found = jensen_shannon(p / sums[0][full, None], q / sums[1][full, None])
        total += float(found.sum())
        count += int(full.sum())
    return (total / count if count else float("nan")), float(largest)
