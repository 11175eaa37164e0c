"""The capture compared with the one shown: what both have, and how much each head changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from attnscope.analysis.compare import common, compare
from attnscope.attention.kept import once
from attnscope.errors import AttnscopeError
from attnscope.wire.describe import describe

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture
    from attnscope.wire.protocol import CaptureInfo, CompareInfo

CHANGE = "change"
"""The statistic of the head map that says how much each head changed."""


def change_of(a: Capture, b: Capture, kind: str) -> np.ndarray:
    """How much each head changed: float32 [layers, most heads]; computed once."""
    return once(a[kind], ("change", ref(b)), lambda: compare(a, b, kind=kind).change)


def describe_comparison(a: Capture, b: Capture) -> CompareInfo:
    """Describe what a page needs to lay a second capture beside the first.

    Raises
    ------
    InputError
        When no kind of attention of theirs can be compared.
    """
    info: CompareInfo = {"capture": describe(b), "kinds": {}, "refused": {}}
    refusals: dict[str, AttnscopeError] = {}
    for kind in a.kinds:
        try:
            found = common(a, b, kind=kind)
        except AttnscopeError as error:
            refusals[kind] = error
            info["refused"][kind] = str(error)
            continue
        info["kinds"][kind] = {
            "layers": list(found.layers),
            "queries": found.queries.tolist(),
            "keys": found.keys.tolist(),
        }
    if not info["kinds"]:
        raise next(iter(refusals.values()))
    return info


def with_change(info: CaptureInfo, compared: CompareInfo | dict[str, Any]) -> CaptureInfo:
    """Offer the change of each head as a statistic of the kinds that can be compared."""
    for kind in info["kinds"]:
        if kind["kind"] in compared.get("kinds", {}):
            kind["statistics"].append(CHANGE)
    return info
