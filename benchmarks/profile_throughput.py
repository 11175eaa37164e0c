"""Throughput of a profile, beside plain eager weights with the same statistics.

Run with ``python -m benchmarks.profile_throughput``. The model is a BERT with random weights, the texts are sentences
of templates, one to three in a text. All ways run the same texts in the same batches, of about equal length, on one
thread timed on its own clock: the model alone; eager with ``output_attentions``, whose weights then go through the
same statistics; and ``attnscope.profile``. With ``--workers`` the profile also runs on that many dask workers on this
machine, timed by the wall; whether that gives the same bits is said beside it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from attnscope import HeadProfile, from_attentions, profile
from attnscope.profiling.counting import count
from attnscope.profiling.measures import MEASURES
from attnscope.recording.encode import encode
from tests.models.sentences import sentence
from tests.models.words import wordpiece

BATCH = 8


def model(implementation: str, n_layers: int, n_heads: int) -> BertModel:
    """The same BERT each time, on one way of computing attention."""
    torch.manual_seed(0)
    shape = {"hidden_size": 32 * n_heads, "num_hidden_layers": n_layers, "num_attention_heads": n_heads}
    config = BertConfig(vocab_size=400, intermediate_size=128 * n_heads, **shape, attn_implementation=implementation)
    return BertModel(config).eval()


def corpus(n_texts: int) -> list[str]:
    """Texts of one to three sentences."""
    random = np.random.default_rng(0)
    return [" ".join(sentence(random)[0] for _ in range(random.integers(1, 4))) for _ in range(n_texts)]


def batches(texts: list[str]) -> Iterator[list[str]]:
    """Deal texts as a profile does: shards of eight batches, each in order of length."""
    tokenizer = wordpiece()
    for start in range(0, len(texts), BATCH * BATCH):
        shard = sorted(texts[start : start + BATCH * BATCH], key=lambda text: len(tokenizer(text)["input_ids"]))
        for first in range(0, len(shard), BATCH):
            yield shard[first : first + BATCH]


def plain(bert: BertModel, texts: list[str]) -> None:
    """Run the model and keep nothing."""
    for batch in batches(texts):
        with torch.no_grad():
            bert(**encode(wordpiece(), batch, None).inputs)


def eager(bert: BertModel, texts: list[str]) -> None:
    """Take the weights the model gives, and sum the same statistics."""
    for batch in batches(texts):
        encoded = encode(wordpiece(), batch, None)
        with torch.no_grad():
            weights = bert(**encoded.inputs, output_attentions=True).attentions
        for item, tokens in enumerate(encoded.tokens):
            n = int(encoded.inputs["attention_mask"][item].sum())
            cut = [layer[item, :, :n, :n] for layer in weights]
            attention = from_attentions(cut, tokens.take(np.arange(n)))["self"]
            count(attention, tuple(MEASURES), content=False)


def timed(run: Callable[[], Any], clock: Callable[[], float]) -> tuple[float, Any]:
    """Seconds a run takes, and what it gives."""
    started = clock()
    found = run()
    return clock() - started, found


def on_workers(bert: BertModel, texts: list[str], workers: int) -> HeadProfile:
    """Profile on dask workers on this machine."""
    import dask
    from distributed import Client, LocalCluster

    trim = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 28}
    shape = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with dask.config.set(trim), LocalCluster(**shape) as cluster, Client(cluster) as client:
        return profile(bert, wordpiece(), texts, batch_size=BATCH, engine="dask", client=client, progress=False)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="?", type=int, default=2000)
    parser.add_argument("--shape", type=int, nargs=2, default=(6, 12), metavar=("LAYERS", "HEADS"))
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    texts, fast, slow = corpus(options.texts), model("sdpa", *options.shape), model("eager", *options.shape)
    for warm in (plain, eager):
        warm(slow, texts[:BATCH])
    profile(fast, wordpiece(), texts[:BATCH], progress=False)

    alone, _ = timed(lambda: plain(fast, texts), time.thread_time)
    by_weights, _ = timed(lambda: eager(slow, texts), time.thread_time)
    ours, made = timed(lambda: profile(fast, wordpiece(), texts, batch_size=BATCH, progress=False), time.thread_time)
    print(f"{made}, {len(MEASURES)} statistics")
    print("| way | texts per second | time beside the model alone |\n|---|---|---|")
    for name, seconds in (("the model alone", alone), ("eager weights", by_weights), ("attnscope.profile", ours)):
        print(f"| {name} | {len(texts) / seconds:.0f} | {seconds / alone:.2f} |")
    if options.workers:
        seconds, again = timed(lambda: on_workers(fast, texts, options.workers), time.perf_counter)
        same = "every bit the same" if again == made else "NOT the same"
        print(f"{options.workers} dask workers: {len(texts) / seconds:.0f} texts per second by the wall, {same}")


if __name__ == "__main__":
    main()
