"""Texts read again by their numbers, and captured to be looked at."""

import json

import numpy as np
import pytest
import torch

from attnscope import analysis, profile
from attnscope.errors import InputError, InputTypeError, NotFoundError
from attnscope.profiling.opening import capture_text, require_model_of
from attnscope.profiling.reading import Texts
from tests.unit.profiling.corpus import HEADS, LAYERS, bert, pair, texts

SMALL = {"progress": False, "batch_size": 4}


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(json.dumps({"said": text}) for text in texts()[:20]))
    return path


def test_texts_of_a_list_a_file_and_anything_gone_through_again_are_the_same(lines):
    given = texts()[:20]
    wanted = {7: given[7], 3: given[3]}
    assert Texts(given).some([7, 3]) == wanted
    assert Texts(lines, column="said").some([7, 3]) == wanted
    assert Texts(dict.fromkeys(given).keys()).some([0]) == {0: given[0]}
    assert Texts([{"text": text} for text in given])[7] == given[7]


def test_numbers_begin_where_the_profile_began():
    given = texts()[:20]
    assert Texts(given, first=100)[103] == given[3]
    assert Texts(given, first=100).some([3]) == {}


def test_texts_that_are_not_there_are_left_out_or_refused(lines):
    assert Texts(lines, column="said").some([3, 99]) == {3: texts()[3]}
    assert Texts(["a"]).some([0, 99, -1]) == {0: "a"}
    with pytest.raises(NotFoundError, match="no text 99"):
        Texts(lines, column="said")[99]


@pytest.mark.parametrize("given", [iter(["a"]), (text for text in ["a"]), 7, {"a": 1}])
def test_what_cannot_be_read_again_is_refused(given):
    with pytest.raises(InputTypeError, match="texts is"):
        Texts(given)


def test_a_listed_text_shows_what_it_is_listed_for():
    model, tokenizer = pair("bert")
    given = texts()[:24]
    found = profile(model, tokenizer, given, **SMALL)
    subject = require_model_of(found, model, tokenizer)
    for layer, head in ((0, 1), (LAYERS - 1, HEADS - 1)):
        for hit in found.strongest("sink_share", layer, head)[:2]:
            seen = capture_text(found, subject, given[hit.text], "sink_share", layer, head)
            assert analysis.sink_share(seen)[layer, head] == pytest.approx(hit.value, abs=1e-5)


def test_of_a_text_run_in_pieces_the_strongest_piece_is_opened():
    model, tokenizer = pair("bert")
    long = " ".join(texts()[:6])
    found = profile(model, tokenizer, [long], max_tokens=16, too_long="split", **SMALL)
    assert found.n_pieces > 3
    subject = require_model_of(found, model, tokenizer)
    seen = capture_text(found, subject, long, "entropy", 1, 2)
    value = analysis.entropy(seen)[1, 2]
    assert len(seen.tokens) <= 16
    assert value > found.mean("entropy")[1, 2], "a piece with less than the mean of all was opened"


def test_another_model_is_refused():
    model, tokenizer = pair("bert")
    found = profile(model, tokenizer, texts()[:4], **SMALL)
    torch.manual_seed(1)
    other = type(bert())(bert().config).eval()
    with pytest.raises(InputError, match="other weights"):
        require_model_of(found, other, tokenizer)
    assert np.isfinite(found.mean("entropy")).all()
