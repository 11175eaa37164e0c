"""Head statistics against closed forms, and against loops over written-out rows."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from attnscope import capture
from attnscope.analysis import (
    entropy,
    head_table,
    local_share,
    max_weight,
    mean_distance,
    next_token,
    previous_token,
    self_share,
    sink_share,
    special_share,
)
from attnscope.analysis.head_table import statistic
from attnscope.attention import compute
from attnscope.errors import InputError, NotFoundError
from tests.models import zoo
from tests.unit.analysis import maps

lengths = pytest.mark.parametrize("n", [2, 5, 16])

ALL = {
    "entropy": entropy,
    "nats": lambda c: entropy(c, normalize=False),
    "max": max_weight,
    "distance": mean_distance,
    "local": local_share,
    "previous": previous_token,
    "next": next_token,
    "self": self_share,
    "sink": sink_share,
    "special": special_share,
}


def one(array):
    """The only number of a table."""
    assert array.shape == (1, 1)
    assert array.dtype == np.float32
    return float(array[0, 0])


class TestUniform:
    @lengths
    def test_full(self, n):
        c = maps.uniform(n)
        assert one(entropy(c)) == pytest.approx(1)
        assert one(entropy(c, normalize=False)) == pytest.approx(math.log(n), rel=1e-6)
        assert one(max_weight(c)) == pytest.approx(1 / n)
        assert one(mean_distance(c)) == pytest.approx((n * n - 1) / (3 * n), rel=1e-6)
        for share in (previous_token, next_token, self_share, sink_share):
            assert one(share(c)) == pytest.approx(1 / n)
        inside = sum(min(i + 3, n - 1) - max(i - 3, 0) + 1 for i in range(n))
        assert one(local_share(c)) == pytest.approx(inside / n**2, rel=1e-6)
        assert one(local_share(c, window=0)) == pytest.approx(1 / n)
        assert one(local_share(c, window=n)) == pytest.approx(1)

    @lengths
    def test_causal(self, n):
        c = maps.uniform(n, causal=True)
        assert one(entropy(c)) == pytest.approx(1)
        assert one(entropy(c, normalize=False)) == pytest.approx(math.log(math.factorial(n)) / n, rel=1e-6)
        assert one(mean_distance(c)) == pytest.approx((n - 1) / 4, rel=1e-6)
        after_the_first = sum(1 / (i + 1) for i in range(1, n)) / (n - 1)
        assert one(sink_share(c)) == pytest.approx(after_the_first, rel=1e-6)
        assert one(previous_token(c)) == pytest.approx(after_the_first, rel=1e-6)
        assert one(self_share(c)) == pytest.approx(sum(1 / (i + 1) for i in range(n)) / n, rel=1e-6)
        assert math.isnan(one(next_token(c)))

    def test_one_token(self):
        c = maps.uniform(1)
        assert math.isnan(one(entropy(c)))
        assert one(entropy(c, normalize=False)) == 0
        assert one(self_share(c)) == 1
        assert one(mean_distance(c)) == 0
        for share in (previous_token, next_token, sink_share):
            assert math.isnan(one(share(c)))


class TestOneHot:
    @lengths
    def test_a_previous_token_head(self, n):
        c = maps.given(maps.shifted(n, -1))
        assert one(previous_token(c)) == 1
        assert one(entropy(c)) == one(entropy(c, normalize=False)) == 0
        assert one(max_weight(c)) == 1
        assert one(self_share(c)) == pytest.approx(1 / n)
        assert one(mean_distance(c)) == pytest.approx((n - 1) / n)
        assert one(local_share(c, window=1)) == 1
        assert one(sink_share(c)) == pytest.approx(1 / (n - 1))

    @lengths
    def test_a_next_token_head(self, n):
        c = maps.given(maps.shifted(n, 1))
        assert one(next_token(c)) == 1
        assert one(previous_token(c)) == 0

    def test_a_self_head_and_a_sink(self):
        c = maps.given(np.concatenate([maps.shifted(6, 0), maps.shifted(6, -9)]))
        np.testing.assert_array_equal(self_share(c)[0, 0], 1)
        np.testing.assert_array_equal(sink_share(c), [[0, 1]])
        np.testing.assert_allclose(mean_distance(c), [[0, 2.5]])


@lengths
def test_halving_weights(n):
    row = np.array([*(2.0 ** -(j + 1) for j in range(n - 1)), 2.0 ** -(n - 1)])
    c = maps.given(np.tile(row, (1, n, 1)))
    expected = 2 * math.log(2) * (1 - 2.0 ** -(n - 1))
    assert one(entropy(c, normalize=False)) == pytest.approx(expected, rel=1e-5)
    assert one(entropy(c)) == pytest.approx(expected / math.log(n), rel=1e-5)


def written_out(weights, special):
    """Every statistic of one head, from its rows, by loops."""
    n = len(weights)
    rows = {name: [] for name in ALL}
    for i, row in enumerate(weights.astype(np.float64)):
        seen = row.sum()
        if not seen:
            continue
        nats = -sum(p / seen * math.log(p / seen) for p in row if p > 0)
        rows["nats"].append(nats)
        rows["entropy"].append(nats / math.log(n))
        rows["max"].append(max(row))
        rows["distance"].append(sum(p * abs(i - j) for j, p in enumerate(row)))
        rows["local"].append(sum(p for j, p in enumerate(row) if abs(i - j) <= 3))
        rows["self"].append(row[i])
        rows["special"].append(sum(row[j] for j in range(n) if special[j]))
        if i > 0:
            rows["previous"].append(row[i - 1])
            rows["sink"].append(row[0])
        if i < n - 1:
            rows["next"].append(row[i + 1])
    return {name: np.mean(values) for name, values in rows.items()}


@pytest.mark.parametrize("total", [1.0, 0.7], ids=["rows sum to 1", "sinks take a part"])
@pytest.mark.parametrize("cells", [1, 20, 1 << 22], ids=["row by row", "blocks", "dense"])
def test_every_statistic_is_the_mean_over_rows(monkeypatch, cells, total):
    monkeypatch.setattr(compute, "BLOCK_CELLS", cells)
    weights = maps.random_rows(3, 9, 9) * total
    c = maps.given(weights, tokens=["[CLS]", *"abcd", "[SEP]", *"ef", "[SEP]"])
    for head in range(3):
        expected = written_out(weights[head], c["self"].queries.special)
        for name, statistic_of in ALL.items():
            assert statistic_of(c)[0, head] == pytest.approx(expected[name], rel=1e-5), name


@pytest.mark.parametrize("family", ["llama", "mistral", "gpt_oss", "bert"])
def test_blocks_give_what_the_whole_gives(monkeypatch, family):
    model, tokenizer = zoo.small(family)
    c = capture(model, tokenizer, "The cat sat on the mat because it was tired.")
    whole = {name: statistic_of(c) for name, statistic_of in ALL.items()}
    whole["rows"] = entropy(c, per_query=True)
    monkeypatch.setattr(compute, "BLOCK_CELLS", 3 * len(c.tokens))
    for name, statistic_of in ALL.items():
        np.testing.assert_allclose(statistic_of(c), whole[name], rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(entropy(c, per_query=True), whole["rows"], rtol=1e-5, atol=1e-6)


def test_padding_changes_nothing():
    model, tokenizer = zoo.small("bert")
    text = "The cat sat."
    alone = capture(model, tokenizer, text)
    padded = capture(model, tokenizer, [text, "A dog runs; the dog runs again and the cat runs."])[0]
    for name, statistic_of in ALL.items():
        np.testing.assert_allclose(statistic_of(padded), statistic_of(alone), rtol=1e-4, atol=1e-6, err_msg=name)


class TestMasks:
    def test_rows_that_see_nothing_do_not_count(self):
        n = 6
        mask = np.ones((n, n), bool)
        mask[[0, 3]] = False
        c = maps.uniform(n, mask=mask)
        assert one(entropy(c)) == pytest.approx(1)
        assert one(max_weight(c)) == pytest.approx(1 / n)
        assert one(sink_share(c)) == pytest.approx(1 / n)
        assert one(mean_distance(c)) == pytest.approx(np.mean([abs(i - np.arange(n)).mean() for i in (1, 2, 4, 5)]))
        rows = entropy(c, per_query=True)[0, 0]
        np.testing.assert_array_equal(np.isnan(rows), [True, False, False, True, False, False])

    def test_nothing_visible_at_all(self):
        c = maps.uniform(4, mask=np.zeros((4, 4), bool))
        for name, statistic_of in ALL.items():
            assert math.isnan(one(statistic_of(c))), name

    def test_entropy_is_normalised_by_the_keys_the_query_sees(self):
        window = np.tri(8, dtype=bool) & ~np.tri(8, k=-3, dtype=bool)
        c = maps.uniform(8, mask=window)
        assert one(entropy(c)) == pytest.approx(1)
        np.testing.assert_allclose(
            entropy(c, normalize=False, per_query=True)[0, 0], np.log([1, 2, 3, 3, 3, 3, 3, 3]), rtol=1e-6, atol=1e-7
        )
        assert np.isnan(entropy(c, per_query=True)[0, 0, 0])

    def test_a_share_counts_the_rows_that_see_its_target(self):
        mask = np.tri(4, dtype=bool)
        mask[2, 1] = False
        c = maps.uniform(4, mask=mask)
        # Row 1 sees 0 and 1, row 2 sees 0 and 2, row 3 sees all four; row 2 cannot see its previous token.
        assert one(previous_token(c)) == pytest.approx((1 / 2 + 1 / 4) / 2)


class TestShapes:
    def test_layers_and_heads(self):
        c = maps.given(maps.random_rows(3, 5, 5), None, maps.random_rows(3, 5, 5, seed=1))
        assert c["self"].layers == (0, 2)
        for name, statistic_of in ALL.items():
            assert statistic_of(c).shape == (2, 3), name
        assert entropy(c, per_query=True).shape == (2, 3, 5)
        np.testing.assert_allclose(entropy(c, per_query=True).mean(-1), entropy(c), rtol=1e-5)

    def test_missing_heads_are_nan(self):
        c = maps.given(maps.random_rows(1, 5, 5), maps.random_rows(3, 5, 5, seed=1))
        found = previous_token(c)
        np.testing.assert_array_equal(np.isnan(found), [[False, True, True], [False, False, False]])
        assert np.isnan(entropy(c, per_query=True)[0, 1:]).all()

    def test_without_special_tokens_there_is_no_share_of_them(self):
        assert np.isnan(special_share(maps.uniform(4))).all()

    @pytest.mark.parametrize("window", [-1, 2.5, True, None, "3"])
    def test_windows(self, window):
        with pytest.raises(InputError, match="number of tokens to either side"):
            local_share(maps.uniform(4), window)


class TestCrossAttention:
    @pytest.fixture
    def cross(self):
        return maps.given(maps.random_rows(2, 4, 4), key_tokens=["x", "y", "z", "[SEP]"], kind="cross")

    @pytest.mark.parametrize("ask", [mean_distance, local_share, previous_token, next_token, self_share])
    def test_positions_are_not_compared_across_texts(self, cross, ask):
        with pytest.raises(InputError, match="positions inside one text"):
            ask(cross)

    def test_other_statistics_are_given(self, cross):
        for ask in (entropy, max_weight, sink_share, special_share):
            assert np.isfinite(ask(cross, kind="cross")).all()
        columns = set(head_table(cross).columns)
        assert {"entropy", "max_weight", "sink_share", "special_share"} <= columns
        assert not {"previous_token", "mean_distance", "local_share"} & columns


@drawn(st.integers(2, 8), st.integers(0, 10_000))
def test_entropy_does_not_depend_on_the_order_of_keys(n, seed):
    weights = maps.random_rows(1, n, n, seed=seed)
    order = np.random.default_rng(seed).permutation(n)
    tokens = [f"t{i}" for i in range(n)]
    there, back = (
        entropy(maps.given(array, key_tokens=[f"k{i}" for i in range(n)], tokens=tokens))
        for array in (weights, weights[:, :, order])
    )
    np.testing.assert_allclose(there, back, rtol=1e-5)


class TestHeadTable:
    def test_one_row_per_head(self):
        c = maps.given(maps.random_rows(1, 5, 5), None, maps.random_rows(3, 5, 5, seed=1))
        table = head_table(c)
        assert isinstance(table, pd.DataFrame)
        assert list(zip(table.layer, table["head"], strict=True)) == [(0, 0), (2, 0), (2, 1), (2, 2)]
        assert table.previous_token.tolist() == pytest.approx(previous_token(c)[[0, 1, 1, 1], [0, 0, 1, 2]].tolist())
        assert table.entropy.tolist() == pytest.approx(entropy(c)[[0, 1, 1, 1], [0, 0, 1, 2]].tolist())
        assert not table.isna().any().any()

    def test_without_pandas_it_is_a_list(self, monkeypatch):
        c = maps.given(maps.random_rows(2, 5, 5))
        frame = head_table(c)
        monkeypatch.setattr(import_module("attnscope.analysis.tables"), "find_spec", lambda name: None)
        rows = head_table(c)
        assert rows == frame.to_dict("records")

    @pytest.mark.parametrize("causal", [False, True])
    def test_uniform_attention_is_at_chance(self, causal):
        table = head_table(maps.uniform(7, causal=causal))
        names = [name for name in table.columns if f"{name}_chance" in table.columns]
        assert len(names) > 5
        for name in names:
            assert table[name][0] == pytest.approx(table[f"{name}_chance"][0], rel=1e-5, abs=1e-6), name

    def test_chance_does_not_depend_on_the_weights(self):
        n = 6
        table = head_table(maps.given(maps.shifted(n, -1)))
        # Nothing of this pattern looks ahead but its first row's is to itself: it is taken for causal.
        assert table.previous_token[0] == 1
        assert table.previous_token_chance[0] == pytest.approx(sum(1 / (i + 1) for i in range(1, n)) / (n - 1))
        full = head_table(maps.given(maps.shifted(n, 1)))
        assert full.next_token[0] == 1
        assert full.next_token_chance[0] == pytest.approx(1 / n)
        assert full.mean_distance_chance[0] == pytest.approx((n * n - 1) / (3 * n))
        assert full.entropy_chance[0] == pytest.approx(1)

    def test_statistics_that_no_row_can_show_are_left_out(self):
        causal = head_table(maps.uniform(5, causal=True))
        assert "next_token" not in causal
        assert "special_share" not in causal
        assert {"next_token", "special_share"} <= set(
            head_table(maps.given(maps.random_rows(1, 3, 3), tokens=["[CLS]", "a", "b"])).columns
        )

    def test_one_column_by_name(self):
        c = maps.given(maps.random_rows(2, 5, 5))
        np.testing.assert_array_equal(statistic(c, "previous_token"), previous_token(c))
        with pytest.raises(NotFoundError, match="no statistic 'previous' here; there are entropy, max_weight"):
            statistic(c, "previous")
