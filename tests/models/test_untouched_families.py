"""Every known family is left as it was by a recording, whatever happens inside, and gives what it gives alone."""

from __future__ import annotations

import copy
import threading
import warnings

import pytest
import torch

from attnscope import record
from tests.models.known import FAMILIES
from tests.models.known.measure import build
from tests.models.test_untouched import state_of


class Subject:
    """One model with its inputs, and gradients on some of its parameters."""

    def __init__(self, known):
        self.model, self.given = build(known), known.inputs()
        for i, weight in enumerate(self.model.parameters()):
            if i % 2:
                weight.grad = torch.full_like(weight, 0.5)
        self.model.eval()
        for i, module in enumerate(self.model.modules()):
            if i % 3 == 0 and not list(module.children()):
                module.train(mode=isinstance(module, torch.nn.LayerNorm))  # modes differ, without a dropout among them
        order = []
        hooks = [
            module.register_forward_pre_hook(lambda module, _: order.append(module)) for module in self.model.modules()
        ]
        self.run()
        for hook in hooks:
            hook.remove()
        self.last = order[-1]

    def run(self):
        with torch.no_grad():
            return self.model(**copy.deepcopy(self.given))

    def alone(self, error=None):
        """Run from one seed, with an error raised inside if there is one; give outputs and what is left behind."""
        torch.manual_seed(7)
        outputs = []
        if error is None:
            outputs = tensors_of(self.run())
        else:
            hook = self.last.register_forward_pre_hook(lambda *_: _raise(error))
            try:
                with pytest.raises(type(error)) as raised:
                    self.run()
                assert raised.value is error
            finally:
                hook.remove()
        return outputs, self.state()

    def state(self):
        weights = [tensor.detach().clone() for tensor in self.model.state_dict().values()]
        gradients = [None if weight.grad is None else weight.grad.clone() for weight in self.model.parameters()]
        return state_of(self.model), weights, gradients

    def recorded(self, error=None, depth=1, **options):
        with record(self.model, **options) as _:
            return self.alone(error) if depth == 1 else self.recorded(error, depth - 1)


def _raise(error):
    raise error


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        return [value.clone()]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def assert_same(mine, its):
    assert len(mine) == len(its)
    for a, b in zip(mine, its, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a.nan_to_num(), b.nan_to_num())


@pytest.mark.parametrize("known", FAMILIES, ids=str)
def test_as_if_nothing_had_been_recorded(known):
    subject = Subject(known)
    for error in (None, RuntimeError("a module failed"), KeyboardInterrupt()):
        outputs, (state, weights, gradients) = subject.alone(error)
        assert any(gradient is not None for gradient in gradients)
        assert bool(outputs) == (error is None)
        for options in ({}, {"depth": 2, "values": True}):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of parts left out
                seen, _ = subject.recorded(error, **options)
            after, weights_after, gradients_after = subject.state()
            assert_same(seen, outputs)
            assert_same(weights_after, weights)
            assert_same(gradients_after, gradients)
            for name, value in state.items():
                if name != "grad":  # whose tensors are compared above
                    assert after[name] == value, (name, error, options)


@pytest.mark.parametrize(
    "name",
    ["BERT", "GPT-J", "Llama (grouped heads)", "T5 (position bias)", "Swin (shifted windows)", "CLIP", "Whisper",
     "Qwen3-Next (hybrid)"],
)  # fmt: skip
def test_in_two_threads_at_once(name):
    subject = Subject(next(known for known in FAMILIES if known.name == name))
    outputs = tensors_of(subject.run())
    state, weights, gradients = subject.state()
    both, seen = threading.Barrier(2), []

    def work():
        with record(subject.model):
            both.wait(timeout=30)
            seen.append(tensors_of(subject.run()))
            both.wait(timeout=30)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(seen) == 2
    for one in seen:
        assert_same(one, outputs)
    after, weights_after, gradients_after = subject.state()
    assert_same(weights_after, weights)
    assert_same(gradients_after, gradients)
    for attribute, value in state.items():
        if attribute != "grad":
            assert after[attribute] == value, attribute
