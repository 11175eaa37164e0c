"""Facts about a trained model that analyses must find again."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import analysis, capture
from tests.models import sentences
from tests.models.test_minilm import CAT, PARIS, TEXTS


@pytest.fixture(scope="module")
def cat(minilm):
    return capture(minilm.model, minilm.tokenizer, CAT)


@pytest.fixture(scope="module")
def built(minilm):
    random = np.random.default_rng(0)
    made = [sentences.sentence(random) for _ in range(100)]
    captures = capture(minilm.model, minilm.tokenizer, [text for text, _ in made], progress=False)
    return analysis.relation_heads(captures, [sentences.conllu(*one) for one in made]).set_index(
        ["relation", "direction", "layer", "head"]
    )


class TestRoles:
    def test_one_previous_one_next_and_no_self_head(self, cat):
        roles = analysis.head_roles(cat)
        fired = roles[roles.fires]
        for role, place in {"previous_token": (0, 2), "next_token": (1, 8)}.items():
            found = fired[fired.role == role]
            assert list(zip(found.layer, found["head"], strict=True)) == [place]
        assert not (fired.role == "self").any()

    def test_the_sink_is_the_first_token_and_no_separator(self, cat):
        roles = analysis.head_roles(cat)
        fired = roles[roles.fires]
        assert (fired.role == "sink").sum() >= 20
        assert not (fired.role == "separator").any()
        assert analysis.separator_share(cat).max() < 0.2

    def test_without_special_tokens_the_previous_head_stays(self, cat):
        scores = analysis.previous_token(cat, content=True)
        assert np.unravel_index(scores.argmax(), scores.shape) == (0, 2)
        assert scores[0, 2] > 0.999

    def test_the_sinks_make_stripes(self, cat):
        shapes = analysis.pattern_shapes(cat).set_index(["layer", "head"])
        assert (shapes.vertical > shapes.diagonal).mean() > 0.8
        assert shapes.diagonal.idxmax() == (0, 2)


class TestRelations:
    def test_the_coreference_head(self, minilm):
        texts = [TEXTS[0], TEXTS[3], TEXTS[4]]
        pairs = [[("it", "cat", "coref")], [("it", "animal", "coref")], [("it", "trophy", "coref")]]
        table = analysis.relation_heads(capture(minilm.model, minilm.tokenizer, texts), pairs)
        first = table[table.direction == "to head"].iloc[0]
        assert (first.layer, first["head"], first.accuracy, first.pairs) == (3, 1, 1, 3)
        assert first.baseline == pytest.approx(1 / 3)
        assert first.mass > 0.7

    @pytest.mark.parametrize(
        ("relation", "direction", "place", "accuracy"),
        [
            ("det", "to head", (3, 1), 0.876),
            ("det", "to head", (2, 8), 0.908),
            ("amod", "to head", (2, 8), 0.951),
            ("obj", "to dependent", (3, 1), 0.630),
        ],
    )
    def test_syntactic_heads_of_built_sentences(self, built, relation, direction, place, accuracy):
        found = built.loc[(relation, direction, *place)]
        assert found.accuracy == pytest.approx(accuracy, abs=0.02)
        assert found.beats

    def test_the_baseline_is_no_head(self, built):
        found = built.loc[("det", "to head")]
        distances = [head - dependent for _, links in self.made() for dependent, head, name in links if name == "det"]
        assert found.baseline.iloc[0] == max(distances.count(d) for d in set(distances)) / len(distances)
        assert found.pairs.iloc[0] == len(distances)

    def made(self):
        random = np.random.default_rng(0)
        return [sentences.sentence(random) for _ in range(100)]


class TestStatistics:
    def test_entropy_of_the_extremes(self, minilm):
        captures = capture(minilm.model, minilm.tokenizer, TEXTS)
        mean = np.mean([analysis.entropy(c) for c in captures], axis=0)
        assert np.unravel_index(mean.argmin(), mean.shape) == (0, 2)
        assert mean[0, 2] < 0.01
        assert 0.85 < mean[0].max() < 0.95

    def test_three_tokens_to_either_side_are_at_chance_in_a_short_text(self, minilm):
        c = capture(minilm.model, minilm.tokenizer, PARIS)
        table = analysis.head_table(c)
        assert table.local_share_chance[0] == pytest.approx(0.439, abs=1e-3)
        assert table[table.layer == 3].local_share.mean() == pytest.approx(0.44, abs=5e-3)


class TestLikeness:
    def test_nearest_and_farthest_heads(self, cat):
        names, table = analysis.heads_of(cat), analysis.head_distance(cat)
        nearest = table + np.diag(np.full(72, np.inf))
        a, b = (names.index(head) for head in ((2, 7), (4, 5)))
        assert nearest.min() == nearest[a, b] == pytest.approx(0.020, abs=2e-3)
        a, b = (names.index(head) for head in ((0, 2), (1, 8)))
        assert table.max() == table[a, b] == pytest.approx(0.901, abs=2e-3)

    def test_heads_of_a_layer_are_more_alike(self, cat):
        layers = np.array([layer for layer, _ in analysis.heads_of(cat)])
        table = analysis.head_distance(cat)
        same = layers[:, None] == layers
        assert table[same & ~np.eye(72, dtype=bool)].mean() == pytest.approx(0.231, abs=2e-3)
        assert table[~same].mean() == pytest.approx(0.282, abs=2e-3)

    def test_searching_for_the_previous_token_head(self, cat):
        n = len(cat.tokens)
        found = analysis.heads_like(cat, np.eye(n, k=-1))[0]
        assert (found.layer, found.head) == (0, 2)
        assert found.divergence < 0.01

    def test_the_sinks_form_one_cluster(self, cat):
        table = analysis.head_clusters(cat).set_index(["layer", "head"])
        assert table.cluster[2, 7] == table.cluster[4, 5] == 0
        assert table.cluster[0, 2] != 0
        assert table["size"][0, 2] == 1
