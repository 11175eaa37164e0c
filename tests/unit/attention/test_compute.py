from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope.attention import compute
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.errors import InputError
from tests.unit.attention import dense

CASES = dense.cases()

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
both_libraries = pytest.mark.parametrize("move", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])


@every_case
@both_libraries
def test_scores_are_the_written_out_ones(case, move):
    layer = case.layer(move)
    for head in range(layer.n_heads):
        scores, expected = layer.score_rows(head, slice(None)), case.scores(head)
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(np.isneginf(scores), np.isneginf(expected))
        seen = np.isfinite(expected)
        np.testing.assert_allclose(scores[seen], expected[seen], rtol=1e-5, atol=1e-5)


@every_case
@both_libraries
def test_weights_are_the_written_out_ones(case, move):
    layer = case.layer(move)
    for head in range(layer.n_heads):
        weights = layer.weight_rows(head, slice(None))
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights, case.weights(head), rtol=0, atol=2e-4 if layer.scale == 0.01 else 2e-6)
        assert not weights[~case.allowed].any()


@every_case
def test_rows_alone_are_the_rows_of_the_whole(case):
    layer = case.layer()
    for rows in (slice(1, 4), slice(0, 1), np.array([3, 0, 3]) % layer.n_queries, np.array([], int)):
        whole = layer.weight_rows(0, slice(None))
        np.testing.assert_allclose(layer.weight_rows(0, rows), whole[rows], rtol=0, atol=1e-6)


@every_case
def test_the_normalizer_is_the_logarithm_of_the_denominator(case):
    layer = case.layer()
    for head in range(layer.n_heads):
        scores = compute.score_rows(layer, head, slice(None))
        lse = compute.normalizer(scores, compute.sink_of(layer, head))
        np.testing.assert_allclose(lse, case.normalizers(head), rtol=1e-5, atol=1e-5)


def test_no_case_divides_by_zero_or_overflows():
    with np.errstate(all="raise", under="ignore"):
        for case in CASES.values():
            for head in range(case.queries.shape[0]):
                assert np.isfinite(case.layer().weight_rows(head, slice(None))).all()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precisions_are_computed_in_float32(dtype):
    case = CASES["causal"]
    layer = QueriesKeys(case.queries.astype(dtype), case.keys.astype(dtype), case.scale, Mask.of(case.allowed))
    assert layer.dtype == dtype
    weights = layer.weight_rows(1, slice(None))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, case.weights(1), atol=2e-3 if dtype == "float16" else 2e-6)


def test_bfloat16_loses_only_what_it_cannot_hold():
    case = CASES["grouped heads"]
    queries, keys = (torch.from_numpy(array).bfloat16() for array in (case.queries, case.keys))
    layer = QueriesKeys(queries, keys, case.scale, Mask.of(case.allowed))
    rounded = dense.Case(queries.float().numpy(), keys.float().numpy(), case.allowed, case.scale)
    assert layer.dtype == "bfloat16"
    for head in range(6):
        np.testing.assert_allclose(layer.weight_rows(head, slice(None)), rounded.weights(head), atol=2e-6)


def test_grouped_heads_read_neighbouring_key_heads():
    case = CASES["grouped heads"]
    layer = case.layer()
    assert (layer.n_heads, layer.n_key_heads, layer.group_size) == (6, 2, 3)
    repeated = np.repeat(case.keys, 3, axis=0)
    alone = QueriesKeys(case.queries, repeated, case.scale, Mask.of(case.allowed))
    for head in range(6):
        np.testing.assert_allclose(
            layer.weight_rows(head, slice(None)), alone.weight_rows(head, slice(None)), atol=1e-6
        )


class TestRowBlocks:
    @pytest.mark.parametrize("cells", [1, 7, 30, 1000])
    @pytest.mark.parametrize("shape", [(1, 1), (13, 5), (5, 13), (100, 1)])
    def test_they_cover_every_row_once_and_hold_few_cells(self, shape, cells, monkeypatch):
        monkeypatch.setattr(compute, "BLOCK_CELLS", cells)
        n_queries, n_keys = shape
        blocks = list(compute.row_blocks(n_queries, n_keys))
        assert [i for block in blocks for i in range(block.start, block.stop)] == list(range(n_queries))
        for block in blocks:
            rows = block.stop - block.start
            assert rows * n_keys <= cells or rows == 1
        assert len(blocks) == -(-n_queries // max(1, cells // n_keys))

    def test_no_keys(self):
        assert list(compute.row_blocks(3, 0)) == [slice(0, 3)]


def block_maxima(weights, size):
    """The largest weight of each cell, written out."""
    tall, wide = (max(1, -(-n // size)) for n in weights.shape)
    return np.array([
        [weights[i : i + tall, j : j + wide].max() for j in range(0, weights.shape[1], wide)]
        for i in range(0, weights.shape[0], tall)
    ])  # fmt: skip


class TestOverview:
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 100])
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    def test_it_is_the_block_maximum_of_the_weights(self, case, size):
        for layer in (case.layer(), case.layer(torch.from_numpy)):
            for head in range(layer.n_heads):
                overview = layer.overview(head, size)
                assert overview.dtype == np.float32
                assert max(overview.shape) <= size
                expected = block_maxima(layer.weight_rows(head, slice(None)), size)
                np.testing.assert_allclose(overview, expected, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("n", [1, 10, 31, 32, 33, 64, 100])
    @pytest.mark.parametrize("size", [1, 8, 32, 33, 512])
    def test_lengths_that_do_not_divide(self, n, size, monkeypatch):
        monkeypatch.setattr(compute, "BLOCK_CELLS", 150)
        random = np.random.default_rng(n)
        layer = QueriesKeys(random.normal(size=(1, n, 4)), random.normal(size=(1, n, 4)), 1.0, Mask.causal(n, n))
        weights = layer.weight_rows(0, slice(None))
        np.testing.assert_allclose(layer.overview(0, size), block_maxima(weights, size), rtol=0, atol=1e-6)
        stored = StoredWeights(weights[None], layer.mask)
        np.testing.assert_array_equal(stored.overview(0, size), block_maxima(weights, size))

    def test_it_never_holds_all_scores(self, monkeypatch):
        monkeypatch.setattr(compute, "BLOCK_CELLS", 64)
        held, span_scores = [], compute.span_scores

        def watched(*args):
            scores = span_scores(*args)
            held.append(scores.shape)
            return scores

        monkeypatch.setattr(compute, "span_scores", watched)
        random = np.random.default_rng(0)
        layer = QueriesKeys(random.normal(size=(1, 50, 4)), random.normal(size=(1, 40, 4)), 1.0, Mask.full(50, 40))
        layer.overview(0, 5)
        assert set(held) == {(1, 40)}
        assert len(held) == 50

    def test_masked_cells_are_zero(self):
        case = CASES["window"]
        overview = case.layer().overview(0, 3)
        assert overview[0, 1] == overview[0, 2] == overview[2, 0] == 0
        assert overview[2, 2] > 0


class TestTake:
    @every_case
    @both_libraries
    def test_taking_equals_masking(self, case, move):
        if case.queries.shape[1] != case.keys.shape[1] or case.queries.shape[1] < 3:
            return
        kept = np.array([0, 1, 3, 4, 7])
        visible = case.allowed.copy()
        visible[:, np.setdiff1d(np.arange(visible.shape[1]), kept)] = False
        masked = dense.Case(case.queries, case.keys, visible, case.scale, case.options)
        taken = case.layer(move).take(kept, kept)
        for head in range(taken.n_heads):
            expected = masked.weights(head)[np.ix_(kept, kept)]
            weights = taken.weight_rows(head, slice(None))
            np.testing.assert_allclose(weights, expected, atol=2e-4 if case.scale == 0.01 else 2e-6)

    def test_other_queries_than_keys(self):
        for name in ("bias", "bias per head", "grouped heads", "sinks"):
            case = CASES[name]
            queries, keys = np.array([2, 5, 8]), np.array([0, 1, 2, 6])
            bias = case.options.get("bias")
            options = case.options | ({} if bias is None else {"bias": bias[:, queries][:, :, keys]})
            expected = dense.Case(
                case.queries[:, queries], case.keys[:, keys], case.allowed[queries][:, keys], case.scale, options
            )
            taken = case.layer().take(queries, keys)
            for head in range(taken.n_heads):
                np.testing.assert_allclose(taken.weight_rows(head, slice(None)), expected.weights(head), atol=2e-6)

    def test_values_are_taken_along(self):
        case = CASES["grouped heads"]
        values = np.arange(2 * 9 * 3, dtype=np.float32).reshape(2, 9, 3)
        layer = QueriesKeys(case.queries, case.keys, 1.0, Mask.full(9, 9), values=values)
        np.testing.assert_array_equal(layer.take(np.array([0, 1]), np.array([2, 5])).values, values[:, [2, 5]])

    def test_layers_that_shared_a_mask_still_do(self):
        layers = [CASES["window"].layer() for _ in range(2)]
        shared = QueriesKeys(layers[1].queries, layers[1].keys, 1.0, layers[0].mask)
        masks = {}
        kept = np.array([1, 2])
        first, second = layers[0].take(kept, kept, masks), shared.take(kept, kept, masks)
        assert first.mask is second.mask


@pytest.mark.parametrize(
    ("queries", "keys", "mask", "said"),
    [
        ((4, 5), (4, 5, 6), (5, 5), r"\[heads, tokens, width\], got shapes \(4, 5\)"),
        ((4, 5, 6), (4, 5, 7), (5, 5), "6 wide and keys 7"),
        ((4, 5, 6), (3, 5, 6), (5, 5), "4 heads cannot share 3 key heads"),
        ((4, 5, 6), (0, 5, 6), (5, 5), "4 heads cannot share 0 key heads"),
        ((4, 5, 6), (4, 7, 6), (5, 5), "mask is for 5 queries and 5 keys, but there are 5 queries and 7 keys"),
    ],
)
def test_shapes_that_do_not_fit(queries, keys, mask, said):
    with pytest.raises(InputError, match=said):
        QueriesKeys(np.zeros(queries), np.zeros(keys), 1.0, Mask.full(*mask))
