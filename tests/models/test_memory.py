"""What a recording needs while it runs grows with the tokens, not with their square."""

import tracemalloc

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnscope import record
from tests.models import zoo

LENGTHS = (256, 512)


class Largest(TorchDispatchMode):
    """Counts the tensors of each number of cells that are made."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and id(leaf) not in given:
                self.made[leaf.numel()] = self.made.get(leaf.numel(), 0) + 1
        return result


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request):
    length = {"n_positions": max(LENGTHS)} if request.param == "gpt2" else {"max_position_embeddings": max(LENGTHS)}
    return zoo.small(request.param, **length)[0]


def run(model, n, *, recorded):
    ids = torch.randint(10, 60, (1, n), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if recorded:
            with record(model) as recording:
                model(input_ids=ids, use_cache=False)
            return recording.capture()
        return model(input_ids=ids, use_cache=False)


def test_no_tensor_of_queries_times_keys_is_made(model):
    n = max(LENGTHS)
    with Largest() as plain:
        run(model, n, recorded=False)
    with Largest() as watched:
        run(model, n, recorded=True)
    more = {size: count - plain.made.get(size, 0) for size, count in watched.made.items()}
    assert sum(count for size, count in more.items() if count > 0) > 0
    assert max(size for size, count in more.items() if count > 0) < n * n / 2
    # The model's own n × n tensors, if any, are as many as without the recording.
    assert max(watched.made) == max(plain.made)


def test_what_numpy_needs_is_linear(model):
    peaks = []
    for n in LENGTHS:
        run(model, n, recorded=True)
        tracemalloc.start()
        try:
            run(model, n, recorded=True)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    short, long = peaks
    assert long < 2.5 * short
    assert long < 4 * max(LENGTHS) ** 2
