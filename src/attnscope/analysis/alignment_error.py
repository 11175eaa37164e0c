"""How well do cross-attention's alignments agree with known ones?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnscope.analysis.alignment import READINGS, Words, attention_to_align
from attnscope.analysis.tables import table
from attnscope.attention.capture import Capture
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    import os

Links = Iterable[tuple[int, int]] | str
"""Pairs (source word, target word) counted from 0, or a line such as ``0-0 2-1 1p2``."""

_LINK = re.compile(r"(\d+)([-p])(\d+)")


class GoldLinks(NamedTuple):
    """Links between words that people, or a rule, have set.

    Parameters
    ----------
    sure
        Pairs (source word, target word), counted from 0, that an alignment must have.
    possible
        Pairs that it may have; the sure ones are among them.

    Examples
    --------
    >>> gold = analysis.GoldLinks(sure=frozenset({(0, 0)}), possible=frozenset({(0, 0), (1, 2)}))
    >>> gold == analysis.parse_links("0-0 1p2")
    True
    """

    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]


def parse_links(line: str, *, first: int = 0) -> GoldLinks:
    """Read one sentence's links: ``i-j`` is sure and ``ipj`` possible, the source word ``i`` first.

    Parameters
    ----------
    first
        The number of the first word: 0, or 1 in some files.

    Raises
    ------
    InputError
        Naming what could not be read.

    Examples
    --------
    >>> gold = analysis.parse_links("0-0 1p2")
    >>> sorted(gold.sure), sorted(gold.possible)
    ([(0, 0)], [(0, 0), (1, 2)])
    """
    sure, possible = set(), set()
    for entry in line.split():
        match = _LINK.fullmatch(entry)
        if match is None:
            raise InputError(f"A link is written 3-4 (sure) or 3p4 (possible), got {entry!r} in {line.strip()[:60]!r}.")
        link = int(match[1]) - first, int(match[3]) - first
        if min(link) < 0:
            raise InputError(f"The link {entry!r} is before the first word, which this file numbers {first}.")
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldLinks(frozenset(sure), frozenset(possible))


def read_links(path: str | os.PathLike[str], *, first: int = 0) -> list[GoldLinks]:
    r"""Read a file of links, one line per sentence; see :func:`parse_links`.

    Examples
    --------
    >>> with open("gold.txt", "w") as file:
    ...     _ = file.write("0-0 1-1\n0-1\n")
    >>> [len(gold.sure) for gold in analysis.read_links("gold.txt")]
    [2, 1]
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [parse_links(line, first=first) for line in lines]


def alignment_error_rate(
    captures: Capture | Sequence[Capture],
    sure: Sequence[Any] | Links,
    possible: Sequence[Any] | Links | None = None,
    *,
    content: bool = False,
    kind: str | None = None,
) -> Any:
    """Hold the alignments of every layer and head against known ones, in both readings.

    ``1 - (|A∩S| + |A∩P|) / (|A| + |S|)`` for links A, sure links S and possible links P, which hold S (Och & Ney 2003,
    "A Systematic Comparison of Various Statistical Alignment Models"). Links are counted over all sentences together.

    Parameters
    ----------
    captures
        Captures with cross-attention, one per sentence; or one.
    sure
        Per sentence, pairs (source word, target word) counted from 0, a line such as ``"0-0 2-1 1p2"``, or what
        :func:`read_links` gives; for a single capture, also without a list around it.
    possible
        Per sentence, further links that are no mistake; None for none beyond what ``sure`` itself says.
    content
        As in :func:`alignment`.

    Returns
    -------
    pandas.DataFrame or list of dict
        One row per ``reading`` (``"predicted"``, ``"read"``), ``layer`` and ``head``, where ``"mean"`` is the mean over
        the heads or over all: ``error_rate``, ``precision`` = ``|A∩P| / |A|``, ``recall`` = ``|A∩S| / |S|``, and the
        numbers of ``links`` and ``sure`` links.

    Raises
    ------
    InputError
        Where sentences and links differ in number, captures in layers, or a link names a word that is not there.

    Examples
    --------
    >>> gold = analysis.parse_links("0-0 1-2 2-1 3-3 4-4 5-6 6-5")
    >>> analysis.alignment_error_rate(translation, gold, content=True).head(2)
         reading layer head  error_rate  precision    recall  links  sure
    0  predicted     0    0    0.000000   1.000000  1.000000      7     7
    1  predicted     0    1    0.428571   0.571429  0.571429      7     7
    """
    held = [captures] if isinstance(captures, Capture) else list(captures)
    gold = _gold(held, captures, sure, possible)
    counts: dict[tuple[str, Any, Any], np.ndarray] = {}
    for at, (c, links) in enumerate(zip(held, gold, strict=True)):
        attention = attention_to_align(c, kind)
        for reading in READINGS:
            words = Words(attention, reading)
            _require_words(links, words, at)
            means = []
            for number, layer in attention.stored.items():
                maps = words.maps(layer)
                means.append(maps.mean(axis=0))
                for head, each in [*enumerate(maps), ("mean", means[-1])]:
                    _count(counts, (reading, number, head), words.links(each, content=content), links)
            _count(counts, (reading, "mean", "mean"), words.links(np.mean(means, axis=0), content=content), links)
    rows = [_entry(name, count) for name, count in sorted(counts.items(), key=lambda item: READINGS.index(item[0][0]))]
    return table(rows, ["reading", "layer", "head", "error_rate", "precision", "recall", "links", "sure"])


def _count(counts: dict[tuple[str, Any, Any], np.ndarray], name: Any, found: set[Any], gold: GoldLinks) -> None:
    numbers = [len(found), len(gold.sure), len(found & gold.sure), len(found & gold.possible)]
    counts[name] = counts.get(name, np.zeros(4, np.int64)) + numbers


def _entry(name: tuple[str, Any, Any], count: np.ndarray) -> dict[str, Any]:
    found, sure, both, possible = count.tolist()
    return {
        "reading": name[0],
        "layer": name[1],
        "head": name[2],
        "error_rate": 1 - (both + possible) / (found + sure) if found + sure else np.nan,
        "precision": possible / found if found else np.nan,
        "recall": both / sure if sure else np.nan,
        "links": found,
        "sure": sure,
    }


def _gold(held: list[Capture], captures: Any, sure: Any, possible: Any) -> list[GoldLinks]:
    """Bring what is known of each sentence into one form."""
    sides = []
    for side in (sure, possible):
        if side is None:
            sides.append([GoldLinks(frozenset(), frozenset())] * len(held))
            continue
        several = [side] if isinstance(captures, Capture) and not _is_list_of_one(side) else list(side)
        if len(several) != len(held):
            raise InputError(
                f"There are {len(held)} captures but links of {len(several)} sentences; give one set each."
            )
        sides.append([_links(each) for each in several])
    return [GoldLinks(s.sure, s.sure | s.possible | p.sure | p.possible) for s, p in zip(*sides, strict=True)]


def _is_list_of_one(side: Any) -> bool:
    """Whether a single capture's links came inside a list."""
    return isinstance(side, list) and len(side) == 1 and not _is_pair(side[0])


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, int | np.integer) for end in value)


def _links(given: Any) -> GoldLinks:
    if isinstance(given, GoldLinks):
        return given
    if isinstance(given, str):
        return parse_links(given)
    pairs = list(given) if isinstance(given, Iterable) else [given]
    wrong = [pair for pair in pairs if not _is_pair(pair) or min(pair) < 0]
    if wrong:
        raise InputTypeError(
            f"Links are pairs (source word, target word) counted from 0, or a line such as '0-0 2-1'; got {wrong[0]!r}."
        )
    found = frozenset((int(i), int(j)) for i, j in pairs)
    return GoldLinks(found, found)


def _require_words(links: GoldLinks, words: Words, at: int) -> None:
    beyond = [(i, j) for i, j in links.possible if i >= len(words.source) or j >= len(words.target)]
    if beyond:
        raise InputError(
            f"Sentence {at} has {len(words.source)} source and {len(words.target)} target words, but a link joins "
            f"words {beyond[0]}. Words count from 0 and are those of the capture: {' '.join(words.source[:12])!r}."
        )
