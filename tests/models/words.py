"""Small tokenizers of each type, made here and the same in every run."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 400
"""Room for every tokenizer here."""

SENTENCES = [
    "The cat sat on the mat because it was tired.",
    "Emily always wanted to visit Paris so she took some French lessons.",
    "A dog runs; the dog runs again and the cat runs after the dog.",
    "Attention weights say where a head looks, not what the model thinks!",
    "Naïve café owners meet at 9:30 — or so they say.",
]


@cache
def wordpiece() -> Any:
    """BERT's type: ``##`` continues a word, ``[CLS]`` first ``[SEP]`` second ``[SEP]``."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    wholes = ["the", "cat", "dog", "run", "sat", "on", "was", "her", "head", "les", ".", "!", ",", ";", ":"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    parts = ["##s", "##son", "##ing", *("##" + letter for letter in letters)]
    pieces = dict.fromkeys([*specials, *wholes, *letters, *parts])
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@cache
def byte_level(*, marks: bool = False, padding: bool = True) -> Any:
    """GPT-2's type: bytes, ``Ġ`` for a space, no special tokens of its own; ``marks`` adds RoBERTa's."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"] if marks else ["<|endoftext|>", "<|pad|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=330, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    tokenizer.decoder = decoders.ByteLevel()
    if marks:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
        )
    padded = {"pad_token": "<|pad|>"} if padding else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", **padded)


@cache
def sentencepiece(*, first: bool = True, last: bool = False) -> Any:
    """Llama's type: ``▁`` for a space, ``<s>`` before the text; or T5's, with ``</s>`` after it."""
    known = sorted({"▁" + word[:4] for sentence in SENTENCES for word in sentence.split()})
    letters = sorted({"▁", *"".join(SENTENCES).replace(" ", "")})
    pieces = [*((special, 0.0) for special in ("<pad>", "</s>", "<unk>", "<s>"))]
    pieces += [(piece, -2.0) for piece in known if len(piece) > 2] + [(letter, -4.0) for letter in letters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{'<s> ' if first else ''}$A{' </s>' if last else ''}",
        special_tokens=[("<s>", 3), ("</s>", 1)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
