"""Tokenizer pieces as a person would read them, and which of them are special or begin a word."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL = re.compile(
    r"\[(CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]|<(s|/s|pad|bos|eos|cls|sep|mask|unk)>|<\|[^|<>]+\|>", re.IGNORECASE
)


_WORD_END = "</w>"
"""What ends the last piece of a word in CLIP's and the first GPT's tokenizers."""


def looks_special(piece: str) -> bool:
    """Whether a bare piece has the look of a special token: ``[CLS]``, ``</s>``, ``<|endoftext|>``."""
    return _SPECIAL.fullmatch(piece) is not None


@cache
def _bytes_of_characters() -> dict[str, int]:
    """Map each character of the byte-level alphabet to its byte (Radford et al. 2019, GPT-2's encoder).

    Printable bytes stand for themselves; the others are numbered from 256 on, in order.
    """
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(256 + i): byte for i, byte in enumerate(b for b in range(256) if b not in printable)})
    return table


def read_byte_level(piece: str) -> str:
    """Decode one byte-level piece; bytes that are no character on their own are written ``<0xE4>``."""
    table = _bytes_of_characters()
    if any(character not in table for character in piece):
        return piece
    return read_bytes(bytes(table[character] for character in piece))


def read_bytes(raw: bytes) -> str:
    """Decode UTF-8; bytes that are no character on their own are written ``<0xE4>``."""
    return re.sub(
        "[\udc80-\udcff]",
        lambda match: f"<0x{ord(match[0]) - 0xDC00:02X}>",
        raw.decode("utf-8", "surrogateescape"),
    )


def readable(pieces: Sequence[str], *, byte_level: bool | None = None) -> list[str]:
    """Give pieces as text, a leading space where the piece begins with one.

    Parameters
    ----------
    pieces
        What the tokenizer calls its tokens: ``Ġcat``, ``▁cat``, ``##ing``, ``cat</w>``.
    byte_level
        Whether they are byte-level pieces; None guesses from the marks of that encoding.
    """
    if byte_level is None:
        byte_level = any(piece.startswith(("Ġ", "Ċ")) for piece in pieces)
    if any(piece.endswith(_WORD_END) for piece in pieces):
        starts = [
            i == 0 or looks_special(last) or last.endswith(_WORD_END) for i, last in enumerate(["", *pieces[:-1]])
        ]
        ended = [piece.removesuffix(_WORD_END) for piece in pieces]
        read = [read_byte_level(piece) if byte_level else piece for piece in ended]
        return [
            whole if looks_special(whole) else " " + piece if start else piece
            for whole, piece, start in zip(pieces, read, starts, strict=True)
        ]
    if byte_level:
        return [piece if looks_special(piece) else read_byte_level(piece) for piece in pieces]
    return [piece.replace("▁", " ") for piece in pieces]


def words_of(texts: Sequence[str], special: np.ndarray) -> np.ndarray:
    """Number the words: int32 per token, -1 for special tokens.

    A ``##`` piece continues a word. Where any token begins with white space, the tokens that do not continue the
    word before them; otherwise every token is a word.
    """
    spaced = any(text[:1].isspace() for text in texts)
    words = np.full(len(texts), -1, np.int32)
    number, joined = -1, False
    for i, text in enumerate(texts):
        if special[i]:
            joined = False
            continue
        continues = text.startswith("##") or (spaced and not text[:1].isspace())
        if not (continues and joined):
            number += 1
        words[i], joined = number, True
    return words
