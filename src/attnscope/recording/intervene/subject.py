"""A model and one input, ready to be run again with something changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.errors import InputError, InputTypeError, ModelError
from attnscope.recording import models
from attnscope.recording.encode import MAIN_INPUTS, encode, given_inputs, text_tokenizer
from attnscope.recording.forward import arguments
from attnscope.recording.generation.targets import decoder_inputs, has_decoder_input, write
from attnscope.recording.intervene.changing import Site, changing
from attnscope.recording.intervene.readout import Readout, readout_of
from attnscope.recording.media.inputs import encode_media, is_media
from attnscope.recording.ranks import shards as ranks
from attnscope.recording.recorder import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.capture import Attention, Capture
    from attnscope.recording.intervene.change import Change, Changes

_REPEATED = {
    "input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds", "decoder_input_ids",
    "decoder_attention_mask", "decoder_inputs_embeds", "bbox",
}  # fmt: skip
"""Inputs whose first axis is the batch in every model; several variants run at once where there are no others."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and one input.

    Parameters
    ----------
    model
        As it was handed in.
    tokenizer
        Its tokenizer or processor, or None.
    inputs
        What it is called with, a batch of one without padding.
    capture
        What it attends to, unchanged.
    output
        What it gives, unchanged.
    readout
        What is read off the output.
    sites
        Where each layer of each kind is computed: the layers that can be changed.
    """

    model: Any
    tokenizer: Any
    inputs: Mapping[str, Any]
    capture: Capture
    output: Any
    readout: Readout
    sites: Mapping[Site, tuple[str, int]]

    def run(self, changes: Changes, *, variants: int = 1, inputs: Mapping[str, Any] | None = None) -> Any:
        """Run the model once with changes and give its output; with gradients where they are switched on.

        Parameters
        ----------
        changes
            Per kind and layer, what it does differently.
        variants
            How often the input is repeated along the batch.
        inputs
            Other inputs to run over; None for the subject's.

        Raises
        ------
        ModelError
            For a layer that cannot be changed, or that did not run.
        """
        self.require(changes)
        given = repeated(inputs or self.inputs, variants)
        ran: set[tuple[str, int]] = set()

        def changed(site: Site, _: tuple[int, ...]) -> Change | None:
            place = self.sites.get(site)
            if place is None:
                return None
            ran.add(place)
            return changes.get(place)

        with changing(self.model, changed):
            output = call(self.model, given, logits_to_keep=self.readout.logits_to_keep)
        if set(changes) - ran:
            kind, layer = min(set(changes) - ran)
            raise ModelError(
                f"Layer {layer} ({kind}) did not run as it did before, so it was not changed. Does the model do "
                "something else each time it runs?"
            )
        return output

    @property
    def attention(self) -> Attention:
        """The attention over whose queries predictions are made."""
        return read_from(self.capture)

    @property
    def is_causal(self) -> bool:
        """Whether each token is read before the next is foretold."""
        return "decoder" in self.capture.kinds or self.attention.is_causal

    @property
    def row(self) -> int:
        """The query whose row belongs to the prediction; of a class, the token it is read from.

        That is the last token of a causal model, the first of others.
        """
        if self.readout.position is not None:
            return self.readout.position
        return len(self.attention.queries) - 1 if self.is_causal else 0

    @property
    def source(self) -> Attention:
        """The attention over whose queries the text is read: of an encoder–decoder, the encoder's."""
        return self.capture["encoder" if "decoder" in self.capture.kinds else self.capture.kinds[0]]

    @property
    def mask_token(self) -> int | None:
        """The tokenizer's mask token, which stands for a word that is not shown; None where it has none."""
        mask = getattr(text_tokenizer(self.tokenizer), "mask_token_id", None)
        return None if mask is None else int(mask)

    def with_source(self, kept: np.ndarray) -> dict[str, np.ndarray]:
        """The inputs that go with the text's tokens, [tokens], at some of its positions."""
        n = len(self.source.queries)
        return {
            name: value[0].cpu().numpy()[kept]
            for name, value in self.inputs.items()
            if isinstance(value, torch.Tensor) and value.ndim >= 2 and value.shape[1] == n
            and not name.startswith("decoder_")
        }  # fmt: skip

    def moved(self, kept: np.ndarray) -> Subject:
        """The same question about the text with only some of its tokens left: its position counts among them."""
        if self.readout.position is None or "decoder" in self.capture.kinds:
            return self
        position = int(np.searchsorted(kept, self.readout.position))
        return replace(self, readout=replace(self.readout, position=position, n_tokens=len(kept)))

    @property
    def takes_variants(self) -> bool:
        """Whether several variants of the input can run as one batch."""
        names = {name for name, value in self.inputs.items() if isinstance(value, torch.Tensor)}
        return models.is_transformers(self.model) and names <= _REPEATED and self.readout.score is None

    def require(self, changes: Changes) -> None:
        """Refuse layers that cannot be changed.

        Raises
        ------
        ModelError
            With the reason and the remedy.
        """
        known = set(self.sites.values())
        for kind, layer in changes:
            if (kind, layer) not in known:
                how, name = self.capture[kind].how.get(layer, "softmax"), type(models.unwrapped(self.model)).__name__
                raise ModelError(
                    f"Layer {layer} of {name} ({kind}, {how}) computes attention "
                    "in blocks or bands, several times over, or by code in which its heads cannot be told apart from "
                    "outside, so it cannot be changed. Where the model has them, "
                    'model.set_attn_implementation("sdpa") or "eager" may help.'
                )


def prepare(
    model: Any,
    tokenizer: Any,
    text: Any,
    text_pair: str | None = None,
    *,
    decoder_text: str | None = None,
    position: int | str | None = None,
    target: Any = None,
    read: bool = True,
) -> Subject:
    """Run a model once over an input, unchanged, and note where it computes attention and what it says.

    Parameters
    ----------
    model, tokenizer, text, text_pair
        As for :func:`attnscope.capture`, for one input. Of modules that are none of transformers', ``text`` is a
        mapping of what the module is called with.
    decoder_text
        The decoder's text of an encoder–decoder; None lets the model write it.
    position, target
        Which prediction to read, and which token or class to follow; see :func:`readout_of`.
    read
        Whether anything is read off the output at all.

    Raises
    ------
    InputError, InputTypeError, ModelError
        As :func:`attnscope.capture` does, and for several inputs or padding.
    """
    models.require_recordable(model)
    ranks.require_one_process(model)
    inputs, tokens = _inputs(model, tokenizer, text, text_pair)
    pair = models.is_transformers(model) and models.is_encoder_decoder(model)
    if decoder_text is not None and not pair:
        raise InputError(
            f"decoder_text is for encoder–decoders, whose decoder reads it, and {type(model).__name__} is none."
        )
    if pair and decoder_text is not None:
        inputs.update(decoder_inputs(model, tokenizer, [decoder_text]))
    elif pair and not has_decoder_input(inputs):
        inputs["decoder_input_ids"] = write(model, inputs)[:1, :-1]  # the last one written is foretold, not read
    calls: dict[Site, tuple[int, ...]] = {}

    def observe(site: Site, shape: tuple[int, ...]) -> None:
        calls[site] = shape

    with record(model) as recording, changing(model, observe), torch.no_grad():
        output = call(model, inputs)
    if not pair and tokens is not None:
        capture = recording.capture(tokens, tokenizer=tokenizer)
    else:
        capture = recording.capture(tokenizer=tokenizer, **({"key_tokens": tokens} if pair else {}))
    nothing = Readout("nothing", None, len(read_from(capture).queries))
    subject = Subject(model, tokenizer, inputs, capture, output, nothing, _sites(capture, calls))
    return reread(subject, position=position, target=target) if read else subject


def reread(subject: Subject, *, position: int | str | None = None, target: Any = None) -> Subject:
    """Read another prediction off the same run."""
    attention = subject.attention
    readout = readout_of(
        subject.model,
        subject.tokenizer,
        attention.queries,
        subject.output,
        position=position,
        target=target,
        causal=subject.is_causal,
    )
    return replace(subject, readout=readout)


def read_from(capture: Capture) -> Attention:
    """The attention over whose queries predictions are made."""
    return capture["decoder" if "decoder" in capture.kinds else capture.kinds[0]]


def repeated(inputs: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The inputs with each tensor ``count`` times along the batch."""
    return {
        name: value.repeat_interleave(count, dim=0) if count > 1 and isinstance(value, torch.Tensor) else value
        for name, value in inputs.items()
    }


def call(model: Any, inputs: Mapping[str, Any], **options: Any) -> Any:
    """Call the model with inputs; transformers' models get only those they take."""
    return model(**(arguments(model, inputs, **options) if models.is_transformers(model) else inputs))


@contextmanager
def without_gradients() -> Iterator[None]:
    """Keep no history of what is computed."""
    with torch.no_grad():
        yield


@contextmanager
def with_gradients() -> Iterator[None]:
    """Let gradients flow, also inside a block that keeps none."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        yield


def _inputs(model: Any, tokenizer: Any, text: Any, text_pair: str | None) -> tuple[dict[str, Any], Any]:
    """Encode one input."""
    if not models.is_transformers(model):
        if not isinstance(text, Mapping):
            raise InputTypeError(
                f"{type(models.unwrapped(model)).__name__} is no transformers model: give what it is called with as a "
                "mapping, such as {'x': tensor}."
            )
        return dict(text), None
    if is_media(text):
        return encode_media(model, tokenizer, text), None
    if isinstance(text, Mapping):
        inputs = given_inputs(text)
        size = next(len(inputs[name]) for name in MAIN_INPUTS if inputs.get(name) is not None)
        masks = [inputs.get("attention_mask"), inputs.get("decoder_attention_mask")]
        if size != 1 or any(isinstance(mask, torch.Tensor) and not bool(mask.all()) for mask in masks):
            raise InputError(
                f"One input without padding is changed and run again; got {size} inputs"
                + (" with padding." if size == 1 else ".")
                + " Give them one by one."
            )
        if inputs.get("input_ids") is not None:
            models.require_known(model, inputs["input_ids"])
        return inputs, None
    if not isinstance(text, str):
        raise InputTypeError(f"Expected one text, got {type(text).__name__}. Give several one by one.")
    tokenizer = text_tokenizer(tokenizer)
    if tokenizer is None:
        raise InputTypeError("A text needs a tokenizer. Only encoded inputs, a mapping of tensors, go without.")
    if not text.strip():
        raise InputError("The text is empty. Give a text with at least one word.")
    encoded = encode(tokenizer, [text], None if text_pair is None else [text_pair])
    models.require_known(model, encoded.inputs["input_ids"])
    return encoded.inputs, encoded.tokens[0]


def _sites(capture: Capture, calls: Mapping[Site, tuple[int, ...]]) -> dict[Site, tuple[str, int]]:
    """Match the calls that were seen with the layers of the capture, by module and order.

    Layers whose module made another number of calls, or of another number of heads, are left out. Where a module calls
    an attention function, its softmaxes are something else.
    """
    seen = Counter((site.path, site.road) for site in calls)
    layers: dict[str, list[tuple[str, int]]] = {}
    for kind in capture.kinds:
        for number, path in capture[kind].modules.items():
            layers.setdefault(path, []).append((kind, number))
    sites = {}
    for path, places in layers.items():
        road = "function" if seen[path, "function"] else "softmax"
        if seen[path, road] != len(places) or len({kind for kind, _ in places}) > 1:
            continue
        for occurrence, (kind, number) in enumerate(sorted(places, key=lambda place: place[1])):
            site, layer = Site(path, occurrence, road), capture[kind].layer(number)
            shape = (layer.n_heads, layer.n_queries, layer.n_keys)
            if calls[site] == shape or (road == "function" and calls[site][0] == shape[0]):
                sites[site] = (kind, number)
    return sites
