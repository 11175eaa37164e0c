"""Making captures of what was recorded: kinds named, layers in order, padding cut away, tokens given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.capture import Attention, Capture
from attnscope.attention.stream import Stream
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError
from attnscope.recording.collect.kinds import kind_names
from attnscope.recording.encode import tokens_of_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.attention.layers import Layer
    from attnscope.attention.mask import Mask
    from attnscope.attention.stream import Write
    from attnscope.recording.collect.kinds import Place
    from attnscope.recording.collect.recorded import Recorded
    from attnscope.recording.media.patches import Media


class Naming:
    """What the positions of one input are called.

    Parameters
    ----------
    inputs
        What the model was called with.
    item
        Which input of the batch.
    tokenizer
        Names token ids.
    tokens, key_tokens
        Tokens given by the user: of the text, or of decoder and encoder of an encoder–decoder.
    encoder_decoder
        Whether the model is one.
    media
        Names patches of images and spans of sound.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        item: int,
        tokenizer: Any,
        tokens: Tokens | None,
        key_tokens: Tokens | None,
        *,
        encoder_decoder: bool,
        media: Media | None = None,
    ) -> None:
        self._media = media
        self._inputs, self._item, self._tokenizer = inputs, item, tokenizer
        self._encoder_decoder = encoder_decoder
        self._given = (key_tokens, tokens) if encoder_decoder else (tokens, tokens)
        self._key_tokens = key_tokens
        self._made: dict[tuple[str, int], Tokens] = {}

    def side(self, part: str, n: int, *, of_keys: bool = False) -> Tokens:
        """Name the ``n`` positions of one part of the model: its input, or its decoder's; or what those look at."""
        if of_keys and self._key_tokens is not None and not self._encoder_decoder:
            return self._key_tokens
        decoder = self._encoder_decoder and part == "decoder"
        key = ("decoder" if decoder else part if part in ("vision", "audio", "qformer") else "", n)
        if key not in self._made:
            self._made[key] = self._name(decoder=decoder, part=key[0], n=n)
        return self._made[key]

    def kept(self, part: str, n: int) -> np.ndarray:
        """Positions of one part that are not padding, by the attention mask the model was called with."""
        decoder = self._encoder_decoder and part == "decoder"
        mask: Any = self._inputs.get("decoder_attention_mask" if decoder else "attention_mask")
        fits = isinstance(mask, torch.Tensor) and mask.ndim == 2 and mask.shape[-1] == n
        if part in ("vision", "audio", "qformer") or not fits:
            return np.arange(n)
        return np.flatnonzero(mask[self._item].cpu().numpy() != 0)

    def texts(self, ids: list[int]) -> list[str]:
        """Name token ids."""
        return list(tokens_of_ids(ids, self._tokenizer))

    def require_used(self) -> None:
        """Check that tokens given were needed; sides that they do not fit are refused as they are named."""

    def _name(self, *, decoder: bool, part: str, n: int) -> Tokens:
        given = self._given[decoder]
        if given is not None and part in ("", "decoder"):
            return given
        ids: Any = self._inputs.get("decoder_input_ids" if decoder else "input_ids")
        if part in ("", "decoder") and isinstance(ids, torch.Tensor) and ids.ndim == 2 and ids.shape[-1] == n:
            numbers: np.ndarray = ids[self._item].cpu().numpy()
            tokens = tokens_of_ids(numbers.tolist(), self._tokenizer)
            return tokens if self._media is None or decoder else self._media.among_text(tokens, numbers)
        named = None if self._media is None or decoder else self._media.side(part, n)
        return positions(n) if named is None else named


def positions(n: int) -> Tokens:
    """Name positions that have no tokens by their numbers."""
    numbers = np.arange(n, dtype=np.int32)
    return Tokens(tuple(str(i) for i in range(n)), np.zeros(n, bool), numbers)


def make_capture(
    recorded: Sequence[Recorded], item: int, naming: Naming, name: str, *, encoder_decoder: bool
) -> Capture:
    """Make the capture of one input of the batch."""
    numbers: dict[Place, list[int]] = {}
    for layer in recorded:
        numbers.setdefault(layer.place, []).append(layer.number)
    kinds = kind_names(numbers, encoder_decoder=encoder_decoder)
    masks: dict[tuple[Mask, bool], Mask] = {}
    found: dict[str, Attention] = {}
    for kind in dict.fromkeys(kinds.values()):
        mine = sorted((layer for layer in recorded if kinds[layer.place] == kind), key=lambda layer: layer.number)
        place = mine[0].place
        for size, same in _by_size(mine, item).items():
            label = kind if kind not in found else f"{kind} {size[0]}×{size[1]}{''.join(size[2])}"
            found[label] = _attention(label, place, same, item, naming, masks)
    return Capture(found, name)


def _by_size(layers: Sequence[Recorded], item: int) -> dict[tuple[int, int, tuple[str, ...]], list[Recorded]]:
    """Group layers that have the same numbers of queries and keys, the most frequent size first."""
    sizes: dict[tuple[int, int, tuple[str, ...]], list[Recorded]] = {}
    for layer in layers:
        sizes.setdefault((layer.items[item].n_queries, layer.items[item].n_keys, layer.added), []).append(layer)
    return dict(sorted(sizes.items(), key=lambda entry: -len(entry[1])))


def _attention(
    kind: str, place: Place, recorded: Sequence[Recorded], item: int, naming: Naming, masks: dict[Any, Any]
) -> Attention:
    first, added = recorded[0].items[item], recorded[0].added
    other = "encoder" if place.cross else place.part
    n_queries, n_keys = first.n_queries, first.n_keys - len(added)
    queries = naming.side(place.part, n_queries)
    keys = naming.side(other, n_keys, of_keys=True) if place.cross or n_keys != n_queries else queries
    rows, columns = naming.kept(place.part, n_queries), naming.kept(other, n_keys)
    if not rows.size or not columns.size:
        raise InputError(f"Input {item} of the batch is padding throughout: its attention mask is all 0. Leave it out.")
    cut = (len(rows) < n_queries or len(columns) < n_keys) and len(queries) == n_queries and len(keys) == n_keys
    with_added = np.concatenate([columns, np.arange(n_keys, first.n_keys)])
    stored: dict[int, Layer] = {}
    for layer in recorded:
        kept: Any = layer.items[item]
        stored[layer.number] = kept.take(rows, with_added, masks) if cut else kept
    if cut:
        same = keys is queries
        queries = queries.take(rows)
        keys = queries if same else keys.take(columns)
    return Attention(
        kind,
        stored,
        queries,
        _with_added(keys, added) if added else keys,
        {layer.number: layer.tier for layer in recorded},
        {layer.number: layer.check for layer in recorded},
        {layer.number: layer.path for layer in recorded},
        stream=_stream(recorded, item, rows, queries, naming),
    )


def _stream(
    recorded: Sequence[Recorded], item: int, rows: np.ndarray, queries: Tokens, naming: Naming
) -> Stream | None:
    """Put together what layers write into the residual stream; None where that was not followed."""
    if all(layer.written is None for layer in recorded):
        return None
    writes: dict[int, Write] = {}
    missing: dict[int, str] = {}
    for layer in recorded:
        write = None if layer.written is None else layer.written.item(item, rows)
        if write is not None:
            writes[layer.number] = write
        else:
            missing[layer.number] = "its heads were recorded apart" if layer.written is None else layer.written.why
    last = recorded[-1].written
    final = None if last is None else last.final
    readout = "its logits were not followed" if final is None else final.item(item, rows, queries.ids, naming.texts)
    if isinstance(readout, str):
        return Stream(writes, missing, no_readout=readout)
    return Stream(writes, missing, readout)


def _with_added(keys: Tokens, added: tuple[str, ...]) -> Tokens:
    """Put keys that stand for no token after the others."""
    special = np.concatenate([keys.special, np.ones(len(added), bool)])
    words = np.concatenate([keys.words, np.full(len(added), -1, np.int32)])
    return Tokens((*keys.text, *added), special, words)
