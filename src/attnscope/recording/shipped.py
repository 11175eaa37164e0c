"""What the small models that ship with attnscope share: a file of weights, and a tokenizer of whole words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def with_weights(model: Any, path: Path) -> Any:
    """Put the stored weights, kept in half precision, into a model; what is not stored stays as it was made.

    Returns
    -------
    The model, in eval mode, float32.
    """
    import torch
    from safetensors.torch import load_file

    stored = {name: tensor.to(torch.float32) for name, tensor in load_file(path).items()}
    model.load_state_dict(stored, strict=False)
    return model.eval()


def word_tokenizer(words: Sequence[str], template: str, special: Sequence[str], **named: Any) -> Any:
    """Make a tokenizer that splits at white space and knows some words.

    Parameters
    ----------
    words
        In the order of their ids; the first stands for unknown ones.
    template
        How special tokens surround a text: ``"$A </s>"``.
    special
        The tokens the template names.
    named
        What ``PreTrainedTokenizerFast`` takes besides: ``pad_token`` and the like.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    ids = {word: i for i, word in enumerate(words)}
    made = Tokenizer(WordLevel(ids, unk_token=words[0]))
    made.pre_tokenizer = WhitespaceSplit()
    made.post_processor = TemplateProcessing(single=template, special_tokens=[(name, ids[name]) for name in special])
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)
