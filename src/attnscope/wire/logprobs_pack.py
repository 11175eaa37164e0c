"""Log-probabilities as the page reads them; js/src/strip/data.ts is the other side."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.gaps import gaps_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.logprobs import TokenLogprobs

VERSION = 1


def pack_logprobs(texts: Sequence[TokenLogprobs], state: Mapping[str, Any]) -> bytes:
    """Pack texts and the public traits: JSON, compressed, with every number as exact as it is.

    NaN is written as null and minus infinity as ``"-inf"``, since JSON has neither. Tokens that could have been said
    are numbered, in a list of names.
    """
    told = {"version": VERSION, "state": dict(state), "texts": [_text(each) for each in texts]}
    written = json.dumps(told, allow_nan=False, separators=(",", ":"))
    return gzip.compress(written.encode("ascii"), compresslevel=9, mtime=0)


def _text(text: TokenLogprobs) -> dict[str, Any]:
    names: dict[str, int] = {}
    alternatives = [
        [part for each in listed for part in (names.setdefault(each.token, len(names)), _number(each.logprob))]
        for listed in text.alternatives
    ]
    entropies = text.least_entropies if text.entropies is None else text.entropies
    return {
        "model": text.model_name,
        "summary": f"{len(text)} {'token' if len(text) == 1 else 'tokens'} · {text.summary.replace(', ', ' · ')}",
        "tokens": list(text.tokens.text),
        "special": np.flatnonzero(text.tokens.special).tolist(),
        "gaps": gaps_of(text.tokens).tolist(),
        "logprobs": [_number(value) for value in text.logprobs.tolist()],
        "ranks": text.ranks.tolist(),
        "entropies": [_number(value) for value in entropies.tolist()],
        "exact": text.entropies is not None,
        "names": list(names),
        "alternatives": alternatives,
    }


def _number(value: float) -> float | str | None:
    return None if math.isnan(value) else "-inf" if value == -math.inf else value
