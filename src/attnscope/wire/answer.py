"""The one function that answers a request of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from attnscope.analysis.head_table import measures_of
from attnscope.analysis.rows import head_means
from attnscope.attention.compute import cell_span
from attnscope.errors import AttnscopeError, InputError, NotFoundError
from attnscope.wire.protocol import MEASURES, VERSION, Reply

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

MOST_CELLS = 1 << 22
"""Most numbers in one reply: 16 MiB of float32."""
MOST_OVERVIEW = 1024

Answer = tuple[Reply, list[bytes]]


class Cancelled(Exception):  # noqa: N818
    """The page no longer wants the answer."""


def answer(capture: Capture, request: Any, is_cancelled: Callable[[], bool] = lambda: False) -> Answer:
    """Answer a request; a bad one gets an error reply.

    Parameters
    ----------
    capture
        What is asked about; it is only read, so any thread may answer.
    request
        What the page sent, see README.md.
    is_cancelled
        Asked between heads.

    Returns
    -------
    Reply, list of bytes
        The reply, and its numbers as at most one little-endian, C-contiguous buffer.

    Raises
    ------
    Cancelled
        When ``is_cancelled`` said so.
    """
    identity = request.get("id") if isinstance(request, Mapping) else None
    try:
        if not isinstance(request, Mapping):
            raise InputError(f"A request is an object with a type, got {type(request).__name__}.")
        name = request.get("type")
        if name == "hello":
            return {"id": identity, "type": "hello", "version": VERSION}, []
        if not isinstance(name, str) or name not in _ANSWERS:
            raise InputError(f"Unknown request type {name!r}; expected hello, {', '.join(_ANSWERS)} or cancel.")
        numbers = _ANSWERS[name](capture, request, is_cancelled)
    except AttnscopeError as error:
        return {"id": identity, "error": {"name": type(error).__name__, "message": str(error)}}, []
    except MemoryError:
        message = "There is not enough memory for this answer. Show fewer tokens or heads at once."
        return {"id": identity, "error": {"name": "TooLargeError", "message": message}}, []
    return {
        "id": identity,
        "type": name,
        "shape": list(numbers.shape),
        "dtype": "float32",
    }, [np.ascontiguousarray(numbers, "<f4").tobytes()]


def _weights(capture: Capture, request: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> np.ndarray:
    attention = _attention(capture, request)
    measure = request.get("measure", "weights")
    if measure not in MEASURES:
        raise InputError(f"Unknown measure {measure!r}; expected {' or '.join(MEASURES)}.")
    heads = request.get("heads")
    if not isinstance(heads, list) or not heads:
        raise InputError(f"heads is a list of [layer, head], got {heads!r}.")
    rows = _range(request, "queries", len(attention.queries))
    columns = _range(request, "keys", len(attention.keys))
    cells = len(heads) * (rows.stop - rows.start) * (columns.stop - columns.start)
    if cells > MOST_CELLS:
        raise InputError(f"One answer holds at most {MOST_CELLS} numbers, {cells} were asked for. Ask for fewer rows.")
    blocks = []
    for pair in heads:
        layer, head = _ints(pair, 2, "A head is [layer, head]")
        if is_cancelled():
            raise Cancelled
        read = attention.weights if measure == "weights" else attention.scores
        block = read(layer, head, queries=rows, keys=columns)
        block[~attention.layer(layer).mask.allowed(rows)[:, columns]] = np.nan
        blocks.append(block)
    return np.stack(blocks)


def _overview(capture: Capture, request: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> np.ndarray:
    attention = _attention(capture, request)
    layer, head, size = _ints([request.get(name) for name in ("layer", "head", "size")], 3, "layer, head and size")
    if size > MOST_OVERVIEW:
        raise InputError(f"An overview has at most {MOST_OVERVIEW} cells a side, {size} were asked for.")
    if is_cancelled():
        raise Cancelled
    picture = attention.overview(layer, head, size)
    mask = attention.layer(layer).mask
    picture[~mask.pooled(cell_span(mask.n_queries, size), cell_span(mask.n_keys, size))] = np.nan
    return picture


def _pair(capture: Capture, request: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> np.ndarray:
    attention = _attention(capture, request)
    i, j = _ints([request.get("query"), request.get("key")], 2, "query and key")
    _require_position(i, len(attention.queries), "query")
    _require_position(j, len(attention.keys), "key")
    found = np.full((attention.n_layers, attention.n_heads), np.nan, np.float32)
    for row, layer in enumerate(attention.stored.values()):
        if is_cancelled():
            raise Cancelled
        if layer.mask.allowed(slice(i, i + 1))[0, j]:
            found[row, : layer.n_heads] = [layer.weight_rows(h, slice(i, i + 1))[0, j] for h in range(layer.n_heads)]
    return found


_statistics: WeakKeyDictionary[Capture, dict[str, dict[str, np.ndarray]]] = WeakKeyDictionary()


def _statistic(capture: Capture, request: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> np.ndarray:
    attention = _attention(capture, request)
    measures = measures_of(capture, attention.kind)
    name = request.get("statistic")
    if not isinstance(name, str) or name not in measures:
        raise NotFoundError(f"There is no statistic {name!r} here; there are {', '.join(measures)}.")
    if is_cancelled():
        raise Cancelled
    known = _statistics.setdefault(capture, {})
    if attention.kind not in known:
        known[attention.kind] = head_means(capture, measures, attention.kind)
    return known[attention.kind][name]


_ANSWERS = {"weights": _weights, "overview": _overview, "pair": _pair, "statistic": _statistic}


def _attention(capture: Capture, request: Mapping[str, Any]) -> Attention:
    kind = request.get("kind")
    if not isinstance(kind, str):
        raise InputError(f"kind is the name of a kind of attention, got {kind!r}.")
    return capture[kind]


def _range(request: Mapping[str, Any], side: str, n: int) -> slice:
    start, stop = _ints(request.get(side), 2, f"{side} is [from, to]")
    if not 0 <= start <= stop <= n:
        raise NotFoundError(f"{side} from {start} to {stop} are not there: the positions are 0 to {n - 1}.")
    return slice(start, stop)


def _require_position(position: int, n: int, side: str) -> None:
    if not 0 <= position < n:
        raise NotFoundError(f"There is no {side} position {position}: the positions are 0 to {n - 1}.")


def _ints(values: Any, count: int, what: str) -> list[int]:
    if (
        not isinstance(values, list | tuple)
        or len(values) != count
        or any(isinstance(value, bool) or not isinstance(value, int) for value in values)
    ):
        raise InputError(f"{what}, as {count} whole numbers; got {values!r}.")
    return list(values)
