"""What runs the shards: this process, or workers elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import Shard
    from attnscope.profiling.subject import Subject


@runtime_checkable
class Engine(Protocol):
    """Hands shards to whatever runs them; an engine of your own can be given to ``profile(engine=…)``.

    Where a shard runs, ``run_shard(subject.load(), shard, settings)`` gives its profile. An engine carries the subject
    there, once per process; asks for few shards at a time, so that memory stays the same however many texts there are;
    and runs a shard again whose worker was lost. A shard may come back twice: the second time does not count.
    """

    def run(self, subject: Subject, shards: Iterable[Shard], settings: Settings) -> Iterator[HeadProfile]:
        """Give each shard's profile, in any order.

        Parameters
        ----------
        subject
            The model and its tokenizer; can be pickled.
        shards
            The texts; drawn from while the run goes on.
        settings
            What to measure.
        """
        ...
