"""Which heads look alike: divergences with closed forms, groups and places that were planted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from attnscope import analysis, from_attentions
from attnscope.analysis import likeness
from attnscope.analysis.clusters import plane
from attnscope.analysis.divergence import jensen_shannon, scaled
from attnscope.errors import InputError, InputTypeError, NotFoundError
from tests.unit.analysis import literal, maps


def heads(*which, n=12):
    return maps.given(np.concatenate(which).astype(np.float32))


def even(n):
    return np.full((1, n, n), 1 / n, np.float32)


class TestDivergence:
    @drawn(st.integers(2, 12), st.integers(0, 1000))
    def test_equals_scipy_and_the_formula(self, n, seed):
        p, q = scaled(maps.random_rows(2, n, seed=seed).astype(np.float64))
        found = jensen_shannon(p, q)
        assert found == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-8)
        assert found == pytest.approx(literal.jensen_shannon(p.tolist(), q.tolist()) / math.log(2), abs=1e-8)
        assert found == pytest.approx(jensen_shannon(q, p), abs=1e-12)
        assert 0 <= found <= 1

    @pytest.mark.parametrize("n", [2, 3, 9])
    def test_closed_forms(self, n):
        one, other = np.eye(n)[:2]
        uniform = np.full(n, 1 / n)
        assert jensen_shannon(one, other) == 1
        assert jensen_shannon(one, one) == 0
        nats = 0.5 * math.log(2 * n / (n + 1)) + 0.5 * (math.log(2 / (n + 1)) / n + (n - 1) / n * math.log(2))
        assert jensen_shannon(one, uniform) == pytest.approx(nats / math.log(2))

    def test_the_table_of_heads(self):
        n = 8
        c = heads(maps.shifted(n, -1), maps.shifted(n, -1), maps.shifted(n, 1), even(n))
        found = analysis.head_distance(c)
        assert found.shape == (4, 4)
        np.testing.assert_array_equal(np.diag(found), 0)
        np.testing.assert_array_equal(found, found.T)
        assert found[0, 1] == 0
        # Rows 0 and 7 look at themselves where there is nothing before or after; no row is the same in both.
        assert found[0, 2] == 1
        assert found[0, 3] == pytest.approx(jensen_shannon(np.eye(n)[0], np.full(n, 1 / n)), rel=1e-5)
        np.testing.assert_allclose(analysis.head_distance(c, root=True), np.sqrt(found))

    @pytest.mark.parametrize("content", [False, True])
    @pytest.mark.parametrize("cells", [1, 150, 1 << 20])
    def test_by_loops_across_layers(self, monkeypatch, cells, content):
        monkeypatch.setattr(likeness, "CELLS", cells)
        layers = [maps.random_rows(2, 7, 7), maps.random_rows(3, 7, 7, seed=1)]
        c = from_attentions(layers, ["[CLS]", *"abcdef"])
        found = analysis.head_distance(c, content=content)
        assert analysis.heads_of(c) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
        flat = np.concatenate(layers).astype(np.float64)
        if content:
            flat = flat[:, 1:, 1:] / flat[:, 1:, 1:].sum(-1, keepdims=True)
        for a, b in np.ndindex(5, 5):
            rows = [literal.jensen_shannon(p, q) for p, q in zip(flat[a].tolist(), flat[b].tolist(), strict=True)]
            assert found[a, b] == pytest.approx(np.mean(rows) / math.log(2), abs=2e-6)

    def test_texts_add_up(self):
        one, two = maps.given(maps.random_rows(3, 5, 5)), maps.given(maps.random_rows(3, 9, 9))
        both = likeness.divergence_sums(one) + likeness.divergence_sums(two)
        want = (analysis.head_distance(one) * 5 + analysis.head_distance(two) * 9) / 14
        np.testing.assert_allclose(both.mean, want, rtol=1e-5)

    def test_many_heads_of_long_texts_are_sampled(self, monkeypatch):
        c = maps.given(maps.random_rows(4, 40, 40))
        whole = analysis.head_distance(c)
        monkeypatch.setattr(likeness, "MOST_WORK", 8 * 40 * 20)
        sums = likeness.divergence_sums(c)
        assert (sums.count == 20).all()
        np.testing.assert_allclose(sums.mean, whole, atol=0.15)

    def test_rows_without_weight_do_not_count(self):
        mask = np.tri(6, dtype=bool)
        mask[2] = False
        c = maps.uniform(6, mask=mask)
        assert likeness.divergence_sums(c).count[0, 0] == 5


class TestSearch:
    def test_by_example(self):
        n = 9
        c = heads(maps.shifted(n, -1), even(n), maps.shifted(n, 1), 0.9 * maps.shifted(n, -1) + 0.1 * even(n))
        found = analysis.similar_heads(c, 0, 0, k=2)
        assert [(hit.layer, hit.head) for hit in found] == [(0, 3), (0, 1)]
        table = analysis.head_distance(c)
        assert [hit.divergence for hit in found] == pytest.approx([table[0, 3], table[0, 1]], rel=1e-5)
        assert len(analysis.similar_heads(c, 0, 0, k=99)) == 3
        with pytest.raises(NotFoundError, match="no head 7"):
            analysis.similar_heads(c, 0, 7)
        with pytest.raises(InputError, match="k is the number"):
            analysis.similar_heads(c, 0, 0, k=0)

    @pytest.mark.parametrize("cells", [1, 1 << 20])
    def test_by_pattern(self, monkeypatch, cells):
        monkeypatch.setattr(likeness, "CELLS", cells)
        n = 9
        c = heads(maps.shifted(n, -1), even(n), maps.shifted(n, 1))
        first = analysis.heads_like(c, np.eye(n, k=1), k=1)[0]
        assert (first.head, first.divergence) == (2, 0)
        first = analysis.heads_like(c, lambda positions, keys: np.ones(len(keys)))[0]
        assert (first.head, first.divergence) == (1, pytest.approx(0, abs=1e-6))

    def test_a_pattern_is_held_to_the_mask(self):
        found = analysis.heads_like(maps.uniform(6, causal=True), np.ones((6, 6)))
        assert found[0].divergence == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("wrong", [np.eye(4), "pattern", None])
    def test_other_patterns(self, wrong):
        with pytest.raises(InputTypeError, match=r"\(6, 6\)"):
            analysis.heads_like(maps.uniform(6), wrong)
        with pytest.raises(InputError, match="none of them below 0"):
            analysis.heads_like(maps.uniform(6), -np.ones((6, 6)))


class TestClusters:
    def planted(self):
        n, random = 10, np.random.default_rng(0)
        kinds = [maps.shifted(n, -1), maps.shifted(n, 1), even(n)]
        order = [0, 1, 0, 2, 0, 1]
        layers = [kinds[kind] * 0.98 + 0.02 * random.dirichlet(np.ones(n), (1, n)) for kind in order]
        return maps.given(*np.concatenate(layers).reshape(2, 3, n, n).astype(np.float32)), order

    def test_groups_that_were_planted(self):
        c, order = self.planted()
        for options in ({}, {"n_clusters": 3}):
            table = analysis.head_clusters(c, **options)
            assert table.cluster.tolist() == [{0: 0, 1: 1, 2: 2}[kind] for kind in order]
            assert table["size"].tolist() == [{0: 3, 1: 2, 2: 1}[kind] for kind in order]
        names = list(zip(table.layer, table["head"], strict=True))
        for row in table.itertuples():
            partner = names.index((row.nearest_layer, row.nearest_head))
            assert order[partner] == order[row.Index] or order[row.Index] == 2
            assert row.divergence < 0.05 or order[row.Index] == 2

    def test_one_cluster_of_all_or_each_its_own(self):
        c, _ = self.planted()
        assert set(analysis.head_clusters(c, within=1).cluster) == {0}
        assert len(set(analysis.head_clusters(c, within=0).cluster)) == 6

    def test_one_head(self):
        table = analysis.head_clusters(maps.uniform(4))
        assert (table.cluster[0], table.x[0], table.y[0]) == (0, 0, 0)

    @pytest.mark.parametrize("options", [{"n_clusters": 0}, {"n_clusters": 7}, {"within": 2}])
    def test_wrong_numbers(self, options):
        with pytest.raises(InputError):
            analysis.head_clusters(self.planted()[0], **options)

    @drawn(st.integers(1, 9), st.integers(0, 1000))
    def test_points_of_a_plane_are_found_again(self, n, seed):
        points = np.random.default_rng(seed).normal(size=(n, 2))
        distance = np.linalg.norm(points[:, None] - points, axis=-1)
        placed = plane(distance)
        np.testing.assert_allclose(np.linalg.norm(placed[:, None] - placed, axis=-1), distance, atol=1e-6)
