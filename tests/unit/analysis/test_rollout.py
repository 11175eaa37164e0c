"""Rollout and flow: closed forms, the papers' formulas written out, and networkx's maximum flow."""

from __future__ import annotations

import math
import tracemalloc

import networkx as nx
import numpy as np
import pytest

from attnscope import from_attentions, from_queries_keys
from attnscope.analysis import flow, rollout
from attnscope.errors import InputError, NotFoundError, TooLargeError
from tests.unit.analysis.maps import given, random_rows, shifted, uniform


def literal_rollout(layers, residual=0.5):
    """Abnar & Zuidema's formula: products of residual · I + (1 - residual) · mean over heads, rows scaled to 1."""
    n = layers[0].shape[-1]
    joint, found = np.eye(n), []
    for layer in layers:
        mixed = residual * np.eye(n) + (1 - residual) * layer.astype(np.float64).mean(axis=0)
        joint = mixed / mixed.sum(axis=1, keepdims=True) @ joint
        found.append(joint)
    return np.stack(found)


class TestRollout:
    def test_the_formula(self):
        layers = [random_rows(3, 7, 7, seed=i, causal=True) for i in range(4)]
        found = rollout(given(*layers))
        np.testing.assert_allclose(found, literal_rollout(layers), atol=1e-6)
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
        assert not np.triu(found, 1).any()

    @pytest.mark.parametrize("residual", [0.0, 0.3, 1.0])
    def test_one_query_is_its_row(self, residual):
        c = given(*[random_rows(2, 9, 9, seed=i) for i in range(3)])
        whole = rollout(c, residual=residual)
        for query in range(9):
            np.testing.assert_allclose(rollout(c, query, residual=residual), whole[:, query], atol=1e-6)

    def test_heads_that_look_at_themselves(self):
        assert (rollout(given(*[np.eye(5, dtype=np.float32)[None]] * 6)) == np.eye(5, dtype=np.float32)).all()

    def test_uniform_layers(self):
        n, depth = 6, 4
        c = given(*[np.full((1, n, n), 1 / n, np.float32)] * depth)
        expected = (1 - 2.0**-depth) / n + 2.0**-depth * np.eye(n)
        np.testing.assert_allclose(rollout(c)[-1], expected, atol=1e-6)

    def test_previous_token_layers_are_binomial(self):
        depth = 4
        row = rollout(given(*[shifted(9, -1)] * depth), 8)
        for layer in range(depth):
            expected = [math.comb(layer + 1, back) / 2.0 ** (layer + 1) for back in range(layer + 2)]
            np.testing.assert_allclose(row[layer, ::-1][: layer + 2], expected, atol=1e-6)
            assert not row[layer, : 9 - layer - 2].any()

    def test_chance_is_uniform_attention_under_the_same_mask(self):
        weights = [random_rows(2, 50, 50, seed=i, causal=True) for i in range(12)]
        even = np.tri(50) / np.arange(1, 51)[:, None]
        found = rollout(given(*weights), 49, chance=True)
        np.testing.assert_allclose(found, literal_rollout([even[None]] * 12)[:, 49], atol=1e-6)
        assert found[-1, 0] == pytest.approx(0.657, abs=1e-3)

    def test_the_chance_of_even_heads_is_what_they_do(self):
        c = uniform(8, causal=True)
        np.testing.assert_allclose(rollout(c), rollout(c, chance=True), atol=1e-6)

    def test_rows_that_sum_to_less_are_scaled(self):
        weights = 0.4 * random_rows(1, 5, 5)
        np.testing.assert_allclose(rollout(given(weights)), literal_rollout([weights]), atol=1e-6)
        np.testing.assert_allclose(rollout(given(weights)).sum(axis=-1), 1, atol=1e-6)

    def test_a_query_that_sees_nothing_stays_what_it_was(self):
        blind = np.ones((4, 4), bool)
        blind[2] = False
        for residual in (0.0, 0.5):
            assert rollout(uniform(4, mask=blind), 2, residual=residual)[0].tolist() == [0, 0, 1, 0]

    def test_a_token_by_name(self):
        c = given(random_rows(1, 4, 4))
        assert (rollout(c, "t2") == rollout(c, 2)).all()
        with pytest.raises(NotFoundError, match="t9"):
            rollout(c, "t9")

    def test_not_between_different_tokens(self):
        c = from_attentions([random_rows(1, 2, 3)], ["a", "b"], key_tokens=["x", "y", "z"], kind="cross")
        with pytest.raises(InputError, match="different"):
            rollout(c)

    @pytest.mark.parametrize("residual", [-0.1, 1.1, "half", True])
    def test_a_residual_that_is_no_share(self, residual):
        with pytest.raises(InputError, match="from 0 to 1"):
            rollout(given(random_rows(1, 3, 3)), residual=residual)

    def test_memory_of_one_row_grows_with_the_text_not_its_square(self):
        def peak(n):
            drawn = np.random.default_rng(0).standard_normal((2, n, 4)).astype(np.float32)
            c = from_queries_keys([drawn], [drawn], [str(i) for i in range(n)], causal=True)
            tracemalloc.start()
            try:
                assert rollout(c, n - 1).sum() == pytest.approx(1, abs=1e-4)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        assert peak(8192) < 1.6 * peak(4096) < 0.5 * 4 * 8192**2


class TestFlow:
    @pytest.fixture
    def layers(self):
        return [random_rows(2, 6, 6, seed=i) for i in range(3)]

    def mixing(self, layers):
        return [0.5 * np.eye(6) + 0.5 * layer.astype(np.float64).mean(axis=0) for layer in layers]

    def test_nodes_are_the_rollout_from_above(self, layers):
        found, mixed = flow(given(*layers), 4), self.mixing(layers)
        np.testing.assert_allclose(found.nodes[0], rollout(given(*layers), 4)[-1], atol=1e-6)
        np.testing.assert_allclose(found.nodes[2], mixed[2][4], atol=1e-6)
        np.testing.assert_allclose(found.nodes[1], mixed[2][4] @ mixed[1], atol=1e-6)
        np.testing.assert_allclose(found.nodes.sum(axis=1), 1, atol=1e-5)

    def test_edges_are_the_strongest_and_the_rest_is_said(self, layers):
        found, mixed = flow(given(*layers), 4, edges=5), self.mixing(layers)
        above = [mixed[2][4] @ mixed[1], mixed[2][4], np.eye(6)[4]]
        for row in range(3):
            through = above[row][:, None] * mixed[row]
            best = np.sort(through.ravel())[::-1][:5]
            np.testing.assert_allclose(found.edge_shares[row], best, atol=1e-6)
            np.testing.assert_allclose(through[tuple(found.edges[row].T)], best, atol=1e-6)
            assert found.left_out[row] == pytest.approx(1 - best.sum(), abs=1e-5)

    def test_more_edges_than_there_are(self, layers):
        found = flow(given(*layers), 4, edges=100)
        assert found.left_out == pytest.approx(0, abs=1e-5)
        assert found.edge_shares.shape == (3, 100)
        assert (found.edge_shares[2, 6:] == 0).all()

    def test_paths_are_the_best_of_all(self, layers):
        found, mixed = flow(given(*layers), 4, paths=6), self.mixing(layers)
        every = {
            (j, b, a, 4): mixed[2][4, a] * mixed[1][a, b] * mixed[0][b, j]
            for a in range(6) for b in range(6) for j in range(6)
        }  # fmt: skip
        best = sorted(
            (max((size, path) for path, size in every.items() if path[0] == j) for j in range(6)), reverse=True
        )
        assert [tuple(path) for path in found.paths.tolist()] == [path for _, path in best]
        np.testing.assert_allclose(found.path_shares, [size for size, _ in best], rtol=1e-5)

    def test_blocks_of_rows_change_nothing(self, layers, monkeypatch):
        whole = flow(given(*layers), 3)
        monkeypatch.setattr("attnscope.attention.compute.BLOCK_CELLS", 24)
        parts = flow(given(*layers), 3)
        for name in ("nodes", "edges", "edge_shares", "paths", "path_shares"):
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-7)

    def test_paths_there_are_none_of_are_not_given(self):
        found = flow(given(shifted(5, -1)), 3)
        assert sorted(found.paths[:, 0].tolist()) == [2, 3]

    def test_maximum_flow_is_networkxs(self, layers):
        found, mixed = flow(given(*layers), 4, maximum=True), self.mixing(layers)
        graph = nx.DiGraph()
        for row in range(3):
            for i in range(6):
                for j in range(6):
                    graph.add_edge((row + 1, i), (row, j), capacity=mixed[row][i, j])
        expected = [nx.maximum_flow_value(graph, (3, 4), (0, j)) for j in range(6)]
        np.testing.assert_allclose(found.maximum, expected, atol=1e-5)
        assert (found.maximum >= rollout(given(*layers), 4)[-1] - 1e-5).all()
        assert (found.maximum <= 1 + 1e-5).all()

    def test_maximum_flow_of_one_layer_is_its_row(self, layers):
        found = flow(given(layers[0]), 2, maximum=True, residual=0.0)
        np.testing.assert_allclose(found.maximum, layers[0].mean(axis=0)[2], atol=1e-5)

    def test_a_maximum_flow_over_too_many_links(self):
        with pytest.raises(TooLargeError, match="links"):
            flow(uniform(2400), 3, maximum=True)

    @pytest.mark.parametrize("wrong", [{"edges": 0}, {"paths": 1.5}])
    def test_counts_that_are_none(self, layers, wrong):
        with pytest.raises(InputError, match="1 or more"):
            flow(given(*layers), 4, **wrong)
