from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnscope import Tokens
from attnscope.errors import InputError, InputTypeError, NotFoundError

WORDPIECES = Tokens.of(["[CLS]", "The", "cat", "the", "play", "##ing", "##s", "cat", ".", "[SEP]"])
BYTES = Tokens.of(["The", "Ġcat", "Ġsat", "Ġun", "believ", "ably", "Ġ", "Ċ", "."])


class TestOf:
    def test_special_tokens_and_words_are_recognised(self):
        assert WORDPIECES.special.tolist() == [True] + [False] * 8 + [True]
        assert WORDPIECES.words.tolist() == [-1, 0, 1, 2, 3, 3, 3, 4, 5, -1]

    def test_tokens_pass_through(self):
        assert Tokens.of(BYTES) is BYTES

    def test_any_iterable_of_strings(self):
        assert list(Tokens.of(piece for piece in ("a", "b"))) == ["a", "b"]
        assert list(Tokens.of(np.array(["a", "b"]))) == ["a", "b"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("the cat", "list of strings, got one string: 'the cat'"),
            ([101, 102], r"got int 101\. For token ids, use tokenizer.convert_ids_to_tokens"),
            (["a", None], "got NoneType None"),
            ([b"a"], "got bytes b'a'"),
        ],
    )
    def test_refusals(self, given, said):
        with pytest.raises(InputTypeError, match=said):
            Tokens.of(given)

    def test_one_entry_per_token(self):
        with pytest.raises(InputError, match="2 tokens but 1 entries in words; give one per token"):
            Tokens(("a", "b"), np.zeros(2, bool), np.zeros(1, np.int32))


class TestSequence:
    def test_it_reads_like_a_list(self):
        assert len(BYTES) == 9
        assert BYTES[1] == " cat"
        assert BYTES[-1] == "."
        assert BYTES[1:3] == (" cat", " sat")
        assert list(BYTES)[:2] == ["The", " cat"]

    def test_a_short_repr(self):
        assert repr(Tokens.of(["a", "b"])) == "Tokens(2: a b)"
        assert repr(Tokens.of(["x"] * 13)) == f"Tokens(13: {' '.join(['x'] * 12)} …)"

    def test_take(self):
        full = Tokens(
            ("a", "b", "c"), np.array([True, False, False]), np.array([-1, 0, 1]), np.array([0, 0, 1]),
            np.array([5, 6, 7]), np.array([[0, 0], [0, 1], [2, 3]]),
        )  # fmt: skip
        some = full.take(np.array([0, 2]))
        assert some.text == ("a", "c")
        assert some.special.tolist() == [True, False]
        assert some.words.tolist() == [-1, 1]
        assert some.segments.tolist() == [0, 1]
        assert some.ids.tolist() == [5, 7]
        assert some.offsets.tolist() == [[0, 0], [2, 3]]
        bare = Tokens.of(["a", "b"]).take(np.array([1]))
        assert bare.segments is bare.ids is bare.offsets is None


class TestFind:
    @pytest.mark.parametrize(
        ("tokens", "wanted", "position"),
        [
            (WORDPIECES, "cat", 2),
            (WORDPIECES, "The", 1),
            (WORDPIECES, "the", 3),
            (WORDPIECES, "THE", 1),
            (WORDPIECES, "[CLS]", 0),
            (WORDPIECES, "[cls]", 0),
            (WORDPIECES, "##ing", 5),
            (WORDPIECES, "ing", 5),
            (WORDPIECES, "playings", 4),
            (WORDPIECES, "Playings", 4),
            (BYTES, "cat", 1),
            (BYTES, " cat", 1),
            (BYTES, "cat ", 1),
            (BYTES, "unbelievably", 3),
            (BYTES, " ", 6),
            (BYTES, "\n", 7),
        ],
    )
    def test_tokens_and_words(self, tokens, wanted, position):
        assert tokens.find(wanted) == position

    def test_occurrences(self):
        assert WORDPIECES.find("cat", 1) == 7
        assert WORDPIECES.find("cat", -1) == 7
        assert WORDPIECES.find("cat", -2) == 2

    @pytest.mark.parametrize("occurrence", [2, -3])
    def test_an_occurrence_too_many(self, occurrence):
        with pytest.raises(
            NotFoundError, match=rf"'cat' occurs 2 times, at positions \[2, 7\].*occurrence {occurrence}"
        ):
            WORDPIECES.find("cat", occurrence)

    def test_near_matches_are_named(self):
        with pytest.raises(NotFoundError, match=r"no token or word 'playin'. Near matches: 'playings', 'play'"):
            WORDPIECES.find("playin")

    def test_without_near_matches_the_tokens_are_named(self):
        with pytest.raises(NotFoundError, match=r"The tokens are '\[CLS\]', 'The', 'cat'"):
            WORDPIECES.find("zzzzzz")
        with pytest.raises(NotFoundError, match="'x19' …"):
            Tokens.of([f"x{i}" for i in range(30)]).find("ö")

    @pytest.mark.parametrize("wanted", ["", None, 3])
    def test_what_cannot_be_found(self, wanted):
        with pytest.raises(InputTypeError, match="non-empty string"):
            WORDPIECES.find(wanted)

    @pytest.mark.parametrize("occurrence", [None, 0.5, "last", True])
    def test_an_occurrence_is_a_number(self, occurrence):
        with pytest.raises(InputTypeError, match="occurrence is a whole number"):
            WORDPIECES.find("cat", occurrence)

    @given(st.lists(st.text("ab #▁", min_size=1, max_size=3), min_size=1, max_size=8), st.data())
    def test_every_token_is_found_by_its_own_text(self, texts, data):
        tokens = Tokens(tuple(texts), np.zeros(len(texts), bool), np.arange(len(texts), dtype=np.int32))
        which = data.draw(st.integers(0, len(texts) - 1))
        found = [tokens.find(texts[which], i) for i in range(texts[: which + 1].count(texts[which]))]
        assert tokens.find(texts[which]) <= which
        assert len(set(found)) == len(found)


class TestPosition:
    @pytest.mark.parametrize(("wanted", "position"), [(0, 0), (-1, 9), (np.int64(3), 3), ("cat", 2), ("play", 4)])
    def test_positions(self, wanted, position):
        assert WORDPIECES.position(wanted) == position

    @pytest.mark.parametrize("wanted", [10, -11])
    def test_outside(self, wanted):
        with pytest.raises(NotFoundError, match=f"no position {wanted}: the 10 tokens have positions 0 to 9"):
            WORDPIECES.position(wanted)

    @pytest.mark.parametrize("wanted", [1.0, True, None, (1,)])
    def test_other_types(self, wanted):
        with pytest.raises(InputTypeError, match="an int or a token as a string"):
            WORDPIECES.position(wanted)


class TestWords:
    def test_pieces_are_joined(self):
        assert WORDPIECES.word_text(3) == "playings"
        assert BYTES.word_text(3) == "unbelievably"
        assert BYTES.word_text(1) == "cat"


class TestMedia:
    GRID = np.array([[-1] * 4, [0, 0, 1, 2], [0, 1, 1, 2]], np.int32)

    def tokens(self, **fields):
        return Tokens(("[CLS]", "patch 0,0", "patch 0,1"), np.array([1, 0, 0], bool), np.array([-1, 0, 1]), **fields)

    def test_patches_and_times_go_with_their_tokens(self):
        times = np.array([[np.nan, np.nan], [0, 0.5], [0.5, 1]], np.float32)
        taken = self.tokens(patches=self.GRID, times=times).take(np.array([0, 2]))
        np.testing.assert_array_equal(taken.patches, self.GRID[[0, 2]])
        np.testing.assert_array_equal(taken.times, times[[0, 2]])

    @pytest.mark.parametrize("field", ["patches", "times"])
    def test_a_wrong_shape_is_refused(self, field):
        with pytest.raises(InputError, match=field):
            self.tokens(**{field: np.zeros((3, 3))})
