"""The captures both sides of the wire are held to, and the files made of them.

``python -m tests.wire.golden`` writes the files again after a change of the contract; the page's tests read them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from attnscope import Capture, from_attentions
from attnscope.analysis.cells import measure_rows, measures_available
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.attention.stream import Stream, Write
from attnscope.attention.tokens import Tokens
from attnscope.wire.pack import pack
from attnscope.wire.plan import everything

FOLDER = Path(__file__).parent / "golden"
STATE = {
    "kind": "self", "view": "links", "layer": 1, "heads": [[1, 0]], "query": 2, "key": None, "measure": "weights",
    "aggregate": "none", "threshold": 0.06, "special_tokens": True, "whole_words": False, "color_scale": "linear",
    "theme": "light", "height": 480,
}  # fmt: skip


def _numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _layers(
    mask: Mask, *, softcap: float | None = None, sinks: bool = False, first: int = 0, bias_heads: int = 0
) -> Capture:
    """Two layers of four heads over two key heads, with true layer numbers from ``first`` on."""
    tokens = Tokens.of(["<s>", " the", " cat", "s", " sat", "<img src=x>", "\u2028", "é中"][: mask.n_queries])
    layers = {
        first + i: QueriesKeys(
            _numbers(i, 4, mask.n_queries, 8) * 2,
            _numbers(10 + i, 2, mask.n_keys, 8),
            0.4,
            mask,
            softcap=softcap,
            sinks=_numbers(20 + i, 4) if sinks else None,
            bias=_numbers(30 + i, bias_heads, mask.n_queries, mask.n_keys) if bias_heads else None,
            values=_numbers(40 + i, 2, mask.n_keys, 5) if bias_heads else None,
        )
        for i in range(2)
    }
    return Capture({"self": Attention("self", layers, tokens, tokens)}, "golden")


def _with_stream(capture: Capture) -> Capture:
    """The same capture with output projections."""
    attention = capture["self"]
    writes = {number: Write(_numbers(50 + number, 4, 5, 6), None, 0.0) for number in attention.stored}
    return Capture({"self": replace(attention, stream=Stream(writes))}, capture.model_name)


def cases() -> dict[str, Capture]:
    """Every form a stored page can take."""
    window = np.tril(np.ones((8, 8), bool)) & ~np.tril(np.ones((8, 8), bool), -3)
    holes = np.random.default_rng(5).random((8, 8)) > 0.4
    holes[3] = False
    return {
        "full": _layers(Mask.full(8, 8), first=1),
        "causal": _layers(Mask.causal(8, 8)).with_pictures(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)),
        "window": _layers(Mask.of(window)),
        "bits": _layers(Mask.of(holes)),
        "softcap": _layers(Mask.causal(8, 8), softcap=1.5),
        "sinks": _layers(Mask.causal(8, 8), sinks=True),
        "bias": _layers(Mask.causal(8, 8), bias_heads=4),
        "bias-shared": _layers(Mask.full(8, 8), bias_heads=1, softcap=2.0),
        "contributions": _with_stream(_layers(Mask.causal(8, 8), bias_heads=1)),
        "packed": _layers(Mask.causal(8, 8)),
        "packed-bits": _layers(Mask.of(holes)),
        "given": from_attentions(
            [None, np.full((1, 3, 3), 1 / 3, "f4"), np.eye(3, dtype="f4")[None].repeat(2, 0)], ["a", "b", "c"]
        ),
    }


def files(name: str, capture: Capture) -> dict[str, bytes]:
    """One case: the page's data, and every layer's weights and scores, NaN where masked."""
    plan = everything(capture)
    if name.startswith("packed"):
        plan = replace(plan, forms=dict.fromkeys(plan.forms, "weights"))
    page = pack(capture, STATE, plans=[plan])
    expected = {}
    attention = capture["self"]
    for number, layer in attention.stored.items():
        hidden = ~layer.mask.allowed(slice(None))
        for measure in measures_available(attention):
            if measure == "rollout":
                continue
            values = np.stack([measure_rows(capture, None, measure, number, head) for head in range(layer.n_heads)])
            values[:, hidden] = np.nan
            expected[f"{number}.{measure}"] = values
    return {
        f"{name}.page.safetensors": page,
        f"{name}.expected.safetensors": save(expected, {"layers": json.dumps(attention.layers)}),
    }


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, capture in cases().items():
        for file, content in files(name, capture).items():
            (FOLDER / file).write_bytes(content)


if __name__ == "__main__":
    main()
