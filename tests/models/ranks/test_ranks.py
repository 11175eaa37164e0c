"""Models split over two ranks: what each rank captures is the capture of the whole model, or a refusal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope import analysis, capture, load, record
from tests.models import zoo
from tests.models.ranks.models import FAMILIES, TEXTS, plain

LIMIT = 240
"""Seconds after which the processes are stopped."""
TOLERANCE = 1e-5
each_rank = pytest.mark.parametrize("rank", [0, 1])


@pytest.fixture(scope="module")
def models():
    return {name: zoo.build(known) for name, known in FAMILIES.items()}


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    """Where two processes left what they captured."""
    folder = tmp_path_factory.mktemp("ranks")
    for name, model in models.items():
        model.save_pretrained(folder / name)
    started = [start(rank, folder) for rank in (0, 1)]
    try:
        said = [one.communicate(timeout=LIMIT)[0] for one in started]
    finally:
        for one in started:
            one.kill()
    assert [one.returncode for one in started] == [0, 0], "\n".join(said)
    return folder


def start(rank, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.models.ranks.process", str(rank), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"},
    )


def kept(folder, name, rank):
    return load(folder / f"{name}.{rank}.safetensors")


def said(folder, name):
    return [(folder / f"{name}.{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1)]


def same(found, expected, tolerance=TOLERANCE):
    mine, its = found["self"], expected["self"]
    assert found.tokens == expected.tokens
    assert mine.layers == its.layers
    assert mine.head_counts == its.head_counts == (4,) * len(its.layers)
    for layer in its.layers:
        assert mine.check[layer] == pytest.approx(its.check[layer], abs=tolerance)
        assert mine.layer(layer).keys.shape == its.layer(layer).keys.shape
        np.testing.assert_allclose(mine.weights(layer), its.weights(layer), atol=tolerance)
        apart = abs(its.weights(layer)[:, None] - its.weights(layer)[None]).max((2, 3))[np.triu_indices(4, 1)]
        assert apart.min() > 10 * tolerance  # else heads in another order would pass


@each_rank
@pytest.mark.parametrize("name", FAMILIES)
def test_every_rank_has_all_heads_by_their_true_numbers(folder, models, name, rank):
    tokenizer = zoo.tokenizer_of(FAMILIES[name])
    for number, expected in enumerate(capture(models[name], tokenizer, TEXTS)):
        same(kept(folder, f"{name}.text{number}", rank), expected)


@each_rank
@pytest.mark.parametrize("name", FAMILIES)
def test_chosen_layers_with_what_their_heads_write(folder, models, name, rank):
    found = kept(folder, f"{name}.values", rank)
    expected = capture(models[name], zoo.tokenizer_of(FAMILIES[name]), TEXTS[0], layers=[1, 2], values=True)
    same(found, expected)
    for layer in (1, 2):
        mine, its = found["self"].layer(layer).values, expected["self"].layer(layer).values
        torch.testing.assert_close(mine, its, atol=TOLERANCE, rtol=0)
    if "phi3" in name:  # its heads are in every rank, but only a part of the matrix that reads them
        assert "projection is split over several processes" in found["self"].stream.missing[1]
        return
    for layer, its in expected["self"].stream.writes.items():
        mine = found["self"].stream.writes[layer]
        assert mine.arrays().keys() == its.arrays().keys() >= {"output", "residual"}
        for part, array in its.arrays().items():
            torch.testing.assert_close(mine.arrays()[part], array, atol=TOLERANCE, rtol=0, msg=part)
        assert 0 <= mine.check < TOLERANCE
        np.testing.assert_allclose(
            analysis.norm_weighted(found, layer), analysis.norm_weighted(expected, layer), atol=TOLERANCE
        )


@each_rank
def test_a_narrower_dtype(folder, models, rank):
    found = kept(folder, "bfloat16", rank)
    expected = capture(models["llama"], zoo.tokenizer_of(FAMILIES["llama"]), TEXTS[0], dtype="bfloat16")
    assert found["self"].layer(1).dtype == "bfloat16"
    same(found, expected, tolerance=5e-3)  # the last bits that ranks compute otherwise may round another way
    for layer in range(3):
        assert found["self"].layer(layer).error == pytest.approx(expected["self"].layer(layer).error, rel=0.1)


@each_rank
def test_text_it_writes(folder, models, rank):
    tokenizer = zoo.tokenizer_of(FAMILIES["llama"])
    with record(models["llama"]) as recording:
        models["llama"].generate(
            **tokenizer(TEXTS[0], return_tensors="pt"), max_new_tokens=4, min_new_tokens=4, do_sample=False
        )
    same(kept(folder, "generated", rank), recording.capture(tokenizer=tokenizer))


@each_rank
@pytest.mark.parametrize("way", ["plain", "plain, cut", "plain, cut, its mesh on the model"])
def test_a_module_that_pytorch_splits_or_that_was_cut_to_plain_tensors(folder, way, rank):
    model, x = plain()
    with torch.no_grad(), record(model, values=True) as recording:
        model(x)
    found, expected = kept(folder, way, rank), recording.capture()
    same(found, expected)
    torch.testing.assert_close(
        found["self"].stream.writes[0].output, expected["self"].stream.writes[0].output, atol=0, rtol=0
    )


@each_rank
@pytest.mark.parametrize("way", ["fully sharded", "fully sharded, wrapped"])
def test_ranks_with_whole_heads_may_capture_other_texts(folder, models, way, rank):
    same(kept(folder, way, rank), capture(models["llama"], zoo.tokenizer_of(FAMILIES["llama"]), TEXTS[rank]))


def test_a_data_parallel_rank_captures_alone(folder, models):
    same(kept(folder, "data parallel", 0), capture(models["llama"], zoo.tokenizer_of(FAMILIES["llama"]), TEXTS[0]))


@pytest.mark.parametrize(
    ("name", "error"),
    {
        "other texts": "InputError: Rank 1 was given other input_ids than rank 0",
        "other layers": "InputError: Rank 1 was given other layers than rank 0",
        "live": "ModelError: The heads of LlamaForCausalLM are split over 2 ranks.*Record without live=True",
        "to a file": r"ModelError: The heads of LlamaForCausalLM.*save\(\) the capture in one rank",
        "ablation": "ModelError: LlamaForCausalLM is split over 2 ranks.*load the model without tensor parallel",
        "stages": "ModelError: LlamaForCausalLM is run in 2 stages.*Load it with tensor parallel or a device_map",
        "distributed tensors": r"ModelError: layers\.0 attends over tensors that several.*use_local_output=True",
        "context parallel": r"ModelError: .*self_attn attends over tensors that several.*without context parallel",
    }.items(),
)
def test_all_ranks_refuse(folder, name, error):

    for one in said(folder, name):
        assert re.match(error, one), one


@pytest.mark.parametrize(
    ("name", "own", "others"),
    [
        ("an error before the pass", "ZeroDivisionError: division by zero", "could not record its part"),
        ("an error within the pass", "ZeroDivisionError: division by zero", "could not record its part"),
        ("an error after the pass", "KeyError: 'mine'", "could not record its part"),
    ],
)
def test_the_other_rank_learns_of_an_error(folder, name, own, others):
    first, second = said(folder, name)
    assert own in second
    assert first.startswith(f"ModelError: Rank 1 {others}")
    assert own.split(": ")[1] in first


@each_rank
def test_ranks_go_on_after_refusals(folder, models, rank):
    same(kept(folder, "after refusals", rank), capture(models["llama"], zoo.tokenizer_of(FAMILIES["llama"]), TEXTS[0]))


def test_a_rank_does_not_wait_for_ever(folder):
    alone = (folder / "alone.0.txt").read_text(encoding="utf-8")
    assert alone.startswith("ModelError: The other ranks did not come to where rank 0 is")
    assert "waited 1 seconds" in alone
    left = (folder / "left.0.txt").read_text(encoding="utf-8")
    assert left.startswith("ModelError: The other ranks did not come to where rank 0 is")
    assert "The connection said: " in left
