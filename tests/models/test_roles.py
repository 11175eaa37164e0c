"""Detectors of head roles on heads whose role is known: set by hand, or trained for."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import analysis, capture
from attnscope.recording import small
from tests.models import handbuilt
from tests.models.handbuilt import DUPLICATE, HALF, INDUCTION, PREVIOUS, SELF, SINK, UNIFORM

PLANTED = {
    "previous_token": PREVIOUS,
    "duplicate_token": DUPLICATE,
    "self": SELF,
    "sink": SINK,
    "induction": INDUCTION,
    "local": HALF,
}
STATISTICS = {
    analysis.previous_token: PREVIOUS,
    analysis.duplicate_token: DUPLICATE,
    analysis.self_share: SELF,
    analysis.sink_share: SINK,
    analysis.induction: INDUCTION,
}


def repeated_words(seed, length=15, times=3):
    words = np.random.default_rng(seed).permutation([word for word in small.WORDS if word.isalpha()])[:length]
    return " ".join([*words] * times)


@pytest.fixture(scope="module", params=[(10, 3, 0), (7, 5, 1), (15, 3, 2)], ids=str)
def seen(request):
    return capture(handbuilt.gpt2(), handbuilt.tokenizer(), handbuilt.repeated(*request.param))


class TestPlantedHeads:
    def test_every_detector_ranks_its_head_first_with_a_perfect_score(self, seen):
        for ask, place in STATISTICS.items():
            scores = ask(seen)
            assert np.unravel_index(scores.argmax(), scores.shape) == place
            assert scores[place] == pytest.approx(1, abs=1e-5)

    def test_exactly_the_planted_roles_fire(self, seen):
        roles = analysis.head_roles(seen)
        fired = {(row.layer, row.head, row.role) for row in roles[roles.fires].itertuples()}
        uniform = {(*UNIFORM, "broad")} | {(1, head, "broad") for head in range(1, 6)}
        assert fired == uniform | {(*place, role) for role, place in PLANTED.items()}

    def test_scores_hits_chance_and_rows_have_closed_forms(self, seen):
        n = len(seen.tokens)
        roles = analysis.head_roles(seen).set_index(["layer", "head", "role"])
        period = len(set(seen.tokens)) - 1
        for role, place in PLANTED.items():
            found = roles.loc[(*place, role)]
            assert (found.score, found.hit, found.margin) == pytest.approx((1, 1, 1), abs=1e-5)
        chance = sum(1 / (i + 1) for i in range(1, n)) / (n - 1)
        assert roles.loc[(*PREVIOUS, "previous_token")].chance == pytest.approx(chance)
        assert roles.loc[(*SINK, "sink")].chance == pytest.approx(chance)
        # The letter at place i, from the second round on, stood (i - 1) // period times before.
        again = range(period + 1, n)
        chance = sum((i - 1) // period / (i + 1) for i in again) / len(again)
        for role in ("duplicate_token", "induction"):
            found = roles.loc[(*PLANTED[role], role)]
            assert (found.chance, found.rows) == (pytest.approx(chance), len(again))

    def test_half_and_half(self, seen):
        roles = analysis.head_roles(seen).set_index(["layer", "head", "role"])
        assert roles.loc[(*HALF, "previous_token")].score == pytest.approx(0.5, abs=1e-5)
        n = len(seen.tokens)
        assert roles.loc[(*HALF, "self")].score == pytest.approx(0.5 + 0.5 / n, abs=1e-5)

    def test_heads_without_a_match_rest_on_the_first_token(self, seen):
        n = len(seen.tokens)
        period = len(set(seen.tokens)) - 1
        for place in (DUPLICATE, INDUCTION):
            assert analysis.sink_share(seen)[place] == pytest.approx(period / (n - 1), abs=1e-5)

    def test_positional_heads(self, seen):
        offsets = analysis.strongest_offset(seen)
        assert offsets.positional[PREVIOUS]
        assert offsets.positional[SELF]
        assert (offsets.offset[PREVIOUS], offsets.offset[SELF]) == (-1, 0)
        assert not offsets.positional[INDUCTION]
        assert not offsets.positional[SINK]

    def test_shapes(self, seen):
        n = len(seen.tokens)
        shapes = analysis.pattern_shapes(seen).set_index(["layer", "head"])
        first_two = sum(min(2, i + 1) / (i + 1) for i in range(n)) / n
        assert shapes.vertical[SINK] == pytest.approx(1 - first_two, abs=1e-5)
        assert shapes.vertical[UNIFORM] == pytest.approx(0, abs=1e-6)
        assert shapes.diagonal[UNIFORM] == pytest.approx(0, abs=1e-6)
        assert shapes.diagonal[PREVIOUS] == shapes.diagonal.max() > 0.7
        assert shapes.block.isna().all()


def test_heads_at_fixed_offsets():
    """Of the model with rotary positions and grouped heads."""
    c = capture(handbuilt.llama(), handbuilt.tokenizer(), handbuilt.random_letters(40))
    offsets = analysis.strongest_offset(c)
    assert offsets.offset[0].tolist() == [-offset for offset in handbuilt.OFFSETS]
    np.testing.assert_array_equal(offsets.rate[0], 1)
    closed = handbuilt.llama_weights(41)
    distance = np.abs(np.subtract.outer(np.arange(41), np.arange(41)))
    np.testing.assert_allclose(analysis.mean_distance(c)[0], (closed * distance).sum(-1).mean(-1), atol=1e-4)


class TestTheSmallModel:
    @pytest.mark.parametrize("seed", range(3))
    def test_it_has_a_previous_token_head_and_induction_heads(self, seed):
        model, tokenizer = small.load()
        c = capture(model, tokenizer, repeated_words(seed))
        roles = analysis.head_roles(c)
        fired = {role: set(zip(found.layer, found["head"], strict=True))
                 for role, found in roles[roles.fires].groupby("role")}  # fmt: skip
        assert fired["previous_token"] == {(0, 2)}
        assert fired["induction"] == {(1, head) for head in range(4)}
        assert "duplicate_token" not in fired
        assert analysis.induction(c)[1].min() > 0.85
        assert analysis.induction(c)[0].max() < 0.2

    def test_untrained_it_has_none(self):
        import torch

        torch.manual_seed(0)
        c = capture(small.build().eval(), small.tokenizer(), repeated_words(0))
        roles = analysis.head_roles(c)
        assert not roles[roles.role.isin(["previous_token", "induction", "duplicate_token"])].fires.any()
