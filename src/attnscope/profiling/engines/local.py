"""Shards in this process, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.profiling.shard import run_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import Shard
    from attnscope.profiling.subject import Subject


class LocalEngine:
    """Runs in the process that asks; see :class:`~attnscope.profiling.engines.Engine`."""

    def run(self, subject: Subject, shards: Iterable[Shard], settings: Settings) -> Iterator[HeadProfile]:
        """Give each shard's profile in order."""
        loaded = subject.load()
        for shard in shards:
            yield run_shard(loaded, shard, settings)
