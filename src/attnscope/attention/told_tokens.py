"""Tokens and their log-probabilities as servers write them, in each of the documented forms, checked one by one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnscope.attention.logprobs import Alternative
from attnscope.attention.pieces import read_bytes
from attnscope.errors import InputError

UNTOLD = -9999.0
"""What OpenAI's API says, and vLLM after it, of a token too unlikely to be told."""
_ROUNDED = 1e-3
"""Above 0 by rounding alone."""
_ESCAPED = re.compile(r"bytes:(?:\\x[0-9a-fA-F]{2})+")
"""A piece of a character in the older completions, whose entries have no bytes."""


@dataclass(frozen=True)
class Told:
    """One token of a response.

    Parameters
    ----------
    token
        As it is shown.
    logprob
        NaN where the response has none.
    alternatives
        Likeliest first.
    rank
        As the server says it; 0 where it does not.
    """

    token: str
    logprob: float
    alternatives: tuple[Alternative, ...] = ()
    rank: int = 0


def read_entries(entries: Any, where: str) -> list[Told]:
    """Read ``[{"token", "logprob", "bytes", "top_logprobs"}, …]``: chat completions, and the Responses API."""
    found = []
    for at, entry in enumerate(a_list(entries, where)):
        here = f"{where}[{at}]"
        token, logprob = _entry(entry, here)
        listed = entry.get("top_logprobs")
        others = [] if listed is None else a_list(listed, f"{here}.top_logprobs")
        told = [Alternative(*_entry(other, f"{here}.top_logprobs[{i}]")) for i, other in enumerate(others)]
        found.append(Told(token, logprob, _likeliest_first(told)))
    return found


def read_columns(columns: Mapping[Any, Any], where: str) -> list[Told]:
    """Read ``{"tokens", "token_logprobs", "top_logprobs"}``: completions."""
    tokens = a_list(columns.get("tokens"), f"{where}.tokens")
    logprobs = _as_long(columns.get("token_logprobs"), tokens, f"{where}.token_logprobs")
    listed = _as_long(columns.get("top_logprobs"), tokens, f"{where}.top_logprobs", optional=True)
    found = []
    for at, token in enumerate(tokens):
        here, others = f"{where}.top_logprobs[{at}]", listed[at]
        told = [
            Alternative(_token(name, here), _logprob(number, f"{here}[{name!r}]", required=True))
            for name, number in ({} if others is None else a_mapping(others, here)).items()
        ]
        found.append(
            Told(
                _token(token, f"{where}.tokens[{at}]"),
                _logprob(logprobs[at], f"{where}.token_logprobs[{at}]"),
                _likeliest_first(told),
            )
        )
    return found


def read_prompt(places: Any, ids: Any, where: str) -> list[Told]:
    """Read ``[null, {"17": {"logprob", "rank", "decoded_token"}, …}, …]``: vLLM's tokens of the prompt.

    The token that stands in the prompt is the first of each place, unless the response says its id. Of the first token
    only its id is told, if that.
    """
    listed = a_list(places, where)
    known = _as_long(ids, listed, where.replace("prompt_logprobs", "prompt_token_ids"), optional=True)
    found = []
    for at, place in enumerate(listed):
        if place is None and at == 0:
            if known[0] is not None:
                found.append(Told(f"<{_shown(known[0])}>", math.nan))
            continue
        here = f"{where}[{at}]"
        told = {
            str(number): (_token(name, here), _logprob(value, f"{here}[{_shown(number)}].logprob", required=True), rank)
            for number, (name, value, rank) in _described(a_mapping(place, here), here).items()
        }
        if not told:
            raise InputError(f"{here} is empty, expected at least the token that stands there.")
        mine = str(known[at]) if known[at] is not None else next(iter(told))
        if mine not in told:
            raise InputError(f"{here} has no token {mine}, which stands there by the response's prompt_token_ids.")
        token, logprob, rank = told[mine]
        found.append(
            Told(token, logprob, _likeliest_first([Alternative(*each[:2]) for each in told.values()]), rank or 0)
        )
    return found


def a_list(value: Any, where: str) -> list[Any]:
    """Give a list, or say what is there instead."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return list(value)
    raise InputError(f"{where} is {_shown(value)}, expected a list. {_ASIS}")


def a_mapping(value: Any, where: str) -> Mapping[Any, Any]:
    """Give a mapping, or say what is there instead."""
    if isinstance(value, Mapping):
        return value
    raise InputError(f"{where} is {_shown(value)}, expected an object with names and values. {_ASIS}")


_ASIS = "Give the server's answer as it came: the client's object, its model_dump(), a dict, or its JSON."


def _likeliest_first(told: list[Alternative]) -> tuple[Alternative, ...]:
    """Sort alternatives; those of one log-probability stay in the server's order."""
    return tuple(sorted(told, key=lambda each: -each.logprob))


def _entry(entry: Any, where: str) -> tuple[str, float]:
    entry = a_mapping(entry, where)
    raw = entry.get("bytes")
    token = _token(entry.get("token"), f"{where}.token")
    if raw is not None:
        codes = a_list(raw, f"{where}.bytes")
        if not all(type(code) is int and 0 <= code < 256 for code in codes):
            raise InputError(f"{where}.bytes is {_shown(codes)}, expected whole numbers from 0 to 255. {_ASIS}")
        token = read_bytes(bytes(codes)) or token
    return token, _logprob(entry.get("logprob"), f"{where}.logprob", required=True)


def _described(place: Mapping[Any, Any], where: str) -> dict[Any, tuple[Any, Any, int | None]]:
    found = {}
    for number, entry in place.items():
        here = f"{where}[{_shown(number)}]"
        described = a_mapping(entry, here)
        name = described.get("decoded_token")
        rank = _count(described.get("rank"), f"{here}.rank")
        found[number] = (f"<{number}>" if name is None else name, described.get("logprob"), rank)
    return found


def _token(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} is {_shown(value)}, expected the token as a string. {_ASIS}")
    if _ESCAPED.fullmatch(value):
        return read_bytes(bytes.fromhex(value.removeprefix("bytes:").replace("\\x", "")))
    return value


def _logprob(value: Any, where: str, *, required: bool = False) -> float:
    if value is None and not required:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise InputError(f"{where} is {_shown(value)}, expected a number of at most 0.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        raise InputError(
            f"{where} is NaN, expected a number of at most 0. The server could not compute it, often for want of "
            "precision: ask again, or load its model in float32 or bfloat16."
        )
    if number > _ROUNDED:
        raise InputError(
            f"{where} is {number:g}, and no log-probability is above 0. Give natural logarithms of probabilities, not "
            "probabilities, percentages or logits."
        )
    return -math.inf if number <= UNTOLD else min(number, 0.0)


def _count(value: Any, where: str) -> int | None:
    if value is None or (type(value) is int and 0 <= value < 1 << 53):
        return value
    raise InputError(f"{where} is {_shown(value)}, expected a whole number from 0. {_ASIS}")


def _as_long(value: Any, tokens: list[Any], where: str, *, optional: bool = False) -> list[Any]:
    if value is None and optional:
        return [None] * len(tokens)
    values = a_list(value, where)
    if len(values) != len(tokens):
        raise InputError(f"{where} has {len(values)} entries for {len(tokens)} tokens, expected one per token. {_ASIS}")
    return values


def _shown(value: Any) -> str:
    try:
        text = "missing or null" if value is None else repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits; lists that hold themselves
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:59]}…"
