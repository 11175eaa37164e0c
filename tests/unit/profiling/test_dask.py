"""Two dask workers give every bit of what one process gives, also when one of them is killed."""

import os
import signal
import sys

import pytest
import torch

pytest.importorskip("distributed", reason="dask.distributed comes with attnscope[dask]")

from distributed import Client, LocalCluster

from attnscope import profile
from attnscope.errors import AttnscopeError, InputError, MissingPackageError, ModelError
from tests.unit.profiling.corpus import bert, pair, texts

SMALL = {"progress": False, "batch_size": 2, "statistics": ["entropy", "sink_share", "induction", "previous_token_hit"]}


@pytest.fixture(scope="module")
def client():
    import dask

    quiet = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 28, "distributed.admin.log-format": ""}
    shape = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with dask.config.set(quiet), LocalCluster(**shape, silence_logs=50) as cluster, Client(cluster) as opened:
        opened.run(_find_tests, os.pathsep.join(sys.path))
        yield opened


def _find_tests(path):
    """Let a worker import what the tests import."""
    sys.path[:] = path.split(os.pathsep)


@pytest.fixture(scope="module")
def alone():
    """What one process gives."""
    return profile(*pair("bert"), texts(), **SMALL)


def test_every_bit_is_that_of_one_process(client, alone):
    assert profile(*pair("bert"), texts(), engine="dask", client=client, **SMALL) == alone
    left = client.run(lambda dask_worker: [name for name in dask_worker.plugins if name.startswith("attnscope")])
    assert list(left.values()) == [[], []]


def test_every_statistic_of_another_model(client):
    every = {"progress": False}
    made = profile(*pair("gpt2"), texts()[:80], engine="dask", client=client, **every)
    assert made == profile(*pair("gpt2"), texts()[:80], **every)


def test_a_worker_that_is_killed_half_way(client, alone):
    before = client.run(os.getpid)
    victims = []

    def killing():
        for number, text in enumerate(texts()):
            if number == 100:
                victims.append(next(iter(client.run(os.getpid).values())))
                os.kill(victims[0], signal.SIGKILL)
            yield text

    assert profile(*pair("bert"), killing(), engine="dask", client=client, **SMALL) == alone
    assert victims[0] in before.values()
    client.wait_for_workers(2, timeout=60)
    assert victims[0] not in client.run(os.getpid).values()


def test_the_address_of_a_cluster_and_a_function_that_loads(client):
    address = client.scheduler.address
    made = profile(bert_again, pair("bert")[1], texts()[:40], engine="dask", client=address, **SMALL)
    assert made == profile(*pair("bert"), texts()[:40], **SMALL)


def bert_again():
    """Load the model on a worker."""
    return bert()


def test_resumed_on_the_cluster_what_was_begun_here(client, alone, tmp_path):
    def until(count):
        yield from texts()[:count]
        raise KeyboardInterrupt

    path = tmp_path / "run.profile"
    with pytest.raises(KeyboardInterrupt):
        profile(*pair("bert"), until(70), resume=path, **SMALL)
    assert profile(*pair("bert"), texts(), resume=path, engine="dask", client=client, **SMALL) == alone


def test_errors_come_back_as_they_are(client):
    some = [*texts()[:30], "", *texts()[31:60]]
    with pytest.raises(InputError, match="Text 30 cannot be profiled: it is empty"):
        profile(*pair("bert"), some, engine="dask", client=client, **SMALL)
    made = profile(*pair("bert"), some, engine="dask", client=client, errors="skip", **SMALL)
    assert made == profile(*pair("bert"), some, errors="skip", **SMALL)
    model = pair("bert")[0]
    model.train()
    try:
        with pytest.raises(ModelError, match="training mode"):
            profile(*pair("bert"), some, engine="dask", client=client, **SMALL)
    finally:
        model.eval()


def test_texts_are_drawn_while_the_run_goes_on(client):
    """Few shards are out at a time, however many texts there are."""
    drawn, ahead = 0, []

    def drawing():
        nonlocal drawn
        for text in texts()[:120]:
            drawn += 1
            yield text

    from attnscope.profiling.engines.dask import AHEAD, DaskEngine
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import shards
    from attnscope.profiling.subject import Subject

    settings = Settings(batch_size=1, statistics=("entropy",), threads=torch.get_num_threads())
    run = DaskEngine(client).run(Subject(*pair("bert")), shards(drawing(), settings.shard_size, 0), settings)
    for done, _ in enumerate(run):
        ahead.append(drawn - done * settings.shard_size)
    assert len(ahead) == 15
    assert max(ahead) <= (AHEAD * 2 + 2) * settings.shard_size


def test_workers_without_the_package():
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
        ) as own,
        Client(own, set_as_default=False) as opened,
    ):
        opened.run(_hide)
        with pytest.raises(AttnscopeError, match=r"worker of the dask cluster.*No module named.*Each needs attnscope"):
            profile(*pair("bert"), texts()[:20], engine="dask", client=opened, **SMALL)
        left = opened.run(lambda dask_worker: [name for name in dask_worker.plugins if name.startswith("attnscope")])
        assert list(left.values()) == [[]]


def _hide():
    """Make a worker one on which the package is not installed."""

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "attnscope":
                raise ModuleNotFoundError(f"No module named {name!r}")

    sys.meta_path.insert(0, Absent())
    for name in [name for name in sys.modules if name.split(".")[0] == "attnscope"]:
        del sys.modules[name]


def test_without_dask(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "distributed"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "attnscope.profiling.engines.dask", raising=False)
    with pytest.raises(MissingPackageError, match=r'pip install "attnscope\[dask\]"'):
        profile(*pair("bert"), texts()[:3], engine="dask", client=None, **SMALL)
