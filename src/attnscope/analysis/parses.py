"""Relations between words, from wherever they come, and where those words are among a capture's tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from attnscope.attention.tokens import Tokens


class Link(NamedTuple):
    """A relation between two words of :class:`Words`, both by number."""

    dependent: int
    head: int
    relation: str


class Words(NamedTuple):
    """The words of a text, each as the positions of its tokens, and the relations between them."""

    positions: list[np.ndarray]
    links: list[Link]


class _Parsed(NamedTuple):
    form: str
    head: int
    relation: str


def words_and_links(tokens: Tokens, relations: Any) -> Words:
    """Find the words and relations of a text among its tokens.

    Parameters
    ----------
    relations
        ``(dependent, head)`` or ``(dependent, head, relation)`` per pair, each end a position, a token or a word; or a
        whole parse: CoNLL-U as text, a list of mappings with ``form``, ``head`` (1 is the first word, 0 none) and
        ``deprel``, or a spaCy ``Doc``.

    Raises
    ------
    InputTypeError
        For something else.
    InputError
        When a parse is of another text than the tokens.
    """
    parsed = _parse(relations)
    if parsed is not None:
        places = _pieces([word.form for word in parsed], tokens)
        kept = {number: i for i, number in enumerate(n for n, place in enumerate(places) if place.size)}
        links = [
            Link(kept[number], kept[word.head], word.relation)
            for number, word in enumerate(parsed)
            if number in kept and word.head in kept
        ]
        return Words([place for place in places if place.size], links)
    numbers = [int(word) for word in np.unique(tokens.words) if word >= 0]
    place_of = {number: i for i, number in enumerate(numbers)}
    links = []
    for pair in relations:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) not in (2, 3):
            raise InputTypeError(
                f"A relation is (dependent, head) or (dependent, head, name), got {pair!r}. Each end is a position, a "
                "token or a word."
            )
        ends = [tokens.position(end) for end in pair[:2]]
        special = [end for end in ends if tokens.words[end] < 0]
        if special:
            raise InputError(
                f"The token {tokens.text[special[0]]!r} at {special[0]} is special and belongs to no word."
            )
        dependent, head = (place_of[int(tokens.words[end])] for end in ends)
        links.append(Link(dependent, head, str(pair[2]) if len(pair) == 3 else "given"))
    return Words([np.flatnonzero(tokens.words == number) for number in numbers], links)


def _parse(relations: Any) -> list[_Parsed] | None:
    """Read a parse; None for plain pairs."""
    if isinstance(relations, str):
        return _conllu(relations)
    if hasattr(relations, "sents") and hasattr(relations, "vocab"):  # a spaCy Doc
        found = [(word.text, word.head.i, word.dep_) for word in relations]
        return [_Parsed(text, -1 if head == i else head, name) for i, (text, head, name) in enumerate(found)]
    if not isinstance(relations, Iterable):
        raise InputTypeError(
            f"Relations are pairs of positions or words, CoNLL-U as text or as mappings, or a spaCy Doc; got "
            f"{type(relations).__name__}."
        )
    words = list(relations)
    if not words or not all(isinstance(word, Mapping) for word in words):
        return None
    try:
        return [
            _Parsed(str(word["form"]), int(word["head"] or 0) - 1, str(word["deprel"]))
            for word in words
            if isinstance(word.get("id", 1), int)
        ]
    except KeyError as error:
        raise InputError(f"A parsed word needs 'form', 'head' and 'deprel'; {error} is missing.") from error


def _conllu(text: str) -> list[_Parsed]:
    """Read CoNLL-U, sentence after sentence; ranges and empty words are passed over."""
    words: list[_Parsed] = []
    start = 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if not line.strip():
            start = len(words)
            continue
        if line.startswith("#"):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) < 8:
            raise InputError(f"Line {number} is no CoNLL-U: it has {len(fields)} of 10 fields: {line[:60]!r}.")
        if not fields[0].isdigit():
            continue
        if not fields[6].isdigit():
            raise InputError(f"Line {number} has no head: expected the number of a word or 0, got {fields[6]!r}.")
        words.append(_Parsed(fields[1], start + int(fields[6]) - 1 if fields[6] != "0" else -1, fields[7]))
    if not words:
        raise InputError("There is no word in this CoNLL-U.")
    return words


def _pieces(forms: list[str], tokens: Tokens) -> list[np.ndarray]:
    """Positions of the tokens of each word: a token belongs to the word its first character lies in."""
    starts, spelled = [], ""
    for form in forms:
        starts.append(len(spelled))
        spelled += _plain(form)
    owners = np.full(len(tokens), -1)
    at = 0
    for position, text in enumerate(tokens.text):
        if tokens.special[position]:
            continue
        piece = _plain(text.removeprefix("##"))
        if spelled[at : at + len(piece)] != piece:
            raise InputError(
                f"The parse is of another text: token {position}, {text!r}, stands where the parse has "
                f"{spelled[at : at + max(len(piece), 10)]!r}. Parse the text that was captured."
            )
        if piece:
            owners[position] = np.searchsorted(starts, at, side="right") - 1
        at += len(piece)
    if at < len(spelled):
        raise InputError(f"The parse goes on where the tokens end, with {spelled[at : at + 20]!r}.")
    return [np.flatnonzero(owners == number) for number in range(len(forms))]


def _plain(text: str) -> str:
    """A text without white space, case and accents, as tokenizers may have changed those."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(x for x in letters if not x.isspace() and not unicodedata.combining(x)).casefold()
