"""Captures whose statistics are known on paper."""

from __future__ import annotations

import numpy as np

from attnscope import Capture, from_attentions, from_queries_keys


def given(*layers, tokens=None, **options) -> Capture:
    """A capture of weights; rows are named t0, t1 …"""
    n = next(layer for layer in layers if layer is not None).shape[-2]
    return from_attentions(list(layers), tokens or [f"t{i}" for i in range(n)], **options)


def uniform(n, *, causal=False, mask=None) -> Capture:
    """One head that spreads its weight evenly over the keys each query may see."""
    nothing = np.zeros((1, n, 2), np.float32)
    return from_queries_keys([nothing], [nothing], [f"t{i}" for i in range(n)], causal=causal, mask=mask)


def shifted(n, offset) -> np.ndarray:
    """A head that looks ``offset`` further, and at the nearest token there is where that is outside."""
    weights = np.zeros((1, n, n), np.float32)
    weights[0, np.arange(n), np.clip(np.arange(n) + offset, 0, n - 1)] = 1
    return weights


def random_rows(*shape, seed=0, causal=False) -> np.ndarray:
    """Random rows that sum to 1."""
    powers = np.random.default_rng(seed).gamma(0.3, size=shape).astype(np.float32) + 1e-4
    if causal:
        powers *= np.tri(*shape[-2:], dtype=np.float32)
    return powers / powers.sum(-1, keepdims=True)
