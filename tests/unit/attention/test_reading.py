"""Reading in blocks: equal to the plain softmax whatever the blocks are, and in memory that grows with the text."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from attnscope import from_queries_keys
from attnscope.attention import compute, mask
from attnscope.attention.bands import Bands
from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from tests.unit.attention import dense
from tests.unit.attention.test_compute import block_maxima
from tests.unit.largest import largest

CASES = dense.cases()
LIBRARIES = {"numpy": np.asarray, "torch": torch.from_numpy}


@cache
def written_out(name, head):
    return CASES[name].weights(head)


@pytest.fixture(params=[1, 5], ids="{} rows a block".format)
def few_rows(request, monkeypatch):
    monkeypatch.setattr(compute, "SKIPPING_ROWS", request.param)
    monkeypatch.setattr(mask, "BLOCK_CELLS", 9 * request.param)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("move", LIBRARIES.values(), ids=LIBRARIES.keys())
@pytest.mark.parametrize("name", CASES)
def test_every_block_is_the_plain_softmax(name, move):
    case, layer = CASES[name], CASES[name].layer(move)
    error = 2e-4 if case.scale == 0.01 else 2e-6
    for head in range(layer.n_heads):
        weights = written_out(name, head)
        for rows in compute.row_blocks(layer.n_queries, layer.n_keys, compute.SKIPPING_ROWS):
            np.testing.assert_allclose(layer.weight_rows(head, rows), weights[rows], rtol=0, atol=error)
            together = np.asarray(compute.weight_rows(layer, None, rows))
            np.testing.assert_allclose(together[head], weights[rows], rtol=0, atol=error)
        for size in (1, 4, 100):
            np.testing.assert_allclose(layer.overview(head, size), block_maxima(weights, size), rtol=0, atol=error)


@pytest.mark.parametrize("move", LIBRARIES.values(), ids=LIBRARIES.keys())
def test_what_a_window_hides_is_not_computed(move, monkeypatch):
    n, width = 512, 32
    distance = np.arange(n)[:, None] - np.arange(n)
    case = dense.Case(
        *np.random.default_rng(0).normal(size=(2, 1, n, 4)).astype("f4"), (distance >= 0) & (distance < width)
    )
    computed, span_scores = [], compute.span_scores

    def watched(*args):
        scores = span_scores(*args)
        computed.append(scores.shape)
        return scores

    monkeypatch.setattr(compute, "span_scores", watched)
    monkeypatch.setattr(compute, "SKIPPING_ROWS", 64)
    layer = case.layer(move)
    layer.overview(0, 16)
    assert all(rows <= 64 and keys <= 64 + 2 * width for rows, keys in computed)
    assert sum(rows for rows, _ in computed) == n


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_once_and_read_as_it_is(dtype):
    n = 300
    q, k = (torch.randn(2, n, 8, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(2))
    wide = QueriesKeys(q.float(), k.float(), 0.5, Mask.causal(n, n))
    half = QueriesKeys(q, k, 0.5, wide.mask)
    np.testing.assert_array_equal(half.overview(1, 20), wide.overview(1, 20))
    np.testing.assert_array_equal(half.weight_rows(1, slice(None)), wide.weight_rows(1, slice(None)))


def drawn(n, move, *, causal, heads=2, width=8):
    q, k = np.random.default_rng(n).standard_normal((2, heads, n, width), dtype=np.float32)
    return from_queries_keys([move(q)], [move(k)], [f"t{i}" for i in range(n)], causal=causal)


READINGS = {
    "overview": lambda c, n: c.overview(0, 0),
    "coarse overview": lambda c, n: c.overview(0, 0, 1),
    "a row": lambda c, n: c.weights(0, 0, queries=n - 1),
    "a row of all heads": lambda c, n: c.weights(0, queries=n // 2),
    "a window": lambda c, n: c.weights(0, 0, queries=slice(n // 2, n // 2 + 64), keys=slice(0, 64)),
}


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("move", LIBRARIES.values(), ids=LIBRARIES.keys())
@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS.keys())
def test_memory_grows_with_the_text(read, move, causal, monkeypatch):
    monkeypatch.setattr(compute, "BLOCK_CELLS", 1 << 17)
    monkeypatch.setattr(mask, "BLOCK_CELLS", 1 << 17)
    taken = []
    for n in (2048, 8192):
        c = drawn(n, move, causal=causal)
        with largest() as found:
            read(c, n)
        taken.append(found.nbytes)
    assert taken[1] < 6 * taken[0], "four times the text takes at most about four times the memory"
    assert taken[1] < 8192 * 8192 / 8, "a thirty-second of the weights of the head"


def test_masks_of_groups_and_bands_never_hold_queries_by_keys(monkeypatch):
    monkeypatch.setattr(compute, "BLOCK_CELLS", 1 << 14)
    n, reach = 4096, 4
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 1, n // 2, 4), dtype=np.float32)
    halves = [QueriesKeys(q, k, 1.0, Mask.causal(n // 2, n // 2))] * 2
    grouped = Blocks(halves, [np.arange(0, n, 2), np.arange(1, n, 2)], n)
    band = np.zeros((1, n, 2 * reach + 1), np.float32)
    band[:, :, reach] = 1
    with largest() as found:
        pooled = grouped.overview(0, 1)
        bands = Bands(band)
        spread = bands.overview(0, 4)
    assert found.nbytes < n * n / 4
    assert pooled.shape == (1, 1)
    np.testing.assert_array_equal(spread, np.eye(4, dtype=np.float32))
    np.testing.assert_array_equal(bands.mask.start, np.arange(n))
    with largest() as found:
        seen = grouped.mask
    assert found.nbytes < n * n, "an eighth of a byte a cell, since every second key is another group's"
    assert seen.bits is not None
    np.testing.assert_array_equal(seen.counts(), np.repeat(np.arange(1, n // 2 + 1), 2))
    np.testing.assert_array_equal(np.flatnonzero(seen.allowed(slice(8, 9))[0]), [0, 2, 4, 6, 8])
