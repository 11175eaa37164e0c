"""The one piece of work that is handed out: some texts in, the profile of them out.

A pure function of the model, the tokenizer, the texts and the settings; whatever runs it where, the result is the same.
Texts of a shard are run in batches of about equal length. The batches are fixed by the shard alone, because the last
digits of a text's numbers depend on what it is padded to and run with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attnscope.analysis.rows import attention_of
from attnscope.errors import InputError, InputTypeError, ModelError, NotFoundError, UnverifiedError
from attnscope.profiling.counting import count
from attnscope.profiling.head_profile import HeadProfile, Skipped
from attnscope.profiling.lengths import fitting, token_count
from attnscope.profiling.sources import Unreadable
from attnscope.profiling.strongest import Strongest
from attnscope.profiling.subject import threads
from attnscope.profiling.tally import Tally
from attnscope.recording.capture import capture_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnscope.attention.capture import Attention, Capture
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import Item, Shard
    from attnscope.profiling.subject import Loaded


class _Piece(NamedTuple):
    """What is run at once of a text; pieces are in order of length, then of texts."""

    n_tokens: int
    text: int
    part: int
    content: str


def run_shard(loaded: Loaded, shard: Shard, settings: Settings) -> HeadProfile:
    """Profile the texts of a shard.

    Parameters
    ----------
    loaded
        The model and its tokenizer; a second thread waits until it is free.
    shard
        The texts.
    settings
        What to measure, and what to do with texts that are too long or fail.

    Returns
    -------
    HeadProfile
        Of these texts alone.

    Raises
    ------
    InputError
        For a text that fails, with its number, where errors are to be raised.
    ModelError, NotFoundError, InputTypeError
        When the reason lies in the model, the tokenizer or the settings.
    """
    with loaded.lock, threads(settings.threads):
        run = _Run(loaded, settings)
        pieces = [piece for number, item in enumerate(shard.texts, shard.start) for piece in run.pieces(number, item)]
        pieces.sort()
        size = settings.batch_size if loaded.can_pad else 1
        for first in range(0, len(pieces), size):
            for piece, captured in run.captures(pieces[first : first + size]):
                run.take(piece, captured)
        return run.profile(shard)


class _Run:
    """One shard on its way."""

    def __init__(self, loaded: Loaded, settings: Settings) -> None:
        self._loaded, self._settings = loaded, settings
        self._failed: dict[int, str] = {}
        self._missing: dict[int, int] = {}
        self._cut: set[int] = set()
        self._begun: dict[int, tuple[Tally, Tally]] = {}
        self._tokens: dict[int, int] = {}
        self._parts: dict[int, int] = {}
        self._seen: Attention | None = None
        self._whole: tuple[Tally, Tally] | None = None
        self._means: list[tuple[int, np.ndarray, np.ndarray]] = []

    def pieces(self, number: int, item: Item) -> list[_Piece]:
        """Give a text as what is run of it; nothing where that cannot be done."""
        limits = [most for most in (self._settings.max_tokens, self._loaded.most_tokens) if most is not None]
        tokenizer = self._loaded.tokenizer
        try:
            text = _readable(item)
            parts = fitting(tokenizer, text, min(limits, default=None), self._settings.too_long)
            counts = [token_count(tokenizer, part) for part in parts]
        except Exception as error:  # noqa: BLE001 - a tokenizer may fail in any way on a text
            self._fail(number, error)
            return []
        if parts != [text]:
            self._cut.add(number)
        self._missing[number] = self._parts[number] = len(parts)
        self._tokens[number] = 0
        return [_Piece(n, number, part, parts[part]) for part, n in enumerate(counts)]

    def captures(self, batch: Sequence[_Piece]) -> Iterator[tuple[_Piece, Capture]]:
        """Run pieces together; one by one where that fails, to find the one it lies in."""
        texts = [piece.content for piece in batch]
        try:
            found = capture_batch(self._loaded.model, self._loaded.tokenizer, texts, layers=self._settings.layers)
        except Exception as error:  # noqa: BLE001 - a model may fail in any way on a text
            if len(batch) == 1:
                self._fail(batch[0].text, error)
                return
            for piece in batch:
                yield from self.captures([piece])
        else:
            yield from zip(batch, found, strict=True)

    def take(self, piece: _Piece, captured: Capture) -> None:
        """Count a piece; its text once it is whole."""
        if piece.text in self._failed:
            return
        attention = attention_of(captured, self._settings.kind)
        seen = self._seen = self._seen or attention
        if (attention.kind, attention.layers, attention.head_counts) != (seen.kind, seen.layers, seen.head_counts):
            self._fail(piece.text, InputError(f"its attention is {attention.shape_text}, of others {seen.shape_text}"))
            return
        found = count(attention, self._settings.statistics, content=self._settings.content)
        self._begun[piece.text] = _added(self._begun.get(piece.text), found)
        self._tokens[piece.text] += len(attention.queries)
        self._missing[piece.text] -= 1
        if self._missing[piece.text]:
            return
        heads, chance = (tally.as_text() for tally in self._begun.pop(piece.text))
        self._whole = _added(self._whole, (heads, chance))
        self._means.append((piece.text, heads.means.order, heads.rows > 0))

    def profile(self, shard: Shard) -> HeadProfile:
        """Give what was counted."""
        settings, seen = self._settings, self._seen
        nothing = len(settings.statistics), 0, 0
        heads, chance = self._whole or (Tally.none(nothing), Tally.none(nothing[:2]))
        texts, order, counts = zip(*self._means, strict=True) if self._means else ((), (), ())
        known = seen is not None and self._whole is not None
        return HeadProfile(
            self._loaded.name,
            self._loaded.fingerprint,
            seen.kind if seen is not None and known else "",
            seen.layers if seen is not None and known else (),
            seen.head_counts if seen is not None and known else (),
            settings,
            heads,
            chance,
            Strongest.of(
                np.array(order, np.int64).reshape(len(texts), *heads.rows.shape),
                np.array(texts, np.int64),
                np.array(counts, bool).reshape(len(texts), *heads.rows.shape),
                settings.strongest,
            ),
            len(texts),
            sum(self._tokens[text] for text in texts),
            sum(self._parts[text] for text in texts),
            len(self._cut.intersection(texts)),
            tuple(Skipped(text, reason) for text, reason in sorted(self._failed.items())),
            ((shard.start, shard.stop),),
        )

    def _fail(self, number: int, error: Exception) -> None:
        """Leave a text out, or raise: where that is asked for, or the reason lies elsewhere."""
        of_text = isinstance(error, UnverifiedError) or not isinstance(
            error, ModelError | NotFoundError | InputTypeError
        )
        if not of_text:
            raise error
        reason = str(error).strip().rstrip(".")[:300] or type(error).__name__
        if self._settings.errors == "raise":
            raise InputError(
                f"Text {number} cannot be profiled: {reason}. errors='skip' leaves such texts out, and keeps their "
                "numbers and the reasons in .skipped."
            ) from error
        self._failed[number] = reason
        self._begun.pop(number, None)


def _readable(item: Item) -> str:
    if isinstance(item, Unreadable):
        raise InputError(item.reason)
    if not item.strip():
        raise InputError("it is empty")
    return item


def _added(before: tuple[Tally, Tally] | None, found: tuple[Tally, Tally]) -> tuple[Tally, Tally]:
    return found if before is None else (before[0] + found[0], before[1] + found[1])
