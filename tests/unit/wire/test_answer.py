import json

import numpy as np
import pytest

from attnscope import from_attentions, from_queries_keys, limit_cache
from attnscope.analysis import head_table, rollout, value_weighted
from attnscope.wire.answer import Cancelled, answer
from attnscope.wire.answers import cells
from tests.unit.analysis import maps


@pytest.fixture
def capture():
    rng = np.random.default_rng(3)
    queries = [rng.normal(size=(4, 7, 8)).astype("f4") for _ in range(3)]
    keys = [rng.normal(size=(2, 7, 8)).astype("f4") for _ in range(3)]
    return from_queries_keys(queries, keys, ["<s>", *"abcdef"], causal=True)


def ask(capture, **request):
    reply, buffers = answer(capture, {"id": "r1", "kind": "self", **request})
    assert reply["id"] == "r1"
    assert "error" not in reply, reply
    json.dumps(reply, allow_nan=False)
    (data,) = buffers
    return np.frombuffer(data, "<f4").reshape(reply["shape"])


def refuse(capture, request):
    reply, buffers = answer(capture, request)
    assert buffers == []
    assert set(reply) == {"id", "error"}
    json.dumps(reply, allow_nan=False)
    return reply["error"]


def test_weights_are_the_captures_own_and_nan_where_masked(capture):
    got = ask(capture, type="weights", measure="weights", heads=[[2, 3], [0, 1]], queries=[2, 6], keys=[1, 7])
    assert got.shape == (2, 4, 6)
    for block, (layer, head) in zip(got, [(2, 3), (0, 1)], strict=True):
        true = capture.weights(layer, head, queries=slice(2, 6), keys=slice(1, 7))
        hidden = np.arange(1, 7)[None] > np.arange(2, 6)[:, None]
        assert np.array_equal(np.isnan(block), hidden)
        assert np.array_equal(block[~hidden], true[~hidden])


def test_a_column_is_read_block_by_block_and_given_up_in_between(capture, monkeypatch):
    limit_cache(0, capture)
    whole = ask(capture, type="weights", measure="weights", heads=[[0, 1], [1, 0]], queries=[1, 7], keys=[2, 3])
    monkeypatch.setattr(cells, "MOST_HELD", 14)
    assert_equal = np.testing.assert_array_equal
    request = {"type": "weights", "measure": "weights", "heads": [[0, 1], [1, 0]], "queries": [1, 7], "keys": [2, 3]}
    assert_equal(ask(capture, **request), whole)
    looks = iter([False, False, True])
    with pytest.raises(Cancelled):
        answer(capture, {"id": 1, "kind": "self", **request}, lambda: next(looks))


def test_tokens(capture):
    reply, _ = answer(capture, {"id": 1, "kind": "self", "type": "tokens", "side": "keys"})
    assert reply["info"]["text"] == ["<s>", *"abcdef"]
    assert reply["info"]["special"] == [0]
    assert "side is" in refuse(capture, {"id": 1, "kind": "self", "type": "tokens", "side": "both"})["message"]


def test_scores(capture):
    got = ask(capture, type="weights", measure="scores", heads=[[1, 0]], queries=[0, 7], keys=[0, 7])[0]
    true = capture.scores(1, 0)
    assert np.array_equal(got[np.isfinite(true)], true[np.isfinite(true)])
    assert np.isnan(got[np.isinf(true)]).all()


def test_measures_beyond_weights():
    drawn = np.random.default_rng(4).normal(size=(3, 2, 6, 4)).astype("f4")
    c = from_queries_keys(drawn, drawn, list("abcdef"), causal=True, values=drawn)
    before = np.tril(np.ones((6, 6), bool))
    for measure, true in (("value_weighted", value_weighted(c, 1, share=True)), ("rollout", rollout(c)[[1, 1]])):
        got = ask(c, type="weights", measure=measure, heads=[[1, 0], [1, 1]], queries=[0, 6], keys=[0, 6])
        np.testing.assert_allclose(got[:, before], true[:, before], atol=1e-6)
        assert np.isnan(got[:, ~before]).all()


def test_a_rollout_shows_what_only_the_layers_below_see():
    seen = np.tri(4, dtype=bool) & ~np.tri(4, k=-2, dtype=bool)
    nothing = np.zeros((1, 4, 2), "f4")
    c = from_queries_keys([nothing] * 2, [nothing] * 2, list("abcd"), mask=seen)
    got = ask(c, type="weights", measure="rollout", heads=[[1, 0]], queries=[3, 4], keys=[0, 4])[0, 0]
    assert np.isnan(got).tolist() == [True, False, False, False]


def test_asking_for_a_given_measure_leaves_it_as_it_is():
    weights = np.full((1, 1, 3, 3), 1 / 3, "f4") * np.tri(3, dtype="f4")
    c = from_attentions(weights, list("abc"))
    ask(c, type="weights", measure="weights", heads=[[0, 0]], queries=[0, 3], keys=[0, 3])
    assert not np.isnan(c.weights(0)).any()


def test_pair_gives_every_head_and_nan_where_hidden(capture):
    seen = ask(capture, type="pair", query=4, key=2)
    assert seen.shape == (3, 4)
    assert np.allclose(seen, [[capture.weights(layer, head)[4, 2] for head in range(4)] for layer in range(3)])
    assert np.isnan(ask(capture, type="pair", query=2, key=4)).all()


def test_overview_and_statistic(capture):
    got = ask(capture, type="overview", layer=1, head=2, size=3)
    hidden = np.triu(np.ones((3, 3), bool), 1)
    assert np.array_equal(np.isnan(got), hidden)
    assert np.array_equal(got[~hidden], capture.overview(1, 2, 3)[~hidden])
    from attnscope import analysis

    assert np.array_equal(ask(capture, type="statistic", statistic="entropy"), analysis.entropy(capture))


def test_ragged_heads_are_nan():
    capture = from_attentions([np.full((h, 3, 3), 1 / 3, "f4") for h in (2, 4)], ["abc"] * 3)
    got = ask(capture, type="pair", query=0, key=1)
    assert np.array_equal(np.isnan(got), [[False, False, True, True], [False] * 4])


def test_hello_answers_without_numbers(capture):
    assert answer(capture, {"id": 9, "type": "hello"}) == ({"id": 9, "type": "hello", "version": 1}, [])


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (None, "object"),
        ([], "object"),
        ({}, "Unknown request type None"),
        ({"id": 1, "type": "drop table"}, "drop table"),
        ({"id": 1, "type": ["weights"]}, "Unknown request type"),
        ({"id": 1, "type": "weights"}, "kind"),
        ({"id": 1, "type": "weights", "kind": "cross"}, "'self'"),
        ({"id": 1, "type": "weights", "kind": "self", "heads": []}, "heads"),
        ({"id": 1, "type": "weights", "kind": "self", "heads": [[0, 0]], "queries": [0, 8], "keys": [0, 7]}, "0 to 6"),
        ({"id": 1, "type": "weights", "kind": "self", "heads": [[0, 0]], "queries": [3, 1], "keys": [0, 7]}, "3 to 1"),
        (
            {"id": 1, "type": "weights", "kind": "self", "heads": [[0, 0]], "queries": [0, True], "keys": [0, 7]},
            "whole",
        ),
        ({"id": 1, "type": "weights", "kind": "self", "heads": [[0, 9]], "queries": [0, 7], "keys": [0, 7]}, "0 to 3"),
        ({"id": 1, "type": "weights", "kind": "self", "heads": ["00"], "queries": [0, 7], "keys": [0, 7]}, "[layer"),
        (
            {
                "id": 1,
                "type": "weights",
                "kind": "self",
                "measure": "x",
                "heads": [[0, 0]],
                "queries": [0, 1],
                "keys": [0, 1],
            },
            "measure",
        ),
        ({"id": 1, "type": "pair", "kind": "self", "query": 7, "key": 0}, "0 to 6"),
        ({"id": 1, "type": "pair", "kind": "self", "query": -1, "key": 0}, "-1"),
        ({"id": 1, "type": "overview", "kind": "self", "layer": 0, "head": 0, "size": 0}, "positive"),
        ({"id": 1, "type": "overview", "kind": "self", "layer": 0, "head": 0, "size": 10**9}, "1024"),
        ({"id": 1, "type": "statistic", "kind": "self", "statistic": "next_token"}, "entropy"),
        ({"id": 1, "type": "statistic", "kind": "self", "statistic": {}}, "statistic"),
    ],
)
def test_bad_requests_get_an_error_reply(capture, request_, words):
    error = refuse(capture, request_)
    assert words in error["message"]
    assert error["name"].endswith("Error")


def test_an_answer_is_bounded(capture, monkeypatch):
    monkeypatch.setattr(cells, "MOST_CELLS", 20)
    request = {"id": 1, "type": "weights", "kind": "self", "heads": [[0, 0]], "queries": [0, 7], "keys": [0, 7]}
    assert "at most 20" in refuse(capture, request)["message"]


def test_cancelled_between_heads(capture):
    heads = [[0, 0], [0, 1], [0, 2]]
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        answer(
            capture,
            {"id": 1, "type": "weights", "kind": "self", "heads": heads, "queries": [0, 7], "keys": [0, 7]},
            cancelled,
        )
    assert len(asked) == 3


def test_a_statistic_says_what_chance_gives():
    c = maps.given(maps.random_rows(2, 6, 6), maps.random_rows(2, 6, 6, seed=1))
    table = head_table(c)
    for name in ("previous_token", "entropy", "max_weight"):
        reply, _ = answer(c, {"id": "1", "type": "statistic", "kind": "self", "statistic": name})
        assert reply["info"]["chance"] == pytest.approx(table[table["head"] == 0][f"{name}_chance"].tolist(), abs=1e-5)
