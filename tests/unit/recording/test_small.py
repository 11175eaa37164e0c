"""The small model that ships with the package does what it was trained for."""

import numpy as np

from attnscope import analysis, capture
from attnscope.recording import small
from attnscope.recording.small.train import accuracy, train

SENTENCE = "the cat saw a small red bird near the old house . the cat saw a small red bird near the old house ."


def test_it_foretells_what_repeats():
    model, _ = small.load()
    assert accuracy(model) > 0.98


def test_it_is_small():
    assert small.WEIGHTS.stat().st_size < 1_000_000


def test_its_heads_look_back_and_copy():
    model, tokenizer = small.load()
    c = capture(model, tokenizer, SENTENCE)
    previous = analysis.previous_token(c)
    assert previous[0].max() > 0.9
    assert previous[1].max() < 0.3
    hit = analysis.find_heads(c, c.find("small", 1), c.find("red", 0), direction="forward", k=1)[0]
    assert hit.layer == 1
    assert hit.weight > 0.9
    assert hit.rank == 1


def test_unknown_words_and_the_start_token_are_special():
    _, tokenizer = small.load()
    assert tokenizer("the cat").input_ids[0] == tokenizer.bos_token_id
    assert np.unique(tokenizer(" ".join(small.WORDS)).input_ids).size == len(small.WORDS) + 1


def test_training_can_be_watched():
    seen = []
    first = train(steps=2, watch=lambda step, model: seen.append((step, model.lm_head.weight.detach().clone())))
    assert [step for step, _ in seen] == [0, 1, 2]
    assert not (seen[0][1] == seen[1][1]).all()
    assert (seen[2][1] == first.lm_head.weight).all()
    assert (train(steps=2).lm_head.weight == first.lm_head.weight).all()
