"""Time of a recorded forward pass, beside the same pass without recording.

Run with ``python benchmarks/capture_cost.py``. The models have the widths of GPT-2 small and of a small Llama with
grouped heads, random weights, and few layers: the cost is per layer. One thread, timed on its own clock; variants take
turns in random order, and the shortest of all rounds counts, which other work on the machine disturbs least.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial

import torch
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel

from attnscope import record


def gpt2(n_layers: int) -> GPT2Model:
    """A model of GPT-2 small's width."""
    return GPT2Model(GPT2Config(n_layer=n_layers, n_positions=4096)).eval()


def llama(n_layers: int) -> LlamaModel:
    """A model of 14 heads that share 2 key heads."""
    shape = {"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864}
    return LlamaModel(LlamaConfig(**shape, num_hidden_layers=n_layers, vocab_size=1000)).eval()


def main() -> None:
    """Print a table of times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", nargs="*", type=int, default=[512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| model | layers | tokens | plain ms | recorded ms | ratio |\n|---|---|---|---|---|---|")
    for name, make in (("GPT-2 width", gpt2), ("Llama width, grouped", llama)):
        for n in options.tokens:
            n_layers = max(1, 2048 // n)
            model, ids = make(n_layers), torch.randint(0, 1000, (1, n))
            plain, recorded = _shortest([partial(_plain, model, ids), partial(_recorded, model, ids)], options.rounds)
            print(f"| {name} | {n_layers} | {n} | {plain:.0f} | {recorded:.0f} | {recorded / plain:.3f} |", flush=True)


def _plain(model: torch.nn.Module, ids: torch.Tensor) -> None:
    with torch.no_grad():
        model(ids, use_cache=False)


def _recorded(model: torch.nn.Module, ids: torch.Tensor) -> None:
    with torch.no_grad(), record(model):
        model(ids, use_cache=False)


def _shortest(variants: list[Callable[[], None]], rounds: int) -> list[float]:
    """Shortest time of each, in milliseconds."""
    shortest = [float("inf")] * len(variants)
    for variant in variants:
        variant()
    for _ in range(rounds):
        for which in random.sample(range(len(variants)), len(variants)):
            started = time.thread_time()
            variants[which]()
            shortest[which] = min(shortest[which], (time.thread_time() - started) * 1e3)
    return shortest


if __name__ == "__main__":
    main()
