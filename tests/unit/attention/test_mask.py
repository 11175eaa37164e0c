from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from attnscope.attention.mask import Mask
from attnscope.errors import InputError

shapes = st.tuples(st.integers(1, 12), st.integers(1, 20))
anything = shapes.flatmap(lambda shape: arrays.arrays(bool, shape))


@st.composite
def intervals(draw):
    """A mask whose rows are intervals, some empty."""
    n_queries, n_keys = draw(shapes)
    ends = draw(st.lists(st.tuples(st.integers(0, n_keys), st.integers(0, n_keys)), min_size=n_queries,
                         max_size=n_queries))  # fmt: skip
    keys = np.arange(n_keys)
    return np.array([(keys >= min(pair)) & (keys < max(pair)) for pair in ends])


dense_masks = st.one_of(anything, intervals())


@given(dense_masks)
def test_what_goes_in_comes_out(dense):
    mask = Mask.of(dense)
    assert (mask.n_queries, mask.n_keys) == dense.shape
    np.testing.assert_array_equal(mask.allowed(slice(None)), dense)
    np.testing.assert_array_equal(mask.counts(), dense.sum(axis=1))
    assert mask.counts().dtype == np.int64


@given(intervals())
def test_intervals_take_two_numbers_per_query(dense):
    mask = Mask.of(dense)
    assert mask.bits is None
    assert mask.nbytes == 8 * len(dense)


@given(anything)
def test_bits_only_where_rows_have_holes(dense):
    edges = np.diff(dense.astype(np.int8), axis=1, prepend=0, append=0)
    has_holes = bool(((edges == 1).sum(axis=1) > 1).any())
    mask = Mask.of(dense)
    assert (mask.bits is not None) == has_holes
    if has_holes:
        assert mask.nbytes == len(dense) * (8 + -(-dense.shape[1] // 8))
        keys = np.arange(mask.n_keys)
        hull = (keys >= mask.start[:, None]) & (keys < mask.stop[:, None])
        assert not (dense & ~hull).any()


@given(dense_masks, st.data())
def test_rows_by_slice_and_by_position(dense, data):
    mask = Mask.of(dense)
    first = data.draw(st.integers(0, len(dense)))
    rows = np.array(data.draw(st.lists(st.integers(0, len(dense) - 1))), dtype=int)
    np.testing.assert_array_equal(mask.allowed(slice(first, None)), dense[first:])
    np.testing.assert_array_equal(mask.allowed(rows), dense[rows])


@given(dense_masks, st.data())
def test_take_keeps_some_queries_and_keys(dense, data):
    def some(n):
        return np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))

    queries, keys = some(dense.shape[0]), some(dense.shape[1])
    taken = Mask.of(dense).take(queries, keys)
    assert (taken.n_queries, taken.n_keys) == (len(queries), len(keys))
    np.testing.assert_array_equal(taken.allowed(slice(None)), dense[queries][:, keys])
    np.testing.assert_array_equal(taken.counts(), dense[queries][:, keys].sum(axis=1))


@given(dense_masks)
def test_full_and_causal_say_what_they_mean(dense):
    mask = Mask.of(dense)
    looks_ahead = bool(np.triu(dense, 1).any())
    assert mask.is_full == bool(dense.all())
    assert mask.is_causal == (not looks_ahead and not dense.all())


@given(shapes)
def test_full(shape):
    mask = Mask.full(*shape)
    assert mask.is_full
    np.testing.assert_array_equal(mask.allowed(slice(None)), np.ones(shape, bool))


@given(shapes)
def test_causal(shape):
    np.testing.assert_array_equal(Mask.causal(*shape).allowed(slice(None)), np.tri(*shape, dtype=bool))


@settings(max_examples=50)
@given(dense_masks, st.integers(1, 7), st.integers(1, 7))
def test_pooled_cells_hold_a_visible_key(dense, tall, wide):
    pooled = Mask.of(dense).pooled(tall, wide)
    expected = [
        [dense[i : i + tall, j : j + wide].any() for j in range(0, dense.shape[1], wide)]
        for i in range(0, dense.shape[0], tall)
    ]
    np.testing.assert_array_equal(pooled, expected)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"start": [0, 0], "stop": [1], "n_keys": 1}, "one start and one stop per query"),
        ({"start": [[0]], "stop": [[1]], "n_keys": 1}, "one start and one stop per query"),
        ({"start": [-1], "stop": [1], "n_keys": 1}, "outside its 1 keys"),
        ({"start": [0], "stop": [3], "n_keys": 2}, "outside its 2 keys"),
        ({"start": [2], "stop": [1], "n_keys": 2}, "starts after it stops"),
        ({"start": [0], "stop": [9], "n_keys": 9, "bits": np.zeros((1, 1), np.uint8)}, r"bits of shape \(1, 2\)"),
    ],
)
def test_masks_that_cannot_be(parts, said):
    for name in ("start", "stop"):
        parts[name] = np.array(parts[name], np.int32)
    with pytest.raises(InputError, match=said):
        Mask(**parts)


def test_only_two_axes():
    with pytest.raises(InputError, match=r"boolean array \[queries, keys\], got shape \(2,\)"):
        Mask.of(np.ones(2, bool))
