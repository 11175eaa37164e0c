"""profile(): the statistics of many texts, beside those of each text alone."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from attnscope import HeadProfile, analysis, capture, profile
from attnscope.analysis.rows import head_sums
from attnscope.analysis.statistics import STATISTICS, measures_of
from attnscope.analysis.sums import Sums
from attnscope.errors import InputError, InputTypeError, ModelError, NotFoundError
from attnscope.profiling.engines import Engine
from attnscope.profiling.shard import run_shard
from tests.unit.profiling.corpus import LONGEST, pair, texts

QUIET = {"progress": False}


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def model(request):
    return pair(request.param)


@pytest.fixture(scope="module")
def few(model):
    return profile(*model, texts()[:24], **QUIET)


class TestNumbers:
    @pytest.mark.parametrize("content", [False, True])
    def test_means_are_those_of_each_text_alone(self, model, content):
        some = [*texts()[:12], "a a a a"]
        made = profile(*model, some, content=content, **QUIET)
        sums, chances, means = {}, {}, {name: [] for name in STATISTICS}
        for text in some:
            alone = capture(*model, text)
            measures = measures_of(alone, None)
            for name, found in head_sums(alone, measures, content=content).items():
                sums[name] = sums.get(name, Sums.none(2, 4)) + found
                means[name].append(found.mean)
            for name, found in head_sums(alone, measures, chance=True, content=content).items():
                chances[name] = chances.get(name, Sums.none(2, 4)) + found
        shown = {name for name in sums if sums[name].count.any()}
        assert {name for name in made.statistics if not name.endswith("_hit")} == shown
        assert len(shown) >= (10 if content else 13)
        for name in shown:
            assert np.array_equal(made.rows(name), sums[name].count)
            np.testing.assert_allclose(made.mean(name), sums[name].mean, rtol=2e-5, atol=2e-6)
            np.testing.assert_allclose(made.spread(name), sums[name].spread, rtol=1e-3, atol=2e-4)
            np.testing.assert_allclose(made.level(name), chances[name].mean[:, 0], rtol=2e-5, atol=2e-6)
            by_text = np.nanmean([mean.astype(np.float64) for mean in means[name]], axis=0)
            np.testing.assert_allclose(made.mean(name, by="texts"), by_text, rtol=2e-5, atol=2e-6)
            spread = np.nanstd([mean.astype(np.float64) for mean in means[name]], axis=0)
            np.testing.assert_allclose(made.spread(name, by="texts"), spread, rtol=1e-3, atol=2e-4)

    def test_hits_and_roles_are_those_of_each_text_alone(self, model):
        some = texts()[:6]
        made = profile(*model, some, **QUIET)
        hits = sum(
            (analysis.pattern_score(capture(*model, text), "previous_token") for text in some[1:]),
            analysis.pattern_score(capture(*model, some[0]), "previous_token"),
        )
        np.testing.assert_allclose(made.mean("previous_token_hit"), hits.hit, atol=1e-6)
        assert 0 < hits.hit.min() < hits.hit.max() < 1
        one = profile(*model, some[:1], **QUIET).roles()
        alone = analysis.head_roles(capture(*model, some[0]))
        alone = alone[alone.role != "broad"]
        merged = one.merge(alone, on=["layer", "head", "role"])
        assert len(merged) == len(alone) == len(one)
        for column in ("score", "hit", "chance", "margin"):
            np.testing.assert_allclose(merged[f"{column}_x"], merged[f"{column}_y"], atol=1e-5)
        assert (merged.rows_x == merged.rows_y).all()
        assert (merged.fires_x == merged.fires_y).all()

    def test_the_strongest_texts_are_those_found_one_by_one(self, model, few):
        alone = np.array([analysis.statistic(capture(*model, text), "max_weight") for text in texts()[:24]])
        for layer, head in ((0, 0), (1, 3)):
            hits = few.strongest("max_weight", layer, head)
            assert [hit.text for hit in hits] == np.argsort(-alone[:, layer, head], kind="stable")[:5].tolist()
            np.testing.assert_allclose(
                [hit.value for hit in hits], alone[[h.text for h in hits], layer, head], atol=1e-5
            )

    def test_batches_with_padding_give_what_one_by_one_gives(self, model, few):
        single = profile(*model, texts()[:24], batch_size=1, **QUIET)
        assert single.n_tokens == few.n_tokens
        for name in few.statistics:
            assert np.array_equal(single.rows(name), few.rows(name))
            if not name.endswith("_hit"):  # a strongest key may change with the last digit
                np.testing.assert_allclose(single.mean(name), few.mean(name), rtol=1e-5, atol=2e-6)

    def test_the_same_again(self, model, few):
        assert profile(*model, iter(texts()[:24]), **QUIET) == few

    def test_chosen_statistics_and_layers(self, model, few):
        made = profile(*model, texts()[:24], statistics=["sink_share", "entropy"], layers=[1], **QUIET)
        assert made.layers == (1,)
        assert made.statistics == ("sink_share", "entropy")
        assert np.array_equal(made.mean("entropy")[0], few.mean("entropy")[1])

    def test_counts(self, model, few):
        assert (few.n_texts, few.n_pieces, few.n_cut, few.skipped) == (24, 24, 0, ())
        assert few.n_tokens == sum(len(capture(*model, text).tokens) for text in texts()[:24])
        assert few.ranges == ((0, 24),)

    def test_no_padding_token(self, few, model):
        from tests.models.words import byte_level

        if type(model[0]).__name__ == "GPT2Model":
            made = profile(model[0], byte_level(padding=False), texts()[:4], **QUIET)
            expected = profile(*model, texts()[:4], batch_size=1, **QUIET)
            assert made.heads.same(expected.heads)


class TestSplitAndMerge:
    def test_parts_merge_to_the_whole_in_any_order(self, model):
        some = {"batch_size": 1, "statistics": ["entropy", "induction", "sink_share_hit"], **QUIET}
        whole = profile(*model, texts()[:50], **some)
        edges = [0, 16, 24, 40, 50]  # where shards of 8 texts end
        parts = [profile(*model, texts()[a:b], first=a, **some) for a, b in pairwise(edges)]
        a, b, c, d = parts
        assert a.merge(b).merge(c).merge(d) == whole
        assert d.merge(b).merge(a.merge(c)) == whole
        assert a.merge(b) == b.merge(a) != a

    def test_a_text_is_never_counted_twice(self, few):
        with pytest.raises(InputError, match=r"Both profiles count text 0.*first="):
            few.merge(few)

    def test_other_models_and_settings_do_not_merge(self, few, model):
        other = profile(*model, texts()[40:48], first=40, strongest=2, **QUIET)
        with pytest.raises(InputError, match=r"different settings: strongest \(5 and 2\)"):
            few.merge(other)
        stranger = pair("gpt2" if type(model[0]).__name__ == "BertModel" else "bert")
        with pytest.raises(InputError, match="different models"):
            few.merge(profile(*stranger, texts()[40:48], first=40, **QUIET))

    def test_parts_where_all_texts_failed(self, few, model):
        nothing = run_shard(*_shard(model, 40, ["", " "], errors="skip"))
        both = few_with(few, errors="skip").merge(nothing)
        assert both.heads.same(few.heads)
        assert [skipped.text for skipped in both.skipped] == [40, 41]
        assert nothing.merge(few_with(few, errors="skip")) == both


def few_with(profile, **settings):
    from dataclasses import replace

    return replace(profile, settings=replace(profile.settings, **settings))


def _shard(model, start, some, **settings):
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import Shard
    from attnscope.profiling.subject import Subject

    return Subject(*model).load(), Shard(start, tuple(some)), Settings(threads=torch.get_num_threads(), **settings)


class TestErrors:
    def test_a_text_that_fails_is_named(self, model):
        with pytest.raises(InputError, match=r"Text 2 cannot be profiled: it is empty\. errors='skip'"):
            profile(*model, ["the dog", "a cat", "  ", "the king"], **QUIET)

    def test_texts_that_fail_are_left_out_and_kept_in_mind(self, model):
        bad = {3: "", 10: None, 17: 5, 22: "the dog " * 200}
        mixed = [bad.get(i, text) for i, text in enumerate(texts()[:24])]
        made = profile(*model, mixed, errors="skip", **QUIET)
        assert [skipped.text for skipped in made.skipped] == list(bad)
        reasons = [skipped.reason for skipped in made.skipped]
        assert reasons[0] == "it is empty"
        assert "no string but NoneType" in reasons[1]
        assert "no string but int" in reasons[2]
        assert f"of at most {LONGEST}" in reasons[3]
        assert made.n_texts == 20
        assert "4 left out" in repr(made)

    def test_a_failing_batch_is_run_one_by_one(self, model, monkeypatch):
        from attnscope.profiling import shard

        real, ran = shard.capture_batch, []

        def breaking(model, tokenizer, batch, **more):
            ran.append(len(batch))
            if any("river" in text for text in batch):
                raise RuntimeError("no memory left")
            return real(model, tokenizer, batch, **more)

        some = [text.replace("river", "road") for text in texts()[:16]]
        some[5] = "the river"
        monkeypatch.setattr(shard, "capture_batch", breaking)
        made = profile(*model, some, errors="skip", **QUIET)
        assert made.skipped == ((5, "no memory left"),)
        assert sorted(ran) == [1] * 8 + [8, 8]
        with pytest.raises(InputError, match="Text 5 cannot be profiled: no memory left"):
            profile(*model, some, **QUIET)

    def test_all_texts_fail(self, model):
        with pytest.raises(InputError, match=r"All 2 texts were left out, the first \(text 0\) because it is empty"):
            profile(*model, ["", ""], errors="skip", **QUIET)
        with pytest.raises(InputError, match="There is no text"):
            profile(*model, [], **QUIET)

    def test_what_lies_in_the_model_is_raised_whatever_the_policy(self, model):
        training = pair("bert")[0]
        training.train()
        try:
            with pytest.raises(ModelError, match="training mode"):
                profile(training, model[1], texts()[:3], errors="skip", **QUIET)
        finally:
            training.eval()
        with pytest.raises(NotFoundError, match="layer"):
            profile(*model, texts()[:3], layers=[9], errors="skip", **QUIET)
        with pytest.raises(NotFoundError, match="There is no 'cross' attention"):
            profile(*model, texts()[:3], kind="cross", errors="skip", **QUIET)

    @pytest.mark.parametrize(
        ("wrong", "error", "message"),
        [
            ({"batch_size": 0}, InputError, "batch_size is a whole number from 1 on, got 0"),
            ({"batch_size": True}, InputError, "batch_size"),
            ({"max_tokens": 1.5}, InputError, "max_tokens"),
            ({"errors": "ignore"}, InputError, "errors is one of 'raise', 'skip'"),
            ({"too_long": "chunk"}, InputError, "too_long is one of"),
            ({"statistics": ["entropie"]}, NotFoundError, "no statistic 'entropie'"),
            ({"statistics": []}, InputError, "statistics names one or more"),
            ({"engine": "spark"}, InputTypeError, "engine is 'local', 'dask'"),
            ({"client": "tcp://x"}, InputError, "client= belongs to engine='dask'"),
            ({"engine": "dask"}, InputError, "cluster that you name"),
            ({"engine": "dask", "client": 5}, InputTypeError, "Client or an address, got int"),
        ],
    )
    def test_settings_that_cannot_be(self, model, wrong, error, message):
        with pytest.raises(error, match=message):
            profile(*model, texts()[:3], **QUIET, **wrong)

    def test_what_is_no_model_or_no_tokenizer(self, model):
        with pytest.raises(InputTypeError, match="Expected a PyTorch model"):
            profile("bert", model[1], texts()[:3], **QUIET)
        with pytest.raises(InputTypeError, match="tokenizer"):
            profile(model[0], None, texts()[:3], **QUIET)


class TestTooLong:
    long = "the dog was old and the cat ran after the dog near the river " * 12

    def test_refused_by_default(self, model):
        with pytest.raises(InputError, match=rf"tokens, of at most {LONGEST}\. too_long='truncate'"):
            profile(*model, [self.long], **QUIET)

    def test_truncated_if_asked(self, model):
        made = profile(*model, [self.long, "the dog"], too_long="truncate", max_tokens=20, **QUIET)
        assert (made.n_texts, made.n_pieces, made.n_cut) == (2, 2, 1)
        assert made.n_tokens <= 20 + len(capture(*model, "the dog").tokens)

    def test_split_counts_every_row_as_of_one_text(self, model):
        from attnscope.profiling.lengths import fitting

        pieces = fitting(model[1], self.long, 20, "split")
        assert "".join(pieces) == self.long
        assert all(piece[:1] == " " or not i or pieces[i - 1][-1:] == " " for i, piece in enumerate(pieces))
        made = profile(*model, [self.long], too_long="split", max_tokens=20, **QUIET)
        apart = profile(*model, pieces, max_tokens=20, **QUIET)
        assert made.n_texts == 1
        assert made.n_pieces == apart.n_texts == len(pieces) > 10
        assert np.array_equal(made.rows("entropy"), apart.rows("entropy"))
        np.testing.assert_allclose(made.mean("entropy"), apart.mean("entropy"), rtol=1e-6)
        np.testing.assert_allclose(made.mean("entropy", by="texts"), made.mean("entropy"), atol=1e-9)

    def test_words_without_spaces_are_cut_between_characters(self, model):
        from attnscope.profiling.lengths import fitting, token_count

        text = "naïvé" * 40
        pieces = fitting(model[1], text, 12, "split")
        assert "".join(pieces) == text
        assert max(token_count(model[1], piece) for piece in pieces) <= 12

    def test_too_narrow_to_cut(self, model):
        with pytest.raises(InputError, match="cannot be cut into pieces"):
            profile(*model, ["naïvé" * 10], too_long="split", max_tokens=1, **QUIET)


class TestModelUntouched:
    def test_threads_and_model_are_left_as_they_were(self, model):
        before = torch.get_num_threads(), {name: value.clone() for name, value in model[0].state_dict().items()}
        state = torch.random.get_rng_state()
        profile(*model, texts()[:3], **QUIET)
        assert torch.get_num_threads() == before[0]
        assert all(torch.equal(value, before[1][name]) for name, value in model[0].state_dict().items())
        assert torch.equal(torch.random.get_rng_state(), state)
        assert not model[0]._forward_hooks

    def test_a_function_that_loads_the_model(self, model, few):
        calls = []
        assert profile(lambda: calls.append(1) or model[0], model[1], texts()[:24], **QUIET) == few
        assert calls == [1]


class TestEngine:
    def test_an_engine_of_ones_own(self, model, few):
        class Backwards:
            """All shards, the last first, the first one twice."""

            def run(self, subject, shards, settings):
                loaded, all_of_them = subject.load(), list(shards)
                yield run_shard(loaded, all_of_them[0], settings)
                for shard in reversed(all_of_them):
                    yield run_shard(loaded, shard, settings)

        assert isinstance(Backwards(), Engine)
        some = {"batch_size": 1, "statistics": ["entropy"], **QUIET}
        assert profile(*model, texts()[:20], engine=Backwards(), **some) == profile(*model, texts()[:20], **some)


def test_encoder_decoder_kinds():
    from transformers import T5Config, T5ForConditionalGeneration

    from tests.models.words import sentencepiece

    torch.manual_seed(0)
    shape = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2, "max_new_tokens": 5}
    config = T5Config(vocab_size=400, decoder_start_token_id=0, eos_token_id=399, **shape)
    pieces = T5ForConditionalGeneration(config).eval(), sentencepiece(first=False, last=True)
    cross = profile(*pieces, texts()[:3], kind="cross", **QUIET)
    assert cross.kind == "cross"
    assert "previous_token" not in cross.statistics
    assert "entropy" in cross.statistics
    assert "previous_token" in profile(*pieces, texts()[:3], **QUIET).statistics
    assert isinstance(cross, HeadProfile)
