"""In which dtype and where queries and keys are kept: the stated error holds, and nothing else changes."""

import numpy as np
import pytest
import torch

from attnscope import capture, load, record
from attnscope.errors import InputError, ModelError
from attnscope.recording.collect.keeping import Keeping
from attnscope.recording.collect.kept import layer_of
from attnscope.recording.collect.masks import MaskReader
from attnscope.recording.watch.calls import AttentionCall
from tests.models import words, zoo
from tests.models.test_encoder_decoder import TARGETS, TEXTS, loaded
from tests.models.test_untouched import left_as_it_was

NAMES = (
    "bert", "gpt2", "llama", "modernbert", "t5 encoder",
    "gemma2", "gpt_oss", "deepseek_v3",
)  # fmt: skip
TEXT = words.SENTENCES[0]
LOOSE = 100
"""The bound is at most this many times the error of the layer in which it says least; widths here are 8."""

every_half = pytest.mark.parametrize("dtype", ["bfloat16", "float16"])


def layers_of(found):
    return [(kind, number) for kind in found.kinds for number in found[kind].layers]


def furthest(one, other):
    return {
        (kind, number): float(abs(one.weights(number, kind=kind) - other.weights(number, kind=kind)).max())
        for kind, number in layers_of(one)
    }


@every_half
@pytest.mark.parametrize("name", NAMES)
def test_the_stated_error_holds(name, dtype):
    known = zoo.family(name)
    model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
    exact, stored = capture(model, tokenizer, TEXT), capture(model, tokenizer, TEXT, dtype=dtype)
    for (kind, number), real in furthest(exact, stored).items():
        stated = stored[kind].error[number]
        assert exact[kind].error[number] == 0
        assert real - 1e-6 <= stated <= LOOSE * real
        assert stored[kind].layer(number).dtype == dtype
        assert (
            stored[kind].check[number] == exact[kind].check[number]
        )  # of what the model computed, not of what is kept
        if known.rows_sum_to_one:
            np.testing.assert_allclose(stored.weights(number).sum(-1), 1, atol=1e-6)
    assert stored.nbytes < exact.nbytes


@every_half
def test_a_half_precision_model_is_kept_in_its_own_dtype_or_another(dtype, tmp_path):
    model, tokenizer = zoo.small("llama")
    model = model.to(torch.bfloat16)
    own, other = capture(model, tokenizer, TEXT), capture(model, tokenizer, TEXT, dtype=dtype)
    wide = capture(model, tokenizer, TEXT, dtype=torch.float32)
    assert set(wide["self"].error.values()) == {0.0}
    assert max(furthest(own, wide).values()) == 0
    for number in own["self"].layers:
        assert wide["self"].rounding(number) == own["self"].rounding(number) > 0
        np.testing.assert_array_equal(own.weights(number, rounded=True), wide.weights(number, rounded=True))
        assert furthest(own, other)["self", number] <= other["self"].error[number] + 1e-6
    other.save(tmp_path / "c.safetensors")
    assert load(tmp_path / "c.safetensors")["self"].error == other["self"].error


@every_half
@pytest.mark.parametrize("name", ["t5", "bart"])
def test_an_encoder_decoder_states_it_for_each_kind(name, dtype):
    model, _, tokenizer = loaded(name)
    made = [capture(model, tokenizer, TEXTS, target=TARGETS, dtype=chosen) for chosen in (None, dtype)]
    for exact, stored in zip(*made, strict=True):
        assert stored.kinds == ("encoder", "decoder", "cross")
        for (kind, number), real in furthest(exact, stored).items():
            assert 0 < real <= stored[kind].error[number] + 1e-6


def test_values_are_kept_likewise():
    model, tokenizer = zoo.small("llama")
    exact, stored = (capture(model, tokenizer, TEXT, values=True, dtype=dtype) for dtype in (None, "bfloat16"))
    for number in exact["self"].layers:
        mine, its = stored["self"].layer(number).values, exact["self"].layer(number).values
        assert mine.dtype == torch.bfloat16
        assert torch.equal(mine, its.bfloat16())


@every_half
def test_live_steps_state_the_worst_of_all_passes(dtype):
    model, _ = zoo.small("llama")
    ids = torch.arange(10, 20)[None]
    made = []
    for chosen in (None, dtype):
        with record(model, live=True, dtype=chosen) as recording:
            model.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
        made.append(recording.capture())
    for (kind, number), real in furthest(*made).items():
        assert 0 < real <= made[1][kind].error[number] + 1e-6


def test_numbers_beyond_float16_are_refused_and_the_model_left_as_it_was():
    model, tokenizer = zoo.small("llama")
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight *= 1e6
    with (
        left_as_it_was(model, torch.arange(5)[None]),
        pytest.raises(ModelError, match=r'float16 ends at 6\.55e\+04.*dtype="bfloat16"'),
    ):
        capture(model, tokenizer, TEXT, dtype="float16")
    assert capture(model, tokenizer, TEXT, dtype="bfloat16").n_layers == 3


@pytest.mark.parametrize("dtype", ["float64", "int8", "half", 16, torch.int8, ["float16"]])
def test_other_dtypes_are_refused(dtype):
    model, tokenizer = zoo.small("bert")
    with pytest.raises(InputError, match="'float32', 'bfloat16', 'float16'"):
        capture(model, tokenizer, TEXT, dtype=dtype)


@pytest.mark.parametrize("device", ["gpu", 3.5, "cuda:999"])
def test_devices_that_are_not_there_are_refused(device):
    model, _ = zoo.small("bert")
    with pytest.raises(InputError, match='device is where queries and keys are kept: "cpu"'):
        record(model, device=device)


@pytest.mark.parametrize("name", ["llama", "t5 encoder", "gpt_oss"])
def test_each_layer_is_brought_to_its_device_as_soon_as_it_has_run(name):
    """The meta device stands for another one: it holds no numbers, so whatever is read after the move would fail."""
    known = zoo.family(name)
    model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
    here = capture(model, tokenizer, TEXT)
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    recording = record(model, device="meta", dtype="bfloat16", values=True)
    seen = []

    def look(*_):
        layers = [layer.items[0] for layer in recording._recorded]
        seen.append([array.device.type for layer in layers for array in arrays_of(layer)])

    blocks = next(module for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    handles = [block.register_forward_hook(look) for block in blocks]
    with recording, torch.no_grad():
        model(input_ids=ids)
    for handle in handles:
        handle.remove()
    moved = recording.capture(tokenizer=tokenizer)

    assert [len(some) > 0 for some in seen] == [True] * here.n_layers
    assert {device for some in seen for device in some} == {"meta"}
    for number in here["self"].layers:
        assert moved["self"].check[number] == pytest.approx(here["self"].check[number], rel=0.5)
        assert 0 < moved["self"].error[number] < 1
        assert {array.device.type for array in arrays_of(here["self"].layer(number))} == {"cpu"}


def arrays_of(layer):
    arrays = (layer.queries, layer.keys, layer.values, layer.bias, layer.sinks)
    return [array for array in arrays if array is not None]


def test_with_the_model_nothing_is_moved():
    """Queries and keys of the meta device stay there; brought to the CPU they would fail."""
    call = AttentionCall(
        torch.nn.Identity(), "layer", "interface", "sdpa", *(torch.empty(1, 2, 3, 4, device="meta") for _ in range(3)),
        None, torch.empty(1, 3, 2, 4, device="meta"),
    )  # fmt: skip
    layer = layer_of(call, 0, MaskReader())
    (kept,) = Keeping.of(None, "model").layers(call, [layer], values=True)
    assert {array.device.type for array in arrays_of(kept)} == {"meta"}
    with pytest.raises(NotImplementedError, match="meta"):
        Keeping.of(None, None).layers(call, [layer], values=True)
