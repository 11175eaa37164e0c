"""What another engine needs: the subject and the shards, nothing of ours; here processes of the standard library."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed

from attnscope import profile
from attnscope.profiling.shard import run_shard
from tests.unit.profiling.corpus import pair, texts

OPTIONS = {"progress": False, "batch_size": 2, "statistics": ["entropy", "gini", "induction", "previous_token_hit"]}
_subject = None


def _begin(subject):
    global _subject
    _subject = subject


def _run(shard, settings):
    return run_shard(_subject.load(), shard, settings)


class Processes:
    """Each shard in one of two other processes, in whatever order they come back."""

    def run(self, subject, shards, settings):
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, spawning, initializer=_begin, initargs=(subject,)) as pool:
            for future in as_completed([pool.submit(_run, shard, settings) for shard in shards]):
                yield future.result()


def test_other_processes_give_every_bit_of_what_one_process_gives():
    some = [*texts()[:60], "a", "日本語 😀 naïve", "the e\u0301tude"]
    alone = profile(*pair("gpt2"), some, **OPTIONS)
    assert profile(*pair("gpt2"), some, engine=Processes(), **OPTIONS) == alone
    assert (alone.n_texts, alone.skipped) == (63, ())
