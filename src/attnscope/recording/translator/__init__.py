"""A small trained translator that ships with attnscope, whose word alignments are known.

A BART of 1 encoder and 2 decoder layers × 2 heads, trained to turn sentences of a toy English into a toy French word by
word, except that adjectives move behind their nouns. The language is made by this rule, so which word translates which
is known by construction, and cross-attention can be held against it.
``python -m attnscope.recording.translator.train`` makes the weights again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from attnscope.recording.shipped import with_weights, word_tokenizer

DETERMINERS = {"the": "le", "a": "un", "this": "ce", "my": "mon"}
ADJECTIVES = {"red": "rouge", "small": "petit", "old": "vieux", "black": "noir", "tired": "las"}
NOUNS = {
    "cat": "chat", "dog": "chien", "bird": "oiseau", "tree": "arbre", "king": "roi", "wolf": "loup", "fox": "renard",
}  # fmt: skip
VERBS = {"sees": "voit", "likes": "aime", "finds": "trouve", "follows": "suit"}
FRENCH = DETERMINERS | ADJECTIVES | NOUNS | VERBS
PAD, END, START = "<pad>", "</s>", "<s>"
N_POSITIONS = 16
WEIGHTS = Path(__file__).parent / "weights.safetensors"


@dataclass(frozen=True)
class Pair:
    """A sentence, its translation, and which words translate which.

    Parameters
    ----------
    english, french
        The two sentences.
    links
        Pairs (English word, French word), counted from 0.
    """

    english: str
    french: str
    links: frozenset[tuple[int, int]]


def sentences(n: int, seed: int = 0) -> list[Pair]:
    """Draw sentences with their translations and true alignments: two noun phrases with a verb between them."""
    draw = Random(seed)  # noqa: S311 - sentences, no secrets
    return [_sentence(draw) for _ in range(n)]


def _sentence(draw: Random) -> Pair:
    english: list[str] = []
    french: list[str] = []
    links: set[tuple[int, int]] = set()

    def say(words: list[str], order: list[int]) -> None:
        at = len(english)
        english.extend(words)
        french.extend(FRENCH[words[i]] for i in order)
        links.update((at + i, at + j) for j, i in enumerate(order))

    for place in range(2):
        determiner, noun = draw.choice(list(DETERMINERS)), draw.choice(list(NOUNS))
        if draw.random() < 0.7:
            say([determiner, draw.choice(list(ADJECTIVES)), noun], [0, 2, 1])
        else:
            say([determiner, noun], [0, 1])
        if place == 0:
            say([draw.choice(list(VERBS))], [0])
    return Pair(" ".join(english), " ".join(french), frozenset(links))


def load() -> tuple[Any, Any]:
    """Load the model and its tokenizer.

    Returns
    -------
    transformers.BartForConditionalGeneration, transformers.PreTrainedTokenizerFast
        In eval mode, float32. The tokenizer splits at white space and knows 20 English words and their translations.
    """
    return with_weights(build(), WEIGHTS), tokenizer()


def build() -> Any:
    """Make the model untrained."""
    from transformers import BartConfig, BartForConditionalGeneration

    config = BartConfig(
        vocab_size=3 + 2 * len(FRENCH),
        d_model=64,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=N_POSITIONS,
        dropout=0.0,
        init_std=0.1,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
    )
    model = BartForConditionalGeneration(config)
    model.name_or_path = "attnscope translator"
    return model


def tokenizer() -> Any:
    """Make the tokenizer: one token per word, an end token behind every text."""
    words = [PAD, END, START, *FRENCH, *FRENCH.values()]
    return word_tokenizer(words, f"$A {END}", [END], pad_token=PAD, eos_token=END, bos_token=START)
