"""Small models of many families: what each is called with, and where its own weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.models.known import decoders, encoder_decoders, encoders, hybrids, images, mixed, sounds

if TYPE_CHECKING:
    from tests.models.known.family import Family

FAMILIES: list[Family] = [
    *encoders.FAMILIES,
    *decoders.FAMILIES,
    *hybrids.FAMILIES,
    *encoder_decoders.FAMILIES,
    *images.FAMILIES,
    *sounds.FAMILIES,
    *mixed.FAMILIES,
]
