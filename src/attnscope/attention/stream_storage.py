"""What a capture knows of the residual stream, in its file.

Beside the arrays ``kind.stream.layer.output``, ``kind.stream.readout.rows`` and so on, the header says::

    { writes: { layer: { check, factor, why, inner: norm, norm: norm } }, missing: { layer: reason },
      readout: { check, ids, texts, norm: norm } | null, no_readout: reason }        norm = { eps, centred } | null
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.stream import Norm, Readout, Stream, Write
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.attention.appending import AppendedFile
    from attnscope.attention.arrays import Array


def describe_stream(stream: Stream, name: str, arrays: dict[str, Array] | AppendedFile) -> dict[str, Any]:
    """Describe a stream for the header, and add its arrays to those of the file."""
    for number, write in stream.writes.items():
        arrays.update({f"{name}.{number}.{part}": array for part, array in write.arrays().items()})
    readout = stream.readout
    if readout is not None:
        arrays.update({f"{name}.readout.{part}": array for part, array in readout.arrays().items()})
    return {
        "writes": {
            str(number): {
                "check": write.check,
                "factor": write.factor,
                "why": write.why,
                "inner": _norm(write.inner),
                "norm": _norm(write.norm),
            }
            for number, write in stream.writes.items()
        },
        "missing": {str(number): why for number, why in stream.missing.items()},
        "readout": None
        if readout is None
        else {
            "check": readout.check,
            "ids": readout.ids.tolist(),
            "texts": list(readout.texts),
            "norm": _norm(readout.norm),
        },
        "no_readout": stream.no_readout,
    }


def rebuild_stream(entry: dict[str, Any], name: str, names: set[str], floats: Callable[[str], Array]) -> Stream:
    """Rebuild a stream from its header and the file.

    Parameters
    ----------
    names
        Names of the arrays there are.
    floats
        Reads an array of real numbers.
    """

    def part(of: str) -> Array | None:
        return floats(f"{name}.{of}") if f"{name}.{of}" in names else None

    def norm(of: str, described: dict[str, Any] | None) -> Norm | None:
        if described is None:
            return None
        return Norm(part(f"{of}.gain"), part(f"{of}.shift"), float(described["eps"]), bool(described["centred"]))

    writes = {
        int(number): Write(
            floats(f"{name}.{number}.output"),
            part(f"{number}.bias"),
            float(one["check"]),
            part(f"{number}.residual"),
            norm(f"{number}.inner", one["inner"]),
            float(one["factor"]),
            norm(f"{number}.norm", one["norm"]),
            str(one["why"]),
        )
        for number, one in entry["writes"].items()
    }
    missing = {int(number): str(why) for number, why in entry["missing"].items()}
    described = entry["readout"]
    if described is None:
        return Stream(writes, missing, no_readout=str(entry["no_readout"]))
    final, ids = norm("readout.norm", described["norm"]), np.asarray(described["ids"], np.int64)
    texts = tuple(str(text) for text in described["texts"])
    if final is None or ids.shape != (len(texts),):
        raise InputError("the readout is not whole")
    readout = Readout(
        floats(f"{name}.readout.residual"),
        final,
        ids,
        texts,
        floats(f"{name}.readout.rows"),
        part("readout.bias"),
        float(described["check"]),
    )
    return Stream(writes, missing, readout)


def _norm(norm: Norm | None) -> dict[str, Any] | None:
    return None if norm is None else {"eps": norm.eps, "centred": norm.centred}
