"""Maps of image pipelines against processors that materialise every weight, and pipelines left as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor, SlicedAttnProcessor
from diffusers.models.embeddings import apply_rotary_emb

from attnscope import AttentionWidget, load, record_diffusion
from attnscope.errors import InputError, InputTypeError, ModelError, NoAttentionError, NotFoundError
from attnscope.recording.diffusion.canvas import Canvas
from attnscope.recording.diffusion.maps import on_grid
from tests.models import pipelines

TOLERANCE = 1e-6
NAMES = list(pipelines.CALLS)
UNETS = ["stable_diffusion", "stable_diffusion_xl"]
JOINT = {"stable_diffusion_3": "image first", "flux": "prompt first"}

every_pipeline = pytest.mark.parametrize("name", NAMES)


class Materialised:
    """An attention processor that computes every weight and keeps those that reach the prompt."""

    def __init__(self, n_image):
        self.kept = []
        self.n_image = n_image

    def attend(self, attn, queries, keys, values, mask=None):
        queries, keys, values = (
            x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) if x.ndim == 3 else x for x in (queries, keys, values)
        )
        scores = queries.double() @ keys.double().transpose(-1, -2) * queries.shape[-1] ** -0.5
        weights = (scores if mask is None else scores + mask).softmax(-1)
        # The fused result goes on, so that both runs make the same image to the last bit.
        output = F.scaled_dot_product_attention(queries, keys, values, mask)
        torch.testing.assert_close(
            (weights @ values.double()).to(output), output, rtol=0, atol=1e-4 * float(output.abs().max())
        )
        return weights, output.transpose(1, 2).flatten(2)


class MaterialisedCross(Materialised):
    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, **_):
        prompt = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if attention_mask is not None:
            batch = hidden_states.shape[0]
            attention_mask = attn.prepare_attention_mask(attention_mask, prompt.shape[1], batch)
            attention_mask = attention_mask.unflatten(0, (batch, attn.heads))
        weights, output = self.attend(
            attn, attn.to_q(hidden_states), attn.to_k(prompt), attn.to_v(prompt), attention_mask
        )
        if encoder_hidden_states is not None:
            self.kept.append(weights[-1].double().numpy())
        return attn.to_out[1](attn.to_out[0](output))


class MaterialisedJoint(Materialised):
    """SD3's: the image's tokens, then the prompt's."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        n = hidden_states.shape[1]
        image = [project(hidden_states) for project in (attn.to_q, attn.to_k, attn.to_v)]
        prompt = [project(encoder_hidden_states) for project in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)]
        weights, output = self.attend(attn, *(torch.cat(pair, dim=1) for pair in zip(image, prompt, strict=True)))
        self.kept.append(weights[-1, :, :n, n:].double().numpy())
        beside = output[:, n:] if attn.context_pre_only else attn.to_add_out(output[:, n:])
        return attn.to_out[1](attn.to_out[0](output[:, :n])), beside


class MaterialisedFlux(Materialised):
    """Flux's: the prompt's tokens, then the image's, under rotary positions."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, image_rotary_emb=None):
        def split(x):
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        queries, keys, values = (split(project(hidden_states)) for project in (attn.to_q, attn.to_k, attn.to_v))
        queries, keys = attn.norm_q(queries), attn.norm_k(keys)
        if encoder_hidden_states is not None:
            more = [split(p(encoder_hidden_states)) for p in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)]
            queries = torch.cat([attn.norm_added_q(more[0]), queries], dim=2)
            keys = torch.cat([attn.norm_added_k(more[1]), keys], dim=2)
            values = torch.cat([more[2], values], dim=2)
        queries, keys = (apply_rotary_emb(x, image_rotary_emb, sequence_dim=2) for x in (queries, keys))
        weights, output = self.attend(attn, queries, keys, values)
        n = weights.shape[-1] - self.n_image
        self.kept.append(weights[-1, :, n:, :n].double().numpy())
        if encoder_hidden_states is None:
            return output
        return attn.to_out[1](attn.to_out[0](output[:, n:])), attn.to_add_out(output[:, :n])


REFERENCES = {"stable_diffusion_3": MaterialisedJoint, "flux": MaterialisedFlux}


def denoiser_of(pipeline):
    return getattr(pipeline, "unet", None) or pipeline.transformer


def materialised(name, n_image=24, **options):
    """All weights from image to prompt, [heads, places, tokens] per call, as a materialising processor sees them."""
    pipeline = pipelines.made(name)
    denoiser = denoiser_of(pipeline)
    processor = REFERENCES.get(name, MaterialisedCross)(n_image)
    own = denoiser.attn_processors
    denoiser.set_attn_processor(processor)
    try:
        pipelines.run(pipeline, name, **options)
    finally:
        denoiser.set_attn_processor(own)
    return processor.kept


def spread(weights, rows, columns):
    """[places, tokens] on its own grid to [rows, columns, tokens]."""
    step = round((rows * columns / len(weights)) ** 0.5)
    return weights.reshape(rows // step, columns // step, -1).repeat(step, axis=0).repeat(step, axis=1)


def mean_map(calls):
    """The mean over calls and heads on the finest grid, which is 2 : 3, [tokens, rows, columns]."""
    places = max(weights.shape[1] for weights in calls)
    rows = round((places * 2 / 3) ** 0.5)
    mean = np.mean([spread(weights.mean(axis=0), rows, places // rows) for weights in calls], axis=0)
    return np.moveaxis(mean / mean.sum(axis=-1, keepdims=True), -1, 0)


def recorded(name, keep="average", **options):
    pipeline = pipelines.made(name)
    with record_diffusion(pipeline, keep=keep) as recording:
        pipelines.run(pipeline, name, **options)
    return recording


@every_pipeline
@pytest.mark.parametrize("keep", ["average", "all"])
def test_maps_equal_materialised_weights(name, keep):
    own = materialised(name)
    recording = recorded(name, keep)
    maps = recording.maps()
    assert maps.dtype == np.float32
    assert maps.shape[0] == len(recording.tokens)
    assert maps.max() > 1.3 / maps.shape[0]  # equality would say little were all uniform
    np.testing.assert_allclose(maps, mean_map(own), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(maps.sum(axis=0), 1, atol=1e-6)
    assert max(recording.check.values()) < 1e-4


@every_pipeline
def test_steps_layers_and_heads_can_be_told_apart(name):
    own = materialised(name)
    recording = recorded(name, "all")
    n_steps, n_layers = recording.n_steps, len(recording.layers)
    assert len(own) == n_steps * n_layers
    n_heads = own[0].shape[0]
    every = recording.maps(steps="all", layers="all", heads="all", normalize=False)
    n_tokens, rows, columns = recording.maps().shape
    assert every.shape == (n_steps, n_layers, n_heads, n_tokens, rows, columns)
    for step in range(n_steps):
        for layer in range(n_layers):
            for head in range(n_heads):
                expected = spread(own[step * n_layers + layer][head], rows, columns)
                found = np.moveaxis(every[step, layer, head], 0, -1)
                np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        recording.maps(layers=[0], steps=-1, normalize=False), every[-1, :1].mean(axis=1), atol=TOLERANCE
    )
    assert recording.maps("cat", heads=[1], layers=0).shape == (1, *recording.maps(layers=0).shape[1:])


@every_pipeline
def test_the_pipeline_is_left_as_it_was(name):
    pipeline = pipelines.made(name)
    denoiser = denoiser_of(pipeline)
    before = dict(denoiser.attn_processors)
    config = dict(denoiser.config)
    modules = [m for part in pipeline.components.values() if isinstance(part, torch.nn.Module) for m in part.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in modules]
    alone = pipelines.run(pipeline, name)
    torch.manual_seed(5)
    with record_diffusion(pipeline):
        beside = pipelines.run(pipeline, name)
    drawn = torch.rand(3)
    torch.manual_seed(5)

    assert np.array_equal(alone, beside)
    assert torch.equal(drawn, torch.rand(3))
    assert {path: id(processor) for path, processor in denoiser.attn_processors.items()} == {
        path: id(processor) for path, processor in before.items()
    }
    assert dict(denoiser.config) == config
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in modules] == hooks


def test_the_pipeline_is_left_as_it_was_after_an_error():
    pipeline = pipelines.made("stable_diffusion")
    recording = record_diffusion(pipeline)
    with pytest.raises(KeyError, match="stop"), recording:
        pipelines.run(pipeline, "stable_diffusion", callback_on_step_end=lambda *_: {}["stop"])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in pipeline.unet.modules())
    assert recording.n_steps == 1


class TestWords:
    @pytest.fixture
    def recording(self):
        return recorded("stable_diffusion", prompt="a red cat on a sofa")

    def test_tokens_of_a_word_are_summed(self, recording):
        tokens = list(recording.tokens)
        assert tokens[:9] == ["<|startoftext|>", " a", " red", " cat", " on", " a", " s", "o", "f"]
        every = recording.maps()
        np.testing.assert_allclose(recording.maps("sofa"), every[6:10].sum(axis=0), atol=1e-7)
        np.testing.assert_allclose(recording.maps("red cat"), every[2:4].sum(axis=0), atol=1e-7)
        np.testing.assert_allclose(recording.maps("a"), every[[1, 5]].sum(axis=0), atol=1e-7)
        np.testing.assert_allclose(recording.maps("a", occurrence=1), every[5], atol=1e-7)
        np.testing.assert_allclose(recording.maps("<|startoftext|>"), every[0], atol=1e-7)

    def test_several_words_stand_side_by_side(self, recording):
        both = recording.maps(["cat", "sofa"])
        assert both.shape == (2, *recording.maps("cat").shape)
        np.testing.assert_array_equal(both[1], recording.maps("sofa"))

    def test_a_word_that_is_not_there(self, recording):
        with pytest.raises(NotFoundError, match="'cat'"):
            recording.maps("cats")

    def test_both_encoders_tokens_count(self):
        recording = recorded("stable_diffusion_3")
        cats = [i for i, text in enumerate(recording.tokens) if text.strip() == "cat"]
        assert len(cats) == 2
        np.testing.assert_allclose(recording.maps("cat"), recording.maps()[cats].sum(axis=0), atol=1e-7)

    def test_a_missing_encoder_stands_for_nothing(self):
        pipeline = pipelines.stable_diffusion_3(t5=False)
        with record_diffusion(pipeline) as recording:
            pipelines.run(pipeline, "stable_diffusion_3")
        assert set(list(recording.tokens)[pipelines.LENGTH :]) == {"[none]"}
        assert recording.maps("red").shape == (4, 6)


class TestWhere:
    """A change of the image at one place changes the maps at that place, on a grid that is not square."""

    @pytest.mark.parametrize(
        ("name", "channels", "box"),
        [
            ("stable_diffusion", 4, (slice(5, 6), slice(10, 11))),
            ("stable_diffusion_3", 4, (slice(4, 6), slice(8, 10))),
            ("pixart", 4, (slice(4, 6), slice(8, 10))),
            ("flux", 4, (slice(4, 6), slice(8, 10))),
        ],
    )
    def test_it_lands_in_its_pixels(self, name, channels, box):
        latents = torch.randn(1, channels, 8, 12, generator=torch.Generator().manual_seed(3))
        changed = latents.clone()
        changed[(..., *box)] *= -4
        pipeline = getattr(pipelines, name)()
        if name == "stable_diffusion":  # without its convolutions, which carry a change to the places beside it
            with torch.no_grad():
                pipeline.unet.conv_in.weight *= torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
                pipeline.unet.down_blocks[0].resnets[0].conv2.weight.zero_()
        maps = []
        for given in (latents, changed):
            if name == "flux":
                given = pipeline._pack_latents(given, 1, channels, 8, 12)
            with record_diffusion(pipeline, keep="all") as recording:
                pipelines.run(pipeline, name, latents=given, steps=1)
            maps.append(recording.maps(layers=0, steps=0, heads=0, size=(16, 24)))
        moved = np.abs(maps[0] - maps[1]).sum(axis=0)
        row, column = np.unravel_index(moved.argmax(), moved.shape)
        assert 2 * box[0].start <= row < 2 * box[0].stop
        assert 2 * box[1].start <= column < 2 * box[1].stop
        if name in JOINT:  # nothing but that place has changed before the first layer
            outside = moved.copy()
            outside[2 * box[0].start : 2 * box[0].stop, 2 * box[1].start : 2 * box[1].stop] = 0
            assert outside.max() < 1e-5 < moved.max()

    def test_a_larger_size_repeats_places(self):
        recording = recorded("flux")
        small, large = recording.maps("cat"), recording.maps("cat", size=(16, 24))
        np.testing.assert_array_equal(large, small.repeat(4, axis=0).repeat(4, axis=1))

    def test_odd_sizes(self):
        assert Canvas(5, 7, 35).grid(12, "") == (3, 4, 2)
        coarse = np.arange(12.0)[:, None]
        found = on_grid(coarse, (3, 4, 2), (5, 7, 1))[..., 0]
        np.testing.assert_array_equal(found, coarse.reshape(3, 4).repeat(2, axis=0).repeat(2, axis=1)[:5, :7])
        with pytest.raises(ModelError, match="no grid of the 5 × 7"):
            Canvas(5, 7, 35).grid(13, "mid")


class TestGuidance:
    @pytest.mark.parametrize("name", ["stable_diffusion", "stable_diffusion_3", "pixart"])
    def test_the_pass_over_the_prompt_is_the_one_recorded(self, name):
        guided = recorded(name, "all", negative_prompt="on")
        alone = recorded(name, "all", guidance_scale=1.0)
        np.testing.assert_allclose(guided.maps(steps=0), alone.maps(steps=0), atol=2e-5)
        assert guided.n_steps == alone.n_steps

    def test_a_negative_prompt_in_a_pass_of_its_own_is_left_out(self):
        guided = recorded("flux", "all", negative_prompt="on", true_cfg_scale=3.0)
        alone = recorded("flux", "all")
        assert guided.n_steps == alone.n_steps == 2
        np.testing.assert_allclose(guided.maps(steps=0), alone.maps(steps=0), atol=1e-6)

    @pytest.mark.parametrize("options", [{"num_images_per_prompt": 2}, {"prompt": ["a cat", "a red cat"]}])
    @pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
    def test_several_images_at_once_are_refused(self, options, guidance_scale):
        with pytest.raises(InputError, match="one image"):
            _ = recorded("stable_diffusion", guidance_scale=guidance_scale, **options).tokens


class TestProcessors:
    @pytest.mark.parametrize("processor", [AttnProcessor(), SlicedAttnProcessor(1), SlicedAttnProcessor(3)])
    @pytest.mark.parametrize("name", UNETS)
    def test_older_processors_give_the_same_maps(self, name, processor):
        expected = recorded(name).maps()
        unet = pipelines.made(name).unet
        own = unet.attn_processors
        unet.set_attn_processor(processor)
        try:
            found = recorded(name, "all")
        finally:
            unet.set_attn_processor(own)
        np.testing.assert_allclose(found.maps(), expected, rtol=0, atol=1e-5)  # the images differ in their last bits
        assert set(found.capture()[found.capture().kinds[0]].how.values()) == {"softmax"}

    def test_a_backend_that_cannot_be_seen_is_refused(self):
        class Unseen(MaterialisedCross):
            def attend(self, attn, queries, keys, values, mask=None):
                return torch.ones(1), queries

        unet = pipelines.made("stable_diffusion").unet
        own = unet.attn_processors
        unet.set_attn_processor(Unseen(0))
        try:
            recording = recorded("stable_diffusion")
        finally:
            unet.set_attn_processor(own)
        with pytest.raises(ModelError, match="outside PyTorch's own functions"):
            recording.maps()


class TestPrompts:
    def test_a_word_that_was_cut_off_is_not_there(self):
        recording = recorded("stable_diffusion", prompt="cat " * 30 + "red")
        assert recording.maps("cat", occurrence=3).shape == (8, 12)
        with pytest.raises(NotFoundError):
            recording.maps("red")

    @pytest.mark.parametrize("length", [pipelines.LENGTH, 2 * pipelines.LENGTH])
    def test_embeddings_need_names(self, length):
        pipeline = pipelines.made("stable_diffusion")
        embeddings = torch.randn(1, length, 16, generator=torch.Generator().manual_seed(0))
        given = {"prompt": None, "prompt_embeds": embeddings, "negative_prompt_embeds": embeddings.flip(1)}
        with pytest.raises(InputError, match="tokens="):
            recorded("stable_diffusion", **given).maps("cat")
        names = ["cat", *(f"t{i}" for i in range(length - 1))]
        with record_diffusion(pipeline, tokens=names) as recording:
            pipelines.run(pipeline, "stable_diffusion", **given)
        np.testing.assert_array_equal(recording.maps("cat"), recording.maps()[0])

    def test_names_of_another_length_are_refused(self):
        pipeline = pipelines.made("stable_diffusion")
        with record_diffusion(pipeline, tokens=["a", "b"]) as recording:
            pipelines.run(pipeline, "stable_diffusion")
        with pytest.raises(InputError, match="16 prompt tokens, but 2"):
            _ = recording.tokens


class TestCaptures:
    @every_pipeline
    def test_weights_of_one_step(self, name):
        own = materialised(name)
        recording = recorded(name, "all")
        found = recording.capture(step=1)
        kind = "joint" if name in JOINT else "cross"
        assert found.kinds[0] == kind
        n_layers = len(recording.layers)
        for some in found.kinds:
            queries, keys = found.tokens_of(some)
            image = np.flatnonzero(queries.patches[:, 0] >= 0)
            prompt = np.flatnonzero(keys.patches[:, 0] < 0) if kind == "joint" else np.arange(len(keys))
            for layer in found[some].layers:
                weights = found.weights(layer, kind=some)[:, image][:, :, prompt]
                np.testing.assert_allclose(weights, own[n_layers + layer], rtol=0, atol=TOLERANCE)
        assert [keys.text[i] for i in prompt] == list(recording.tokens)

    def test_places_know_their_patch(self):
        queries, keys = recorded("stable_diffusion", "all").capture(layers=[0]).tokens_of()
        assert queries.patches[13].tolist() == [1, 1, 8, 12]
        assert queries[13] == "patch 1,1"
        assert keys.find("cat") == 3

    def test_the_average_is_one_head(self, tmp_path):
        recording = recorded("stable_diffusion")
        recording.capture().save(tmp_path / "average")
        found = load(tmp_path / "average")
        assert (found.n_layers, found.n_heads) == (1, 1)
        np.testing.assert_array_equal(found.weights(0, 0).T.reshape(recording.maps().shape), recording.maps())

    @pytest.mark.parametrize("name", ["stable_diffusion", "flux"])
    def test_the_widget_shows_it(self, name):
        found = recorded(name, "all").capture()
        widget = AttentionWidget(found, query="patch 1,2")
        assert widget.query == found.find("patch 1,2")
        assert widget.kind == found.kinds[0]


class TestRefusals:
    def test_what_is_no_pipeline(self):
        with pytest.raises(InputTypeError, match="pipeline of diffusers"):
            record_diffusion(torch.nn.Linear(1, 1))

    def test_an_unknown_keep(self):
        with pytest.raises(InputError, match="average"):
            record_diffusion(pipelines.made("flux"), keep="some")

    def test_a_pipeline_that_did_not_run(self):
        with record_diffusion(pipelines.made("flux")) as recording:
            pass
        with pytest.raises(NoAttentionError, match="did not look at a prompt"):
            recording.maps()

    def test_an_open_recording(self):
        with record_diffusion(pipelines.made("flux")) as recording, pytest.raises(InputError, match="still open"):
            recording.maps()

    @pytest.mark.parametrize("part", ["steps", "layers", "heads"])
    def test_parts_of_an_average(self, part):
        with pytest.raises(InputError, match='keep="all"'):
            recorded("flux").maps(**{part: 0})

    def test_parts_there_are_none_of(self):
        recording = recorded("flux", "all")
        with pytest.raises(NotFoundError, match="no step 7: there are 2"):
            recording.maps(steps=[7])
        with pytest.raises(InputTypeError, match="layers"):
            recording.maps(layers="first")
