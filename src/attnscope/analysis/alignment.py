"""Which source word does each target word go with, by cross-attention?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of
from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import LazyWeights
from attnscope.attention.memory import require_memory
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer
    from attnscope.attention.tokens import Tokens

READINGS = ("predicted", "read")


@dataclass(frozen=True, eq=False)
class Alignment:
    """Words of the target beside the words of the source they go with.

    Parameters
    ----------
    reading
        Which row stands for a word: ``"predicted"`` or ``"read"``; see :func:`alignment`.
    layer, head
        What the weights are of; None for the mean over all.
    source, target
        The words.
    weights
        float32 [target words, source words]: pieces' keys added, pieces' rows averaged. A row sums to 1 less what goes
        to special tokens; NaN for a word without a row.
    links
        Pairs (source word, target word), counted from 0.

    Examples
    --------
    >>> found = analysis.alignment(translation, layer=1, content=True)
    >>> found.pharaoh()
    '0-0 2-1 1-2 3-3 4-4 6-5 5-6'
    """

    reading: str
    layer: int | None
    head: int | None
    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: np.ndarray
    links: frozenset[tuple[int, int]]

    def words(self) -> list[tuple[str, str | None]]:
        """Give every target word with its source word; None where it has no link."""
        linked = {target: self.source[source] for source, target in self.links}
        return [(word, linked.get(at)) for at, word in enumerate(self.target)]

    def pharaoh(self) -> str:
        """Write the links as other tools read them: ``0-0 2-1 1-2``, source word first."""
        return " ".join(f"{i}-{j}" for i, j in sorted(self.links, key=lambda link: link[::-1]))


def alignment(
    c: Capture,
    layer: int | None = None,
    head: int | None = None,
    *,
    reading: str = "predicted",
    content: bool = False,
    kind: str | None = None,
) -> Alignment:
    """Link every target word to the source word its cross-attention is strongest on.

    Parameters
    ----------
    layer, head
        None for the mean over all layers, or all heads.
    reading
        Which row stands for a word. ``"predicted"``: the row above, where the decoder has not read the word yet and
        writes it; ``"read"``: the word's own row, where it is fed in. The two say different things: a decoder mostly
        looks at what it is about to translate (Kobayashi et al. 2020 call them AWO and AWI).
    content
        Leave the source's special tokens out. Else a word that looks at one most has no link.
    kind
        Kind of attention; None for ``"cross"`` where there is one.

    Raises
    ------
    InputError
        For another reading, or where the capture has words on one side only.

    Examples
    --------
    >>> found = analysis.alignment(translation, layer=1, content=True)
    >>> found.words()[:3]
    [('mon', 'my'), ('chat', 'cat'), ('vieux', 'old')]
    """
    attention = attention_to_align(c, kind)
    if layer is not None:
        attention.layer(layer)
        if head is not None:
            head = attention.head(layer, head)
    elif head is not None:
        raise InputError("A head's number has no meaning across layers: give its layer too, or neither.")
    words = Words(attention, reading)
    numbers = attention.layers if layer is None else (layer,)
    maps = [words.maps(attention.layer(number)) for number in numbers]
    chosen = maps[0][head] if head is not None else np.mean([each.mean(axis=0) for each in maps], axis=0)
    return Alignment(
        reading,
        layer,
        head,
        tuple(words.source),
        tuple(words.target),
        words.of_words(chosen).astype(np.float32),
        frozenset(words.links(chosen, content=content)),
    )


def attention_to_align(c: Capture, kind: str | None) -> Attention:
    """Pick the cross-attention where there is one."""
    return attention_of(c, "cross" if kind is None and "cross" in c.kinds else kind)


class Words:
    """How one capture's cells are joined to words.

    Parameters
    ----------
    attention
        The attention, its rows the target's tokens and its columns the source's.
    reading
        Which row stands for a word.
    """

    def __init__(self, attention: Attention, reading: str) -> None:
        if reading not in READINGS:
            raise InputError(
                f"reading is 'predicted', the row that writes a word, or 'read', its own; got {reading!r}."
            )
        self.source, self._keys = _words(attention.keys)
        self.target, pieces = _words(attention.queries)
        if not self.source or not self.target:
            raise InputError(
                "An alignment links the words of a target to those of a source; this capture's "
                f"{attention.kind} attention has {len(self.target)} and {len(self.source)} words."
            )
        n_queries, n_keys = len(attention.queries), len(attention.keys)
        rows = pieces if reading == "read" else [each[each > 0] - 1 for each in pieces]
        self._rows = np.zeros((len(rows), n_queries))
        for at, each in enumerate(rows):
            self._rows[at, each] = 1 / len(each) if len(each) else np.nan
        self._without = np.array([len(each) == 0 for each in rows])
        self._columns = np.zeros((n_keys, len(self.source)))
        for at, each in enumerate(self._keys):
            self._columns[each, at] = 1
        self._special = np.flatnonzero(attention.keys.words < 0)

    def maps(self, layer: Layer) -> np.ndarray:
        """Join a layer's rows to target words and its columns to source words and single special tokens.

        Returns
        -------
        numpy.ndarray
            float64 [heads, target words, source words + special tokens].
        """
        cells = layer.n_heads * layer.n_queries * layer.n_keys
        require_memory(8 * cells, "An alignment", "Align shorter texts, sentence by sentence")
        held = layer.stored() if isinstance(layer, LazyWeights | Blocks) else layer
        rows = np.nan_to_num(self._rows)
        found = []
        for head in range(layer.n_heads):
            weights = rows @ held.weight_rows(head, slice(None)).astype(np.float64)
            found.append(np.concatenate([weights @ self._columns, weights[:, self._special]], axis=1))
        result = np.stack(found)
        result[:, self._without] = np.nan
        return result

    def of_words(self, joined: np.ndarray) -> np.ndarray:
        """Leave the special tokens out."""
        return joined[:, : len(self.source)]

    def links(self, joined: np.ndarray, *, content: bool) -> set[tuple[int, int]]:
        """Take each target word's strongest source word; none where a special token is stronger, or nothing is."""
        among = self.of_words(joined) if content else joined
        found = set()
        for target, row in enumerate(among):
            best = int(row.argmax()) if not np.isnan(row).any() and row.max() > 0 else len(self.source)
            if best < len(self.source):
                found.add((best, target))
        return found


def _words(tokens: Tokens) -> tuple[list[str], list[np.ndarray]]:
    """Texts of the words and the positions of their pieces, in order."""
    numbers = [number for number in dict.fromkeys(tokens.words.tolist()) if number >= 0]
    return [tokens.word_text(number) for number in numbers], [np.flatnonzero(tokens.words == n) for n in numbers]
