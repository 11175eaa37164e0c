from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from attnscope import from_queries_keys, limit_cache
from attnscope.analysis import norm_weighted, value_weighted
from attnscope.analysis.cells import measure_rows, measures_available
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.stream import Stream, Write
from attnscope.errors import InputError
from tests.unit.analysis.maps import given, random_rows


def grouped(*, values=True, move=np.asarray):
    """Four heads that share two key heads, over six tokens, two layers."""
    drawn = np.random.default_rng(3).standard_normal
    q = [move(drawn((4, 6, 3)).astype(np.float32)) for _ in range(2)]
    k, v = ([move(drawn((2, 6, width)).astype(np.float32)) for _ in range(2)] for width in (3, 5))
    return from_queries_keys(q, k, list("abcdef"), causal=True, values=v if values else None)


@pytest.mark.parametrize("move", [np.asarray, torch.from_numpy])
def test_each_weight_times_the_length_of_its_value(move):
    c = grouped(move=move)
    found, weights = value_weighted(c, 1), c.weights(1)
    values = np.asarray(c["self"].layer(1).values)
    for head in range(4):
        for i in range(6):
            for j in range(6):
                expected = weights[head, i, j] * np.sqrt((values[head // 2, j] ** 2).sum())
                assert found[head, i, j] == pytest.approx(expected, abs=1e-6)
    assert (value_weighted(c, 1, 2, queries=slice(1, 3)) == found[2, 1:3]).all()


def test_shares_sum_to_one():
    np.testing.assert_allclose(value_weighted(grouped(), 0, share=True).sum(axis=-1), 1, atol=1e-6)


def test_without_values_it_says_how_to_get_them():
    with pytest.raises(InputError, match="values=True"):
        value_weighted(grouped(values=False), 0)
    with pytest.raises(InputError, match="recorded as weights"):
        value_weighted(given(random_rows(1, 3, 3)), 0)


def test_memory_of_some_rows_grows_with_the_text_not_its_square():
    def peak(n, **options):
        drawn = np.random.default_rng(0).standard_normal((2, n, 4)).astype(np.float32)
        bare = from_queries_keys([drawn], [drawn], [str(i) for i in range(n)], causal=True, values=[drawn])["self"]
        writes = {0: Write(np.ones((2, 4, 8), np.float32), None, 0.0, np.ones((n, 8), np.float32))}
        attention = Attention("self", bare.stored, bare.queries, bare.keys, stream=Stream(writes))
        tracemalloc.start()
        try:
            found = norm_weighted(Capture({"self": attention}), 0, queries=slice(n - 8, n), **options)
            assert np.isfinite(found).all()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for options in ({}, {"joint": True}, {"joint": True, "residual": True}):
        assert peak(8192, **options) < 2.4 * peak(4096, **options)
        assert peak(8192, **options) < 8192**2


class TestCells:
    def test_what_there_is(self):
        assert measures_available(grouped()["self"]) == ["weights", "scores", "value_weighted", "rollout"]
        assert measures_available(grouped(values=False)["self"]) == ["weights", "scores", "rollout"]
        assert measures_available(given(random_rows(1, 3, 3))["self"]) == ["weights", "rollout"]

    def test_rows_of_each(self):
        from attnscope.analysis import rollout

        c, rows = grouped(), slice(2, 5)
        assert (measure_rows(c, None, "weights", 1, 3, rows) == c.weights(1, 3, queries=rows)).all()
        assert (measure_rows(c, "self", "scores", 1, 3, rows) == c.scores(1, 3, queries=rows)).all()
        expected = value_weighted(c, 1, 3, queries=rows, share=True)
        assert (measure_rows(c, None, "value_weighted", 1, 3, rows) == expected).all()
        for layer in range(2):
            expected = rollout(c)[layer, rows]
            np.testing.assert_allclose(measure_rows(c, None, "rollout", layer, 0, rows), expected, atol=1e-6)

    def test_a_rollout_too_large_to_keep_is_the_same(self):
        c = grouped()
        kept = measure_rows(c, None, "rollout", 1, 0, slice(1, 4))
        limit_cache(0, c)
        np.testing.assert_allclose(measure_rows(c, None, "rollout", 1, 0, slice(1, 4)), kept, atol=1e-6)

    def test_measures_a_capture_carries(self):
        bare = grouped()["self"]
        effects = {number: np.full((4, 6, 6), number - 0.5, np.float32) for number in (0, 1)}
        attention = Attention("self", bare.stored, bare.queries, bare.keys, extra={"gradient": effects})
        c = Capture({"self": attention})
        assert measures_available(attention)[-1] == "gradient"
        assert (measure_rows(c, None, "gradient", 1, 2, slice(0, 2)) == 0.5).all()
        assert c.nbytes == Capture({"self": bare}).nbytes + 2 * 4 * 6 * 6 * 4
        with pytest.raises(InputError, match="heads, queries, keys"):
            Attention("self", bare.stored, bare.queries, bare.keys, extra={"gradient": {0: np.zeros((1, 6, 6))}})

    def test_a_measure_there_is_not(self):
        with pytest.raises(InputError, match="there are weights, scores, rollout"):
            measure_rows(grouped(values=False), None, "gradient", 0, 0)
