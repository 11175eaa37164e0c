"""What decides a profile's numbers, besides the model and the texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from attnscope.errors import FileError, InputError, NotFoundError
from attnscope.profiling.measures import MEASURES

TOO_LONG = ("refuse", "truncate", "split")
ERRORS = ("raise", "skip")
SHARD_BATCHES = 8
"""Batches in a shard: small enough that little is lost with a worker, large enough that handing it over is cheap."""


@dataclass(frozen=True)
class Settings:
    """The choices of one run of :func:`~attnscope.profiling.profile.profile`, whose docstring explains them.

    Parameters
    ----------
    threads
        Threads torch computes with: the last digits depend on them.
    """

    batch_size: int = 8
    statistics: tuple[str, ...] = tuple(MEASURES)
    layers: tuple[int, ...] | None = None
    kind: str | None = None
    content: bool = False
    max_tokens: int | None = None
    too_long: str = "refuse"
    errors: str = "raise"
    strongest: int = 5
    first: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("strongest", 0), ("first", 0), ("threads", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if name == "max_tokens" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is a whole number from {least} on, got {value!r}.")
        for name, choices in (("too_long", TOO_LONG), ("errors", ERRORS)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is one of {', '.join(map(repr, choices))}, got {getattr(self, name)!r}.")
        unknown = [name for name in self.statistics if name not in MEASURES]
        if unknown:
            raise NotFoundError(f"There is no statistic {unknown[0]!r} here; there are {', '.join(MEASURES)}.")
        if not self.statistics or len(set(self.statistics)) < len(self.statistics):
            raise InputError("statistics names one or more, each once; or leave it out for all.")

    @property
    def shard_size(self) -> int:
        """Texts in a shard."""
        return self.batch_size * SHARD_BATCHES

    def described(self) -> dict[str, Any]:
        """Give the settings as JSON takes them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, described: dict[str, Any]) -> Settings:
        """Read what :meth:`described` gave."""
        names = {field.name for field in fields(cls)}
        if set(described) != names:
            raise FileError(f"The settings are {sorted(described)}; expected {sorted(names)}.")
        values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in described.items()}
        return cls(**values)

    def differing(self, other: Settings) -> list[str]:
        """Name the settings that differ, with both values."""
        mine, others = self.described(), other.described()
        return [f"{name} ({mine[name]!r} and {others[name]!r})" for name in mine if mine[name] != others[name]]

    def joined(self, other: Settings) -> Settings:
        """Give the settings of two profiles put together, which may differ in what decides last digits only.

        Raises
        ------
        InputError
            With those that differ.
        """
        both = {name: max(getattr(self, name), getattr(other, name)) for name in ("batch_size", "threads", "errors")}
        mine = replace(self, first=min(self.first, other.first), **both)
        differing = mine.differing(replace(other, first=mine.first, **both))
        if differing:
            raise InputError(f"The profiles were asked for with different settings: {', '.join(differing)}.")
        return mine
