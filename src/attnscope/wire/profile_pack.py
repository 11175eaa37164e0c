"""What the page is told of a profile, as the bytes of one compressed safetensors file; README.md says what is in it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from attnscope.analysis.statistics import STATISTICS
from attnscope.profiling.exact import BITS as PLACES
from attnscope.profiling.head_profile import BY
from attnscope.profiling.measures import HIT
from attnscope.wire.profile_heads import Roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.reading import Texts

VERSION = 1
MOST_LISTED = 1_000_000
"""Most bytes of numbers of strongest texts, and most characters of texts, in a notebook; the kernel has the rest."""
LONGEST = 300
"""Characters of a text that are shown in a list."""


def pack_profile(
    profile: HeadProfile, state: Mapping[str, Any], texts: Texts | None = None, *, most: int = MOST_LISTED
) -> bytes:
    """Pack a profile and the state of its view.

    Parameters
    ----------
    profile
        The profile.
    state
        The public traits to start with.
    texts
        Its texts, of which the beginnings of those it points at are stored.
    most
        Most bytes of numbers of strongest texts, and most characters of texts.
    """
    names = profile.statistics
    rows = [profile.settings.statistics.index(name) for name in names]
    listed = _listed(profile, most)
    places = [profile.settings.statistics.index(name) for name in listed]
    roles = Roles.of(profile)
    arrays: dict[str, np.ndarray] = {
        "mean": np.stack([profile.heads.mean(by)[rows] for by in BY]).astype("<f4"),
        "spread": np.stack([profile.heads.spread(by)[rows] for by in BY]).astype("<f4"),
        "chance": np.stack([profile.chance.mean(by)[rows] for by in BY]).astype("<f4"),
        "counted": profile.heads.texts[rows].astype("<i4"),
        "fires": roles.fires,
        "role": roles.strongest,
        "numbers": profile.strongest_texts.texts[places].astype("<i4"),
        "values": (profile.strongest_texts.order[places] / 2.0**PLACES).astype("<f4"),
    }
    described = {
        "version": VERSION,
        "model": profile.model_name,
        "kind": profile.kind,
        "layers": list(profile.layers),
        "heads": list(profile.head_counts),
        "statistics": [described_statistic(name) for name in names],
        "by": list(BY),
        "roles": list(roles.names),
        "texts": profile.n_texts,
        "tokens": profile.n_tokens,
        "cut": profile.n_cut,
        "skipped": len(profile.skipped),
        "content": profile.settings.content,
        "kept": profile.settings.strongest,
        "listed": listed,
        "snippets": _snippets(arrays["numbers"], texts, most),
        "state": dict(state),
    }
    return gzip.compress(save(arrays, {"profile": json.dumps(described)}), compresslevel=6, mtime=0)


def described_statistic(name: str) -> dict[str, Any]:
    """Say what a statistic is: its name, what it says, and whether it counts tokens."""
    known = STATISTICS[name.removesuffix(HIT)]
    if not name.endswith(HIT):
        return {"name": name, "says": known.says, "tokens": known.in_tokens}
    what = known.says.removeprefix("weight ").removeprefix("on ")
    return {"name": name, "says": f"share of queries whose strongest key is: {what}", "tokens": False}


def snippet(text: str) -> str:
    """Give the beginning of a text."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"


def _listed(profile: HeadProfile, most: int) -> list[str]:
    """Name the statistics whose strongest texts are stored: those of weights first, then those of hits."""
    each = 8 * int(np.prod(profile.strongest_texts.texts.shape[1:]))
    names = sorted(profile.statistics, key=lambda name: name.endswith(HIT))
    fitting = names if each == 0 else names[: most // each]
    return [name for name in profile.statistics if name in fitting]


def _snippets(numbers: np.ndarray, texts: Texts | None, most: int) -> dict[str, str]:
    if texts is None or not texts.is_quick:
        return {}
    # The strongest of every list first.
    ranked = np.moveaxis(numbers, -1, 0).reshape(-1) if numbers.size else np.zeros(0, np.int32)
    wanted, first = np.unique(ranked, return_index=True)
    ordered = [int(number) for number in wanted[np.argsort(first)] if number >= 0][: most // 20]
    found: dict[str, str] = {}
    left = most
    for number, text in texts.some(ordered).items():
        short = snippet(text)
        left -= len(short)
        if left < 0:
            break
        found[str(number)] = short
    return found
