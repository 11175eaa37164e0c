"""Gradients of weights and gates equal finite differences; relevance equals the paper's equations written out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from attnscope import analysis
from attnscope.analysis.causal.relevance import followed, followed_across
from attnscope.errors import InputError, ModelError
from attnscope.recording.intervene.change import Change
from attnscope.recording.intervene.gradients import gate_gradients, weight_gradients
from attnscope.recording.intervene.losses import loss_of, variants_of
from attnscope.recording.intervene.subject import prepare
from tests.models import causal, handbuilt
from tests.models.test_untouched import left_as_it_was

FAMILIES = ["gpt2", "llama", "bert", "classifier", "falcon", "bloom", "gptj", "t5", "bart"]
STEPS = {"llama": 3e-3, "bloom": 1e-4, "gptj": 1e-4, "t5": 2e-5}
"""Step of the differences; larger where the model's norms or softmaxes compute in single precision whatever they are
given (and not too large for T5, whose feed-forward parts have kinks)."""

each_family = pytest.mark.parametrize("name", FAMILIES)


def close(name, expected):
    """What the family's differences can be as exact as."""
    if name in STEPS:
        return pytest.approx(expected, rel=1e-2, abs=5e-3)
    return pytest.approx(expected, rel=1e-5, abs=1e-7)


def doubled(name, **options):
    """A family's subject in double precision, where differences are exact enough."""
    model, tokenizer = causal.loaded(name)
    return prepare(copy.deepcopy(model).double(), tokenizer, causal.text_of(name), **causal.options_of(name), **options)


@each_family
@pytest.mark.parametrize("of", ["logit", "log probability"])
def test_the_gradient_of_a_weight_is_its_finite_difference(name, of):
    subject = doubled(name)
    value, arrays = weight_gradients(subject, of)
    with torch.no_grad():
        plain = float(subject.readout.value(subject.output, of))
    assert value == pytest.approx(plain, abs=1e-9)
    generator, size = np.random.default_rng(0), STEPS.get(name, 1e-6)
    for place, (weights, gradient) in arrays.items():
        expected = subject.capture.weights(place[1], kind=place[0])
        np.testing.assert_allclose(weights, expected, atol=1e-5)
        direction = generator.normal(size=weights.shape)
        moved = []
        for step in (size, -size):
            change = Change(weights=lambda given, step=step, d=direction: given + step * torch.as_tensor(d)[None])
            with torch.no_grad():
                moved.append(float(subject.readout.value(subject.run({place: change}), of)))
        assert float((gradient * direction).sum()) == close(name, (moved[0] - moved[1]) / (2 * size))


@each_family
def test_the_gradient_of_a_gate_is_its_finite_difference(name):
    subject = doubled(name, **({} if name == "classifier" else {"read": False}))
    loss, gradients = gate_gradients(subject)
    size = STEPS.get(name, 1e-6)
    assert loss > 0
    for place, slopes in gradients.items():
        for head in range(len(slopes)):
            moved = []
            for step in (size, -size):
                gates = torch.ones(len(slopes), dtype=torch.float64)
                gates[head] += step
                change = Change(outputs=lambda outputs, gates=gates: outputs * gates[:, None])
                total = 0.0
                for inputs, share in variants_of(subject):
                    with torch.no_grad():
                        output = subject.run({place: change}, inputs=inputs)
                        total += share * float(loss_of(subject, output, inputs, None))
                moved.append(total)
            assert slopes[head] == close(name, (moved[0] - moved[1]) / (2 * size))


class TestHeadImportance:
    def test_it_is_the_mean_of_absolute_slopes(self):
        model, tokenizer = causal.loaded("gpt2")
        texts = [causal.TEXT, "A dog runs; the dog runs again."]
        both = analysis.head_importance(model, tokenizer, texts)
        single = [analysis.head_importance(model, tokenizer, text) for text in texts]
        np.testing.assert_allclose(both.raw, (single[0].raw + single[1].raw) / 2, rtol=1e-5)
        np.testing.assert_allclose((both.normalized**2).sum(axis=1), 1, rtol=1e-5)
        assert both.n_texts == 2
        assert both.loss == pytest.approx((single[0].loss + single[1].loss) / 2)
        assert both.raw.shape == (3, 4)

    def test_the_loss_is_the_models_own(self):
        model, tokenizer = causal.loaded("gpt2")
        ids = tokenizer(causal.TEXT, return_tensors="pt").input_ids
        with torch.no_grad():
            expected = float(model(ids, labels=ids).loss)
        assert analysis.head_importance(model, tokenizer, causal.TEXT).loss == pytest.approx(expected, abs=1e-5)

    def test_of_encoder_decoders(self):
        model, tokenizer = causal.loaded("bart")
        labels = tokenizer(text_target=causal.TARGET, return_tensors="pt").input_ids
        ids = model.prepare_decoder_input_ids_from_labels(labels)
        with torch.no_grad():
            logits = model(**tokenizer(causal.TEXT, return_tensors="pt"), decoder_input_ids=ids).logits
        expected = float(torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:]))
        found = analysis.head_importance(model, tokenizer, [causal.TEXT], decoder_texts=[causal.TARGET], kind="cross")
        assert found.loss == pytest.approx(expected, abs=1e-5)
        assert found.raw.shape == (2, 4)
        assert (found.raw > 0).all()

    def test_labels_of_classifiers(self):
        model, tokenizer = causal.loaded("classifier")
        with torch.no_grad():
            said = model(**tokenizer(causal.TEXT, return_tensors="pt")).logits[0].log_softmax(-1)
        for label, number in (("bad", 0), (2, 2)):
            found = analysis.head_importance(model, tokenizer, [causal.TEXT], labels=[label])
            assert found.loss == pytest.approx(-float(said[number]), abs=1e-5)

    def test_what_writes_nothing_that_is_read_does_not_matter(self):
        found = analysis.head_importance(handbuilt.gpt2(), handbuilt.tokenizer(), handbuilt.repeated())
        important = {(layer, head) for layer, head in zip(*np.nonzero(found.raw), strict=True)}
        assert important == {handbuilt.PREVIOUS, handbuilt.INDUCTION}

    def test_a_sure_prediction_leaves_no_slope_and_is_said_so(self):
        from attnscope.recording import small

        model, tokenizer = small.load()
        text = "the cat saw a small red bird near the old house . the cat saw a small"
        red = tokenizer("red", add_special_tokens=False).input_ids[0]

        def of_red(output):
            return -output.logits[:, -1].log_softmax(-1)[:, red].mean()

        found = analysis.head_importance(model, tokenizer, text, loss=of_red)
        assert found.is_saturated
        assert "gradients say little" in repr(found)
        off = analysis.ablate_heads(model, tokenizer, text, (0, 2), target="red")
        assert found.raw[0, 2] < 0.02 < 0.5 < -off.change  # the slope tells little of what the head does

    def test_refusals(self, minilm):
        with pytest.raises(ModelError, match=r"no loss by themselves.*loss=function"):
            analysis.head_importance(*minilm, causal.TEXT)
        with pytest.raises(InputError, match="list is empty"):
            analysis.head_importance(*causal.loaded("gpt2"), [])
        with pytest.raises(InputError, match="one entry of labels per text"):
            analysis.head_importance(*causal.loaded("classifier"), [causal.TEXT], labels=[1, 2])


class TestGradWeights:
    @each_family
    def test_heads_sum_to_the_slope_of_their_gates(self, name):
        model, tokenizer = causal.loaded(name)
        kind = causal.PROJECTIONS[name][1]
        found = analysis.grad_weights(model, tokenizer, causal.text_of(name), **causal.options_of(name))
        subject = prepare(model, tokenizer, causal.text_of(name), **causal.options_of(name))
        _, slopes = gate_gradients(subject, lambda output: subject.readout.value(output, "logit").sum())
        for row, layer in enumerate(found.capture[kind].layers):
            np.testing.assert_allclose(found.by_head(kind)[row], slopes[kind, layer], rtol=1e-3, atol=1e-5)
        assert found.summed(kind).shape == (len(found.of_kind(kind)), *found.capture.weights(0, 0, kind=kind).shape)

    def test_the_capture_carries_the_measure(self):
        found = analysis.grad_weights(*causal.loaded("llama"), causal.TEXT)
        attention = found.capture["self"]
        assert set(attention.extra["gradient"]) == {0, 1, 2}
        assert attention.extra["gradient"][1] is found.values[1]
        assert found.values[1].shape == found.capture.weights(1).shape
        assert found.values[1].dtype == np.float32
        assert not np.triu(found.values[2], 1).any()  # nothing where nothing is seen

    def test_the_token_that_is_copied_speaks_for_the_copy(self):
        text = " ".join(handbuilt.repeated(length=10, times=2).split()[:-3])
        last = len(text.split())
        found = analysis.grad_weights(handbuilt.gpt2(), handbuilt.tokenizer(), text)
        induction = found.values[1][handbuilt.INDUCTION[1]]
        assert induction[last].argmax() == last - 10 + 1
        # the logit is SHARP · a / √((3 + a²) / 4) at weight a, for the last norm's scale grows with it
        assert induction[last, last - 9] == pytest.approx(handbuilt.SHARP * 3 / 4, rel=1e-3)
        assert abs(np.delete(found.values[1], handbuilt.INDUCTION[1], axis=0)).max() == 0

    def test_refusals(self, minilm):
        with pytest.raises(ModelError, match="predicts nothing"):
            analysis.grad_weights(*minilm, causal.TEXT)
        with pytest.raises(InputError, match="'logit' or 'log probability'"):
            analysis.grad_weights(*causal.loaded("gpt2"), causal.TEXT, of="loss")
        with pytest.raises(ModelError, match="cannot be changed"):
            analysis.grad_weights(*causal.loaded("diffllama"), causal.TEXT)


class TestRelevance:
    def test_through_one_stack_by_the_paper(self):
        """Eq. 5 and 6 of Chefer et al. 2021, term by term."""
        generator = np.random.default_rng(0)
        means = [generator.random((4, 4)) for _ in range(3)]
        expected = np.eye(4)
        for mean in means:
            added = np.zeros((4, 4))
            for i in range(4):
                for j in range(4):
                    added[i, j] = sum(mean[i, k] * expected[k, j] for k in range(4))
            expected = expected + added
        np.testing.assert_allclose(followed(means), expected)

    def test_across_two_stacks_by_the_paper(self):
        """Eq. 6, 7, 8, 9 and 10, term by term."""
        generator = np.random.default_rng(1)
        encoder = [generator.random((5, 5)) for _ in range(2)]
        decoder = [generator.random((3, 3)) for _ in range(2)]
        cross = [generator.random((3, 5)) for _ in range(2)]

        def normalized(matrix):
            hat = np.zeros_like(matrix)
            for i, row in enumerate(matrix - np.eye(len(matrix))):
                hat[i] = row / row.sum()
            return hat + np.eye(len(matrix))

        r_qq = followed(encoder)
        r_ss, r_sq = np.eye(3), np.zeros((3, 5))
        for a_ss, a_sq in zip(decoder, cross, strict=True):
            r_sq = r_sq + a_ss @ r_sq
            r_ss = r_ss + a_ss @ r_ss
            r_sq = r_sq + np.einsum("ki,kl,lj->ij", normalized(r_ss), a_sq, normalized(r_qq))
        found = followed_across(encoder, decoder, cross)
        np.testing.assert_allclose(found["encoder"], r_qq)
        np.testing.assert_allclose(found["decoder"], r_ss)
        np.testing.assert_allclose(found["cross"], r_sq)

    def test_where_nothing_was_added_nothing_is_divided(self):
        found = followed_across([np.zeros((2, 2))], [np.zeros((3, 3))], [np.full((3, 2), 0.5)])
        np.testing.assert_array_equal(found["cross"], 0.5)

    @each_family
    def test_it_is_made_of_gradients_and_weights(self, name):
        model, tokenizer = causal.loaded(name)
        given, options = (model, tokenizer, causal.text_of(name)), causal.options_of(name)
        products = analysis.grad_weights(*given, **options)
        found = analysis.relevance(*given, **options)
        kinds = products.capture.kinds
        means = {kind: [a.clip(min=0).mean(axis=0) for a in products.of_kind(kind).values()] for kind in kinds}
        expected = (
            followed_across(means["encoder"], means["decoder"], means["cross"])
            if len(kinds) > 1
            else {kinds[0]: followed(means[kinds[0]])}
        )
        for kind, matrix in expected.items():
            np.testing.assert_allclose(found.matrices[kind], matrix, rtol=1e-4, atol=1e-6)
        assert len(found.tokens) == len(products.capture["cross" if "cross" in kinds else kinds[0]].keys)
        assert found.tokens.min() >= 0

    def test_it_finds_what_the_small_model_copies(self):
        from attnscope.recording import small

        found = analysis.relevance(
            *small.load(), "the cat saw a small red bird near the old house . the cat saw a small"
        )
        order = np.argsort(-found.tokens)
        assert order[0] == 6  # the first "red"
        assert found.tokens[order[0]] > 5 * found.tokens[order[1]]
        assert "most by 'red'" in repr(found)
        assert found.table().loc[6, "token"].strip() == "red"


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_the_model_is_left_as_it_was(name):
    model, tokenizer = causal.loaded(name)
    text = causal.text_of(name)
    for weight in model.parameters():
        weight.grad = None
    next(model.parameters()).grad = marked = torch.ones_like(next(model.parameters()))
    ids = tokenizer(text, return_tensors="pt").input_ids
    with left_as_it_was(model, ids), torch.no_grad():
        analysis.head_importance(model, tokenizer, text)
        analysis.grad_weights(model, tokenizer, text)
        analysis.relevance(model, tokenizer, text)
    assert next(model.parameters()).grad is marked
    assert bool((marked == 1).all())
    next(model.parameters()).grad = None


def test_frozen_parameters_do_not_stop_gradients():
    model, tokenizer = causal.loaded("llama")
    frozen = copy.deepcopy(model).requires_grad_(False)
    expected = analysis.grad_weights(model, tokenizer, causal.TEXT)
    found = analysis.grad_weights(frozen, tokenizer, causal.TEXT)
    for layer in (0, 1, 2):
        np.testing.assert_allclose(found.values[layer], expected.values[layer], atol=1e-6)
