"""Sentences made of templates, whose relations between words are known by construction.

Distances vary: a determiner stands up to three words before its noun, a clause may come between subject and verb, an
adverb between verb and object, so that no fixed distance guesses a relation well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NOUNS = [
    "farmer",
    "teacher",
    "doctor",
    "student",
    "king",
    "child",
    "dog",
    "horse",
    "letter",
    "table",
    "river",
    "garden",
    "window",
    "bottle",
    "road",
]
ADJECTIVES = ["old", "small", "red", "happy", "tired", "heavy", "quiet", "strange", "young", "cold"]
VERBS = ["saw", "found", "liked", "painted", "carried", "watched", "followed", "cleaned", "sold", "remembered"]
ADVERBS = ["slowly", "quickly", "often"]


def sentence(random: np.random.Generator) -> tuple[str, list[tuple[int, int, str]]]:
    """A sentence, and its relations as (dependent, head, name), by number of the word."""
    words: list[str] = []
    links: list[tuple[int, int, str]] = []

    def phrase(noun: str) -> int:
        start = len(words)
        words.append(str(random.choice(["the", "a", "every"])))
        words.extend(random.choice(ADJECTIVES, random.integers(0, 3), replace=False).tolist())
        words.append(noun)
        place = len(words) - 1
        links.append((start, place, "det"))
        links.extend((i, place, "amod") for i in range(start + 1, place))
        return place

    nouns = random.choice(NOUNS, 3, replace=False).tolist()
    subject = phrase(nouns[0])
    if random.random() < 0.5:
        words.extend(["near"])
        phrase(nouns[1])
    words.append(str(random.choice(VERBS)))
    verb = len(words) - 1
    if random.random() < 0.3:
        words.append(str(random.choice(ADVERBS)))
    links.append((phrase(nouns[2]), verb, "obj"))
    links.append((subject, verb, "nsubj"))
    words.append(".")
    return " ".join(words), links


def conllu(text: str, links: list[tuple[int, int, str]]) -> str:
    """The same as CoNLL-U."""
    heads = {dependent: (head + 1, name) for dependent, head, name in links}
    lines = [f"# text = {text}"]
    for i, word in enumerate(text.split()):
        head, name = heads.get(i, (0, "root"))
        lines.append("\t".join([str(i + 1), word, "_", "_", "_", "_", str(head), name, "_", "_"]))
    return "\n".join(lines) + "\n\n"
