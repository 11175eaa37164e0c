"""Captures on disk: one safetensors file, arrays by name and a JSON header, nothing executable.

The metadata of the file holds one entry, ``attnscope``, with::

    { version, model, pictures?: how many, kinds: [ { kind, queries: tokens, keys: tokens | null,
                                 stream: see stream_storage.py,
                                 layers: [ { layer, form, how, check, module, mask, scale, softcap, extra,
                                             error?, computed_in? } ] } ] }

Arrays are named ``kind.layer.queries`` and so on, further measures ``kind.layer.extra.name``, masks
``mask.number.start``; layers may share a mask's number. In a file that was written while the model ran (appending.py)
the entry is ``{ header: name }``, the name of a uint8 array that holds the above, and arrays ``spare.number`` mean
nothing.
"""

from __future__ import annotations

import json
import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError, safe_open

from attnscope.attention.appending import UNFINISHED, AppendedFile, unfinished_beside
from attnscope.attention.arrays import Array, dtype_name, is_torch
from attnscope.attention.bands import Bands
from attnscope.attention.blocks import Blocks
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import Layer, LazyWeights, QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.stream_storage import describe_stream, rebuild_stream
from attnscope.attention.tokens import Tokens
from attnscope.errors import AttnscopeError, FileError, InputError

VERSION = 1
_OPTIONAL = ("bias", "sinks", "values")
_TOKEN_FIELDS = {
    "special": bool,
    "words": np.int32,
    "segments": np.int32,
    "ids": np.int64,
    "offsets": np.int32,
}


def save(capture: Capture, path: str | os.PathLike[str]) -> None:
    """Write a capture to one file, whole or not at all.

    Parameters
    ----------
    capture
        The capture.
    path
        Where to; an existing file is replaced once the new one is complete.
    """
    arrays: dict[str, Array] = {}
    header = _describe_all(capture, arrays)
    write_file(arrays, {"attnscope": header}, Path(path), "capture")


def complete(capture: Capture, file: AppendedFile) -> None:
    """Complete a file into which the arrays of a capture were written while the model ran."""
    file.finish(_describe_all(capture, file))


def load(path: str | os.PathLike[str]) -> Capture:
    """Read a capture that was written by :meth:`Capture.save`.

    Arrays are mapped, not read, where torch is installed: pages come from disk when they are looked at.

    Raises
    ------
    FileError
        When the file is damaged, cut short, of another kind, or written by a newer version.
    FileNotFoundError
        When there is no such file.

    Examples
    --------
    >>> c.save("bird.safetensors")
    >>> again = attnscope.load("bird.safetensors")
    >>> np.array_equal(again.weights(1, 0), c.weights(1, 0))
    True
    """
    path = Path(path)
    if not path.is_file():
        left = ", ".join(repr(str(one)) for one in unfinished_beside(path))
        said = f" A recording into it was stopped on the way and left {left}, which may be removed." if left else ""
        raise FileNotFoundError(f"There is no file {str(path)!r}.{said} Captures are written by capture.save(path).")
    if path.name.endswith(UNFINISHED):
        raise FileError(
            f"{path.name} was not finished: what records into it is still at work, or was stopped on the way. When it "
            "is done the file has its own name; if it was stopped, remove this one and record again."
        )
    try:
        with safe_open(path, framework="pt" if find_spec("torch") else "np") as file:
            header = json.loads((file.metadata() or {}).get("attnscope", "null"))
            if header is None:
                raise FileError(f"{path.name} is a safetensors file, but not a capture of attnscope.")
            if "header" in header:
                header = json.loads(np.asarray(file.get_tensor(header["header"])).tobytes())
            if header.get("version") != VERSION:
                raise FileError(
                    f"{path.name} has format version {header.get('version')!r}; this attnscope reads version "
                    f"{VERSION}. Upgrade attnscope to read it."
                )
            return _rebuild(header, file)
    except AttnscopeError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path.name} is damaged: {error}") from error
    except SafetensorError as error:
        raise FileError(
            f"{path.name} is damaged or cut short ({error}). Save the capture again, or copy the file again."
        ) from error
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise FileError(f"{path.name} is damaged: its header does not fit its arrays ({error!r}).") from error


def write_file(arrays: dict[str, Array], metadata: dict[str, str], path: Path, what: str) -> None:
    """Write arrays to one safetensors file, whole or not at all, also where the machine stops on the way."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    unfinished.touch()
    try:
        mode = unfinished.stat().st_mode
        _write_arrays(arrays, metadata, unfinished)
        unfinished.chmod(mode)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except SafetensorError as error:
        raise OSError(f"The {what} could not be written to {str(path)!r}: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _write_arrays(arrays: dict[str, Array], metadata: dict[str, str], path: Path) -> None:
    if any(is_torch(array) for array in arrays.values()):
        import torch
        from safetensors.torch import save_file as save_torch

        save_torch(
            {key: torch.as_tensor(array).detach().cpu().contiguous().clone() for key, array in arrays.items()},
            path,
            metadata,
        )
    else:
        from safetensors.numpy import save_file as save_numpy

        save_numpy({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path, metadata)


def _describe_all(capture: Capture, arrays: dict[str, Array] | AppendedFile) -> str:
    """Describe a capture for the header, and name its arrays one after another."""
    masks: dict[int, int] = {}
    kinds = [_describe(attention, arrays, masks) for attention in capture.attention.values()]
    header: dict[str, Any] = {"version": VERSION, "model": capture.model_name, "kinds": kinds}
    if capture.pictures:
        header["pictures"] = len(capture.pictures)
        arrays.update({f"picture.{number}": picture for number, picture in enumerate(capture.pictures)})
    return json.dumps(header)


def _describe(attention: Attention, arrays: dict[str, Array] | AppendedFile, masks: dict[int, int]) -> dict[str, Any]:
    layers = []
    for number, layer in attention.stored.items():
        if id(layer.mask) not in masks:
            masks[id(layer.mask)] = len(masks)
            _put_mask(layer.mask, masks[id(layer.mask)], arrays)
        entry: dict[str, Any] = {
            "layer": number,
            "how": attention.how.get(number),
            "check": attention.check.get(number),
            "module": attention.modules.get(number),
            "mask": masks[id(layer.mask)],
        }
        name = f"{attention.kind}.{number}"
        if isinstance(layer, LazyWeights | Blocks | Bands):
            layer = layer.stored()
        if isinstance(layer, QueriesKeys):
            entry |= {"form": "queries_keys", "scale": layer.scale, "softcap": layer.softcap}
            if layer.computed_in is not None:
                entry["computed_in"] = layer.computed_in
            parts = {"queries": layer.queries, "keys": layer.keys} | {key: getattr(layer, key) for key in _OPTIONAL}
        elif isinstance(layer, StoredWeights):
            entry |= {"form": "weights"}
            parts = {"weights": layer.weights}
        else:
            raise TypeError(f"unknown kind of layer {type(layer).__name__}")
        if layer.error:
            entry["error"] = layer.error
        measures = {key: given[number] for key, given in attention.extra.items() if number in given}
        if measures:
            entry["extra"] = list(measures)
            parts |= {f"extra.{key}": array for key, array in measures.items()}
        arrays.update({f"{name}.{key}": array for key, array in parts.items() if array is not None})
        layers.append(entry)
    same, stream = attention.keys is attention.queries, f"{attention.kind}.stream"
    return {
        "kind": attention.kind,
        "queries": _describe_tokens(attention.queries),
        "keys": None if same else _describe_tokens(attention.keys),
        "layers": layers,
        "head_names": {str(number): list(names) for number, names in attention.head_names.items()},
    } | ({} if attention.stream is None else {"stream": describe_stream(attention.stream, stream, arrays)})


def _describe_tokens(tokens: Tokens) -> dict[str, Any]:
    fields = {name: getattr(tokens, name) for name in _TOKEN_FIELDS}
    described: dict[str, Any] = {"text": list(tokens.text)} | {
        name: None if values is None else np.asarray(values).astype(int).tolist() for name, values in fields.items()
    }
    if tokens.patches is not None:
        described["patches"] = tokens.patches.tolist()
    if tokens.times is not None:
        described["times"] = [None if np.isnan(span).any() else span for span in tokens.times.tolist()]
    if tokens.gaps is not None:
        described["gaps"] = tokens.gaps.tolist()
    return described


def _put_mask(mask: Mask, number: int, arrays: dict[str, Array] | AppendedFile) -> None:
    arrays[f"mask.{number}.start"], arrays[f"mask.{number}.stop"] = mask.start, mask.stop
    if mask.bits is not None:
        arrays[f"mask.{number}.bits"] = mask.bits


def _rebuild(header: dict[str, Any], file: Any) -> Capture:
    names = set(file.keys())
    masks: dict[tuple[int, int], Mask] = {}
    kinds: dict[str, Attention] = {}
    for entry in header["kinds"]:
        queries = _rebuild_tokens(entry["queries"])
        keys = queries if entry["keys"] is None else _rebuild_tokens(entry["keys"])
        stored: dict[int, Layer] = {}
        measures: dict[str, dict[int, Array]] = {}
        for described in entry["layers"]:
            number, name = int(described["layer"]), f"{entry['kind']}.{described['layer']}"
            for key in described.get("extra", ()):
                measures.setdefault(_text(key), {})[number] = _get_floats(file, f"{name}.extra.{key}")
            chosen = (int(described["mask"]), len(keys))
            if chosen not in masks:
                masks[chosen] = _get_mask(file, *chosen, names)
            error = _share(described.get("error", 0.0))
            if described["form"] == "weights":
                stored[number] = StoredWeights(_get_floats(file, f"{name}.weights"), masks[chosen], error)
                continue
            if described["form"] != "queries_keys":
                raise InputError(f"unknown form {described['form']!r} of layer {number}")
            given = {key: _get_floats(file, f"{name}.{key}") for key in _OPTIONAL if f"{name}.{key}" in names}
            softcap = None if described["softcap"] is None else float(described["softcap"])
            stored[number] = QueriesKeys(
                _get_floats(file, f"{name}.queries"),
                _get_floats(file, f"{name}.keys"),
                float(described["scale"]),
                masks[chosen],
                softcap=softcap,
                error=error,
                computed_in=_dtype(described.get("computed_in")),
                **given,
            )
        how = {int(d["layer"]): str(d["how"]) for d in entry["layers"] if d["how"] is not None}
        check = {int(d["layer"]): float(d["check"]) for d in entry["layers"] if d["check"] is not None}
        modules = {int(d["layer"]): _text(d["module"]) for d in entry["layers"] if d.get("module") is not None}
        kind = _text(entry["kind"])
        stream = None
        if entry.get("stream") is not None:
            stream = rebuild_stream(entry["stream"], f"{kind}.stream", names, partial(_get_floats, file))
        head_names = {int(key): list(map(_text, texts)) for key, texts in (entry.get("head_names") or {}).items()}
        kinds[kind] = Attention(kind, stored, queries, keys, how, check, modules, measures, stream, head_names)
    pictures = tuple(_get_picture(file, f"picture.{number}") for number in range(int(header.get("pictures", 0))))
    return Capture(kinds, _text(header["model"]), pictures)


def _rebuild_tokens(entry: dict[str, Any]) -> Tokens:
    if not isinstance(entry["text"], list) or entry["special"] is None or entry["words"] is None:
        raise InputError("tokens are not whole")
    fields: dict[str, Any] = {}
    for name, dtype in _TOKEN_FIELDS.items():
        values = entry[name]
        if values is not None and np.array(values).dtype.kind not in "iub" and values:
            raise InputError(f"{name} of the tokens are not whole numbers")
        fields[name] = None if values is None else np.array(values, dtype)
    if entry.get("patches") is not None:
        fields["patches"] = np.array(entry["patches"], np.int32).reshape(-1, 4)
    if entry.get("times") is not None:
        spans = [(np.nan, np.nan) if span is None else span for span in entry["times"]]
        fields["times"] = np.array(spans, np.float32).reshape(-1, 2)
    if entry.get("gaps") is not None:
        fields["gaps"] = np.array(entry["gaps"], np.int32)
    return Tokens(tuple(_text(token) for token in entry["text"]), **fields)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected a text, got {value!r}")
    return value


def _share(value: Any) -> float:
    if not 0 <= value <= 1:
        raise InputError(f"an error of a weight is between 0 and 1, got {value!r}")
    return float(value)


def _dtype(value: Any) -> str | None:
    if value not in (None, "float64", "float32", "float16", "bfloat16"):
        raise InputError(f"unknown dtype {value!r}")
    return value


def _get_floats(file: Any, name: str) -> Array:
    array = file.get_tensor(name)
    if not dtype_name(array).startswith(("float", "bfloat")):
        raise InputError(f"{name} holds {dtype_name(array)}")
    return array


def _get_picture(file: Any, name: str) -> np.ndarray:
    picture = np.asarray(file.get_tensor(name))
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"{name} is no picture")
    return picture


def _get_mask(file: Any, number: int, n_keys: int, names: set[str]) -> Mask:
    def read(part: str) -> np.ndarray:
        return np.asarray(file.get_tensor(f"mask.{number}.{part}"))

    return Mask(read("start"), read("stop"), n_keys, read("bits") if f"mask.{number}.bits" in names else None)
