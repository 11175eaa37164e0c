"""The small translator that ships with the package: it translates, and its words go where they should."""

import numpy as np
import pytest

from attnscope import capture
from attnscope.analysis import alignment, alignment_error_rate
from attnscope.recording import translator
from attnscope.recording.translator.train import accuracy

UNSEEN = 10**9


@pytest.fixture(scope="module")
def loaded():
    return translator.load()


def test_it_translates(loaded):
    model, tokenizer = loaded
    assert accuracy(model, UNSEEN) > 0.99
    for pair in translator.sentences(5, UNSEEN):
        written = model.generate(**tokenizer(pair.english, return_tensors="pt"), max_new_tokens=12, num_beams=1)
        assert tokenizer.decode(written[0], skip_special_tokens=True) == pair.french


def test_it_is_small():
    assert translator.WEIGHTS.stat().st_size < 300_000


def test_its_sentences_follow_the_rule():
    for pair in translator.sentences(50):
        english, french = pair.english.split(), pair.french.split()
        assert sorted(i for i, _ in pair.links) == sorted(j for _, j in pair.links) == list(range(len(english)))
        assert all(translator.FRENCH[english[i]] == french[j] for i, j in pair.links)
    assert any(i != j for pair in translator.sentences(50) for i, j in pair.links)
    assert translator.sentences(3) == translator.sentences(3)
    assert translator.sentences(3) != translator.sentences(3, seed=1)


def test_the_row_that_writes_a_word_finds_the_word_it_translates(loaded):
    pairs = translator.sentences(50, UNSEEN)
    captures = capture(*loaded, [pair.english for pair in pairs], target=[pair.french for pair in pairs])
    frame = alignment_error_rate(captures, [pair.links for pair in pairs])
    mean = frame[(frame["layer"] == 1) & (frame["head"] == "mean")].set_index("reading")
    assert mean.loc["predicted", "error_rate"] < 0.01
    assert mean.loc["read", "error_rate"] > 0.9
    single = frame[(frame["layer"] == 1) & (frame["head"] != "mean") & (frame["reading"] == "predicted")]
    assert (single["error_rate"] < 0.1).all()
    assert (single["precision"] > 0.95).all()
    assert all(alignment(c, 1).links == pair.links for c, pair in zip(captures, pairs, strict=True))
    assert np.isfinite(frame["error_rate"]).all()
