"""Weights of models that attend in windows and blocks stand at their tokens' true positions."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from attnscope import record
from tests.models.known import FAMILIES
from tests.models.known.family import normal, padded
from tests.models.known.measure import build

WINDOWED = ["Swin (shifted windows)", "Swin (padded windows)", "Swin v2 (shifted windows)", "Donut, vision"]
BLOCK = re.compile(r".*blocks\.\d+")


class Windows:
    """What the modules themselves saw: the tokens of each block, of each of its windows, and each softmax."""

    def __init__(self, model):
        self.tokens, self.windows, self.weights = {}, {}, {}
        self.open = []
        for path, module in model.named_modules():
            if BLOCK.fullmatch(path):
                module.register_forward_pre_hook(self.saw(self.tokens, path))
                if "Swinv2" not in type(module).__name__:  # which normalises only after attending
                    module.layernorm_before.register_forward_hook(self.gave(self.tokens, path))
            elif BLOCK.fullmatch(path.removesuffix(".attention")):
                module.register_forward_pre_hook(self.saw(self.windows, path.removesuffix(".attention")))

    def saw(self, into, path):
        def hook(_, args):
            self.open.append(path)
            into[path] = args[0].detach()

        return hook

    @staticmethod
    def gave(into, path):
        return lambda _module, _args, output: into.__setitem__(path, output.detach())

    def softmax(self, plain):
        def watched(*args, **kwargs):
            result = plain(*args, **kwargs)
            self.weights[self.open[-1]] = result.detach()
            return result

        return watched

    def whole(self, path, item, batch):
        """All weights of one block [heads, tokens, tokens], NaN for padding, and the number of windows."""
        tokens, windows, weights = self.tokens[path][item], self.windows[path], self.weights[path]
        each = len(windows) // batch
        found = np.zeros((weights.shape[1], len(tokens), len(tokens)), np.float32)
        for window in range(item * each, (item + 1) * each):
            same = (windows[window][:, None] == tokens[None]).all(-1)
            assert same.sum(1).max() <= 1  # a vector tells its token
            inside = same.any(1).numpy()
            places = same.int().argmax(1).numpy()[inside]
            found[np.ix_(range(len(found)), places, places)] = weights[window].numpy()[:, inside][:, :, inside]
        return found, each


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("size", [(32, 32), (32, 64), (40, 24)], ids=str)
def test_weights_stand_at_their_tokens(name, size, monkeypatch):
    model, pixels = build(next(known for known in FAMILIES if known.name == name), "eager"), normal(2, 3, *size)
    with torch.no_grad(), record(model) as recording:
        model(pixels)
    seen = Windows(model)
    with torch.no_grad(), monkeypatch.context() as patch:
        patch.setattr(F, "softmax", seen.softmax(F.softmax))
        model(pixels)

    most = 0
    for item, found in enumerate(recording.captures()):
        numbers = []
        for attention in (found[kind] for kind in found.kinds):
            for number in attention.layers:
                path = BLOCK.match(attention.modules[number])[0]
                expected, n_windows = seen.whole(path, item, 2)
                n = expected.shape[1]
                weights = attention.weights(number)[:, :n, :n]
                np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5, err_msg=path)
                numbers.append(number)
                most = max(most, n_windows)
        assert sorted(numbers) == [0, 1, 2, 3]
    assert most >= 4


@pytest.mark.parametrize("n", [9, 12, 21])
def test_blocks_of_longt5_equal_a_band_of_the_whole(n):
    model = build(next(known for known in FAMILIES if known.name == "LongT5 (local encoder)"))
    inputs = padded(n, 2) | {"decoder_input_ids": torch.tensor([[5, 6], [7, 8]])}
    seen = []
    layers = [block.layer[0].LocalSelfAttention for block in model.encoder.block]
    for layer in layers:
        layer.register_forward_pre_hook(lambda _, args, kwargs: seen.append(args[0]), with_kwargs=True)
    with torch.no_grad(), record(model) as recording:
        model(**inputs)
    bias = layers[0].relative_attention_bias
    distance = torch.arange(n)[None] - torch.arange(n)[:, None]
    with torch.no_grad():
        added = bias(layers[0]._relative_position_bucket(distance, num_buckets=bias.num_embeddings)).permute(2, 0, 1)
    for item, found in enumerate(recording.captures()):
        kept = inputs["attention_mask"][item].bool()
        hidden = (abs(distance) >= layers[0].block_len) | ~kept[None]
        for number, layer in enumerate(layers):
            with torch.no_grad():
                q, k = (
                    projection(seen[number][item]).unflatten(-1, (layer.n_heads, -1)).transpose(0, 1)
                    for projection in (layer.q, layer.k)
                )
                whole = (q @ k.transpose(1, 2) + added).masked_fill(hidden, -torch.inf).softmax(-1)
            expected = whole[:, kept][:, :, kept].numpy()
            np.testing.assert_allclose(found.weights(number, kind="encoder"), expected, rtol=0, atol=1e-6)
