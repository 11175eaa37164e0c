"""Everything a page without a kernel needs, as the bytes of one safetensors file."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from attnscope.analysis.cells import lengths
from attnscope.analysis.statistics import measures_of
from attnscope.attention.arrays import to_float32
from attnscope.attention.layers import QueriesKeys
from attnscope.wire.answer import answer
from attnscope.wire.comparing import describe_comparison, with_change
from attnscope.wire.describe import describe
from attnscope.wire.known import known
from attnscope.wire.question import Held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer
    from attnscope.attention.mask import Mask
    from attnscope.wire.protocol import CaptureInfo

SMALL = 1 << 21
"""Bytes of queries and keys that are stored whatever the weights would take, since they also give scores: 2 MiB."""
PACKED_ERROR = 0.5 / 65535
"""Largest error of a packed weight."""


def pack(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> bytes:
    """Pack a capture and the state of a view.

    Parameters
    ----------
    capture
        The capture; all of it is stored.
    state
        The public traits to start with.
    other
        The capture it is compared with, stored too.

    Returns
    -------
    bytes
        A safetensors file, see README.md.
    """
    arrays: dict[str, np.ndarray] = {}
    page = {**_stored(capture, arrays), "state": dict(state)}
    if other is not None:
        compared = describe_comparison(capture, other)
        page["other"] = {**compared, **_stored(other, arrays)}
        with_change(page["capture"], compared)
    page["first"] = _first(page["capture"], Held(capture, other), arrays)
    return save(arrays, {"page": json.dumps(page)})


def _stored(capture: Capture, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    masks: dict[int, int] = {}
    described_masks: list[dict[str, Any]] = []
    layers, packed = [], False
    for attention in capture.attention.values():
        form = _form(attention)
        packed |= form == "weights"
        for number, layer in attention.stored.items():
            if id(layer.mask) not in masks:
                masks[id(layer.mask)] = len(described_masks)
                described_masks.append(_mask(layer.mask, arrays))
            if form == "queries_keys":
                assert isinstance(layer, QueriesKeys)
                described = _queries_keys(layer, arrays)
            else:
                described = _weights(layer, arrays)
            handed = {name: _put(each, arrays) for name, each in lengths(attention, number).items()}
            layers.append(
                {"kind": attention.kind, "layer": number, "mask": masks[id(layer.mask)], **described}
                | ({"lengths": handed} if handed else {})
            )
    info = describe(capture, error=PACKED_ERROR if packed else 0.0)
    for kind in info["kinds"]:
        left_out = {"rollout", "gradient"} | ({"scores"} if _form(capture[kind["kind"]]) == "weights" else set())
        kind["measures"] = [name for name in kind["measures"] if name not in left_out]
    return {"capture": info, "layers": layers, "masks": described_masks}


def _form(attention: Attention) -> str:
    """Choose the form of one kind: queries and keys where they can be and are small, else packed weights."""
    layers = list(attention.stored.values())
    if not all(isinstance(layer, QueriesKeys) for layer in layers):
        return "weights"
    vectors = sum(
        4 * layer.width * (layer.n_heads * layer.n_queries + layer.n_key_heads * layer.n_keys)
        for layer in layers
        if isinstance(layer, QueriesKeys)
    )
    biases = [layer.bias for layer in layers if isinstance(layer, QueriesKeys)]
    vectors += sum(4 * math.prod(bias.shape) for bias in biases if bias is not None)
    weights = sum(2 * layer.n_heads * int(layer.mask.counts().sum()) for layer in layers)
    return "queries_keys" if vectors <= max(weights, SMALL) else "weights"


def _queries_keys(layer: QueriesKeys, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Store a layer, with the bias of its scores and the values where there are any."""
    more = {"bias": layer.bias, "values": layer.values}
    return {
        "form": "queries_keys",
        "heads": layer.n_heads,
        "key_heads": layer.n_key_heads,
        "width": layer.width,
        "scale": layer.scale,
        "softcap": layer.softcap,
        "sinks": None if layer.sinks is None else _put(to_float32(layer.sinks), arrays),
        "queries": _put(to_float32(layer.queries), arrays),
        "keys": _put(to_float32(layer.keys), arrays),
        **{name: _put(to_float32(array), arrays) for name, array in more.items() if array is not None},
    }


def _weights(layer: Layer, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    allowed = layer.mask.allowed(slice(None))
    cells = np.empty((layer.n_heads, int(allowed.sum())), np.uint16)
    for head in range(layer.n_heads):
        weights = layer.weight_rows(head, slice(None))[allowed]
        cells[head] = np.rint(np.clip(weights, 0, 1).astype(np.float64) * 65535)
    return {"form": "weights", "heads": layer.n_heads, "weights": _put(cells, arrays)}


def _mask(mask: Mask, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if mask.is_full:
        return {"form": "full"}
    if mask.bits is not None:
        return {"form": "bits", "bits": _put(mask.bits, arrays)}
    return {"form": "interval", "from": _put(mask.start, arrays), "to": _put(mask.stop, arrays)}


def _first(info: CaptureInfo, held: Held, arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Store every statistic, role, finding and likeness of the heads, which the page has no time to compute."""
    requests: list[dict[str, Any]] = []
    for kind in info["kinds"]:
        name = kind["kind"]
        known(held.capture, name, measures_of(held.capture, name).values())  # all of them in one pass
        requests += [{"type": "statistic", "kind": name, "statistic": one} for one in kind["statistics"]]
        requests += [{"type": one, "kind": name} for one in ("roles", "findings", "links", "likeness")]
    pictures = range(len(held.capture.pictures))
    requests += [{"type": "picture", "kind": info["kinds"][0]["kind"], "number": number} for number in pictures]
    stored = []
    for request in requests:
        reply, buffers = answer(held, {"id": None, **request})
        if not buffers:
            continue  # the page says so where it is asked for
        values = np.frombuffer(buffers[0], "<f4").reshape(reply["shape"])
        stored.append({"request": request, "reply": {**reply, "data": _put(values, arrays)}})
    return stored


def _put(array: np.ndarray, arrays: dict[str, np.ndarray]) -> str:
    name = str(len(arrays))
    arrays[name] = np.ascontiguousarray(array)
    return name
