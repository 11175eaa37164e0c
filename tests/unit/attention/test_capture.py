from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope import Capture, Tokens
from attnscope.attention import compute, memory
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.errors import InputError, InputTypeError, NotFoundError, TooLargeError
from tests.unit.largest import largest

N, M = 7, 5
WORDS = Tokens.of(["[CLS]", "the", "cat", "sat", "on", "mats", "[SEP]"])
KEYS = Tokens.of(["le", "chat", "assis", "##es", "."])


def layer(heads, n_queries=N, n_keys=N, *, seed=0, move=torch.from_numpy, mask=None):
    random = np.random.default_rng(seed)
    queries, keys = (random.normal(size=(heads, n, 4)).astype(np.float32) for n in (n_queries, n_keys))
    return QueriesKeys(move(queries), move(keys), 0.5, mask or Mask.causal(n_queries, n_keys))


@pytest.fixture(params=[torch.from_numpy, np.asarray], ids=["torch", "numpy"])
def found(request):
    """Two kinds; layers 1 and 4 of self-attention, with different numbers of heads."""
    own = {1: layer(2, seed=1, move=request.param), 4: layer(3, seed=2, move=request.param)}
    cross = {0: layer(2, N, M, seed=3, move=request.param, mask=Mask.full(N, M))}
    return Capture(
        {
            "self": Attention("self", own, WORDS, WORDS, {1: "interface", 4: "interface"}, {1: 1e-7, 4: 2e-7}),
            "cross": Attention("cross", cross, WORDS, KEYS),
        },
        "toy",
    )


class TestWhatItIs:
    def test_sizes(self, found):
        assert found.kinds == ("self", "cross")
        assert (found.n_layers, found.n_heads) == (2, 3)
        assert found["self"].layers == (1, 4)
        assert found["self"].head_counts == (2, 3)
        assert (found["cross"].n_layers, found["cross"].n_heads) == (1, 2)
        assert found.tokens == list(WORDS)
        assert found.key_tokens == list(WORDS)
        assert found.tokens_of("cross") == (WORDS, KEYS)
        assert found["self"].is_causal
        assert not found["cross"].is_causal
        assert found["self"].has_scores

    def test_bytes_count_every_array_and_each_mask_once(self, found):
        own = 2 * (2 + 3) * N * 4 * 4 + 2 * 2 * N * 4
        cross = 2 * (N + M) * 4 * 4 + 2 * N * 4
        assert found["self"].nbytes == own
        assert found.nbytes == own + cross
        shared = Mask.full(N, N)
        both = Attention("self", {i: layer(2, mask=shared) for i in range(2)}, WORDS, WORDS)
        assert both.nbytes == 2 * 2 * 2 * N * 4 * 4 + 2 * N * 4

    def test_repr_says_what_there_is(self, found):
        assert repr(found) == (
            "Capture(toy, self: 2 × up to 3 heads, 7 tokens; cross: 1 × 2 heads, 7 query tokens and 5 key tokens, "
            "0.0 MB)"
        )
        assert repr(found["cross"]) == "Attention(cross, 1 × 2 heads, 7 query tokens and 5 key tokens)"


class TestReading:
    def test_heads_stack_to_the_layer(self, found):
        whole = found.weights(4)
        assert whole.shape == (3, N, N)
        assert whole.dtype == np.float32
        for head in range(3):
            np.testing.assert_allclose(found.weights(4, head), whole[head], atol=1e-6)

    @pytest.mark.parametrize("read", ["weights", "scores"])
    @pytest.mark.parametrize(
        ("wanted", "as_numpy"),
        [
            (None, slice(None)), (2, 2), (-1, -1), (np.int64(3), 3), (slice(1, 5, 2), slice(1, 5, 2)),
            (slice(None, None, -1), slice(None, None, -1)), ([0, 2], [0, 2]), ([3, 0, 3], [3, 0, 3]),
            ((-1, 0), [-1, 0]), (np.array([1, 4], np.uint8), [1, 4]), (range(2, 5), [2, 3, 4]), ([], []),
            (slice(3, 3), slice(3, 3)),
        ],
        ids=str,
    )  # fmt: skip
    def test_positions_mean_what_they_mean_in_numpy(self, found, read, wanted, as_numpy):
        whole = getattr(found, read)(1, kind="self")
        if isinstance(as_numpy, list):
            as_numpy = np.array(as_numpy, int)
        rows = getattr(found, read)(1, queries=wanted)
        np.testing.assert_allclose(rows, whole[:, as_numpy], atol=1e-6)
        np.testing.assert_allclose(getattr(found, read)(1, keys=wanted), whole[:, :, as_numpy], atol=1e-6)
        np.testing.assert_allclose(getattr(found, read)(1, 1, keys=wanted), whole[1][:, as_numpy], atol=1e-6)

    def test_two_positions_give_a_number(self, found):
        value = found.weights(1, 0, queries=3, keys=2)
        assert value.shape == ()
        assert float(value) == pytest.approx(found.weights(1)[0, 3, 2], abs=1e-6)
        assert found.weights(1, queries=3, keys=2).shape == (2,)

    def test_small_positions_in_a_long_text(self):
        long = Capture({"self": Attention("self", {0: layer(1, 400, 400)}, *[Tokens.of(["a"] * 400)] * 2)})
        for dtype in (np.uint8, np.int8):
            rows = long.weights(0, 0, queries=np.array([100, 3], dtype))
            np.testing.assert_allclose(rows, long.weights(0, 0)[[100, 3]], atol=1e-6)

    def test_rows_sum_to_one_and_masked_cells_are_zero(self, found):
        weights = found.weights(4)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
        assert not np.triu(weights, 1).any()

    def test_masked_scores_are_minus_infinity(self, found):
        scores = found.scores(4)
        np.testing.assert_array_equal(
            np.isneginf(scores), np.broadcast_to(np.triu(np.ones((N, N), bool), 1), scores.shape)
        )
        powers = np.exp(scores.astype(np.float64))
        np.testing.assert_allclose(powers / powers.sum(-1, keepdims=True), found.weights(4), atol=1e-6)

    def test_another_kind(self, found):
        assert found.weights(0, kind="cross").shape == (2, N, M)
        np.testing.assert_allclose(found.weights(0, kind="cross"), found["cross"].weights(0), atol=1e-6)
        assert found.overview(0, 1, 3, kind="cross").shape == (3, 3)

    def test_blocks_do_not_change_the_answer(self, found, monkeypatch):
        whole = found.weights(4), found.scores(4)
        monkeypatch.setattr(compute, "BLOCK_CELLS", 2 * N)
        np.testing.assert_allclose(found.weights(4), whole[0], atol=1e-6)
        np.testing.assert_allclose(found.scores(4), whole[1], atol=1e-5)

    def test_overview_is_one_heads_block_maximum(self, found):
        weights = found.weights(4, 2)
        expected = [[weights[i : i + 3, j : j + 3].max() for j in (0, 3, 6)] for i in (0, 3, 6)]
        np.testing.assert_allclose(found.overview(4, 2, 3), expected, atol=1e-6)
        np.testing.assert_allclose(found.overview(4, 2), weights, atol=1e-6)


class TestRefusals:
    @pytest.mark.parametrize("read", ["weights", "scores", "overview"])
    def test_no_such_layer(self, found, read):
        with pytest.raises(NotFoundError, match="no self attention in layer 2: the layers with attention are 1, 4"):
            getattr(found, read)(2, 0)
        with pytest.raises(NotFoundError, match="no cross attention in layer -1: the only layer is 0"):
            getattr(found, read)(-1, 0, kind="cross")

    @pytest.mark.parametrize("head", [2, -1])
    @pytest.mark.parametrize("read", ["weights", "scores", "overview"])
    def test_no_such_head(self, found, read, head):
        with pytest.raises(NotFoundError, match=f"no head {head} in layer 1: the heads are 0 to 1"):
            getattr(found, read)(1, head)

    def test_no_such_kind(self, found):
        with pytest.raises(NotFoundError, match="no 'decoder' attention in this capture; it has 'self', 'cross'"):
            found.weights(0, kind="decoder")
        with pytest.raises(NotFoundError, match="no 'x' attention"):
            found["x"]

    @pytest.mark.parametrize("wanted", [7, -8, [0, 7], [-8]])
    def test_no_such_query(self, found, wanted):
        with pytest.raises(NotFoundError, match=r"no query position -?[78]: the positions are 0 to 6"):
            found.weights(1, queries=wanted)

    def test_no_such_key(self, found):
        with pytest.raises(NotFoundError, match="no key position 5: the positions are 0 to 4"):
            found.weights(0, keys=5, kind="cross")

    @pytest.mark.parametrize("wanted", [1.5, "cat", True, [True, False], [[1, 2]], [1, "a"], [[1], [2, 3]], {1: 2}])
    def test_positions_of_other_types(self, found, wanted):
        with pytest.raises(InputTypeError, match="query positions are an int, a slice or a sequence of ints"):
            found.weights(1, queries=wanted)

    @pytest.mark.parametrize("number", [1.0, "1", True, None, [1]])
    def test_layers_and_heads_are_numbers(self, found, number):
        with pytest.raises(InputTypeError, match="A layer is a number"):
            found.weights(number)
        if number is not None:
            with pytest.raises(InputTypeError, match="A head is a number"):
                found.weights(1, number)

    @pytest.mark.parametrize("size", [0, -3, 2.5, True, None, "big"])
    def test_sizes_of_an_overview(self, found, size):
        with pytest.raises(InputError, match="positive number of cells"):
            found.overview(1, 0, size)

    def test_weights_alone_have_no_scores(self):
        weights = np.full((1, N, N), 1 / N, np.float32)
        bare = Capture({"self": Attention("self", {0: StoredWeights(weights, Mask.full(N, N))}, WORDS, WORDS)})
        assert not bare["self"].has_scores
        with pytest.raises(InputError, match=r"holds weights only.*from_queries_keys"):
            bare.scores(0)

    def test_tokens_that_do_not_match(self):
        with pytest.raises(InputError, match=r"layer 3 has 5 queries and 5 keys, but got 7 tokens.*special tokens"):
            Attention("self", {3: layer(1, 5, 5)}, WORDS, WORDS)
        with pytest.raises(InputError, match="7 query tokens and 5 key tokens"):
            Attention("cross", {3: layer(1, 5, 7)}, WORDS, KEYS)

    def test_nothing_inside(self):
        with pytest.raises(InputError, match="at least one layer of self attention"):
            Attention("self", {}, WORDS, WORDS)
        with pytest.raises(InputError, match="at least one kind"):
            Capture({})

    @pytest.mark.parametrize(
        ("weights", "mask", "said"), [((3, 3), (3, 3), "got shape"), ((1, 3, 3), (2, 3), "mask is for 2 queries")]
    )
    def test_stored_weights_that_do_not_fit(self, weights, mask, said):
        with pytest.raises(InputError, match=said):
            StoredWeights(np.zeros(weights), Mask.full(*mask))


class TestFind:
    def test_on_either_side(self, found):
        assert found.find("cat") == 2
        assert found.find("chat", kind="cross", side="key") == 1
        assert found.find("assises", kind="cross", side="key") == 2

    def test_a_wrong_side(self, found):
        with pytest.raises(InputError, match="'query' or 'key', got 'both'"):
            found.find("cat", side="both")

    def test_near_matches(self, found):
        with pytest.raises(NotFoundError, match="Near matches: 'cat'"):
            found.find("cats")


class TestMemory:
    @pytest.fixture
    def large(self):
        """Nothing is computed before the refusal, so an array of one number stands for all."""
        n = 20_000
        wide = torch.zeros(1, 1, 1).expand(4, n, 2)
        tokens = Tokens(("a",) * n, np.zeros(n, bool), np.arange(n, dtype=np.int32))
        return Capture({"self": Attention("self", {0: QueriesKeys(wide, wide, 1.0, Mask.full(n, n))}, tokens, tokens)})

    @pytest.fixture
    def little_memory(self, monkeypatch):
        monkeypatch.setattr(memory, "free_bytes", lambda: 1_024_000_000)

    @pytest.mark.parametrize(("head", "size"), [(None, "6.4"), (0, "1.6")])
    def test_too_large_an_answer_is_refused(self, large, little_memory, head, size):
        with pytest.raises(TooLargeError, match=rf"{size} GB and 1.0 GB are free.*overview\(layer, head\)") as raised:
            large.weights(0, head)
        assert isinstance(raised.value, MemoryError)

    def test_what_fits_is_given(self, large, little_memory):
        rows = large.weights(0, 0, queries=slice(0, 3))
        np.testing.assert_allclose(rows, 1 / 20_000, rtol=1e-4)
        assert large.overview(0, 0, 2).shape == (2, 2)

    def test_it_says_what_was_asked_and_how_much_that_takes(self, little_memory):
        """Refused before anything of 32,768 tokens squared is made."""
        n = 32_768
        wide = torch.zeros(1, 1, 1).expand(12, n, 2)
        tokens = Tokens(("a",) * n, np.zeros(n, bool), np.arange(n, dtype=np.int32))
        c = Capture({"self": Attention("self", {0: QueriesKeys(wide, wide, 1.0, Mask.causal(n, n))}, tokens, tokens)})
        with largest() as found, pytest.raises(TooLargeError, match="weights of 12 heads, 32,768 queries and 32,768 k"):
            c.weights(0)
        assert found.nbytes < 64 * n
        with pytest.raises(TooLargeError, match=r"scores of 1 head, .* would take 4\.3 GB"):
            c.scores(0, 1)

    @pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="reads what Linux says of its memory")
    def test_memory_that_only_keeps_files_can_be_had(self):
        told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = 1024 * int(told["MemFree"].split()[0])
        assert memory.free_bytes() >= free / 2

    def test_another_system_is_asked_for_its_pages(self, monkeypatch):
        monkeypatch.setattr(memory.Path, "read_text", lambda *_, **__: "")
        monkeypatch.setattr(os, "sysconf_names", {"SC_AVPHYS_PAGES": 1, "SC_PAGE_SIZE": 2}, raising=False)
        monkeypatch.setattr(os, "sysconf", {"SC_AVPHYS_PAGES": 250_000, "SC_PAGE_SIZE": 4096}.get, raising=False)
        assert memory.free_bytes() == 1_024_000_000

    def test_where_the_system_does_not_say(self, large, monkeypatch):
        monkeypatch.setattr(memory.Path, "read_text", lambda *_, **__: "")
        monkeypatch.delattr(os, "sysconf", raising=False)
        assert memory.free_bytes() is None
        assert large.weights(0, 0, queries=slice(0, 4000), keys=[0]).shape == (4000, 1)
