"""What a recording needs while it runs grows with the tokens, not with their square."""

import tracemalloc
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnscope import record
from tests.models import zoo

LENGTHS = (256, 512)
WAYS = ("as it is", "bfloat16", "with the model", "to a file")
every_way = pytest.mark.parametrize("way", WAYS)


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


@pytest.fixture
def options(way, tmp_path):
    """What record() is asked for, a new path at every call."""
    numbers = iter(range(9))
    return {
        "as it is": dict,
        "bfloat16": lambda: {"dtype": "bfloat16"},
        "with the model": lambda: {"device": "model"},
        "to a file": lambda: {"path": tmp_path / f"{next(numbers)}.safetensors"},
    }[way]


def run(model, n, recorded=None):
    ids = torch.randint(10, 60, (1, n), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if recorded is not None:
            with record(model, **recorded) as recording:
                model(input_ids=ids, use_cache=False)
            return recording.capture()
        return model(input_ids=ids, use_cache=False)


def largest_of_ours(model, n, options):
    """Cells of the largest tensor that recording makes beside the model's own."""
    with Largest() as plain:
        run(model, n)
    with Largest() as watched:
        run(model, n, options())
    more = {size: count - plain.made.get(size, 0) for size, count in watched.made.items()}
    assert sum(count for count in more.values() if count > 0) > 0
    # The model's own n × n tensors, if any, are as many as without the recording.
    assert max(watched.made) == max(plain.made)
    return max(size for size, count in more.items() if count > 0)


@every_way
def test_no_tensor_of_queries_times_keys_is_made(model, options):
    short, long = (largest_of_ours(model, n, options) for n in LENGTHS)
    assert long < max(LENGTHS) ** 2 / 2
    assert long < 2.2 * short


@every_way
def test_what_numpy_needs_is_linear(model, options):
    peaks = []
    for n in LENGTHS:
        run(model, n, options())
        tracemalloc.start()
        try:
            run(model, n, options())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    short, long = peaks
    assert long < 2.5 * short
    assert long < 4 * max(LENGTHS) ** 2


class Alive(TorchDispatchMode):
    """Follows the bytes of tensors that are made and still held, and the most there were at a time."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self._held, self._known = {}, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        result = func(*args, **(kwargs or {}))
        own = {leaf.untyped_storage().data_ptr() for leaf in given} - set(self._held)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and id(leaf) not in self._known:
                storage = leaf.untyped_storage()
                if storage.data_ptr() not in own:
                    self._hold(leaf, storage.data_ptr(), storage.nbytes())
        return result

    def _hold(self, leaf, place, size):
        if self._held.setdefault(place, 0) == 0:
            self.now += size
            self.most = max(self.most, self.now)
        self._held[place] += 1
        self._known.add(id(leaf))
        weakref.finalize(leaf, self._let_go, id(leaf), place, size)

    def _let_go(self, number, place, size):
        self._known.discard(number)
        self._held[place] -= 1
        if self._held[place] == 0:
            del self._held[place]
            self.now -= size


N, DEPTHS = 512, (10, 20)


def held_beside(name, depth, options):
    """Bytes of tensors that recording holds at most beside what the model needs by itself, and those of one layer."""
    depth = {"n_layer": depth, "n_positions": N} if name == "gpt2" else {"num_hidden_layers": depth}
    model = zoo.small(name, **depth, **({} if name == "gpt2" else {"max_position_embeddings": N}))[0]
    with Alive() as plain:
        run(model, N)
    with Alive() as alive:
        made = run(model, N, options)
    return alive.most - plain.most, made.nbytes / made.n_layers


@pytest.mark.parametrize("values", [False, True], ids=["", "values"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_file_takes_what_memory_would_have_to_hold(name, values, tmp_path):
    beside = {}
    for depth in DEPTHS:
        beside["memory", depth], layer = held_beside(name, depth, {"values": values})
        beside["file", depth], _ = held_beside(name, depth, {"values": values, "path": tmp_path / f"{depth}"})
    grown = {way: beside[way, DEPTHS[1]] - beside[way, DEPTHS[0]] for way in ("memory", "file")}
    assert grown["memory"] > 0.8 * (DEPTHS[1] - DEPTHS[0]) * layer
    assert grown["file"] < 0.1 * layer
    # Beside the layer that is being written, values hold what the last eight norms were given and gave.
    assert beside["file", DEPTHS[1]] < (8 if values else 2) * layer


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_half_the_width_takes_half_the_memory(name):
    whole, layer = held_beside(name, DEPTHS[0], {})
    half, half_layer = held_beside(name, DEPTHS[0], {"dtype": "bfloat16"})
    assert half_layer < 0.52 * layer
    assert half < 0.7 * whole
