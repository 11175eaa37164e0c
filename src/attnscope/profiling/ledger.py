"""Which shards are counted already, in memory and on disk, so that none is lost or counted twice.

The file is the profile of the shards that came back, replaced as a whole each time. It grows neither with the number of
texts nor with that of shards: those before the first one missing are known by one running digest.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attnscope.errors import FileError, InputError
from attnscope.profiling.storage import load_with_progress, save

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.settings import Settings
    from attnscope.profiling.sources import Shard

_SHARE = 0.1
"""Most of the time that is spent on writing; a shard that was not written is run again after a crash."""


class Ledger:
    """The profile as far as it has come.

    Parameters
    ----------
    settings
        What was asked for; a file of another run is refused.
    path
        Where to keep it; None to keep it in memory only. A file that is there is gone on with.
    """

    def __init__(self, settings: Settings, path: str | os.PathLike[str] | None) -> None:
        self.profile: HeadProfile | None = None
        self._path = None if path is None else Path(path)
        self._prefix, self._running = settings.first, b""
        self._after: dict[int, tuple[int, bytes]] = {}
        self._out: dict[int, tuple[int, bytes]] = {}
        self._written = self._took = 0.0
        self._unwritten = False
        if self._path is not None and self._path.exists():
            self._go_on(self._path, settings)
        elif self._path is not None and not self._path.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {str(self._path.parent)!r} to keep the profile in.")

    @property
    def counted(self) -> int:
        """Number of texts gone through."""
        return 0 if self.profile is None else sum(stop - start for start, stop in self.profile.ranges)

    def missing(self, shards: Iterable[Shard]) -> Iterator[Shard]:
        """Give the shards that are still to be run.

        Raises
        ------
        InputError
            When the texts that were counted before have changed.
        """
        before, running, at = self._prefix, b"", None
        expected, done = self._running, dict(self._after)
        for shard in shards:
            at = shard.stop
            if shard.start < before:
                running = _follow(running, shard.digest)
                if shard.stop > before or (shard.stop == before and running != expected):
                    raise self._changed()
            elif shard.start in done:
                if done.pop(shard.start) != (shard.stop, shard.digest):
                    raise self._changed()
            else:
                self._out[shard.start] = shard.stop, shard.digest
                yield shard
        if done or (self.profile is not None and before > (at or 0)):
            raise self._changed()

    def take(self, part: HeadProfile) -> None:
        """Count a shard that came back; one that comes again does not count."""
        [(start, _)] = part.ranges
        if start not in self._out:
            return
        self.profile = part if self.profile is None else self.profile.merge(part)
        self._after[start] = self._out.pop(start)
        while self._prefix in self._after:
            self._prefix, digest = self._after.pop(self._prefix)
            self._running = _follow(self._running, digest)
        self._unwritten = True
        if time.monotonic() - self._written >= self._took / _SHARE:
            self.write()

    def write(self) -> None:
        """Write what is not written yet."""
        if self._path is None or self.profile is None or not self._unwritten:
            return
        began = time.monotonic()
        after = [[start, stop, digest.hex()] for start, (stop, digest) in sorted(self._after.items())]
        save(
            self.profile,
            self._path,
            progress={"prefix": self._prefix, "digest": self._running.hex(), "after": after},
        )
        self._written = time.monotonic()
        self._took = self._written - began
        self._unwritten = False

    def _go_on(self, path: Path, settings: Settings) -> None:
        profile, progress = load_with_progress(path)
        if progress is None:
            raise FileError(
                f"{path.name} is a finished profile that was saved, not one to go on with. Give resume= another path."
            )
        differing = profile.settings.differing(settings)
        if differing:
            raise InputError(
                f"{path.name} was begun with other settings: {', '.join(differing)}. Ask for the same again, or begin "
                "a new profile at another path."
            )
        try:
            self._prefix, self._running = int(progress["prefix"]), bytes.fromhex(progress["digest"])
            self._after = {int(start): (int(stop), bytes.fromhex(text)) for start, stop, text in progress["after"]}
        except (LookupError, TypeError, ValueError) as error:
            raise FileError(f"{path.name} is damaged: it does not say how far it has come ({error!r}).") from error
        self.profile = profile

    def _changed(self) -> InputError:
        name = "" if self._path is None else self._path.name
        return InputError(
            f"The texts are not those that {name} was begun with: some that it has counted have changed, gone, or been "
            "added to. Give the same texts, or begin a new profile at another path; texts that were added can be "
            "profiled on their own (first=…) and merged."
        )


def _follow(running: bytes, digest: bytes) -> bytes:
    """Go on with a digest of digests."""
    return hashlib.sha256(running + digest).digest()
