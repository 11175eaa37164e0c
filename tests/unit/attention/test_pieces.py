from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from attnscope.attention.pieces import looks_special, read_byte_level, readable, words_of

ENCODE = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def byte_pieces(text):
    """The characters a byte-level tokenizer writes for the text's bytes."""
    return ENCODE.pre_tokenize_str(text)[0][0]


class TestByteLevel:
    @pytest.mark.parametrize("text", [" cat", "é", "naïve", "日本語", "😀", "\n", "\t", "\x00", "a\u00a0b", "ÿ¬®"])
    def test_whole_characters(self, text):
        assert read_byte_level(byte_pieces(text)) == text

    @given(st.text(min_size=1))
    def test_any_text_comes_back(self, text):
        assert read_byte_level(byte_pieces(text)) == text

    def test_halves_of_a_character_show_their_bytes(self):
        encoded = byte_pieces("😀")
        assert len(encoded) == 4
        assert read_byte_level(encoded[:2]) == "<0xF0><0x9F>"
        assert read_byte_level(encoded[2:]) == "<0x98><0x80>"
        assert read_byte_level(byte_pieces("aé")[:2]) == "a<0xC3>"
        assert read_byte_level(byte_pieces("日")[:1]) == "<0xE6>"

    def test_what_is_not_of_the_alphabet_stays(self):
        assert read_byte_level("日") == "日"
        assert read_byte_level("a b") == "a b"

    @given(st.binary(min_size=1, max_size=6))
    def test_no_bytes_can_break_it(self, raw):
        piece = "".join(byte_pieces(chr(byte)) if byte < 128 else byte_pieces(chr(byte))[-1] for byte in raw)
        read_byte_level(piece).encode("utf-8")


class TestReadable:
    def test_byte_level_is_guessed_from_its_marks(self):
        assert readable(["cafÃ©", "Ġau", "Ċ"]) == ["café", " au", "\n"]

    def test_without_marks_nothing_is_decoded(self):
        assert readable(["cafÃ©", "au"]) == ["cafÃ©", "au"]

    def test_what_the_tokenizer_says_goes_first(self):
        assert readable(["cafÃ©"], byte_level=True) == ["café"]
        assert readable(["Ġcat"], byte_level=False) == ["Ġcat"]

    def test_special_tokens_of_byte_level_tokenizers_stay(self):
        assert readable(["<|endoftext|>", "Ġa"]) == ["<|endoftext|>", " a"]

    def test_sentencepiece(self):
        assert readable(["▁The", "▁", "cat", "▁▁x", "<0xE6>"]) == [" The", " ", "cat", "  x", "<0xE6>"]

    def test_wordpiece(self):
        assert readable(["play", "##ing"]) == ["play", "##ing"]


@pytest.mark.parametrize(
    ("piece", "special"),
    [
        ("[CLS]", True), ("[sep]", True), ("[MASK]", True), ("</s>", True), ("<s>", True), ("<pad>", True),
        ("<|endoftext|>", True), ("<|im_start|>", True), ("CLS", False), ("[cat]", False), ("<b>", False),
        ("x[CLS]", False), ("<|a|b|>", False), ("", False), ("[", False),
    ],
)  # fmt: skip
def test_what_looks_special(piece, special):
    assert looks_special(piece) is special


class TestWordsOf:
    @staticmethod
    def words(*texts, special=()):
        return words_of(texts, np.array([i in special for i in range(len(texts))], bool)).tolist()

    def test_hashes_continue_a_word(self):
        assert self.words("[CLS]", "play", "##ing", "now", special=[0]) == [-1, 0, 0, 1]

    def test_spaces_begin_a_word(self):
        assert self.words("un", "believ", "able", " cat", "s", " sat") == [0, 0, 0, 1, 1, 2]

    def test_without_spaces_or_hashes_every_token_is_a_word(self):
        assert self.words("the", "cat", "sat") == [0, 1, 2]

    def test_a_special_token_ends_a_word(self):
        assert self.words("##a", "</s>", "##b", " c", special=[1]) == [0, -1, 1, 2]

    def test_newlines_are_white_space(self):
        assert self.words("a", "\n", "b", " c") == [0, 1, 1, 2]

    def test_nothing(self):
        assert self.words() == []
        assert self.words("[CLS]", special=[0]) == [-1]


def test_pieces_that_mark_the_end_of_a_word():
    pieces = ["<|startoftext|>", "a</w>", "cat", "fish</w>", "cafÃ©</w>", "!</w>", "<|endoftext|>"]
    text = readable(pieces, byte_level=True)
    assert text == ["<|startoftext|>", " a", " cat", "fish", " café", " !", "<|endoftext|>"]
    special = np.array([looks_special(piece) for piece in pieces])
    assert words_of(text, special).tolist() == [-1, 0, 1, 1, 2, 3, -1]
