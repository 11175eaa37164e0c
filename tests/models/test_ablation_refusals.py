"""What cannot be switched off, cut or followed is refused, with what was wrong and what to do."""

from __future__ import annotations

import pytest

from attnscope import analysis
from attnscope.errors import InputError, InputTypeError, ModelError, NotFoundError
from tests.models import causal


def test_attention_that_cannot_be_reached():
    model, tokenizer = causal.loaded("diffllama")
    with pytest.raises(ModelError, match=r"Layer 0 of DiffLlamaForCausalLM.*several times"):
        analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 0))


@pytest.mark.parametrize(
    ("heads", "error", "words"),
    [
        ((0, 9), NotFoundError, "no head 9 in layer 0"),
        ((7, 0), NotFoundError, "layer 7"),
        ([], InputError, "no head in heads"),
        ("all", InputTypeError, r"\(layer, head\) pairs"),
        ([(0, "1")], InputTypeError, r"\(layer, head\) pair of numbers"),
    ],
)
def test_heads(heads, error, words):
    with pytest.raises(error, match=words):
        analysis.ablate_heads(*causal.loaded("gpt2"), causal.TEXT, heads)


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ((2, 5), "hides that key already"),
        ([(0, 0)], "left without any key"),
        ([], "no link in links"),
    ],
)
def test_links(links, words):
    with pytest.raises(InputError, match=words):
        analysis.cut_links(*causal.loaded("gpt2"), causal.TEXT, links)


def test_layers_and_heads_at_once():
    with pytest.raises(InputError, match="not both"):
        analysis.cut_links(*causal.loaded("gpt2"), causal.TEXT, (5, 2), layers=[0], heads=[(0, 1)])


def test_a_masked_model_without_a_mask():
    with pytest.raises(InputError, match=r"Write \[MASK\] where it is to predict"):
        analysis.ablate_heads(*causal.loaded("bert"), causal.TEXT, (0, 0))


def test_several_texts():
    with pytest.raises(InputTypeError, match="one by one"):
        analysis.ablate_heads(*causal.loaded("gpt2"), [causal.TEXT, causal.TEXT], (0, 0))


def test_padding():
    model, tokenizer = causal.loaded("gpt2")
    batch = tokenizer(["A dog", causal.TEXT], return_tensors="pt", padding=True)
    with pytest.raises(InputError, match="got 2 inputs"):
        analysis.ablate_heads(model, tokenizer, dict(batch), (0, 0))
    with pytest.raises(InputError, match="with padding"):
        analysis.ablate_heads(model, tokenizer, {n: v[:1] for n, v in batch.items()}, (0, 0))


def test_targets_that_are_not_there():
    with pytest.raises(NotFoundError, match=r"no class 'great'; the classes are bad, fair, good"):
        analysis.ablate_heads(*causal.loaded("classifier"), causal.TEXT, (0, 0), target="great")
    with pytest.raises(InputError, match=r"no single token.*Follow one of them"):
        analysis.ablate_heads(*causal.loaded("gpt2"), causal.TEXT, (0, 0), target="extraordinarily")


def test_training_mode():
    model, tokenizer = causal.loaded("gpt2")
    model.train()
    try:
        with pytest.raises(ModelError, match=r"training mode.*model.eval\(\)"):
            analysis.ablate_heads(model, tokenizer, causal.TEXT, (0, 0))
    finally:
        model.eval()


def test_another_way_to_ablate():
    with pytest.raises(InputTypeError, match="'zero', 'mean' or the result of mean_outputs"):
        analysis.ablate_heads(*causal.loaded("gpt2"), causal.TEXT, (0, 0), how="noise")
    with pytest.raises(InputError, match="no means for self layer 0"):
        analysis.ablate_heads(*causal.loaded("gpt2"), causal.TEXT, (0, 0), how={})
