"""capture(): a model and a text in, a capture out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnscope.errors import InputError, InputTypeError
from attnscope.recording import models
from attnscope.recording.encode import MAIN_INPUTS, encode, given_inputs, text_tokenizer
from attnscope.recording.forward import run_once
from attnscope.recording.generation.targets import decoder_inputs, has_decoder_input, write
from attnscope.recording.media.inputs import are_media, encode_media, is_media
from attnscope.recording.media.pictures import keep_pictures
from attnscope.recording.recorder import record

if TYPE_CHECKING:
    import os

    import torch

    from attnscope.attention.capture import Capture
    from attnscope.recording.recorder import Recording

BATCH = 8
"""Texts that run through the model at once."""


def capture(
    model: Any,
    tokenizer: Any,
    text: Any,
    text_pair: str | Sequence[str] | None = None,
    *,
    target: str | Sequence[str] | None = None,
    layers: Iterable[int] | None = None,
    values: bool = False,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Capture | list[Capture]:
    """Capture the attention of a model on a text.

    The model runs once, as it was loaded and on its own attention implementation; queries and keys are kept, and
    weights are computed from them when they are looked at. The model is left exactly as it was, also after an error.

    Parameters
    ----------
    model
        A transformers model with its weights, in eval mode.
    tokenizer
        Its tokenizer or processor; may be None when ``text`` is already encoded.
    text
        A text; several texts, for one capture of each; or encoded inputs, a mapping of tensors with ``input_ids``,
        ``pixel_values``, ``input_features`` … With a processor of images or sound also an image (PIL, or an array of
        two or three axes), samples at the processor's sampling rate (an array of one axis), or several of them.
    text_pair
        The second text of a sentence pair, or one per text.
    target
        Decoder text of an encoder–decoder model, or one per text; None lets the model write it, greedily and otherwise
        as its generation config says (at most 128 tokens where that sets no length).
    layers
        Numbers of the layers to record; None for all.
    values
        Whether to keep what turns weights into contributions: the value vectors, the residual stream before each
        layer's attention, and copies of the output projections, so that the model can change or go. Beside queries
        and keys this takes about as much again per token, and a matrix of the model's width per layer.
    dtype
        What queries, keys and values are kept in: ``"float32"``, ``"bfloat16"`` or ``"float16"``, whatever the model
        runs in; None for as the model gives them. ``capture[kind].error`` states by how much a narrower dtype moves any
        weight, a bound taken from the rounding of this very text; rows go on summing to 1. float16 is eight times as
        close as bfloat16, and refused where numbers exceed it. Weights that the model's own softmax gave are kept as
        they are.
    device
        Where they are kept. ``"cpu"``, and None: each layer's are brought to the CPU as soon as it has run, so that the
        accelerator's memory does not grow. ``"model"``: they stay where their layer runs. Or one device for all.
    path
        A file they are written to while the model runs, so that memory holds one layer at a time; there must be none
        yet. It is there once it is whole, and :func:`attnscope.load` reads it; the capture reads from it what it is
        asked for. For one text.
    progress
        Whether to show a progress bar over several texts.

    Returns
    -------
    Capture or list of Capture
        A list where several texts were given. Recomputed weights equal the model's own eager weights (float32: to
        1e-5); a self-check against the model's real output runs on every layer. Of a model that several processes run
        together (tensor parallel), each process calls this with the same arguments, and each gets all heads.

    Raises
    ------
    InputError
        For an empty text, or one longer than the model takes.
    InputTypeError
        For a model, tokenizer or text of a kind that cannot be used.
    ModelError
        When the model cannot be captured, with the reason and the remedy.
    WriteError
        When nothing can be written to ``path``, or the disk is full.

    Examples
    --------
    >>> c = capture(model, tokenizer, "the cat saw a small red bird .")
    >>> c
    Capture(attnscope small, self: 2 × 4 heads, 9 tokens, 0.0 MB)
    >>> c.weights(1, 0)[-1].round(2)
    array([0.  , 0.  , 0.  , 0.  , 0.14, 0.  , 0.41, 0.01, 0.44],
          dtype=float32)
    >>> both = capture(model, tokenizer, ["the cat saw a bird .", "it ran ."])
    >>> [len(each.tokens) for each in both]
    [7, 4]
    """
    models.require_recordable(model)
    if not hasattr(models.unwrapped(model), "get_input_embeddings"):
        raise InputTypeError(
            f"capture() runs transformers models, and {type(models.unwrapped(model)).__name__} is another module. Run "
            "it yourself inside a block: with record(model) as recording: model(…)."
        )
    if target is not None and not models.is_encoder_decoder(model):
        raise InputError(
            f"target is the decoder's text of an encoder–decoder, and {type(model).__name__} is none. Leave it out."
        )
    if are_media(text):
        options: Any = {"target": target, "layers": layers, "values": values, "dtype": dtype, "device": device}
        _require_no_path(path)
        each = [capture(model, tokenizer, one, text_pair, **options) for one in text]
        return [found for found in each if not isinstance(found, list)]
    if is_media(text):
        text = encode_media(model, tokenizer, text)
    processor, tokenizer = tokenizer, text_tokenizer(tokenizer)
    if target is not None and tokenizer is None:
        raise InputTypeError("A target text needs a tokenizer: capture(model, tokenizer, text, target=…).")
    chosen = list(layers) if isinstance(layers, Iterable) and not isinstance(layers, str) else layers
    kept = {"layers": chosen, "values": values, "dtype": dtype, "device": device, "path": path}
    if isinstance(text, Mapping):
        if text_pair is not None:
            raise InputError("text is already encoded, so text_pair cannot be joined to it. Encode both together.")
        inputs = given_inputs(text)
        size = next(len(inputs[name]) for name in MAIN_INPUTS if inputs.get(name) is not None)
        recording = _run_inputs(model, tokenizer, inputs, _targets(target, size), **kept)
        found = keep_pictures(recording.captures(tokenizer=processor), inputs, processor)
        return found if len(found) > 1 else found[0]
    if not isinstance(text, str):
        _require_no_path(path)
    texts, pairs = _texts(text, text_pair)
    if tokenizer is None:
        raise InputTypeError(
            "A text needs a tokenizer: capture(model, tokenizer, text). Only encoded inputs go without."
        )
    targets = _targets(target, len(texts))
    found = []
    for part in _progress(_batches(tokenizer, len(texts)), len(texts), progress):
        some, their_pairs, their_targets = (None if given is None else given[part] for given in (texts, pairs, targets))
        found += capture_batch(model, tokenizer, some or [], their_pairs, their_targets, **kept)
    return found[0] if isinstance(text, str) else found


def capture_batch(
    model: Any,
    tokenizer: Any,
    texts: list[str],
    pairs: list[str] | None = None,
    targets: list[str] | None = None,
    **kept: Any,
) -> list[Capture]:
    """Capture texts that run through the model at once; ``kept`` says what of them and how, see :func:`capture`."""
    encoded = encode(tokenizer, texts, pairs)
    models.require_known(model, encoded.inputs["input_ids"])
    recording = _run(model, tokenizer, encoded.inputs, targets, **kept)
    if models.is_encoder_decoder(model):
        return recording.captures(tokenizer=tokenizer, key_tokens=encoded.tokens)
    return recording.captures(encoded.tokens, tokenizer=tokenizer)


def _run_inputs(
    model: Any,
    tokenizer: Any,
    inputs: dict[str, Any],
    targets: list[str] | None,
    **kept: Any,
) -> Recording:
    if inputs.get("input_ids") is not None:
        models.require_known(model, inputs["input_ids"])
    return _run(model, tokenizer, inputs, targets, **kept)


def _run(
    model: Any,
    tokenizer: Any,
    inputs: Mapping[str, Any],
    targets: list[str] | None,
    **kept: Any,
) -> Recording:
    """Record one pass, over what the decoder is to read, or over what it writes."""
    with record(model, **kept) as recording:
        if targets is not None:
            run_once(model, {**inputs, **decoder_inputs(model, tokenizer, targets)})
        elif models.is_encoder_decoder(model) and not has_decoder_input(inputs):
            write(model, inputs)
        else:
            run_once(model, inputs)
    return recording


def _require_no_path(path: Any) -> None:
    if path is not None:
        raise InputError(
            "A file holds the capture of one input, and a list of them was given. Capture them one by one, each with a "
            "path of its own."
        )


def _texts(text: str | Sequence[str], text_pair: str | Sequence[str] | None) -> tuple[list[str], list[str] | None]:
    """Check texts and pairs, and give both as lists."""
    texts, pairs = _listed(text), None if text_pair is None else _listed(text_pair)
    if not texts:
        raise InputError("There is no text: the list is empty. Give at least one text.")
    for name, given in (("text", texts), ("text_pair", pairs or [])):
        empty = next((i for i, t in enumerate(given) if not t.strip()), None)
        if empty is not None:
            which = f"The {name} is" if len(given) == 1 else f"Entry {empty} of {name} is"
            raise InputError(f"{which} empty. Give a text with at least one word.")
    if pairs is not None and len(pairs) != len(texts):
        raise InputError(f"Give one text_pair per text: got {len(texts)} texts and {len(pairs)} pairs.")
    return texts, pairs


def _listed(text: Any, name: str = "text") -> list[str]:
    """One or several texts as a list."""
    several = [text] if isinstance(text, str) or not isinstance(text, Iterable) else list(text)
    wrong = [t for t in several if not isinstance(t, str)]
    if wrong:
        raise InputTypeError(
            f"A {name} is a string, several are a list of strings, got {type(wrong[0]).__name__} {wrong[0]!r}. "
            "For token ids, pass a mapping: {'input_ids': tensor}."
        )
    return several


def _targets(target: str | Sequence[str] | None, count: int) -> list[str] | None:
    """Check target texts, and give one per text."""
    if target is None:
        return None
    targets = [target] * count if isinstance(target, str) else _listed(target, "target")
    if len(targets) != count:
        raise InputError(f"Give one target per text, or one for all: got {count} texts and {len(targets)} targets.")
    empty = next((i for i, text in enumerate(targets) if not text.strip()), None)
    if empty is not None:
        which = "The target is" if isinstance(target, str) else f"Entry {empty} of target is"
        raise InputError(f"{which} empty. Give a text with at least one word, or None to let the model write it.")
    return targets


def _batches(tokenizer: Any, count: int) -> list[slice]:
    """Group texts to run together; one at a time where the tokenizer cannot pad."""
    size = BATCH if getattr(tokenizer, "pad_token_id", None) is not None else 1
    return [slice(i, i + size) for i in range(0, count, size)]


def _progress(batches: list[slice], n_texts: int, shown: bool | None) -> Iterable[slice]:
    if not shown:
        return batches
    from tqdm.auto import tqdm

    return tqdm(batches, desc=f"capture {n_texts} texts", unit="batch")
