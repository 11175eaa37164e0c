"""Names that heads have of their own."""

from dataclasses import replace

import numpy as np
import pytest

from attnscope import Capture, from_attentions, load
from attnscope.attention.head_names import require_names
from attnscope.errors import InputError, InputTypeError
from attnscope.wire.describe import describe


@pytest.fixture
def capture():
    given = from_attentions([None, np.full((2, 3, 3), 1 / 3), np.full((1, 3, 3), 1 / 3)], ["a", "b", "c"])["self"]
    return Capture({"self": replace(given, head_names={1: ["5.3", "7.1"], 2: ["<b>"]})})


def test_they_reach_the_page_in_the_order_of_layers(capture):
    assert describe(capture)["kinds"][0]["names"] == [["5.3", "7.1"], ["<b>"]]
    unnamed = Capture({"self": replace(capture["self"], head_names={})})
    assert "names" not in describe(unnamed)["kinds"][0]


def test_they_are_saved(capture, tmp_path):
    capture.save(tmp_path / "c.safetensors")
    assert load(tmp_path / "c.safetensors")["self"].head_names == capture["self"].head_names


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({1: ["a", "b"]}, InputError, r"layers \[1\], but there are layers \[1, 2\]"),
        ({1: ["a"], 2: ["c"]}, InputError, "1 names for the 2 heads of layer 1"),
        ({1: ["a", "b"], 2: ["b"]}, InputError, "Two heads have the name 'b'"),
        ({1: ["a", 3], 2: ["c"]}, InputTypeError, "got 3 in layer 1"),
        ({1: ["a", " "], 2: ["c"]}, InputTypeError, "got ' ' in layer 1"),
    ],
)
def test_names_that_do_not_tell_heads_apart(names, error, message):
    with pytest.raises(error, match=message):
        require_names(names, {1: 2, 2: 1})


def test_a_capture_refuses_them(capture):
    with pytest.raises(InputError, match="names tell heads apart"):
        replace(capture["self"], head_names={1: ["a", "a"], 2: ["c"]})
