"""The table of families: ``python -m tests.models.table`` measures them all and writes FAMILIES.md."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import attnscope
from tests.models.known import FAMILIES
from tests.models.known.measure import Outcome, measure

if TYPE_CHECKING:
    from tests.models.known.family import Family

PATH = Path(attnscope.__file__).parent / "recording" / "FAMILIES.md"
TOLERANCE = 1e-5

HEAD = """# Families that are tested

Written by `python -m tests.models.table`; a test holds it to what the code does. Every model is built from its real
class with a small configuration and random weights, and captured on its own default implementation.

- **seen by**: the road by which each kind of attention was seen. *interface*: transformers' attention interface.
  *sdpa*: PyTorch's `scaled_dot_product_attention`. *multihead*: PyTorch's multi-head function. *softmax*: the softmax
  inside the module, kept, or run again on demand where the weights of a pass are more than 256 MiB.
- **error**: the largest difference to the weights the model's own eager code returns, over all layers, heads, inputs.
- **bfloat16**: the same for a model in bfloat16 that its eager code runs: the error of the weights as such code rounds
  them, `capture.weights(layer, rounded=True)`; not told below 1e-2.
- **self-check**: the largest difference of recomputed weights · values to the model's real output, relative to the
  largest output; for *softmax*, of a row's sum to 1.

In half precision, `capture.weights(layer)` is the exact softmax of the queries and keys the model attends with. Eager
code rounds at every step, and its own weights are off the more the wider the scores are, beyond 1e-2 where those are
several units wide; `capture["self"].rounding(layer)` states how far they may be. Tests hold every family in bfloat16
and float16 to that bound, and its rounded weights to 1e-2 of the model's own in every layer, run by its eager code and
as it is loaded. Fused attention rounds its output otherwise than eager code, so a model as loaded gives its later
layers other hidden states than its eager twin does: there both are given the same.

{n} families, {attending} with attention: **{exact} exact**, {refused} refused. Of the exact ones, {n_left} left a part
out, with a warning that names it.
"""


def table(outcomes: list[tuple[Family, Outcome, Outcome]]) -> str:
    """The whole page: what each family gave in float32, and in bfloat16."""
    attending = [(known, outcome) for known, outcome, _ in outcomes if known.attends]
    exact = [outcome for _, outcome in attending if is_exact(outcome)]
    head = HEAD.format(
        n=len(outcomes),
        attending=len(attending),
        exact=len(exact),
        refused=sum(bool(outcome.refused) for _, outcome in attending),
        n_left=sum(bool(outcome.left_out) for outcome in exact),
    )
    rows = [
        "| family | kinds and layers | seen by | error | bfloat16 | self-check | note |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [_row(*one) for one in outcomes]
    return head + "\n" + "\n".join(rows) + "\n"


def is_exact(outcome: Outcome) -> bool:
    """Whether a family was captured, with no error beyond rounding."""
    return not outcome.refused and all(error <= TOLERANCE for error in outcome.errors.values())


def in_bfloat16(known: Family) -> Outcome:
    """What a family gives in bfloat16, run by its eager code; nothing where there is nothing to compare with."""
    return measure(known, torch.bfloat16, "eager") if known.own and not known.refused else Outcome()


def at_most(error: float, least: int = -5) -> str:
    """A small number rounded up to a power of ten, not below where the number of threads or the machine would show."""
    if error == 0 or math.isnan(error):
        return f"≤ 1e{least}"
    return f"≤ 1e{max(least, math.ceil(math.log10(error)))}"


def _row(known: Family, outcome: Outcome, half: Outcome) -> str:
    name = f"| {known.name} |"
    if outcome.refused:
        what = "refused" if known.attends else "no attention, refused"
        return f"{name} | {what} | | | | {_sentence(outcome.refused)} |"
    kinds = "; ".join(f"{kind}: {_numbers(numbers)}" for kind, numbers in outcome.layers.items())
    tiers = " and ".join(sorted({part for tier in outcome.tiers.values() for part in tier.split(" and ")}))
    errors = at_most(max(outcome.errors.values())) if outcome.errors else "–"
    rounded = at_most(max(half.rounded.values()), -2) if half.rounded else "–"
    notes = [note.rstrip(".") for note in (known.why_not, outcome.left_out) if note]
    check = at_most(max(outcome.checks.values()))
    return f"{name} {kinds} | {tiers} | {errors} | {rounded} | {check} | {'. '.join(notes)} |"


def _numbers(numbers: tuple[int, ...]) -> str:
    if numbers == tuple(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 1:
        return f"{numbers[0]}–{numbers[-1]}"
    return ", ".join(map(str, numbers))


def _sentence(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Measure every family and write the page."""
    outcomes = [(known, measure(known), in_bfloat16(known)) for known in FAMILIES]
    PATH.write_text(table(outcomes), encoding="utf-8")
    print(f"wrote {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
