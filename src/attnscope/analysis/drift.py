"""Did the heads change since a snapshot of their statistics was taken?"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.received import attention_received
from attnscope.analysis.rows import attention_of, head_means
from attnscope.analysis.statistics import STATISTICS, measures_of
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Attention, Capture

FORMAT = 1
SHOWN = 8
"""Moves a failure names."""
STRETCHES = 16
"""Most stretches of the text whose received attention a snapshot keeps."""
_PACKAGES = ("attnscope", "torch", "transformers")
_Move = tuple[float, str, int, int, float, float]
"""How far, the statistic, the layer, the head, then and now."""


def snapshot(c: Capture, *, kind: str | None = None) -> dict[str, Any]:
    """Write down every statistic of every head, to be kept as JSON beside the tests.

    Returns
    -------
    dict
        ``format``, ``kind``, ``model``, ``versions`` of the packages, ``queries`` and ``keys`` as lists of tokens,
        ``heads`` as pairs of a layer's number and how many it has, and ``statistics``: per name a list per layer of a
        number per head, None where no row counts. Among them, as ``received 0-4``, is the most attention that a token
        of a stretch of the text gets, mean over queries: it moves when a head looks at another word, which may change
        none of the others. ``json.dump`` takes it as it is.

    Examples
    --------
    >>> import json
    >>> kept = json.loads(json.dumps(analysis.snapshot(c)))
    >>> analysis.assert_no_drift(c, kept)
    """
    attention = attention_of(c, kind)
    means = head_means(c, measures_of(c, attention.kind), attention.kind) | _received(c, attention)
    return {
        "format": FORMAT,
        "kind": attention.kind,
        "model": c.model_name,
        "versions": _versions(),
        "queries": list(attention.queries.text),
        "keys": list(attention.keys.text),
        "heads": _shape(attention),
        "statistics": {name: _listed(values, attention) for name, values in means.items()},
    }


def assert_no_drift(c: Capture, snapshot: Mapping[str, Any], *, tolerance: float = 0.02) -> None:
    """Fail if a statistic of some head is not what it was.

    Parameters
    ----------
    snapshot
        What :func:`snapshot` gave for the same text.
    tolerance
        The most a statistic may move. Most lie between 0 and 1; those that count tokens are taken as a share of the
        number of keys.

    Raises
    ------
    AssertionError
        Names the heads and statistics that moved most, then and now; or what differs in tokens or heads.
    InputError
        For something that is no snapshot, or a tolerance below 0.

    Examples
    --------
    >>> kept = analysis.snapshot(c)
    >>> analysis.assert_no_drift(capture(model, tokenizer, text), kept, tolerance=0.01)
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise InputError(f"tolerance is how far a statistic may move, 0 or more; got {tolerance!r}.")
    _require_snapshot(snapshot)
    attention = attention_of(c, snapshot["kind"])
    _same_tokens("queries", snapshot["queries"], attention.queries.text)
    _same_tokens("keys", snapshot["keys"], attention.keys.text)
    if [list(entry) for entry in snapshot["heads"]] != _shape(attention):
        raise AssertionError(
            f"The heads are other ones: [layer, heads] were {list(snapshot['heads'])}, are {_shape(attention)}."
        )
    measures, received = measures_of(c, attention.kind), _received(c, attention)
    lost = [name for name in snapshot["statistics"] if name not in measures and name not in received]
    if lost:
        raise AssertionError(f"Statistics of the snapshot that no row can show any more: {', '.join(lost)}.")
    kept = {name: measures[name] for name in snapshot["statistics"] if name in measures}
    means = head_means(c, kept, attention.kind)
    means |= {name: values for name, values in received.items() if name in snapshot["statistics"]}
    moves = sorted(
        (
            move
            for name, values in means.items()
            for move in _moves(name, snapshot["statistics"][name], values, attention)
        ),
        key=lambda move: (-move[0], *move[1:4]),
    )
    far = [move for move in moves if not move[0] <= tolerance]
    if far:
        raise AssertionError(_failure(far, attention, snapshot["versions"], tolerance))


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES if find_spec(name) is not None}


def _received(c: Capture, attention: Attention) -> dict[str, np.ndarray]:
    """Most attention a token of each stretch of the text gets: [layers, heads] by name."""
    received = attention_received(c, kind=attention.kind)
    edges = np.linspace(0, len(attention.keys), min(STRETCHES, len(attention.keys)) + 1).round().astype(int).tolist()
    return {
        f"received {first}-{end - 1}": np.fmax.reduce(received[..., first:end], axis=-1)
        for first, end in pairwise(edges)
    }


def _shape(attention: Attention) -> list[list[int]]:
    return [[number, layer.n_heads] for number, layer in attention.stored.items()]


def _listed(values: np.ndarray, attention: Attention) -> list[list[float | None]]:
    return [
        [None if np.isnan(value) else round(float(value), 6) for value in row[:heads]]
        for row, heads in zip(values, attention.head_counts, strict=True)
    ]


def _require_snapshot(found: Any) -> None:
    try:
        known = found["format"]
        complete = {"kind", "versions", "queries", "keys", "heads", "statistics"} <= set(found)
    except (KeyError, TypeError, IndexError):
        known, complete = None, False
    if known != FORMAT or not complete:
        raise InputError(
            f"This is no snapshot of format {FORMAT} but {type(found).__name__} of format {known!r}. "
            "Give what snapshot(c) returned, or take a new one."
        )


def _same_tokens(side: str, then: list[str], now: tuple[str, ...]) -> None:
    if tuple(then) == now:
        return
    at = next((i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))
    raise AssertionError(
        f"The {side} are other tokens, {len(then)} then and {len(now)} now; from position {at}: "
        f"{then[at : at + 3]!r} then, {list(now[at : at + 3])!r} now. A snapshot compares the same text."
    )


def _moves(name: str, then: list[list[float | None]], now: np.ndarray, attention: Attention) -> list[_Move]:
    most = len(attention.keys) if name in STATISTICS and STATISTICS[name].in_tokens else 1
    moves = []
    for row, (number, layer) in enumerate(attention.stored.items()):
        for head in range(layer.n_heads):
            recorded = then[row][head]
            before, after = float("nan") if recorded is None else recorded, float(now[row, head])
            if np.isnan(before) and np.isnan(after):
                continue
            far = abs(after - before) / most
            moves.append((float("inf") if np.isnan(far) else far, name, number, head, before, after))
    return moves


def _failure(far: list[_Move], attention: Attention, then: Mapping[str, str], tolerance: float) -> str:
    heads = {move[2:4] for move in far}
    now = _versions()
    changed = [f"{name} {then.get(name)} → {now.get(name)}" for name in _PACKAGES if then.get(name) != now.get(name)]
    lines = [
        f"Attention drifted: {len(heads)} of {sum(attention.head_counts)} heads moved by more than {tolerance:g} "
        f"in some statistic. The farthest:",
        *(
            f"  layer {layer} head {head} {name}: {before:.4g} → {after:.4g}"
            for _, name, layer, head, before, after in far[:SHOWN]
        ),
        *([f"  and {len(far) - SHOWN} more"] if len(far) > SHOWN else []),
        *([f"Packages: {', '.join(changed)}."] if changed else []),
    ]
    return "\n".join(lines)
