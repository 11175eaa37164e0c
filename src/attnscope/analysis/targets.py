"""Patterns of attention: which keys a head that does one thing would look at.

Each is called with a block of queries and gives the keys it marks, bool [rows, keys] or [keys]; keys the mask hides
are taken out afterwards.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from attnscope.errors import InputError, InputTypeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.analysis.blocks import Block, Target
    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True)
class Offset:
    """The key ``offset`` tokens further on; 0 is the query's own."""

    offset: int

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        return block.offsets == self.offset


@dataclass(frozen=True)
class Window:
    """Keys at most ``width`` tokens away, the query's own among them."""

    width: int

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        return np.abs(block.offsets) <= self.width


@dataclass(frozen=True)
class Class:
    """Keys of one class, wherever the query is."""

    keys: Callable[[Tokens], np.ndarray]

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        return self.keys(block.keys)


@dataclass(frozen=True)
class Sink:
    """The first key; of the queries after the first, since causal models leave that one no choice."""

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        return is_first(block.keys) & (block.positions > 0)[:, None]


@dataclass(frozen=True)
class SameSegment:
    """Keys of the same text of a pair as the query, special tokens among them."""

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        queries, keys = block.queries.segments, block.keys.segments
        assert queries is not None
        assert keys is not None
        return queries[block.positions, None] == keys


@dataclass(frozen=True)
class Duplicate:
    """Earlier occurrences of the query's own token (TransformerLens, head detector)."""

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        names = _names(block.keys)
        return (names[block.positions, None] == names) & (block.offsets < 0)


@dataclass(frozen=True)
class Induction:
    """Tokens that followed earlier occurrences of the query's token (Olsson et al. 2022, prefix matching)."""

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        names = _names(block.keys)
        before = np.concatenate([[-1], names[:-1]])
        return (names[block.positions, None] == before) & (block.offsets <= 0)


@dataclass(frozen=True, eq=False)
class Given:
    """A pattern from outside: bool [queries, keys], or a function of positions and keys."""

    pattern: np.ndarray | Callable[[np.ndarray, Tokens], np.ndarray]

    def __call__(self, block: Block) -> np.ndarray:
        """Mark the keys."""
        n_keys = len(block.keys)
        shapes = ((len(block.positions), n_keys), (n_keys,))
        if callable(self.pattern):
            found = np.asarray(self.pattern(block.positions, block.keys))
        else:
            found = self.pattern[block.positions]
        if found.dtype != bool or found.shape not in shapes:
            raise InputError(
                f"A pattern gives bool [rows, keys] = {shapes[0]} for {len(block.positions)} query positions, or one "
                f"row for all of them; got {found.dtype} {found.shape}."
            )
        return found


def target_of(pattern: object, queries: Tokens, keys: Tokens) -> Target:
    """Take a pattern handed in by a user: by name, as a function, or as an array."""
    if isinstance(pattern, str):
        if pattern not in PATTERNS:
            raise NotFoundError(f"There is no pattern {pattern!r}; there are {', '.join(PATTERNS)}.")
        return PATTERNS[pattern]
    if callable(pattern):
        return Given(pattern)
    n_queries, n_keys = len(queries), len(keys)
    try:
        array = np.asarray(pattern)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biuf" or array.shape != (n_queries, n_keys) or not np.isin(array, (0, 1)).all():
        raise InputTypeError(
            f"A pattern is a bool array [queries, keys] = {(n_queries, n_keys)} (or one of 0 and 1), a function of "
            f"query positions and key tokens that gives such rows, or a name; got {type(pattern).__name__}"
            f"{f' of {array.dtype} {array.shape}' if array.ndim else ''}."
        )
    return Given(array.astype(bool))


def is_first(tokens: Tokens) -> np.ndarray:
    """Mark the first token."""
    return np.arange(len(tokens)) == 0


def is_special(tokens: Tokens) -> np.ndarray:
    """Mark special tokens."""
    return tokens.special


def is_separator(tokens: Tokens) -> np.ndarray:
    """Mark special tokens after the first token: ``[SEP]``, ``</s>`` and their like."""
    return tokens.special & (np.arange(len(tokens)) > 0)


def is_punctuation(tokens: Tokens) -> np.ndarray:
    """Mark tokens of nothing but punctuation (Unicode's class P)."""
    return np.array([_is_punctuation(text) for text in tokens.text], bool) & ~tokens.special


AT_ONE_PLACE: dict[str, Target] = {"previous_token": Offset(-1), "self": Offset(0), "next_token": Offset(1)}
INSIDE_ONE_TEXT: dict[str, Target] = AT_ONE_PLACE | {
    "local": Window(3),
    "duplicate_token": Duplicate(),
    "induction": Induction(),
}
ANYWHERE: dict[str, Target] = {
    "sink": Sink(),
    "separator": Class(is_separator),
    "punctuation": Class(is_punctuation),
}
PATTERNS = INSIDE_ONE_TEXT | ANYWHERE
"""Patterns by name; those inside one text compare positions of queries and keys."""


def has_duplicates(tokens: Tokens) -> bool:
    """Whether a token occurs twice."""
    return len(np.unique(_names(tokens))) < len(tokens)


@lru_cache(maxsize=1 << 16)
def _is_punctuation(text: str) -> bool:
    bare = text.strip().removeprefix("##")
    return bool(bare) and all(unicodedata.category(character).startswith("P") for character in bare)


_known_names: WeakKeyDictionary[Tokens, np.ndarray] = WeakKeyDictionary()
"""Numbers by their tokens, 8 bytes a token: patterns are asked for block by block."""


def _names(tokens: Tokens) -> np.ndarray:
    """A number per token that is the same for the same token: by its id, or its text.

    Pieces of an image or a sound share an id in some models, but are never the same.
    """
    if tokens in _known_names:
        return _known_names[tokens]
    names = np.unique(tokens.text if tokens.ids is None else tokens.ids, return_inverse=True)[1]
    seen = np.zeros(len(tokens), bool) if tokens.patches is None else tokens.patches[:, 0] >= 0
    heard = np.zeros(len(tokens), bool) if tokens.times is None else ~np.isnan(tokens.times[:, 0])
    found: np.ndarray = np.where(seen | heard, len(tokens) + np.arange(len(tokens)), names)
    _known_names[tokens] = found
    return found
