"""Alignments from cross-attention, held against links that are known."""

import numpy as np
import pytest

from attnscope import AttnscopeError, Tokens, from_attentions
from attnscope.analysis import alignment, alignment_error_rate, parse_links, read_links

SOURCE = ["the", "red", "cat", "</s>"]
TARGET = ["<s>", "le", "chat", "rouge"]
GOLD = {(0, 0), (2, 1), (1, 2)}


def cross(*rows, source=SOURCE, target=TARGET):
    """One layer; each head's rows given as the key every query looks at."""
    weights = np.stack([0.9 * np.eye(len(source))[list(row)] + 0.1 / len(source) for row in rows])
    return from_attentions([weights.astype("f4")], target, key_tokens=source, kind="cross")


def test_the_row_that_writes_a_word_and_the_row_that_reads_it():
    c = cross([0, 2, 1, 3])  # the start token looks at "the" to write "le", "le" at "cat" to write "chat" …
    written, read = alignment(c, 0, 0), alignment(c, 0, 0, reading="read")
    assert written.links == GOLD
    assert written.words() == [("le", "the"), ("chat", "cat"), ("rouge", "red")]
    assert written.pharaoh() == "0-0 2-1 1-2"
    assert read.links == {(2, 0), (1, 1)}
    assert read.words()[2] == ("rouge", None)  # it looks at the end token
    assert alignment(c, 0, 0, reading="read", content=True).links >= read.links
    np.testing.assert_allclose(written.weights, c.weights(0, 0)[:3, :3], atol=1e-6)
    np.testing.assert_allclose(read.weights, c.weights(0, 0)[1:, :3], atol=1e-6)


def test_both_readings_have_their_error_rate():
    frame = alignment_error_rate(cross([0, 2, 1, 3], [1, 2, 1, 0]), GOLD)
    found = {(row.reading, row.head): row for row in frame.itertuples() if row.layer == 0}
    assert found["predicted", 0].error_rate == 0
    assert found["predicted", 0].links == found["predicted", 0].sure == 3
    assert found["read", 0].error_rate == 1  # (2,0), (1,1): neither is right
    assert found["predicted", 1].error_rate == pytest.approx(1 - 4 / 6)
    assert found["predicted", 1].precision == found["predicted", 1].recall == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("sure", "possible", "rate", "precision", "recall"),
    [
        ({(0, 0), (2, 1), (1, 2)}, None, 0, 1, 1),  # A = S
        ({(0, 0)}, {(2, 1), (1, 2)}, 0, 1, 1),  # A = S ∪ P
        ({(1, 0), (1, 1)}, None, 1, 0, 0),  # disjoint
        ({(0, 0), (0, 1)}, {(2, 1)}, 1 - (1 + 2) / (3 + 2), 2 / 3, 1 / 2),
        ("0-0 2p1 1p2", None, 0, 1, 1),
        ("0-0", "2p1 1-2", 0, 1, 1),
        (set(), None, 1, 0, np.nan),
    ],
)
def test_the_rate_is_och_and_ney_s(sure, possible, rate, precision, recall):
    row = alignment_error_rate(cross([0, 2, 1, 3]), sure, possible).iloc[0]
    assert row["error_rate"] == pytest.approx(rate)
    assert row["precision"] == pytest.approx(precision)
    assert row["recall"] == pytest.approx(recall, nan_ok=True)


def test_links_are_counted_over_all_sentences():
    right, wrong = cross([0, 2, 1, 3]), cross([1, 1, 1, 1])
    frame = alignment_error_rate([right, right, wrong], [GOLD] * 3)
    first = frame.iloc[0]
    assert (first["links"], first["sure"]) == (9, 9)
    assert first["error_rate"] == pytest.approx(1 - 2 * 7 / 18)
    assert frame["layer"].tolist() == [0, 0, "mean"] * 2
    assert frame["head"].tolist() == [0, "mean", "mean"] * 2


def test_pieces_are_added_over_keys_and_averaged_over_rows():
    source = Tokens(("un", "##happy", "cat", "</s>"), np.array([False] * 3 + [True]), np.array([0, 0, 1, -1], np.int32))
    target = Tokens(
        ("<s>", "mal", "heureux", "chat"), np.array([True] + [False] * 3), np.array([-1, 0, 0, 1], np.int32)
    )
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(4), size=(2, 4)).astype("f4")
    c = from_attentions([weights], target, key_tokens=source, kind="cross")
    for reading, rows in (("predicted", [[0, 1], [2]]), ("read", [[1, 2], [3]])):
        for head in range(2):
            w = weights[head]
            literal = [[w[row][:, [0, 1]].sum(1).mean(), w[row][:, 2].mean()] for row in rows]
            found = alignment(c, 0, head, reading=reading)
            np.testing.assert_allclose(found.weights, literal, atol=1e-6)
            assert found.source == ("unhappy", "cat")
            ends = [w[row][:, 3].mean() for row in rows]
            expected = {(int(np.argmax(row)), at) for at, row in enumerate(literal) if max(row) >= ends[at]}
            assert found.links == expected
    mean = alignment(c, 0).weights
    np.testing.assert_allclose(mean, np.mean([alignment(c, 0, head).weights for head in range(2)], axis=0), atol=1e-6)


def test_a_first_word_without_a_row_before_it_has_no_link():
    c = cross([0, 2, 1], target=["le", "chat", "rouge"])
    found = alignment(c, 0, 0)
    assert np.isnan(found.weights[0]).all()
    assert found.links == {(0, 1), (2, 2)}


def test_files_of_links(tmp_path):
    assert parse_links("0-0 2p1 ") == ({(0, 0)}, {(0, 0), (2, 1)})
    assert parse_links("1-1 3-2", first=1).sure == {(0, 0), (2, 1)}
    path = tmp_path / "gold.txt"
    path.write_text("0-0 2-1 1-2\n\n0p1\n")
    gold = read_links(path)
    assert [len(each.sure) for each in gold] == [3, 0, 0]
    assert gold[2].possible == {(0, 1)}
    frame = alignment_error_rate([cross([0, 2, 1, 3])] * 3, gold)
    assert frame.iloc[0]["sure"] == 3
    assert parse_links(alignment(cross([0, 2, 1, 3]), 0).pharaoh()).sure == GOLD
    with pytest.raises(AttnscopeError, match="'2:1'"):
        parse_links("0-0 2:1")
    with pytest.raises(AttnscopeError, match="before the first word"):
        parse_links("0-0", first=1)


def test_what_cannot_be_aligned_is_refused():
    c = cross([0, 2, 1, 3])
    with pytest.raises(AttnscopeError, match="'predicted'"):
        alignment(c, reading="AWO")
    with pytest.raises(AttnscopeError, match="no meaning across layers"):
        alignment(c, head=0)
    with pytest.raises(AttnscopeError, match="one set each"):
        alignment_error_rate([c, c], [GOLD])
    with pytest.raises(AttnscopeError, match=r"joins words \(9, 0\)"):
        alignment_error_rate(c, {(9, 0)})
    with pytest.raises(AttnscopeError, match="Links are pairs"):
        alignment_error_rate([c], [[3, 4]])
    with pytest.raises(AttnscopeError, match="0 and 3 words"):
        alignment(from_attentions([np.full((1, 1, 4), 0.25, "f4")], ["<s>"], key_tokens=SOURCE, kind="cross"))
