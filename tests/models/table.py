"""The table of families: ``python -m tests.models.table`` measures them all and writes FAMILIES.md."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attnscope
from tests.models.known import FAMILIES
from tests.models.known.measure import measure

if TYPE_CHECKING:
    from tests.models.known.family import Family
    from tests.models.known.measure import Outcome

PATH = Path(attnscope.__file__).parent / "recording" / "FAMILIES.md"
TOLERANCE = 1e-5

HEAD = """# Families that are tested

Written by `python -m tests.models.table`; a test holds it to what the code does. Every model is built from its real
class with a small configuration and random weights, and captured on its own default implementation.

- **seen by**: the road by which each kind of attention was seen. *interface*: transformers' attention interface.
  *sdpa*: PyTorch's `scaled_dot_product_attention`. *multihead*: PyTorch's multi-head function. *softmax*: the softmax
  inside the module, kept, or run again on demand where the weights of a pass are more than 256 MiB.
- **error**: the largest difference to the weights the model's own eager code returns, over all layers, heads, inputs.
- **self-check**: the largest difference of recomputed weights · values to the model's real output, relative to the
  largest output; for *softmax*, of a row's sum to 1.

Errors are those of float32. In half precision the weights are the exact softmax of the queries and keys the model
attends with, and `capture["self"].rounding(layer)` states how far eager code of that dtype may round its own from them.
Tests hold every family to that bound, and to 1e-2 (bfloat16) and 1e-3 (float16) of its own eager weights where scores
have a unit's spread.

{n} families, {attending} with attention: **{exact} exact**, {refused} refused. Of the exact ones, {n_left} left a part
out, with a warning that names it.
"""


def table(outcomes: list[tuple[Family, Outcome]]) -> str:
    """The whole page."""
    attending = [(known, outcome) for known, outcome in outcomes if known.attends]
    exact = [outcome for _, outcome in attending if is_exact(outcome)]
    head = HEAD.format(
        n=len(outcomes),
        attending=len(attending),
        exact=len(exact),
        refused=sum(bool(outcome.refused) for _, outcome in attending),
        n_left=sum(bool(outcome.left_out) for outcome in exact),
    )
    rows = ["| family | kinds and layers | seen by | error | self-check | note |", "|---|---|---|---|---|---|"]
    rows += [_row(known, outcome) for known, outcome in outcomes]
    return head + "\n" + "\n".join(rows) + "\n"


def is_exact(outcome: Outcome) -> bool:
    """Whether a family was captured, with no error beyond rounding."""
    return not outcome.refused and all(error <= TOLERANCE for error in outcome.errors.values())


def at_most(error: float) -> str:
    """A small number rounded up to a power of ten, not below 1e-5, where the number of threads would show."""
    if error == 0 or math.isnan(error):
        return "≤ 1e-5"
    return f"≤ 1e{max(-5, math.ceil(math.log10(error)))}"


def _row(known: Family, outcome: Outcome) -> str:
    name = f"| {known.name} |"
    if outcome.refused:
        what = "refused" if known.attends else "no attention, refused"
        return f"{name} | {what} | | | {_sentence(outcome.refused)} |"
    kinds = "; ".join(f"{kind}: {_numbers(numbers)}" for kind, numbers in outcome.layers.items())
    tiers = " and ".join(sorted({part for tier in outcome.tiers.values() for part in tier.split(" and ")}))
    errors = at_most(max(outcome.errors.values())) if outcome.errors else "–"
    notes = [note.rstrip(".") for note in (known.why_not, outcome.left_out) if note]
    return f"{name} {kinds} | {tiers} | {errors} | {at_most(max(outcome.checks.values()))} | {'. '.join(notes)} |"


def _numbers(numbers: tuple[int, ...]) -> str:
    if numbers == tuple(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 1:
        return f"{numbers[0]}–{numbers[-1]}"
    return ", ".join(map(str, numbers))


def _sentence(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Measure every family and write the page."""
    PATH.write_text(table([(known, measure(known)) for known in FAMILIES]), encoding="utf-8")
    print(f"wrote {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
