"""A trained model, beyond its weights: what *it* attends to, and what reaches it."""

from __future__ import annotations

import pytest

from attnscope import capture
from attnscope.analysis import alti, beside, flow, norm_weighted, rollout
from tests.models.test_minilm import TEXTS

SENTENCES = {TEXTS[0]: "cat", TEXTS[3]: "animal", TEXTS[4]: "trophy"}
ON_THE_SINK = {TEXTS[0]: 0.588, TEXTS[3]: 0.575, TEXTS[4]: 0.550}


@pytest.fixture(scope="module")
def captures(minilm):
    return {text: capture(minilm.model, minilm.tokenizer, text, values=True) for text in SENTENCES}


class TestRollout:
    @pytest.mark.parametrize("text", SENTENCES)
    def test_it_ends_on_the_sink(self, captures, text):
        c = captures[text]
        row = rollout(c, "it")[-1]
        assert row[0] == pytest.approx(ON_THE_SINK[text], abs=2e-3)
        content = [i for i, special in enumerate(c["self"].keys.special) if not special and i != c.find("it")]
        assert row[content].max() <= 0.045

    def test_the_flow_is_the_rollout_and_its_paths_end_on_the_sink(self, captures):
        c = captures[TEXTS[0]]
        found = flow(c, "it")
        assert found.nodes[0] == pytest.approx(rollout(c, "it")[-1], abs=1e-5)
        assert {0, c.find("it")} <= set(found.paths[:3, 0].tolist())

    def test_maximum_flow_hardly_tells_words_apart(self, captures):
        c = captures[TEXTS[0]]
        most = flow(c, "it", maximum=True).maximum
        shares = most / most.sum()
        assert (shares.min(), shares.max()) == (pytest.approx(0.067, abs=0.01), pytest.approx(0.085, abs=0.01))


CONTRIBUTED = {TEXTS[0]: 0.263, TEXTS[3]: 0.284, TEXTS[4]: 0.233}
ON_CLS = {"weights": [0.25, 0.57, 0.59, 0.52, 0.62, 0.33], "norms": [0.07, 0.10, 0.10, 0.06, 0.07, 0.03]}


class TestContributions:
    @pytest.mark.parametrize("text", SENTENCES)
    def test_they_name_what_it_stands_for(self, captures, text):
        c = captures[text]
        row = alti(c, "it")[-1]
        assert row.argmax() == c.find(SENTENCES[text])
        assert row.max() == pytest.approx(CONTRIBUTED[text], abs=2e-3)
        assert row[0] == pytest.approx(0.013, abs=3e-3)

    def test_the_sink_gets_weight_and_hands_on_little(self, captures):
        c = captures[TEXTS[0]]
        weights = [c.weights(layer).mean(axis=(0, 1))[0] for layer in range(6)]
        norms = [norm_weighted(c, layer, joint=True, share=True)[:, 0].mean() for layer in range(6)]
        assert weights == pytest.approx(ON_CLS["weights"], abs=6e-3)
        assert norms == pytest.approx(ON_CLS["norms"], abs=6e-3)

    @pytest.mark.parametrize("text", SENTENCES)
    def test_side_by_side(self, captures, text):
        c = captures[text]
        found = beside(c, "it").table()
        assert found.loc[found["weights"].idxmax(), "token"] == "[CLS]"
        assert found.loc[found["rollout"].idxmax(), "token"] == "[CLS]"
        for measure in ("norms", "contributions"):
            assert found.loc[found[measure].idxmax(), "token"] == SENTENCES[text]
