"""Small models of many families: what each is called with, and where its own weights are."""

from __future__ import annotations

from tests.models.known import encoder_decoders, encoders, decoders, hybrids, images, mixed, sounds
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
