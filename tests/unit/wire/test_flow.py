"""Routes and layers as the page gets them, against the analyses."""

import numpy as np
import pytest

from attnscope import from_queries_keys
from attnscope.analysis.flow import flow
from attnscope.analysis.rollout import rollout
from attnscope.wire.answer import answer

N, LAYERS, HEADS, EDGES = 7, 3, 4, 10


@pytest.fixture(params=[False, True], ids=["full", "causal"])
def capture(request):
    rng = np.random.default_rng(4)
    queries, keys = ([2 * rng.normal(size=(HEADS, N, 8)).astype("f4") for _ in range(LAYERS)] for _ in range(2))
    return from_queries_keys(queries, keys, [*"abcdefg"], causal=request.param)


def ask(capture, **request):
    reply, buffers = answer(capture, {"id": 1, "kind": "self", "query": 5, **request})
    assert "error" not in reply, reply
    return np.frombuffer(buffers[0], "<f4").reshape(reply["shape"]), reply.get("info")


def routes(capture, level=LAYERS, excess=False):
    numbers, info = ask(capture, type="flow", level=level, edges=EDGES, excess=excess)
    assert info == {"levels": level + 1, "tokens": N, "edges": EDGES}
    nodes = numbers[: 2 * (level + 1) * N].reshape(2, level + 1, N)
    return *nodes, numbers[2 * (level + 1) * N :].reshape(level, EDGES, 4)


def test_shares_and_links_are_those_of_the_flow(capture):
    shares, chances, links = routes(capture)
    true = flow(capture, 5, edges=EDGES)
    np.testing.assert_allclose(shares, true.nodes, atol=1e-6)
    np.testing.assert_allclose(links[..., 2], true.edge_shares, atol=1e-6)
    some = true.edge_shares > 0
    np.testing.assert_array_equal(links[..., :2].astype(int)[some], true.edges[some])
    np.testing.assert_allclose(chances[0], rollout(capture, 5, chance=True)[-1], atol=1e-6)
    np.testing.assert_allclose(1 - links[..., 2].sum(1), true.left_out, atol=1e-5)


def test_fewer_layers_are_the_rollout_up_to_there(capture):
    shares, _, links = routes(capture, level=2)
    np.testing.assert_allclose(shares[0], rollout(capture, 5)[1], atol=1e-6)
    assert links.shape == (2, EDGES, 4)


def test_excess_gives_the_links_furthest_from_chance(capture):
    _, chances, links = routes(capture, excess=True)
    difference = np.abs(links[..., 2] - links[..., 3])
    assert (np.diff(difference, axis=1) <= 1e-7).all()
    seen = N if not capture["self"].is_causal else 6
    top = links[-1]
    assert chances[-1, 5] == 1
    others = top[top[:, 1] != 5]
    np.testing.assert_allclose(others[others[:, 2] > 0, 3], 0.5 / seen, atol=1e-6)


@pytest.mark.parametrize("head", [None, 2])
def test_one_row_in_every_layer(capture, head):
    found, _ = ask(capture, type="evolution", head=head)
    for layer in range(LAYERS):
        weights = capture.weights(layer, head, queries=5)
        weights = weights.mean(axis=0) if head is None else weights
        seen = capture["self"].layer(layer).mask.allowed(slice(5, 6))[0]
        np.testing.assert_allclose(found[layer, seen], weights[seen], atol=1e-6)
        assert np.isnan(found[layer, ~seen]).all()


def test_a_head_that_is_not_there_has_no_numbers(capture):
    assert np.isnan(ask(capture, type="evolution", head=HEADS)[0]).all()


@pytest.mark.parametrize(
    "wrong", [{"level": 0}, {"level": 4}, {"edges": 0}, {"edges": 1000}, {"query": 7}, {"edges": 1.5}]
)
def test_what_cannot_be_is_refused(capture, wrong):
    request = {"id": 1, "type": "flow", "kind": "self", "query": 5, "level": 3, "edges": 9, **wrong}
    assert "error" in answer(capture, request)[0]


def test_cross_attention_has_no_routes():
    rng = np.random.default_rng(0)
    cross = from_queries_keys(
        *([rng.normal(size=(2, n, 4)).astype("f4")] for n in (3, 5)), [*"abc"], key_tokens=[*"vwxyz"], kind="cross"
    )  # fmt: skip
    reply, _ = answer(cross, {"id": 1, "type": "flow", "kind": "cross", "query": 0, "level": 1, "edges": 3})
    assert "same tokens" in reply["error"]["message"]
