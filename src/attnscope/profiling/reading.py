"""The texts of a profile, read again by their numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attnscope.errors import InputTypeError, NotFoundError
from attnscope.profiling.sources import open_source, read_texts

QUICK = 1 << 26
"""Bytes of a file up to which reading it takes no time worth mentioning."""


class Texts:
    """Texts by their numbers; a file is read again whenever some of them are asked for first.

    Parameters
    ----------
    texts
        As given to :func:`attnscope.profile`: a list of strings or of mappings, anything else that can be gone through
        again, or the path of a ``.jsonl`` or ``.parquet`` file.
    column
        As given there.
    first
        Number of the first text.

    Raises
    ------
    InputTypeError
        For what can be gone through only once, as the profile did.
    """

    def __init__(self, texts: Any, *, column: str | None = None, first: int = 0) -> None:
        if isinstance(texts, Iterator):
            raise InputTypeError(
                "texts is an iterator, which the profile has used up. Hand in what can be read again: a list, or the "
                "path of a file."
            )
        if isinstance(texts, Mapping) or not isinstance(texts, Iterable | os.PathLike):
            raise InputTypeError(f"texts is a list of strings or the path of a file, got {type(texts).__name__}.")
        self._texts, self._column, self._first = texts, column, first
        self._read: dict[int, str] = {}

    @property
    def is_quick(self) -> bool:
        """Whether many texts can be read while somebody waits."""
        if isinstance(self._texts, str | os.PathLike):
            path = Path(self._texts)
            return path.is_file() and path.stat().st_size <= QUICK
        return hasattr(self._texts, "__len__")

    def some(self, numbers: Iterable[int]) -> dict[int, str]:
        """Give texts by their numbers; those that are not there are left out."""
        wanted = dict.fromkeys(numbers)
        missing = [number for number in wanted if number not in self._read]
        if isinstance(self._texts, Sequence) and not isinstance(self._texts, str):
            inside = [number for number in missing if 0 <= number - self._first < len(self._texts)]
            items = open_source([self._texts[number - self._first] for number in inside], self._column).items
            self._read |= {n: item for n, item in zip(inside, items, strict=True) if isinstance(item, str)}
        elif missing:
            try:
                self._read |= read_texts(self._texts, missing, column=self._column, first=self._first)
            except NotFoundError:
                for number in missing:
                    self._read |= self._one(number)
        return {number: self._read[number] for number in wanted if number in self._read}

    def _one(self, number: int) -> dict[int, str]:
        try:
            return read_texts(self._texts, [number], column=self._column, first=self._first)
        except NotFoundError:
            return {}

    def __getitem__(self, number: int) -> str:
        """Give one text.

        Raises
        ------
        NotFoundError
            When there is no such text.
        """
        found = self.some([number])
        if number not in found:
            raise NotFoundError(f"There is no text {number!r} in what was given. Are these the texts of the profile?")
        return found[number]
