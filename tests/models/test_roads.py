"""The roads beside the fast one: a function's own softmax, modules run again, windows placed, parts left out."""

import threading

import numpy as np
import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from attnscope import load, record
from attnscope.errors import AttnscopeWarning, ModelError, TooLargeError, UnverifiedError
from attnscope.recording import room
from attnscope.recording.collect import replay
from attnscope.recording.watch import softmaxes
from tests.models.known import FAMILIES
from tests.models.known.measure import build


def family(name):
    return next(known for known in FAMILIES if known.name.startswith(name))


def captured(name, model=None, **options):
    known = family(name)
    model = build(known) if model is None else model
    with record(model, **options) as recording, torch.no_grad():
        model(**known.inputs())
    return model, recording.captures()


def sharpened(module, query, key, value, attention_mask, scaling, dropout=0.0, sharpness=None, **kwargs):
    """An attention function with an option of its own, its softmax in sight."""
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    scores = query @ key.transpose(2, 3) * scaling * (sharpness or 2.0)
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    return (scores.softmax(-1) @ value).transpose(1, 2).contiguous(), None


def out_of_sight(module, query, key, value, attention_mask, scaling, dropout=0.0, **kwargs):
    """The same, computed where no softmax can be seen."""
    output = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling * 2.0, enable_gqa=True
    )
    return output.transpose(1, 2).contiguous(), None


@pytest.fixture
def own_functions():
    for name, function in (("sharpened", sharpened), ("out_of_sight", out_of_sight)):
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, sdpa_mask)


def test_a_function_that_does_more_is_read_off_its_own_softmax(own_functions):
    model = build(family("Llama (grouped"), "sharpened")
    _, captures = captured("Llama (grouped", model)
    for found in captures:
        assert set(found["self"].how.values()) == {"softmax"}
        assert max(found["self"].check.values()) < 1e-5
    # Twice as sharp is what the same model gives with its queries doubled.
    plain = build(family("Llama (grouped"))
    with torch.no_grad():
        for layer in plain.layers:
            layer.self_attn.q_proj.weight.mul_(2)
    _, doubled = captured("Llama (grouped", plain)
    for found, same in zip(captures, doubled, strict=True):
        for number in found["self"].layers:
            np.testing.assert_allclose(found.weights(number), same.weights(number), atol=1e-5, rtol=0)


def test_a_function_that_does_more_out_of_sight_is_refused(own_functions):
    model = build(family("Llama (grouped"), "out_of_sight")
    with pytest.raises(UnverifiedError, match="do not reproduce"):
        captured("Llama (grouped", model)


@pytest.fixture
def nothing_kept(monkeypatch):
    monkeypatch.setattr(softmaxes, "KEPT_BYTES", 0)


@pytest.mark.parametrize("name", ["BLOOM", "DeBERTa-v2", "XLNet (two", "SqueezeBERT", "GPT-J", "ProphetNet"])
def test_modules_run_again_give_the_weights_of_the_pass(name, monkeypatch):
    model, kept = captured(name)
    monkeypatch.setattr(softmaxes, "KEPT_BYTES", 0)
    _, again = captured(name, model)
    assert "replay" in {how for kind in again[0].kinds for how in again[0][kind].how.values()}
    for one, other in zip(kept, again, strict=True):
        assert one.kinds == other.kinds
        for kind in one.kinds:
            for number in one[kind].layers:
                np.testing.assert_array_equal(one[kind].weights(number), other[kind].weights(number))


def test_what_is_kept_to_run_again_grows_with_the_tokens(nothing_kept):
    model = build(family("GPT-J"))
    sizes = []
    for n in (16, 32, 64):
        with record(model) as recording, torch.no_grad():
            model(input_ids=torch.full((1, n), 11))
        found = recording.capture()
        held = {}
        for layer in found["self"].stored.values():
            _tensors(layer.compute.__closure__[0].cell_contents, held)
        sizes.append(sum(tensor.numel() for tensor in held.values()))
    # A mask of the pass is shared by all layers; everything else is vectors, one per token.
    assert sizes[2] - 64 * 64 < 2.2 * (sizes[1] - 32 * 32) < 2.2**2 * (sizes[0] - 16 * 16) * 1.1


def _tensors(value, held):
    if isinstance(value, torch.Tensor):
        held[value.data_ptr()] = value
    elif isinstance(value, dict):
        _tensors(list(value.values()), held)
    elif isinstance(value, list | tuple):
        for entry in value:
            _tensors(entry, held)
    elif isinstance(value, replay.Replay):
        _tensors([value._args, value._kwargs], held)


def test_changed_parameters_are_refused(nothing_kept):
    model, captures = captured("BLOOM")
    captures[0].weights(0)
    with torch.no_grad():
        model.h[0].self_attention.query_key_value.weight.add_(0.01)
    with pytest.raises(ModelError, match="have changed"):
        captures[0].weights(0)
    captures[0].weights(1)


def test_only_what_was_looked_at_last_is_held(nothing_kept, monkeypatch):
    monkeypatch.setattr(replay, "CACHED_BYTES", 1)
    monkeypatch.setattr(replay, "_recent", replay._Recent())
    _, captures = captured("BLOOM")
    for number in captures[0]["self"].layers:
        captures[0].weights(number)
        assert len(replay._recent) == 1


def test_looking_from_several_threads_gives_the_same(nothing_kept, monkeypatch):
    monkeypatch.setattr(replay, "CACHED_BYTES", 1)
    _, captures = captured("BLOOM")
    expected = {n: captures[0].weights(n) for n in captures[0]["self"].layers}
    wrong = []

    def look():
        found = {number: captures[0].weights(number) for number in list(expected) * 5}
        wrong.extend(number for number in expected if not np.array_equal(found[number], expected[number]))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["BLOOM", "Swin (padded", "Longformer (global"])
def test_saved_whole(name, tmp_path, monkeypatch):
    monkeypatch.setattr(softmaxes, "KEPT_BYTES", 0)
    _, captures = captured(name)
    captures[0].save(tmp_path / "capture.safetensors")
    again = load(tmp_path / "capture.safetensors")
    assert again.kinds == captures[0].kinds
    for kind in again.kinds:
        for number in again[kind].layers:
            np.testing.assert_array_equal(again[kind].weights(number), captures[0][kind].weights(number))


def test_a_module_run_again_inside_a_recording_is_not_recorded(nothing_kept):
    model, captures = captured("BLOOM")
    with record(model) as recording, torch.no_grad():
        model(input_ids=torch.tensor([[11, 12, 13]]))
        captures[0].weights(0)
    assert recording.capture()["self"].layers == (0, 1, 2)


@pytest.mark.parametrize("name", ["Swin (shifted", "Swin (padded", "SAM"])
def test_windows_stand_at_their_true_places(name):
    model, captures = captured(name)
    blocks = (model.vision_encoder if name == "SAM" else model.encoder).layers
    stage, kind = (blocks, "vision") if name == "SAM" else (blocks[0].blocks, captures[0].kinds[0])
    attention = captures[0][kind]
    for number in attention.layers:
        side, size = (8, 3) if name == "SAM" else (16, stage[number].window_size)
        shift = 0 if name == "SAM" else stage[number].shift_size
        tall = -(-side // size) * size
        row, column = (x.ravel() for x in np.divmod(np.arange(side * side), side))
        window = [(((x - shift) % tall) // size) for x in (row, column)]
        # Patches rolled in from the far side share a window with those before, and are masked from them by -100.
        same = np.logical_and(*(w[:, None] == w for w in window))
        seen = attention.weights(number)[:, : side * side, : side * side] > 1e-30
        assert not (seen & ~same).any()
        near = np.logical_and(*(abs(x[:, None] - x) < size for x in (row, column)))
        assert not (seen & ~near).any()
        assert (seen == (same & near)).mean() > 0.99


def test_qwen_windows_stand_at_their_true_places():
    _, captures = captured("Qwen2.5-VL")
    tall, wide, unit = 4, 6, 4
    merged = np.arange(tall * wide * unit) // unit
    window = (merged // wide // 2) * 3 + merged % wide // 2
    same = window[:, None] == window
    np.testing.assert_array_equal(captures[0]["vision"].weights(0).min(axis=0) > 0, same)
    assert (captures[0]["vision"].weights(1) > 0).all()


@pytest.mark.parametrize("name", ["Longformer (windows", "Longformer (global"])
def test_bands_reproduce_the_output(name):
    known = family(name)
    model, inputs = build(known), known.inputs()
    seen = {}

    def keep(module, args, kwargs, output):
        seen[module] = (args[0] if args else kwargs["hidden_states"], output[0])

    modules = [layer.attention.self for layer in model.encoder.layer]
    hooks = [module.register_forward_hook(keep, with_kwargs=True) for module in modules]
    with record(model) as recording, torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    marked = inputs.get("global_attention_mask", torch.zeros_like(inputs["input_ids"])).bool()
    for item, found in enumerate(recording.captures()):
        kept = inputs["attention_mask"][item].bool()
        for number, module in enumerate(modules):
            hidden, output = (tensor[item, :13][kept] for tensor in seen[module])
            special = marked[item][kept]
            with torch.no_grad():
                plain, whole = module.value(hidden), module.value_global(hidden)
            weights = torch.from_numpy(found.weights(number))
            for head in range(4):
                part = slice(8 * head, 8 * head + 8)
                again = torch.where(special[:, None], weights[head] @ whole[:, part], weights[head] @ plain[:, part])
                torch.testing.assert_close(again, output[:, part], atol=1e-5, rtol=0)


def test_what_is_left_out_is_named():
    with pytest.warns(AttnscopeWarning, match=r"Left out .* encoder\.block\.0\.layer\.0.*blocks"):
        _, captures = captured("LongT5 (sums")
    assert set(captures[0].kinds) == {"decoder", "cross"}


def test_a_shared_module_has_a_number_for_each_of_its_layers():
    _, captures = captured("ALBERT")
    found = captures[0]["self"]
    assert found.layers == (0, 1, 2)
    assert len(set(found.modules.values())) == 1
    assert abs(found.weights(0) - found.weights(2)).max() > 0.05


def test_what_will_not_fit_is_refused_before_it_runs(monkeypatch):
    model, inputs = build(family("Llama (grouped")), family("Llama (grouped").inputs()
    # Three layers of 2 × 12 tokens, 4 queries and 2 keys each of width 8, in float32.
    needed = 3 * 24 * (4 + 2) * 8 * 4
    assert room.kept_bytes(model, 12, 2, None, values=False) == needed
    monkeypatch.setattr(room, "ASKED_BYTES", 0)
    monkeypatch.setattr(room, "free_bytes", lambda: needed - 1)
    ran = []
    hook = model.layers[0].register_forward_hook(lambda *_: ran.append(True))
    with pytest.raises(TooLargeError, match=r"layers=range\(2\)"), record(model), torch.no_grad():
        model(**inputs)
    assert ran == []
    hook.remove()
    with record(model, layers=range(2)) as recording, torch.no_grad():
        model(**inputs)
    assert recording.captures()[0]["self"].layers == (0, 1)


def test_what_would_be_kept_is_what_is_kept():
    model, captures = captured("Llama (grouped")
    assert room.kept_bytes(model, 12, 1, None, values=False) == sum(
        layer.queries.nbytes + layer.keys.nbytes for layer in captures[0]["self"].stored.values()
    )
