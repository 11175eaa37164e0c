"""Shards on the workers of a dask cluster, on this machine or elsewhere."""

from __future__ import annotations

import pickle
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attnscope.errors import AttnscopeError, InputError, InputTypeError, MissingPackageError
from attnscope.profiling.shard import run_shard

try:
    from distributed import Client, KilledWorker, as_completed, get_worker
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as error:
    raise MissingPackageError(
        "engine='dask' needs dask.distributed, which is not installed. Install it with: "
        'pip install "attnscope[dask]".'
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import Shard
    from attnscope.profiling.subject import Subject

AHEAD = 2
"""Shards per thread of the cluster that are handed out at a time, the one that is run among them."""


class _Carried(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """The subject on a worker: one copy, also on workers that join or come back later."""

    def __init__(self, name: str, packed: bytes) -> None:
        self.name, self._packed = name, packed
        self.subject: Subject | None = None

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - dask's signature
        """Unpack when the worker starts; the model is loaded by the first shard."""
        self.subject = pickle.loads(self._packed)  # noqa: S301 - packed by this process, carried by its own cluster


class DaskEngine:
    """Runs on a dask cluster; see :class:`~attnscope.profiling.engines.Engine`.

    Parameters
    ----------
    client
        A ``distributed.Client``, or the address of a scheduler (``"tcp://…"``).
    """

    def __init__(self, client: Any) -> None:
        if client is None:
            raise InputError(
                "engine='dask' runs on a cluster that you name: client=distributed.Client(…), or the address of its "
                "scheduler. On this machine: from distributed import Client; client = Client(n_workers=2, "
                "threads_per_worker=1)."
            )
        if not isinstance(client, Client | str):
            raise InputTypeError(f"client is a distributed.Client or an address, got {type(client).__name__}.")
        self._client = client

    def run(self, subject: Subject, shards: Iterable[Shard], settings: Settings) -> Iterator[HeadProfile]:
        """Give each shard's profile as it comes back; a shard whose worker is lost runs on another."""
        remaining = iter(shards)
        first = next(remaining, None)
        if first is None:
            return
        with _connected(self._client) as client, _carrying(client, subject) as name:
            if not client.nthreads():
                raise InputError("The dask cluster has no workers. Add some, or wait: client.wait_for_workers(1).")
            flying = as_completed(with_results=False)

            def hand_out(shard: Shard) -> None:
                flying.add(client.submit(_run, name, shard, settings, key=f"{name}-{shard.start}", pure=False))

            hand_out(first)
            for shard in remaining:
                hand_out(shard)
                if flying.count() >= AHEAD * max(sum(client.nthreads().values()), 1):
                    yield _result(next(flying))
            for future in flying:
                yield _result(future)


def _run(name: str, shard: Shard, settings: Settings) -> HeadProfile:
    """Run a shard on a worker."""
    carried: _Carried = get_worker().plugins[name]
    assert carried.subject is not None
    return run_shard(carried.subject.load(), shard, settings)


def _result(future: Any) -> HeadProfile:
    try:
        found: HeadProfile = future.result()
    except KilledWorker as error:
        raise AttnscopeError(
            f"Several workers died over the same texts ({future.key}), probably for want of memory. Ask for a smaller "
            "batch_size or max_tokens, or give the workers more memory."
        ) from error
    future.release()
    return found


@contextmanager
def _connected(client: Any) -> Iterator[Any]:
    """Give the client, opened for this run where an address was given."""
    if not isinstance(client, str):
        yield client
        return
    with Client(client, set_as_default=False) as opened:
        yield opened


@contextmanager
def _carrying(client: Any, subject: Subject) -> Iterator[str]:
    """Bring the subject to every worker, and take it away again."""
    name = f"attnscope-{uuid4().hex}"
    try:
        packed = _packed(subject)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InputTypeError(
            f"The model or its tokenizer cannot be sent to the workers ({error}). Hand in a function that loads "
            "the model instead: profile(load_model, tokenizer, texts, engine='dask', client=client)."
        ) from error
    try:
        client.register_plugin(_Carried(name, packed), name=name)
    except Exception as error:
        with suppress(Exception):  # no worker may have it; the reason is the first error
            client.unregister_worker_plugin(name)
        raise AttnscopeError(
            f"A worker of the dask cluster cannot take the model ({error}). Each needs attnscope, torch and "
            "transformers in the versions that are installed here, and the code the model and its tokenizer are made "
            "of."
        ) from error
    try:
        yield name
    finally:
        client.unregister_worker_plugin(name)


def _packed(subject: Subject) -> bytes:
    from distributed.protocol.pickle import dumps

    packed: bytes = dumps(subject)
    return packed
