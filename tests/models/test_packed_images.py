"""Models that read the images of all texts as one sequence: each text has its own, at their true positions."""

import numpy as np
import pytest
import torch

from attnscope import record
from attnscope.errors import AttnscopeWarning
from attnscope.recording.collect import packs
from tests.models.known import FAMILIES
from tests.models.known.family import normal
from tests.models.known.measure import build
from tests.models.known.mixed import IMAGE_TOKEN

NAMES = ["Qwen2-VL", "Qwen2.5-VL (windows)"]
START, END = 117, 118
TEXTS = [[(8, 12)], [(4, 4), (4, 8)], [(8, 4)]]


def inputs_of(texts):
    """Texts with images of these grids, padded on the left."""
    rows, pixels, grids = [], [], []
    for images in texts:
        row = [40 + len(images), 50]
        for tall, wide in images:
            row += [START, *[IMAGE_TOKEN] * (tall * wide // 4), END]
            pixels.append(normal(tall * wide, 3 * 2 * 4 * 4, seed=tall * 100 + wide))
            grids.append([1, tall, wide])
        rows.append([*row, 30, 31])
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "pixel_values": torch.cat(pixels),
        "image_grid_thw": torch.tensor(grids),
        "mm_token_type_ids": (ids == IMAGE_TOKEN).long(),
    }


def captures_of(model, texts):
    with torch.no_grad(), record(model) as recording:
        model(**inputs_of(texts))
    return recording.captures()


@pytest.fixture(params=NAMES)
def model(request):
    return build(next(known for known in FAMILIES if known.name == request.param))


@pytest.mark.filterwarnings("error::attnscope.errors.AttnscopeWarning")
def test_a_batch_equals_one_by_one(model):
    several = captures_of(model, TEXTS)
    for text, found in zip(TEXTS, several, strict=True):
        (alone,) = captures_of(model, [text])
        assert found.kinds == alone.kinds == ("self", "vision")
        for kind in found.kinds:
            assert list(found.tokens_of(kind)[0]) == list(alone.tokens_of(kind)[0])
            np.testing.assert_array_equal(found.tokens_of(kind)[0].patches, alone.tokens_of(kind)[0].patches)
            assert found[kind].layers == alone[kind].layers
            for number in found[kind].layers:
                weights = found.weights(number, kind=kind)
                np.testing.assert_allclose(weights, alone.weights(number, kind=kind), rtol=0, atol=1e-5)


def test_each_image_looks_at_itself_only(model):
    found = captures_of(model, TEXTS)[1]
    whole = found.weights(1, kind="vision")
    assert whole.shape[1:] == (48, 48)
    assert whole[:, :16, 16:].max() == whole[:, 16:, :16].max() == 0
    np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-5)
    patches = found.tokens_of("vision")[0].patches
    assert sorted(map(tuple, patches[:16].tolist())) == [(row, column, 4, 4) for row in range(4) for column in range(4)]
    assert {tuple(grid) for grid in patches[16:, 2:].tolist()} == {(4, 8)}


def test_an_image_that_changes_moves_the_rows_of_its_own_text_only(model):
    given = inputs_of(TEXTS)
    with torch.no_grad(), record(model) as recording:
        model(**given)
    before = recording.captures()
    given["pixel_values"][96:112] += 1  # the first image of the second text
    with torch.no_grad(), record(model) as recording:
        model(**given)
    after = recording.captures()
    moved = [
        abs(a.weights(0, kind="vision") - b.weights(0, kind="vision")).max(axis=(0, 2))
        for a, b in zip(before, after, strict=True)
    ]
    assert moved[0].max() == moved[2].max() == moved[1][16:].max() == 0
    assert moved[1][:16].min() > 0


def test_a_batch_where_one_text_has_no_image_is_left_out_with_a_warning(model):
    with pytest.warns(AttnscopeWarning, match=r"Left out .*blocks\.0\.attn.*2 inputs"):
        found = captures_of(model, [[(4, 4)], []])
    assert [one.kinds for one in found] == [("self",)] * 2


def test_which_images_belong_to_which_text(model):
    given = inputs_of(TEXTS)
    assert packs.images_by_text(model, given) == [slice(0, 1), slice(1, 3), slice(3, 4)]
    assert [len(some) for some in packs.patches_by_text(model, given)] == [96, 48, 32]
    given["image_grid_thw"] = given["image_grid_thw"].flip(0)  # sizes that the texts' image tokens do not have
    assert packs.images_by_text(model, given) is None
    assert packs.images_by_text(model, {"input_ids": given["input_ids"]}) is None
