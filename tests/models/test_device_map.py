"""Models that accelerate lays out over devices, cpu and disk: their captures are those of the whole model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope import analysis, capture, record
from tests.models import causal, words
from tests.models.test_untouched import state_of

TEXTS = [words.SENTENCES[0], "A dog runs."]
PARTS = {  # where each type keeps its layers, and what else there is
    "gpt2": ("transformer.h", ["transformer.wte", "transformer.wpe", "transformer.ln_f", "lm_head"]),
    "llama": ("model.layers", ["model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"]),
    "bert": ("bert.encoder.layer", ["bert.embeddings", "cls"]),
}
writers = pytest.mark.parametrize("name", ["gpt2", "llama"])
PLACES = {"cpu, then disk": ["cpu", "disk", "disk"], "disk throughout": ["disk"] * 3}


@pytest.fixture(params=PARTS)
def name(request):
    return request.param


@pytest.fixture(params=PLACES)
def laid_out(request, name, tmp_path):
    whole, tokenizer = causal.loaded(name)
    whole.save_pretrained(tmp_path / "saved")
    layers, rest = PARTS[name]
    places = PLACES[request.param]
    device_map = dict.fromkeys(rest, places[0]) | {f"{layers}.{i}": place for i, place in enumerate(places)}
    loaded = type(whole).from_pretrained(tmp_path / "saved", device_map=device_map, offload_folder=tmp_path / "off")
    offloaded = any(weight.device.type == "meta" for weight in loaded.parameters())
    assert offloaded == ("disk" in places)  # else this would test nothing
    return whole, loaded.eval(), tokenizer


def same(found, expected):
    assert found["self"].layers == expected["self"].layers
    assert found["self"].modules == expected["self"].modules
    assert found.n_heads == expected.n_heads
    for layer in expected["self"].layers:
        assert found["self"].check[layer] == pytest.approx(expected["self"].check[layer], abs=1e-6)
        np.testing.assert_allclose(found.weights(layer), expected.weights(layer), atol=1e-6)


def test_captures_are_those_of_the_whole_model(laid_out):
    whole, loaded, tokenizer = laid_out
    for found, expected in zip(capture(loaded, tokenizer, TEXTS), capture(whole, tokenizer, TEXTS), strict=True):
        same(found, expected)
    same(capture(loaded, tokenizer, TEXTS[0], layers=[2]), capture(whole, tokenizer, TEXTS[0], layers=[2]))


def test_nothing_of_the_model_is_changed(laid_out):
    _, loaded, tokenizer = laid_out
    inputs = tokenizer(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        logits = loaded(**inputs).logits
    before = state_of(loaded)
    capture(loaded, tokenizer, TEXTS[0], values=True)
    after = state_of(loaded)
    assert {part: after[part] == before[part] for part in before} == dict.fromkeys(before, True)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, logits, atol=0, rtol=0)


def test_what_heads_write_is_read_off_weights_that_rest_elsewhere(laid_out):
    whole, loaded, tokenizer = laid_out
    found, expected = (capture(model, tokenizer, TEXTS[0], values=True) for model in (loaded, whole))
    same(found, expected)
    for layer in range(3):
        mine, its = found["self"].stream.writes[layer], expected["self"].stream.writes[layer]
        assert mine.check == pytest.approx(its.check, abs=1e-6)
        assert mine.arrays().keys() == its.arrays().keys()
        for part, array in its.arrays().items():
            torch.testing.assert_close(mine.arrays()[part], array, atol=1e-5, rtol=0, msg=part)
        mine, its = (analysis.norm_weighted(one, layer) for one in (found, expected))
        np.testing.assert_allclose(mine, its, atol=1e-5)


@writers
def test_logits_are_read_off_an_unembedding_that_rests_elsewhere(laid_out):
    whole, loaded, tokenizer = laid_out
    found, expected = (capture(model, tokenizer, TEXTS[0], values=True) for model in (loaded, whole))
    for target in (" the", 350):  # one of the text, and one whose vector is fetched from the model
        mine, its = (analysis.logit_attribution(one, -1, target) for one in (found, expected))
        np.testing.assert_allclose(mine.heads, its.heads, atol=1e-5)


@writers
def test_text_it_writes(laid_out):
    whole, loaded, tokenizer = laid_out
    inputs = tokenizer(TEXTS[0], return_tensors="pt")
    for live in (False, True):
        recordings = []
        for model in (loaded, whole):
            with record(model, live=live) as recording:
                model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
            recordings.append(recording.capture(tokenizer=tokenizer))
        same(*recordings)
        assert len(recordings[0].tokens) > inputs.input_ids.shape[1]


def test_heads_are_switched_off(laid_out):
    whole, loaded, tokenizer = laid_out
    text = causal.text_of(whole.config.model_type)
    mine, its = (analysis.ablate_heads(model, tokenizer, text, [(1, 2)]) for model in (loaded, whole))
    assert its.total_variation > 1e-4  # else this would test nothing
    assert mine.total_variation == pytest.approx(its.total_variation, abs=1e-6)


@writers
def test_a_prediction_is_attributed_to_tokens(laid_out):
    whole, loaded, tokenizer = laid_out
    found = [analysis.attributions(model, tokenizer, TEXTS[0], method="input_x_gradient") for model in (loaded, whole)]
    np.testing.assert_allclose(found[0].scores, found[1].scores, atol=1e-5)
