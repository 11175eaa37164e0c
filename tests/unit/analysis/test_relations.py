"""Relations between words: reading them, finding them among tokens, scoring heads on them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from attnscope import from_attentions
from attnscope.analysis import entity_heads, relation_heads
from attnscope.analysis.parses import words_and_links
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError, NotFoundError
from tests.unit.analysis import maps

PIECES = ["[CLS]", "the", "play", "##er", "slowly", "saw", "don", "'", "t", "[SEP]"]
CONLLU = """# a sentence
1\tThe\t_\t_\t_\t_\t2\tdet\t_\t_
2\tplayer\t_\t_\t_\t_\t4\tnsubj\t_\t_
3\tslowly\t_\t_\t_\t_\t4\tadvmod\t_\t_
4\tsaw\t_\t_\t_\t_\t0\troot\t_\t_

1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\t_\t_\t_\t_\t0\troot\t_\t_
2\tn't\t_\t_\t_\t_\t1\tadvmod\t_\t_
"""


def looking(n, **places):
    """One head per keyword; each says where queries look, others look at the first token."""
    heads = []
    for looks in places.values():
        weights = np.zeros((n, n), np.float32)
        weights[:, 0] = 1
        for i, j in looks.items():
            weights[i] = 0
            weights[i, j] = 1
        heads.append(weights)
    return np.stack(heads)


class TestReading:
    def places(self, words):
        return [place.tolist() for place in words.positions]

    def test_conllu(self):
        words = words_and_links(Tokens.of(PIECES), CONLLU)
        # "n't" begins inside the piece "don", which belongs to "do"; what is left of it is "'" and "t".
        assert self.places(words) == [[1], [2, 3], [4], [5], [6], [7, 8]]
        assert words.links == [(0, 1, "det"), (1, 3, "nsubj"), (2, 3, "advmod"), (5, 4, "advmod")]

    def test_mappings(self):
        parsed = [
            {"id": 1, "form": "the", "head": 2, "deprel": "det"},
            {"id": (1, 2), "form": "passed over", "head": None, "deprel": "_"},
            {"id": 2, "form": "PLAYER", "head": 0, "deprel": "root"},
        ]
        words = words_and_links(Tokens.of(PIECES[:4]), parsed)
        assert self.places(words) == [[1], [2, 3]]
        assert words.links == [(0, 1, "det")]

    def test_a_spacy_doc(self):
        class Doc(list):
            sents = vocab = None

        def word(text, head, name):
            return SimpleNamespace(text=text, head=SimpleNamespace(i=head), dep_=name)

        words = words_and_links(Tokens.of(PIECES[:4]), Doc([word("The", 1, "det"), word("player", 1, "ROOT")]))
        assert words.links == [(0, 1, "det")]

    def test_pairs_of_positions_tokens_and_words(self):
        tokens = Tokens.of(PIECES)
        for pair in ((1, 3), ("the", "player"), (1, "##er")):
            words = words_and_links(tokens, [pair])
            assert words.links == [(0, 1, "given")]
        assert words_and_links(tokens, [(1, 2, "det")]).links == [(0, 1, "det")]

    @pytest.mark.parametrize(
        ("relations", "error", "message"),
        [
            ([(1,)], InputTypeError, r"\(dependent, head\)"),
            (["ab"], InputTypeError, r"got 'ab'"),
            (3, InputTypeError, "got int"),
            ([(0, 1)], InputError, "is special"),
            ([(1, 99)], NotFoundError, "no position 99"),
            ([{"form": "the"}], InputError, "'head' is missing"),
            ("1 the", InputError, "2 of 10 fields"),
            ("# nothing", InputError, "no word"),
            (CONLLU.replace("slowly", "fast"), InputError, "another text: token 4, 'slowly'"),
            (CONLLU + CONLLU, InputError, "goes on where the tokens end"),
        ],
    )
    def test_what_is_refused(self, relations, error, message):
        with pytest.raises(error, match=message):
            words_and_links(Tokens.of(PIECES), relations)


class TestScores:
    TOKENS = ("[CLS]", *"abcdefgh")

    def test_a_head_that_follows_the_relation(self):
        pairs = [("a", "c"), ("d", "e"), ("g", "f"), ("b", "h")]
        right = {self.TOKENS.index(d): self.TOKENS.index(h) for d, h in pairs}
        back = {h: d for d, h in right.items()}
        c = from_attentions([looking(9, right=right, back=back, shifted={i: i + 1 for i in range(8)})], self.TOKENS)
        table = relation_heads(c, pairs).set_index(["direction", "head"])
        assert table.accuracy["to head", 0] == table.mass["to head", 0] == 1
        assert table.accuracy["to dependent", 1] == 1
        assert table.accuracy["to dependent", 0] == table.accuracy["to head", 1] == 0
        assert table.accuracy["to head", 2] == table.baseline["to head", 2] == 1 / 4
        assert table.beats["to head", 0]
        assert not table.beats["to head", 2]
        assert table.chance["to head", 0] == pytest.approx(1 / 7)
        assert (table.pairs == 4).all()

    def test_the_baseline_is_the_best_offset(self):
        c = from_attentions([maps.random_rows(2, 9, 9)], self.TOKENS)
        table = relation_heads(c, [("a", "c"), ("b", "d"), ("e", "d"), ("f", "h")])
        head, dependent = (table[table.direction == f"to {end}"] for end in ("head", "dependent"))
        assert (head.offset == 2).all()
        assert (head.baseline == 0.75).all()
        # "d" is the head of two: one of them stands 2 before it, and guessing that is right for it too.
        assert (dependent.offset == -2).all()
        assert (dependent.baseline == 1).all()
        assert (dependent.pairs == 3).all()

    def test_by_loops(self):
        weights = maps.random_rows(4, 10, 10)
        c = from_attentions([weights], PIECES)
        table = relation_heads(c, CONLLU).set_index(["relation", "direction", "head"])
        words = [[1], [2, 3], [4], [5], [6], [7, 8]]
        for head in range(4):
            rows = np.array([[weights[head][np.ix_(a, b)].sum(1).mean() for b in words] for a in words])
            np.fill_diagonal(rows, 0)
            shares = rows / rows.sum(1, keepdims=True)
            assert table.mass["nsubj", "to head", head] == pytest.approx(shares[1, 3], rel=1e-5)
            advmod = [(2, 3), (5, 4)]
            accuracy = np.mean([rows[d].argmax() == h for d, h in advmod])
            assert table.accuracy["advmod", "to head", head] == accuracy
            assert table.mass["advmod", "to head", head] == pytest.approx(
                np.mean([shares[d, h] for d, h in advmod]), rel=1e-5
            )

    def test_a_causal_head_is_not_asked_for_what_it_cannot_see(self):
        c = from_attentions([maps.random_rows(1, 9, 9, causal=True)], self.TOKENS)
        table = relation_heads(c, [("a", "c"), ("f", "d"), ("h", "g")]).set_index("direction")
        assert table.pairs.to_dict() == {"to head": 2, "to dependent": 1}
        # "f" sees a to e besides itself, "h" a to g; "c" sees a and b.
        assert table.chance["to head"] == pytest.approx((1 / 5 + 1 / 7) / 2)
        with pytest.raises(InputError, match="No word sees"):
            relation_heads(maps.uniform(4, mask=np.eye(4, dtype=bool)), [(1, 2)])

    def test_several_texts_add_up(self):
        one, two = (from_attentions([maps.random_rows(3, 9, 9, seed=s)], self.TOKENS) for s in (1, 2))
        pairs = [[("a", "c"), ("e", "d")], [("b", "g")]]
        both = relation_heads([one, two], pairs).set_index(["direction", "head"])
        alone = [relation_heads(c, p).set_index(["direction", "head"]) for c, p in zip((one, two), pairs, strict=True)]
        for place in both.index:
            hits = sum(table.accuracy[place] * table.pairs[place] for table in alone)
            assert both.accuracy[place] == pytest.approx(hits / 3)
            assert both.pairs[place] == 3
        with pytest.raises(InputError, match="2 captures and 1"):
            relation_heads([one, two], pairs[:1])

    def test_the_best_few(self):
        c = from_attentions([maps.random_rows(4, 9, 9)] * 2, self.TOKENS)
        table = relation_heads(c, [("a", "c"), ("b", "g")], k=3)
        assert len(table) == 6
        for _, found in table.groupby("direction"):
            assert found.accuracy.is_monotonic_decreasing
        with pytest.raises(InputError, match="k is the number"):
            relation_heads(c, [("a", "c")], k=0)


class TestEntities:
    def test_shares_and_chance(self):
        weights = maps.random_rows(2, 7, 7)
        c = from_attentions([weights], ["[CLS]", *"abcdef"])
        table = entity_heads(c, [(1, 3), (5, 6)])
        for head in range(2):
            a = weights[head]
            outside = a[[0, 3, 4, 6]][:, [1, 2, 5]].sum(1).mean()
            assert table.share[head] == pytest.approx(outside, rel=1e-5)
            assert table.within[head] == pytest.approx((a[1, 2] + a[2, 1]) / 2, rel=1e-5)
        assert table.share_chance[0] == pytest.approx(3 / 7)
        assert table.within_chance[0] == pytest.approx(1 / 7)

    @pytest.mark.parametrize("spans", [[(2, 2)], [(-1, 2)], [(1, 9)], [(1, 3), (2, 4)]])
    def test_wrong_spans(self, spans):
        with pytest.raises(InputError, match="A span is"):
            entity_heads(maps.uniform(7), spans)
