"""Models in folders, as a user has them on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.models import zoo
from tests.models.test_encoder_decoder import loaded

if TYPE_CHECKING:
    from pathlib import Path


def save_models(folder: Path) -> Path:
    """Save an encoder as ``bert`` and an encoder–decoder as ``bart``, each with its tokenizer; give the folder."""
    known = zoo.family("bert")
    model, _, tokenizer = loaded("bart")
    for name, saved in (("bert", (zoo.build(known), zoo.tokenizer_of(known))), ("bart", (model, tokenizer))):
        for part in saved:
            part.save_pretrained(folder / name)
    return folder
