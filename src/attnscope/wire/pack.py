"""Everything a page without a kernel needs, as the bytes of one safetensors file."""

from __future__ import annotations

import json
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
from attnscope.wire.plan import everything
from attnscope.wire.question import Held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.capture import Capture
    from attnscope.attention.layers import Layer
    from attnscope.attention.mask import Mask
    from attnscope.wire.plan import Plan
    from attnscope.wire.protocol import CaptureInfo

PACKED_ERROR = 0.5 / 65535
"""Largest error of a packed weight."""


def pack(
    capture: Capture,
    state: Mapping[str, Any],
    other: Capture | None = None,
    *,
    plans: Sequence[Plan] | None = None,
    judged: bool = True,
) -> bytes:
    """Pack a capture and the state of a view.

    Parameters
    ----------
    capture
        The capture.
    state
        The public traits to start with.
    other
        The capture it is compared with, stored too.
    plans
        What is stored of the capture, and of the other; all of them, where it is not said.
    judged
        Whether to store what is said of every head, its statistics, roles and findings, which takes a pass over all of
        them.

    Returns
    -------
    bytes
        A safetensors file, see README.md.
    """
    arrays: dict[str, np.ndarray] = {}
    plan, *others = plans or [everything(one) for one in (capture, other) if one is not None]
    page = {**_stored(capture, plan, arrays), "state": dict(state)}
    if other is not None:
        compared = describe_comparison(capture, other)
        page["other"] = {**compared, **_stored(other, others[0], arrays)}
        with_change(page["capture"], compared)
    if not judged:
        for kind in page["capture"]["kinds"]:
            kind["statistics"] = []
    page["first"] = _first(page["capture"], Held(capture, other), arrays)
    return save(arrays, {"page": json.dumps(page)})


def _stored(capture: Capture, plan: Plan, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    masks: dict[int, int] = {}
    described_masks: list[dict[str, Any]] = []
    layers = []
    for attention in capture.attention.values():
        for number, heads in sorted(plan.heads[attention.kind].items()):
            layer = attention.stored[number]
            if id(layer.mask) not in masks:
                masks[id(layer.mask)] = len(described_masks)
                described_masks.append(_mask(layer.mask, arrays))
            if plan.forms[attention.kind] == "queries_keys":
                assert isinstance(layer, QueriesKeys)
                described = _queries_keys(layer, heads, arrays)
            else:
                described = _weights(layer, heads, arrays)
            handed = {name: _put(each, arrays) for name, each in lengths(attention, number).items()}
            layers.append(
                {"kind": attention.kind, "layer": number, "mask": masks[id(layer.mask)], **described}
                | ({"lengths": handed} if handed else {})
                | ({"only": list(heads)} if len(heads) < layer.n_heads else {})
            )
    info = describe(capture)
    for kind in info["kinds"]:
        left_out = {"rollout", "gradient"}
        if plan.forms[kind["kind"]] == "weights":
            kind["notes"]["error"] = PACKED_ERROR
            left_out.add("scores")
        kind["measures"] = [name for name in kind["measures"] if name not in left_out]
    return {"capture": info, "layers": layers, "masks": described_masks}


def _queries_keys(layer: QueriesKeys, heads: Sequence[int], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Store heads of a layer, with the bias of their scores and the values where there are any."""
    is_whole = len(heads) == layer.n_heads
    at = slice(None) if is_whole else list(heads)
    key_at = slice(None) if is_whole else [head // layer.group_size for head in heads]
    bias_at = at if layer.bias is not None and layer.bias.shape[0] > 1 else slice(None)
    optional = {"bias": (layer.bias, bias_at), "values": (layer.values, key_at)}
    return {
        "form": "queries_keys",
        "heads": layer.n_heads,
        "key_heads": layer.n_key_heads if is_whole else len(heads),
        "width": layer.width,
        "scale": layer.scale,
        "softcap": layer.softcap,
        "sinks": None if layer.sinks is None else _put(to_float32(layer.sinks)[at], arrays),
        "queries": _put(to_float32(layer.queries)[at], arrays),
        "keys": _put(to_float32(layer.keys)[key_at], arrays),
        **{name: _put(to_float32(array)[at], arrays) for name, (array, at) in optional.items() if array is not None},
    }


def _weights(layer: Layer, heads: Sequence[int], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    allowed = layer.mask.allowed(slice(None))
    cells = np.empty((len(heads), int(allowed.sum())), np.uint16)
    for at, head in enumerate(heads):
        weights = layer.weight_rows(head, slice(None))[allowed]
        cells[at] = np.rint(np.clip(weights, 0, 1).astype(np.float64) * 65535)
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
        if not kind["statistics"]:
            continue
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
