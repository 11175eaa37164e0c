"""Models whose linear modules compute in eight-bit integers: captured as they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope import capture
from tests.models import words, zoo


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quantize:UserWarning")
def test_weights_are_those_of_the_quantized_model(name):
    whole, tokenizer = zoo.small(name)
    model = torch.ao.quantization.quantize_dynamic(whole, {torch.nn.Linear}, dtype=torch.qint8)

    found = capture(model, tokenizer, words.SENTENCES[0])

    eager = torch.ao.quantization.quantize_dynamic(zoo.twin(whole), {torch.nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        own = eager(**tokenizer(words.SENTENCES[0], return_tensors="pt"), output_attentions=True).attentions
    unquantized = capture(whole, tokenizer, words.SENTENCES[0])
    for layer in range(3):
        np.testing.assert_allclose(found.weights(layer), own[layer][0].numpy(), atol=1e-5)
        assert found["self"].check[layer] < 1e-5
        assert abs(found.weights(layer) - unquantized.weights(layer)).max() > 1e-4  # else nothing was quantized
