"""Switching heads off equals zeroing their slice of the output projection; cutting links equals masking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attnscope import analysis
from attnscope.errors import ModelError
from tests.models import causal, handbuilt

TOLERANCE = 1e-5

each_family = pytest.mark.parametrize("name", causal.PROJECTIONS)


def log_probs(name, model, tokenizer):
    """What the model says where the family is read, float64 [possible]."""
    inputs = dict(tokenizer(causal.text_of(name), return_tensors="pt"))
    if name in ("t5", "bart"):
        labels = tokenizer(text_target=causal.TARGET, return_tensors="pt").input_ids
        start = model.config.decoder_start_token_id
        inputs["decoder_input_ids"] = torch.cat([torch.tensor([[start]]), labels[:, :-1]], dim=1)
        if name == "bart":
            inputs["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels)
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    if name == "bert":
        logits = logits[inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)]
    elif name != "classifier":
        logits = logits[-1]
    return logits.double().log_softmax(-1).numpy()


@each_family
@pytest.mark.parametrize(("layer", "head"), [(0, 1), (1, 3)])
def test_zeroing_a_head_is_zeroing_its_slice_of_the_output_projection(name, layer, head):
    model, tokenizer = causal.loaded(name)
    kind = causal.PROJECTIONS[name][1]
    before = log_probs(name, model, tokenizer)
    after = log_probs(name, causal.without_head(name, layer, head), tokenizer)

    found = analysis.ablate_heads(
        model, tokenizer, causal.text_of(name), [(layer, head)], kind=kind, **causal.options_of(name)
    )

    best = int(before.argmax())
    assert found.before == pytest.approx(before[best], abs=TOLERANCE)
    assert found.after == pytest.approx(after[best], abs=TOLERANCE)
    assert found.total_variation == pytest.approx(abs(np.exp(before) - np.exp(after)).sum() / 2, abs=TOLERANCE)
    assert found.top_after[0][1] == pytest.approx(np.exp(after).max(), abs=TOLERANCE)
    assert found.total_variation > 10 * TOLERANCE  # else the family would show nothing


@each_family
def test_each_head_in_turn_gives_what_single_heads_give(name):
    model, tokenizer = causal.loaded(name)
    kind = causal.PROJECTIONS[name][1]
    given = (model, tokenizer, causal.text_of(name))
    options = causal.options_of(name) | {"kind": kind}
    each = analysis.ablate_heads(*given, "each", **options)
    for row, layer in enumerate(each.layers):
        single = analysis.ablate_heads(*given, (layer, 2), **options)
        assert each.change[row, 2] == pytest.approx(single.change, abs=TOLERANCE)
        assert each.size[row, 2] == pytest.approx(single.total_variation, abs=TOLERANCE)
    assert each.change.shape == each.size.shape == (len(each.layers), 4)


def test_a_mean_leaves_a_head_that_says_the_same_everywhere():
    model, tokenizer = causal.loaded("gpt2")
    attention = model.transformer.h[0].attn
    kept = attention.c_attn.weight.detach().clone()
    try:
        with torch.no_grad():
            attention.c_attn.weight[:, 64 + 8 : 64 + 16] = 0  # head 1's values are its bias, at every position
        zero, mean = (analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 1), how=how) for how in ("zero", "mean"))
    finally:
        with torch.no_grad():
            attention.c_attn.weight.copy_(kept)
    assert zero.total_variation > 1e-4
    assert mean.total_variation < TOLERANCE


def test_given_means_take_a_heads_place():
    model, tokenizer = causal.loaded("gpt2")
    zeros = {("self", layer): np.zeros((4, 8), np.float32) for layer in range(3)}
    as_zero = analysis.ablate_heads(model, tokenizer, causal.TEXT, [(0, 1), (2, 0)], how=zeros)
    zero = analysis.ablate_heads(model, tokenizer, causal.TEXT, [(0, 1), (2, 0)])
    assert as_zero.after == pytest.approx(zero.after, abs=1e-6)
    one = analysis.mean_outputs(model, tokenizer, [causal.TEXT])
    of_itself = analysis.ablate_heads(model, tokenizer, causal.TEXT, (1, 1), how=one)
    mean = analysis.ablate_heads(model, tokenizer, causal.TEXT, (1, 1), how="mean")
    assert of_itself.after == pytest.approx(mean.after, abs=TOLERANCE)
    more = analysis.mean_outputs(model, tokenizer, [causal.TEXT, "A dog runs."])
    assert abs(more["self", 1] - one["self", 1]).max() > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "falcon", "bart", "gptj"])
@pytest.mark.parametrize("key", [3, 5])
def test_cutting_a_token_off_in_all_layers_is_masking_it(name, key):
    model, tokenizer = causal.loaded(name)
    inputs = tokenizer(causal.text_of(name), return_tensors="pt")
    inputs["attention_mask"][0, key] = 0
    position = len(inputs["input_ids"][0]) - 1
    states = {}
    for which in ("masked", "cut"):
        states[which] = []
        hook = model.get_submodule(causal.PROJECTIONS[name][0].format(1)).register_forward_hook(
            lambda *given, which=which: states[which].append(given[2].detach())
        )
        try:
            if which == "masked" and name == "bart":
                with torch.no_grad():
                    model.get_encoder()(**{n: inputs[n] for n in ("input_ids", "attention_mask")})
            elif which == "masked":
                places = torch.arange(position + 1)[None]
                taken = {} if name in ("bert", "falcon") else {"position_ids": places}
                with torch.no_grad():
                    model(**inputs, **taken)
            else:
                analysis.cut_links(
                    model, tokenizer, causal.text_of(name), (None, key), kind=causal.PROJECTIONS[name][1],
                    **causal.options_of(name),
                )  # fmt: skip
        finally:
            hook.remove()
    masked, plain, cut = states["masked"][0], states["cut"][0], states["cut"][-1]
    others = [i for i in range(position + 1) if i != key]
    assert abs(masked - cut)[0, others].max() < TOLERANCE
    assert abs(masked - plain)[0, others].max() > 10 * TOLERANCE


def test_cutting_in_one_head_moves_only_what_that_head_saw():
    model, tokenizer = causal.loaded("gpt2")
    seen = []
    hook = model.transformer.h[0].attn.c_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        analysis.cut_links(model, tokenizer, causal.TEXT, [(6, 2), (7, 1)], heads=[(0, 2)])
    finally:
        hook.remove()
    moved = abs(seen[-1] - seen[0])[0] > 1e-6  # [positions, heads × width]
    assert moved[[6, 7], 16:24].all()
    moved[[6, 7], 16:24] = False
    assert not moved.any()


def test_given_means_need_the_outputs_themselves():
    model, tokenizer = causal.loaded("bloom")
    zeros = {("self", layer): np.zeros((4, 8), np.float32) for layer in range(2)}
    with pytest.raises(ModelError, match=r"code of its own.*Use how='zero' or how='mean'"):
        analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 1), how=zeros)
    with pytest.raises(ModelError, match="code of its own"):
        analysis.mean_outputs(model, tokenizer, [causal.TEXT])


@pytest.mark.parametrize("name", ["gpt2", "gptj"])
def test_a_mean_is_over_the_positions_of_what_the_head_gives(name):
    model, tokenizer = causal.loaded(name)
    projection = model.get_submodule(causal.PROJECTIONS[name][0].format(1))
    given = []

    def replace(_, inputs):
        heads = inputs[0].clone()
        heads[..., 16:24] = heads[..., 16:24].mean(1, keepdim=True)
        given.append(True)
        return (heads,)

    hook = projection.register_forward_pre_hook(replace)
    try:
        with torch.no_grad():
            expected = model(tokenizer(causal.TEXT, return_tensors="pt").input_ids).logits[0, -1].log_softmax(-1)
    finally:
        hook.remove()
    found = analysis.ablate_heads(model, tokenizer, causal.TEXT, (1, 2), how="mean")
    with torch.no_grad():
        best = int(model(tokenizer(causal.TEXT, return_tensors="pt").input_ids).logits[0, -1].argmax())
    assert given
    assert found.after == pytest.approx(float(expected[best]), abs=TOLERANCE)
    assert abs(found.change) > 10 * TOLERANCE


class Tiny(nn.Module):
    """PyTorch's own encoder layers with a head on top."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layer = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(32, 7)
        self.eval()

    def forward(self, x, mask=None):
        return self.head(self.encoder(x, mask=mask).mean(1))


class TestPyTorchsOwnLayers:
    def test_zeroing_a_head(self):
        model, x = Tiny(), torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(1))
        found = analysis.ablate_heads(model, None, {"x": x}, (1, 2))
        with torch.no_grad():
            before = model(x).log_softmax(-1)[0]
            model.encoder.layers[1].self_attn.out_proj.weight[:, 16:24] = 0
            after = model(x).log_softmax(-1)[0]
        best = int(before.argmax())
        assert found.before == pytest.approx(float(before[best]), abs=TOLERANCE)
        assert found.after == pytest.approx(float(after[best]), abs=TOLERANCE)
        assert abs(found.change) > 10 * TOLERANCE

    def test_cutting_links(self):
        model, x = Tiny(), torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(1))
        hidden = torch.zeros(6, 6, dtype=torch.bool)
        hidden[4, 1] = hidden[2, 3] = True
        found = analysis.cut_links(model, None, {"x": x}, [(4, 1), (2, 3)])
        with torch.no_grad():
            after = model(x, mask=hidden).log_softmax(-1)[0]
        assert found.after == pytest.approx(float(after[int(model(x).argmax())]), abs=TOLERANCE)
        assert abs(found.change) > 10 * TOLERANCE


class TestKnownAnswers:
    """The model built by hand: what each head does is known, and so is what its loss does."""

    def test_the_only_heads_that_matter_are_those_that_copy(self):
        each = analysis.ablate_heads(handbuilt.gpt2(), handbuilt.tokenizer(), handbuilt.repeated(), "each")
        assert each.before == pytest.approx(0, abs=1e-6)
        assert each.change[handbuilt.INDUCTION] == pytest.approx(-np.log(handbuilt.VOCABULARY), abs=1e-6)
        assert each.size[handbuilt.INDUCTION] == pytest.approx(1 - 1 / handbuilt.VOCABULARY, abs=1e-6)
        assert each.change[handbuilt.PREVIOUS] < -20
        assert each.size[handbuilt.PREVIOUS] == pytest.approx(1, abs=1e-6)
        others = np.ones(each.change.shape, bool)
        others[handbuilt.INDUCTION] = others[handbuilt.PREVIOUS] = False
        assert abs(each.change[others]).max() == 0
        assert abs(each.size[others]).max() == 0

    def test_the_only_link_that_matters_is_to_what_is_copied(self):
        text = handbuilt.repeated(length=10, times=2).split()
        text = " ".join(text[:-3])
        last = len(text.split())
        given = (handbuilt.gpt2(), handbuilt.tokenizer(), text)
        source = last - 10 + 1  # one after the earlier occurrence
        assert analysis.cut_links(*given, (last, source), heads=handbuilt.INDUCTION).after < -2
        assert analysis.cut_links(*given, (last, source), heads=handbuilt.SINK).change == pytest.approx(0, abs=1e-6)
        assert analysis.cut_links(*given, (last, 4)).change == pytest.approx(0, abs=1e-6)
        previous = analysis.cut_links(*given, (source, source - 1), layers=[0])
        assert previous.after < -2


class TestTheSmallModel:
    """What is known of the shipped model, trained to copy."""

    SENTENCE = "the cat saw a small red bird near the old house . the cat saw a small"

    @pytest.fixture
    def given(self):
        from attnscope.recording import small

        return (*small.load(), self.SENTENCE)

    def test_the_previous_token_head_matters_most(self, given):
        each = analysis.ablate_heads(*given, "each")
        assert np.exp(each.before) > 0.99
        assert each.target.strip() == "red"
        assert np.unravel_index(each.size.argmax(), each.size.shape) == (0, 2)
        rest = np.delete(each.change.ravel(), 2)
        assert each.change[0, 2] < -0.5
        assert rest.min() > -0.01
        first = each.table().iloc[0]
        assert (first["layer"], first["head"]) == (0, 2)

    def test_its_copying_heads_stand_in_for_each_other(self, given):
        one = analysis.ablate_heads(*given, (1, 0))
        all_four = analysis.ablate_heads(*given, [(1, head) for head in range(4)])
        assert one.change > -0.01
        assert all_four.change < -4

    def test_only_the_link_to_what_is_copied_matters(self, given):
        cut = analysis.cut_links(*given, (17, "red"))
        assert cut.target.strip() == "red"
        assert np.exp(cut.before) > 0.99
        assert np.exp(cut.after) < 1e-3
        assert abs(analysis.cut_links(*given, (17, "bird")).change) < 0.01
        assert abs(analysis.cut_links(*given, (17, "red"), layers=[0]).change) < 0.01


class TestModelsWithoutAHead:
    def test_the_effect_is_on_the_hidden_state(self, minilm):
        found = analysis.ablate_heads(*minilm, causal.TEXT, [(5, head) for head in range(12)])
        with torch.no_grad():
            plain = minilm.model(**minilm.tokenizer(causal.TEXT, return_tensors="pt")).last_hidden_state[0].mean(0)
        assert found.before is None
        assert found.change is None
        assert 0.001 < found.distance < 1
        assert "mean of the hidden states" in found.read
        assert "no head" in repr(found)
        again = analysis.ablate_heads(*minilm, causal.TEXT, (0, 2), position="it")
        assert "'it'" in again.read
        assert plain.norm() > 0

    def test_each_head(self, minilm):
        each = analysis.ablate_heads(*minilm, causal.TEXT, "each")
        assert each.size.shape == (6, 12)
        assert np.isnan(each.change).all()
        assert (each.size > 0).all()
        single = analysis.ablate_heads(*minilm, causal.TEXT, (3, 1))
        assert each.size[3, 1] == pytest.approx(single.distance, abs=1e-6)

    def test_a_token_to_follow_is_refused(self, minilm):
        with pytest.raises(ModelError, match=r"predicts nothing.*AutoModelForCausalLM.*target=function"):
            analysis.ablate_heads(*minilm, causal.TEXT, (0, 0), target="cat")

    def test_a_function_of_the_output_can_be_followed(self, minilm):
        found = analysis.ablate_heads(
            *minilm, causal.TEXT, (0, 0), target=lambda output: output.last_hidden_state[:, 0, 5]
        )
        assert found.total_variation is None
        assert found.change == found.after - found.before != 0


class TestWhatIsFollowed:
    def test_by_name_or_number(self):
        model, tokenizer = causal.loaded("classifier")
        named = analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 0), target="fair")
        numbered = analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 0), target=1)
        assert named.target == numbered.target == "fair"
        assert named.before == numbered.before
        assert {name for name, _ in named.top_before} == {"bad", "fair", "good"}
        assert sum(p for _, p in named.top_after) == pytest.approx(1, abs=1e-5)

    def test_at_another_position(self):
        model, tokenizer = causal.loaded("gpt2")
        early = analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 0), position=3)
        with torch.no_grad():
            logits = model(tokenizer(causal.TEXT, return_tensors="pt").input_ids).logits[0, 3]
        assert early.before == pytest.approx(float(logits.log_softmax(-1).max()), abs=TOLERANCE)
        assert "(position 3)" in early.read

    def test_a_written_text(self):
        model, tokenizer = causal.loaded("bart")
        found = analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 0), kind="cross")
        assert found.before < 0
        assert "next token" in found.read
