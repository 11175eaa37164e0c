"""Profiles on disk: one safetensors file, arrays of whole numbers by name and a JSON header, nothing executable.

The metadata of the file holds one entry, ``attnscope_profile``, with what :func:`_header` gives; a profile that is
still being made also holds how far it has come (see ``ledger.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from attnscope.attention.storage import write_file
from attnscope.errors import AttnscopeError, FileError
from attnscope.profiling.exact import BITS
from attnscope.profiling.head_profile import HeadProfile, Skipped
from attnscope.profiling.ranges import joined
from attnscope.profiling.settings import Settings
from attnscope.profiling.strongest import Strongest
from attnscope.profiling.tally import Tally

if TYPE_CHECKING:
    import os

VERSION = 1
_ENTRY = "attnscope_profile"
_COUNTS = ("n_texts", "n_tokens", "n_pieces", "n_cut")


def save(profile: HeadProfile, path: str | os.PathLike[str], *, progress: dict[str, Any] | None = None) -> None:
    """Write a profile, and how far it has come where it is not whole."""
    strongest = {"strongest.order": profile.strongest_texts.order, "strongest.texts": profile.strongest_texts.texts}
    arrays = profile.heads.arrays("heads") | profile.chance.arrays("chance") | strongest
    header = _header(profile) | ({} if progress is None else {"progress": progress})
    write_file(dict(arrays), {_ENTRY: json.dumps(header)}, Path(path), "profile")


def load(path: str | os.PathLike[str]) -> HeadProfile:
    """Read a profile; see :meth:`HeadProfile.load`."""
    return load_with_progress(path)[0]


def load_with_progress(path: str | os.PathLike[str]) -> tuple[HeadProfile, dict[str, Any] | None]:
    """Read a profile, and how far it had come when it was written."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}. Profiles are written by profile.save(path).")
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {}).get(_ENTRY, "null"))
            _require_known(header, path.name)
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return _rebuilt(header, arrays), header.get("progress")
    except FileError:
        raise
    except SafetensorError as error:
        raise FileError(f"{path.name} is damaged, cut short or no profile ({error}).") from error
    except (AttnscopeError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FileError(f"{path.name} is damaged: its header does not fit its arrays ({error}).") from error


def _require_known(header: Any, name: str) -> None:
    if header is None:
        raise FileError(f"{name} is a safetensors file, but not a profile of attnscope.")
    if header.get("version") != VERSION:
        raise FileError(
            f"{name} has format version {header.get('version')!r}; this attnscope reads version {VERSION}. Upgrade "
            "attnscope to read it."
        )


def _header(profile: HeadProfile) -> dict[str, Any]:
    return {
        "version": VERSION,
        "model": profile.model_name,
        "fingerprint": profile.fingerprint,
        "kind": profile.kind,
        "layers": list(profile.layers),
        "head_counts": list(profile.head_counts),
        "settings": profile.settings.described(),
        **{name: getattr(profile, name) for name in _COUNTS},
        "skipped": [list(skipped) for skipped in profile.skipped],
        "ranges": [list(span) for span in profile.ranges],
    }


def _rebuilt(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> HeadProfile:
    settings = Settings.of(header["settings"])
    layers, head_counts = _numbers(header["layers"]), _numbers(header["head_counts"])
    if len(layers) != len(head_counts):
        raise FileError(f"{len(layers)} layers and {len(head_counts)} numbers of heads do not fit.")
    shape = (len(settings.statistics), len(layers), max(head_counts, default=0))
    heads, chance = Tally.of_arrays(arrays, "heads"), Tally.of_arrays(arrays, "chance")
    strongest = Strongest(arrays["strongest.order"], arrays["strongest.texts"])
    expected = {
        **dict.fromkeys(heads.arrays("heads"), shape),
        **dict.fromkeys(chance.arrays("chance"), shape[:2]),
        **dict.fromkeys(("strongest.order", "strongest.texts"), (*shape, settings.strongest)),
    }
    for name, wanted in expected.items():
        if arrays[name].dtype != np.int64 or arrays[name].shape != wanted:
            raise FileError(f"{name} is {arrays[name].dtype} {arrays[name].shape}; expected int64 {wanted}.")
        if name.endswith(".part") and not ((arrays[name] >= 0) & (arrays[name] < 1 << BITS)).all():
            raise FileError(f"{name} holds numbers that are no parts of one.")
    ranges = joined((start, stop) for start, stop in map(_numbers, header["ranges"]))
    return HeadProfile(
        str(header["model"]),
        str(header["fingerprint"]),
        str(header["kind"]),
        layers,
        head_counts,
        settings,
        heads,
        chance,
        strongest,
        skipped=tuple(Skipped(int(text), str(reason)) for text, reason in header["skipped"]),
        ranges=ranges,
        **dict(zip(_COUNTS, _numbers([header[name] for name in _COUNTS]), strict=True)),
    )


def _numbers(values: Any) -> tuple[int, ...]:
    wrong = [value for value in values if isinstance(value, bool) or not isinstance(value, int)]
    if wrong:
        raise FileError(f"expected whole numbers, got {wrong[0]!r}.")
    return tuple(values)
