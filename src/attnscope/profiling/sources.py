"""Texts from anywhere, one after the other: an iterable, a .jsonl file, a .parquet file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from attnscope.errors import InputError, InputTypeError, MissingPackageError, NotFoundError

COLUMN = "text"
LINES, TABLE = (".jsonl", ".ndjson"), ".parquet"


@dataclass(frozen=True)
class Unreadable:
    """Stands for a text that could not be read; the reason says why."""

    reason: str


Item = str | Unreadable


class Source(NamedTuple):
    """Texts, and how many there are where that is known beforehand."""

    items: Iterator[Item]
    n_texts: int | None


@dataclass(frozen=True)
class Shard:
    """Texts that belong together whatever runs them.

    Parameters
    ----------
    start
        Number of the first text.
    texts
        The texts.
    """

    start: int
    texts: tuple[Item, ...]

    @property
    def stop(self) -> int:
        """Number of the text after the last."""
        return self.start + len(self.texts)

    @property
    def digest(self) -> bytes:
        """A fingerprint of the texts and their numbers."""
        found = hashlib.sha256(str(self.start).encode())
        for text in self.texts:
            raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b"\0" + text.reason.encode()
            found.update(str(len(raw)).encode() + b":" + raw)
        return found.digest()


def shards(items: Iterable[Item], size: int, first: int) -> Iterator[Shard]:
    """Deal texts into shards of one size, in their order."""
    remaining, start = iter(items), first
    while texts := tuple(islice(remaining, size)):
        yield Shard(start, texts)
        start += len(texts)


def open_source(texts: Any, column: str | None) -> Source:
    """Open texts for reading once, from the start.

    Parameters
    ----------
    texts
        An iterable of strings, or of mappings that hold one under ``column``; or the path of a file.
    column
        The field or column that holds the text; None for ``"text"``, or the only column of strings of a table.

    Raises
    ------
    InputTypeError
        For a single text, or what is no iterable.
    FileNotFoundError, MissingPackageError, NotFoundError
        For a file that is not there, a table without pyarrow, or a column it does not have.
    """
    if isinstance(texts, str | os.PathLike):
        path = Path(texts)
        if path.suffix.lower() not in (*LINES, TABLE):
            raise InputTypeError(
                f"texts is an iterable of strings, or the path of a {LINES[0]} or {TABLE} file; got "
                f"{str(texts)[:60]!r}. For a single text, use capture(model, tokenizer, text)."
            )
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {str(path)!r}.")
        return _table(path, column) if path.suffix.lower() == TABLE else Source(_lines(path, column), None)
    if isinstance(texts, Mapping | bytes) or not isinstance(texts, Iterable):
        raise InputTypeError(
            f"texts is an iterable of strings, or the path of a {LINES[0]} or {TABLE} file; got {type(texts).__name__}."
        )
    return Source((_text_of(item, column) for item in texts), len(texts) if isinstance(texts, Sized) else None)


def read_texts(texts: Any, numbers: Iterable[int], *, column: str | None = None, first: int = 0) -> dict[int, str]:
    """Read some texts again by their numbers, to open those a profile points at.

    Parameters
    ----------
    texts, column, first
        As they were given to :func:`~attnscope.profiling.profile.profile`; an iterator is used up by the profile, a
        list or a file can be read again.
    numbers
        Numbers of the texts.

    Returns
    -------
    dict of str
        The texts by number.

    Raises
    ------
    NotFoundError
        When there is no such text.
    """
    wanted = set(numbers)
    found: dict[int, str] = {}
    for number, item in enumerate(open_source(texts, column).items, first):
        if number in wanted and isinstance(item, str):
            found[number] = item
        if len(found) == len(wanted):
            return found
    missing = sorted(wanted - set(found))
    if missing:
        raise NotFoundError(f"There is no text {missing[0]} in what was given. Are these the texts of the profile?")
    return found


def _text_of(item: Any, column: str | None, *, where: str = "") -> Item:
    if isinstance(item, Mapping):
        name = column or COLUMN
        if name not in item:
            return Unreadable(
                f"{where}it has no field {name!r}, but {', '.join(map(repr, list(item)[:8]))}; see column="
            )
        item = item[name]
    if isinstance(item, str):
        return str(item)
    return Unreadable(f"{where}it is no string but {type(item).__name__}")


def _lines(path: Path, column: str | None) -> Iterator[Item]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Unreadable(f"line {number} of {path.name} is no JSON ({str(error)[:80]})")
            else:
                yield _text_of(item, column, where=f"line {number} of {path.name}: ")


def _table(path: Path, column: str | None) -> Source:
    try:
        from pyarrow import lib, parquet
    except ImportError as error:
        raise MissingPackageError(
            f"Reading {path.name} needs pyarrow, which is not installed. Install it with: "
            'pip install "attnscope[parquet]", or hand in the texts as an iterable.'
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except lib.ArrowException as error:
        raise InputError(f"{path.name} is no parquet file, or damaged: {error}") from error
    names = file.schema_arrow.names
    strings = [
        field.name for field in file.schema_arrow if str(field.type) in ("string", "large_string", "string_view")
    ]
    chosen = column or (COLUMN if COLUMN in names else strings[0] if len(strings) == 1 else None)
    if chosen not in names:
        file.close()
        raise NotFoundError(
            f"{path.name} has no column {chosen or COLUMN!r}; its columns are {', '.join(map(repr, names))}. Name the "
            "one that holds the texts: column=…"
        )

    def rows() -> Iterator[Item]:
        with file:
            for batch in file.iter_batches(batch_size=256, columns=[chosen]):
                for value in batch.column(0):
                    yield _text_of(value.as_py(), column)

    return Source(rows(), file.metadata.num_rows)
