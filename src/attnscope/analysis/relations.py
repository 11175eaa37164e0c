"""Which heads look from a word to one it stands in a relation to: syntax, coreference, anything with known pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.parses import words_and_links
from attnscope.analysis.rows import attention_of, require_one_sequence
from attnscope.analysis.tables import table
from attnscope.attention.capture import Capture
from attnscope.attention.layers import LazyWeights
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Attention

BEATS = 0.1
"""Accuracy over the baseline from which on a head is said to beat it (Voita et al. 2019: 10 points)."""
COLUMNS = [
    "relation", "direction", "layer", "head", "accuracy", "baseline", "offset", "margin", "beats", "mass", "chance",
    "pairs",
]  # fmt: skip


def relation_heads(c: Capture | Sequence[Capture], pairs: Any, *, k: int | None = None, kind: str | None = None) -> Any:
    """Score every head on relations between words (Clark et al. 2019; Voita et al. 2019).

    A head is right on a word if, of all other words the word sees, it looks most at one it stands in the relation to.
    Weights of a word's pieces are added up as keys and averaged as queries; special tokens do not count. Clark et al.
    ask who looks most at the dependent; here each end is asked what it looks at.

    Parameters
    ----------
    c
        A capture, or several of the same model.
    pairs
        ``(dependent, head)`` or ``(dependent, head, relation)`` per pair, each end a position, a token or a word; or a
        parse: CoNLL-U as text, a list of mappings with ``form``, ``head`` and ``deprel``, or a spaCy ``Doc``. Of
        several captures, one of these each.
    k
        Heads to give per relation and direction; None for all.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per relation, direction (``"to head"`` or ``"to dependent"``) and head, the best first: ``accuracy``;
        ``baseline``, the accuracy of always guessing the word at the best fixed ``offset``; ``margin``, the difference,
        and whether it ``beats`` the baseline by 10 points; ``mass``, the mean share of the weight on other words that
        goes to the right ones, with ``chance``, that of uniform attention; the number of ``pairs``. The best of many
        heads is a selection: on few pairs, look whether the same head wins on others.

    Raises
    ------
    InputError
        When no pair can be seen under the mask, or a parse is of another text.

    Examples
    --------
    >>> table = analysis.relation_heads(c, [("small", "bird", "amod"), ("red", "bird", "amod"), ("bird", "saw", "obj")])
    >>> table[["relation", "direction", "layer", "head", "accuracy"]].head(2)
      relation     direction  layer  head  accuracy
    0     amod  to dependent      0     2       1.0
    1     amod  to dependent      0     1       1.0
    """
    captures, several = ([c], [pairs]) if isinstance(c, Capture) else (list(c), list(pairs))
    if len(captures) != len(several):
        raise InputError(f"Give the pairs of each capture: got {len(captures)} captures and {len(several)} of pairs.")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise InputError(f"k is the number of heads to give, 1 or more, or None for all; got {k!r}.")
    counts: dict[tuple[str, str], _Counts] = {}
    for capture, some in zip(captures, several, strict=True):
        require_one_sequence(capture, kind, "A relation between words")
        _count(attention_of(capture, kind), some, counts)
    if not counts:
        raise InputError("No word sees one it stands in a given relation to. Give pairs that the mask lets see.")
    attention = attention_of(captures[0], kind)
    rows: list[dict[str, Any]] = []
    for (relation, direction), count in counts.items():
        rows += _ranked(attention, relation, direction, count)[:k]
    return table(rows, COLUMNS)


@dataclass
class _Counts:
    """Counts of one relation in one direction over all texts, [layers, heads] or per layer."""

    hits: np.ndarray
    mass: np.ndarray
    chance: np.ndarray
    rows: np.ndarray
    offsets: list[Counter[int]]

    @classmethod
    def none(cls, n_layers: int, n_heads: int) -> _Counts:
        """Count nothing yet."""
        shape = (n_layers, n_heads)
        offsets: list[Counter[int]] = [Counter() for _ in range(n_layers)]
        return cls(
            np.zeros(shape, np.int64), np.zeros(shape), np.zeros(n_layers), np.zeros(n_layers, np.int64), offsets
        )


def _count(attention: Attention, pairs: Any, counts: dict[tuple[str, str], _Counts]) -> None:
    """Add one text."""
    words = words_and_links(attention.keys, pairs)
    asked: dict[tuple[str, str, int], set[int]] = defaultdict(set)
    for dependent, head, relation in words.links:
        asked[relation, "to head", dependent].add(head)
        asked[relation, "to dependent", head].add(dependent)
    queries = sorted({word for _, _, word in asked})
    if not queries:
        return
    positions = np.concatenate([words.positions[word] for word in queries])
    firsts = np.cumsum([0, *(len(words.positions[word]) for word in queries)])
    pieces = np.zeros((len(attention.keys), len(words.positions)), np.float32)
    for number, place in enumerate(words.positions):
        pieces[place, number] = 1
    for row, layer in enumerate(attention.stored.values()):
        source = layer.stored() if isinstance(layer, LazyWeights) else layer
        others = _by_word(layer.mask.allowed(positions).astype(np.float32) @ pieces, firsts) > 0
        others[np.arange(len(queries)), queries] = False
        looks = np.stack([_by_word(source.weight_rows(h, positions) @ pieces, firsts) for h in range(layer.n_heads)])
        looks = np.where(others, looks, 0)
        for (relation, direction, word), right in asked.items():
            number = queries.index(word)
            good = [other for other in sorted(right) if others[number, other]]
            if not good:
                continue
            found = counts.setdefault((relation, direction), _Counts.none(attention.n_layers, attention.n_heads))
            mine, heads = looks[:, number], slice(0, layer.n_heads)
            total = mine.sum(axis=1)
            found.hits[row, heads] += np.isin(mine.argmax(axis=1), good) & (total > 0)
            found.mass[row, heads] += mine[:, good].sum(axis=1) / np.where(total > 0, total, 1)
            found.chance[row] += len(good) / others[number].sum()
            found.rows[row] += 1
            found.offsets[row].update(other - word for other in good)


def _by_word(rows: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Mean over the rows of each word, whose first rows are given."""
    found: np.ndarray = np.add.reduceat(rows, firsts[:-1], axis=0) / np.diff(firsts)[:, None]
    return found


def _ranked(attention: Attention, relation: str, direction: str, count: _Counts) -> list[dict[str, Any]]:
    rows = []
    for row, (number, layer) in enumerate(attention.stored.items()):
        n = int(count.rows[row])
        if not n:
            continue
        offset, most = count.offsets[row].most_common(1)[0]
        for head in range(layer.n_heads):
            accuracy = float(count.hits[row, head]) / n
            rows.append(
                {
                    "relation": relation,
                    "direction": direction,
                    "layer": number,
                    "head": head,
                    "accuracy": accuracy,
                    "baseline": most / n,
                    "offset": offset,
                    "margin": accuracy - most / n,
                    "beats": accuracy - most / n >= BEATS - 1e-9,
                    "mass": float(count.mass[row, head]) / n,
                    "chance": float(count.chance[row]) / n,
                    "pairs": n,
                }
            )
    return sorted(rows, key=lambda found: (-found["accuracy"], -found["mass"]))
