"""The tokens of one side: what they say, which are special, which words they form."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from attnscope.attention.pieces import looks_special, readable, words_of
from attnscope.errors import InputError, InputTypeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one side of attention.

    Parameters
    ----------
    text
        One readable string per token, a leading space where the piece begins with one.
    special
        bool [tokens]: True for tokens the tokenizer added (``[CLS]``, ``</s>`` …).
    words
        int32 [tokens]: the number of the word each token belongs to, -1 for special tokens.
    segments
        int32 [tokens] or None: which text of a pair each token comes from.
    ids
        int64 [tokens] or None: the tokenizer's numbers.
    offsets
        int32 [tokens, 2] or None: first and past-the-last character in the text the token was read from.
    patches
        int32 [tokens, 4] or None: row and column of the token's image patch, and rows and columns of the grid it lies
        in, so the patch covers ``[row / rows, (row + 1) / rows)`` of the image's height, and likewise of its width.
        -1 throughout for tokens that are no patch. Several images or frames follow each other; each starts again at
        row 0, column 0.
    times
        float32 [tokens, 2] or None: first second of the sound the token stands for, and the second it ends; NaN for
        tokens that stand for none. The spans are the model's steps, side by side; its convolutions also read a little
        of what lies around.
    gaps
        int32 [tokens] or None: white space that stood before the token in the text and that no token carries, because
        the tokenizer splits at it and drops it: 0 for none, 1 for a space, 1 + n for n line breaks.

    Examples
    --------
    >>> tokens, _ = c.tokens_of()
    >>> len(tokens), tokens[2], tokens.find("cat", 1)
    (17, 'cat', 10)
    >>> Tokens.of(["un", "##seen"])
    Tokens(2: un ##seen)
    """

    text: tuple[str, ...]
    special: np.ndarray
    words: np.ndarray
    segments: np.ndarray | None = None
    ids: np.ndarray | None = None
    offsets: np.ndarray | None = None
    patches: np.ndarray | None = None
    times: np.ndarray | None = None
    gaps: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.text)
        columns: dict[str, tuple[int, ...]] = {"offsets": (2,), "patches": (4,), "times": (2,)}
        for name in ("special", "words", "segments", "ids", "offsets", "patches", "times", "gaps"):
            values, shape = getattr(self, name), (n, *columns.get(name, ()))
            if values is not None and np.shape(values) != shape:
                raise InputError(
                    f"There are {n} tokens but {len(values)} entries in {name}; give one per token, of shape {shape}; "
                    f"got {np.shape(values)}."
                )

    @classmethod
    def of(cls, tokens: Iterable[str] | Tokens) -> Tokens:
        """Read plain strings: marks of the known tokenizers are made readable, special tokens are recognised.

        Raises
        ------
        InputTypeError
            When something other than strings is given.
        """
        if isinstance(tokens, Tokens):
            return tokens
        if isinstance(tokens, str):
            raise InputTypeError(f"Tokens are a list of strings, got one string: {tokens[:40]!r}. Split it first.")
        pieces = list(tokens)
        wrong = [piece for piece in pieces if not isinstance(piece, str)]
        if wrong:
            raise InputTypeError(
                f"Tokens are a list of strings, got {type(wrong[0]).__name__} {wrong[0]!r}. "
                "For token ids, use tokenizer.convert_ids_to_tokens(ids)."
            )
        special = np.array([looks_special(piece) for piece in pieces], bool)
        text = tuple(readable(pieces))
        return cls(text, special, words_of(text, special))

    def __len__(self) -> int:
        return len(self.text)

    def __iter__(self) -> Iterator[str]:
        return iter(self.text)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[str, ...]: ...
    def __getitem__(self, position: int | slice) -> str | tuple[str, ...]:
        return self.text[position]

    def __repr__(self) -> str:
        shown = " ".join(self.text[:12]) + (" …" if len(self) > 12 else "")
        return f"Tokens({len(self)}: {shown})"

    def take(self, positions: np.ndarray) -> Tokens:
        """Keep some positions."""
        return Tokens(
            tuple(self.text[i] for i in positions),
            self.special[positions],
            self.words[positions],
            None if self.segments is None else self.segments[positions],
            None if self.ids is None else self.ids[positions],
            None if self.offsets is None else self.offsets[positions],
            None if self.patches is None else self.patches[positions],
            None if self.times is None else self.times[positions],
            None if self.gaps is None else self.gaps[positions],
        )

    def word_text(self, word: int) -> str:
        """Join the pieces of one word, without its leading space."""
        pieces = [self.text[i] for i in np.flatnonzero(self.words == word)]
        return "".join(piece.removeprefix("##") if i else piece for i, piece in enumerate(pieces)).strip()

    def find(self, token: str, occurrence: int = 0) -> int:
        """Find a token or word.

        Parameters
        ----------
        token
            The token as shown, without regard to its leading space; or a word of several tokens, for which the
            position of its first token is given. The exact case is tried first, then any case.
        occurrence
            Which of several, counted from zero; negative counts from the end.

        Raises
        ------
        NotFoundError
            With the nearest tokens, or with the number of occurrences there are.
        InputTypeError
            When ``token`` is no string or ``occurrence`` no whole number.
        """
        if not isinstance(token, str) or not token:
            raise InputTypeError(f"A token to find is a non-empty string, got {token!r}.")
        if isinstance(occurrence, bool) or not isinstance(occurrence, int | np.integer):
            raise InputTypeError(f"An occurrence is a whole number, counted from 0; got {occurrence!r}.")
        names = self._names()
        for fold in (str, str.casefold):
            hits = sorted({i for name, i in names if fold(name) == fold(token) or fold(name) == fold(token.strip())})
            if hits:
                break
        else:
            near = difflib.get_close_matches(token.strip(), dict.fromkeys(name for name, _ in names), n=5, cutoff=0.5)
            hint = f"Near matches: {', '.join(map(repr, near))}." if near else f"The tokens are {self._shown()}."
            raise NotFoundError(f"There is no token or word {token!r}. {hint}")
        try:
            return hits[occurrence]
        except IndexError:
            raise NotFoundError(
                f"{token!r} occurs {len(hits)} times, at positions {hits}; there is no occurrence {occurrence}. "
                f"Occurrences count from 0."
            ) from None

    def position(self, token: int | str) -> int:
        """Resolve a position, a token or a word to a position from 0 to n - 1."""
        if isinstance(token, str):
            return self.find(token)
        if isinstance(token, bool) or not isinstance(token, int | np.integer):
            raise InputTypeError(f"A position is an int or a token as a string, got {type(token).__name__} {token!r}.")
        if not -len(self) <= token < len(self):
            raise NotFoundError(
                f"There is no position {token}: the {len(self)} tokens have positions 0 to {len(self) - 1}."
            )
        return int(token) % len(self)

    def _names(self) -> list[tuple[str, int]]:
        """Every way a position can be named: as token, bare token, or word."""
        names = []
        for i, text in enumerate(self.text):
            names += [(text, i), (text.strip(), i), (text.strip().removeprefix("##"), i)]
        first = {int(word): i for i, word in reversed(list(enumerate(self.words))) if word >= 0}
        names += [(self.word_text(word), i) for word, i in first.items()]
        return [(name, i) for name, i in names if name]

    def _shown(self) -> str:
        return ", ".join(map(repr, self.text[:20])) + (" …" if len(self) > 20 else "")
