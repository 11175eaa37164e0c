"""Which heads link two tokens, and which keys a token attends to."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest

from attnscope import from_queries_keys
from attnscope.analysis import find_heads, top_keys
from attnscope.attention import compute
from attnscope.errors import InputError, InputTypeError, NotFoundError
from tests.unit.analysis import maps

WORDS = ["[CLS]", "emily", "saw", "paris", ".", "[SEP]"]


def flat(layers, heads):
    """Weights of 0.1 everywhere, to be changed by hand; rows need not sum to 1 here."""
    return np.full((layers, heads, 6, 6), 0.1, np.float32)


class TestFindHeads:
    def test_the_strongest_first_in_either_direction(self):
        weights = flat(2, 3)
        weights[0, 1, 1, 3] = 0.6
        weights[1, 2, 3, 1] = 0.9
        weights[1, 0, 3, 1] = 0.4
        c = maps.given(*weights, tokens=WORDS)
        hits = find_heads(c, "emily", "paris", k=4)
        assert [(hit.layer, hit.head, hit.direction) for hit in hits[:3]] == [
            (1, 2, "backward"), (0, 1, "forward"), (1, 0, "backward"),
        ]  # fmt: skip
        assert [hit.weight for hit in hits] == pytest.approx([0.9, 0.6, 0.4, 0.1])
        assert (hits[0].query, hits[0].key) == (3, 1)
        assert (hits[1].query, hits[1].key) == (1, 3)

    @pytest.mark.parametrize(("direction", "expected"), [("forward", (0, 1)), ("backward", (1, 2))])
    def test_one_direction(self, direction, expected):
        weights = flat(2, 3)
        weights[0, 1, 1, 3] = 0.6
        weights[1, 2, 3, 1] = 0.9
        hits = find_heads(maps.given(*weights, tokens=WORDS), "emily", "paris", direction=direction, k=99)
        assert len(hits) == 6
        assert {hit.direction for hit in hits} == {direction}
        assert (hits[0].layer, hits[0].head) == expected

    def test_positions_and_words_mean_the_same(self):
        c = maps.given(maps.random_rows(4, 6, 6), tokens=WORDS)
        assert find_heads(c, "emily", "paris") == find_heads(c, 1, 3) == find_heads(c, -5, -3)

    def test_the_rank_is_among_all_keys_of_the_row(self):
        weights = flat(1, 2)
        weights[0, 0, 1] = [0.3, 0.0, 0.2, 0.25, 0.05, 0.2]
        weights[0, 1, 1] = [0.1, 0.2, 0.3, 0.4, 0.0, 0.0]
        hits = find_heads(maps.given(*weights, tokens=WORDS), "emily", "paris", direction="forward")
        assert [(hit.head, hit.rank) for hit in hits] == [(1, 1), (0, 2)]

    def test_the_share_of_other_pairs_that_do_as_well(self):
        weights = flat(1, 2)
        weights[0, 0, 1, 3] = 0.5
        weights[0, 1, 2, 4] = 0.8
        weights[0, 0, 4, 2] = 0.6
        weights[0, 1, 3, 2] = 0.5
        weights[0, 0, 2, 0] = 0.9  # a special token: no pair to compare with
        weights[0, 0, 2, 2] = 0.9  # a token with itself: nor this
        c = maps.given(*weights, tokens=WORDS)
        # Content tokens 1, 2, 3, 4: 12 pairs with an order, 6 without; the pair asked for is not another pair.
        forward = find_heads(c, 1, 3, direction="forward", k=1)[0]
        assert forward.share_as_good == pytest.approx(3 / 11)
        either = find_heads(c, 1, 3, k=1)[0]
        assert either.share_as_good == pytest.approx(2 / 5)
        assert find_heads(c, 3, 1, k=1)[0].share_as_good == pytest.approx(2 / 5)
        assert find_heads(c, 2, 4, k=1)[0].share_as_good == 0
        assert find_heads(c, 1, 2, k=1)[0].share_as_good == 1

    def test_where_there_is_no_other_pair(self):
        c = maps.given(maps.random_rows(2, 4, 4), tokens=["[CLS]", "a", "b", "[SEP]"])
        assert math.isnan(find_heads(c, "a", "b", k=1)[0].share_as_good)

    def test_blocks_change_nothing(self, monkeypatch):
        c = maps.given(maps.random_rows(4, 6, 6), maps.random_rows(4, 6, 6, seed=1), tokens=WORDS)
        whole = find_heads(c, "emily", "paris")
        monkeypatch.setattr(compute, "BLOCK_CELLS", 7)
        assert find_heads(c, "emily", "paris") == whole

    def test_long_texts_are_represented_by_some_tokens(self, monkeypatch):
        n = 40
        c = maps.given(maps.random_rows(2, n, n))
        exact = find_heads(c, 3, 9, k=1)[0]
        monkeypatch.setattr(import_module("attnscope.analysis.find_heads"), "MOST_COMPARED", 20)
        rough = find_heads(c, 3, 9, k=1)[0]
        assert (rough.layer, rough.head, rough.weight) == (exact.layer, exact.head, exact.weight)
        assert rough.share_as_good == pytest.approx(exact.share_as_good, abs=0.15)

    def test_a_causal_mask_leaves_one_direction(self):
        random = np.random.default_rng(0)
        arrays = [random.normal(size=(2, 6, 4)).astype(np.float32) for _ in range(2)]
        c = from_queries_keys(arrays[:1], arrays[1:], WORDS, causal=True)
        assert {hit.direction for hit in find_heads(c, "emily", "paris")} == {"backward"}
        assert {hit.direction for hit in find_heads(c, "paris", "emily")} == {"forward"}
        with pytest.raises(InputError, match=r"No head can link 'emily' to 'paris'.*hides.*direction='either'"):
            find_heads(c, "emily", "paris", direction="forward")
        # Of 6 pairs a token sees, 5 are others.
        shares = {hit.share_as_good * 5 for hit in find_heads(c, "emily", "paris")}
        assert all(share == pytest.approx(round(share)) for share in shares)

    def test_cross_attention_goes_one_way(self):
        c = maps.given(
            maps.random_rows(2, 3, 2), tokens=["le", "chat", "dort"], key_tokens=["the", "cat"], kind="cross"
        )
        hits = find_heads(c, "chat", "cat", kind="cross")
        assert {hit.direction for hit in hits} == {"forward"}
        with pytest.raises(InputError, match="No head can link"):
            find_heads(c, "chat", "cat", direction="backward", kind="cross")
        with pytest.raises(NotFoundError, match="no token or word 'chat'"):
            find_heads(c, "dort", "chat", kind="cross")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"direction": "up"}, "direction is 'either', 'forward' or 'backward', got 'up'"),
            ({"k": 0}, "k is the number of heads"),
            ({"k": True}, "k is the number of heads"),
            ({"k": 1.5}, "k is the number of heads"),
        ],
    )
    def test_refusals(self, options, said):
        c = maps.given(maps.random_rows(1, 6, 6), tokens=WORDS)
        with pytest.raises(InputError, match=said):
            find_heads(c, 1, 3, **options)

    def test_unknown_tokens(self):
        c = maps.given(maps.random_rows(1, 6, 6), tokens=WORDS)
        with pytest.raises(NotFoundError, match="Near matches: 'emily'"):
            find_heads(c, "emil", "paris")
        with pytest.raises(NotFoundError, match="no position 6"):
            find_heads(c, 1, 6)
        with pytest.raises(InputTypeError, match="an int or a token"):
            find_heads(c, 1.0, 2)
        with pytest.raises(NotFoundError, match="no 'cross' attention"):
            find_heads(c, 1, 2, kind="cross")


class TestTopKeys:
    @pytest.fixture
    def c(self):
        weights = np.zeros((2, 2, 6, 6), np.float32)
        weights[0, 0, 3] = [0.5, 0.1, 0.2, 0.05, 0.15, 0.0]
        weights[0, 1, 3] = [0.0, 0.6, 0.0, 0.2, 0.2, 0.0]
        weights[1, :, 3] = [0.0, 0.3, 0.1, 0.3, 0.3, 0.0]
        weights[:, :, 0, 5] = 1
        return maps.given(*weights, tokens=WORDS)

    def test_the_mean_over_heads(self, c):
        hits = top_keys(c, "paris", 2)
        assert [(hit.layer, hit.head, hit.key, hit.token, hit.rank) for hit in hits] == [
            (0, None, 1, "emily", 1), (0, None, 4, ".", 2), (1, None, 1, "emily", 1), (1, None, 3, "paris", 2),
        ]  # fmt: skip
        assert [hit.weight for hit in hits] == pytest.approx([0.35, 0.175, 0.3, 0.3])

    def test_the_maximum_over_heads(self, c):
        hits = top_keys(c, "paris", 3, layer=0, heads="max")
        assert [(hit.key, hit.weight) for hit in hits] == [
            (1, pytest.approx(0.6)), (2, pytest.approx(0.2)), (3, pytest.approx(0.2)),
        ]  # fmt: skip

    def test_every_head_by_itself(self, c):
        hits = top_keys(c, "paris", 1, heads="each")
        assert [(hit.layer, hit.head, hit.key) for hit in hits] == [(0, 0, 2), (0, 1, 1), (1, 0, 1), (1, 1, 1)]

    def test_one_head(self, c):
        hits = top_keys(c, 3, 1, layer=0, head=0)
        assert [(hit.layer, hit.head, hit.key) for hit in hits] == [(0, 0, 2)]

    def test_special_tokens_only_when_asked_for(self, c):
        assert top_keys(c, "paris", 1, layer=0, head=0, content=False)[0].token == "[CLS]"
        assert len(top_keys(c, "paris", 99, layer=0)) == 4
        assert len(top_keys(c, "paris", 99, layer=0, content=False)) == 6

    def test_masked_keys_are_never_given(self):
        random = np.random.default_rng(0)
        arrays = [random.normal(size=(2, 6, 4)).astype(np.float32) for _ in range(2)]
        c = from_queries_keys(arrays[:1], arrays[1:], WORDS, causal=True)
        assert sorted(hit.key for hit in top_keys(c, 3, 99)) == [1, 2, 3]
        assert sorted(hit.key for hit in top_keys(c, 3, 99, content=False)) == [0, 1, 2, 3]
        assert top_keys(c, 0, 5) == []

    @pytest.mark.parametrize(
        ("options", "error", "said"),
        [
            ({"heads": "sum"}, InputError, "heads is 'mean', 'max' or 'each'"),
            ({"k": 0}, InputError, "k is the number of keys"),
            ({"layer": 5}, NotFoundError, "the layers are 0 to 1"),
            ({"layer": 0, "head": 2}, NotFoundError, "no head 2 in layer 0"),
            ({"head": 2}, NotFoundError, "no head 2"),
            ({"query": 9}, NotFoundError, "no position 9"),
            ({"query": "rome"}, NotFoundError, "no token or word 'rome'"),
        ],
    )
    def test_refusals(self, c, options, error, said):
        with pytest.raises(error, match=said):
            top_keys(c, **({"query": 3} | options))
