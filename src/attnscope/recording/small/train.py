"""Trains the small model: seeded, well under a minute on two cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from attnscope.recording.small import N_POSITIONS, WEIGHTS, WORDS, build

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS, WARM_UP, BATCH, RATE = 1000, 50, 32, 5e-3


def batch(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw texts, the start token and a random segment again and again, and say which tokens can be foretold.

    Returns
    -------
    torch.Tensor, torch.Tensor
        int64 and bool, both [batch, positions].
    """
    tokens = torch.zeros(BATCH, N_POSITIONS, dtype=torch.long)
    known = torch.zeros(BATCH, N_POSITIONS, dtype=torch.bool)
    for row in range(BATCH):
        length = int(torch.randint(8, 24, (1,), generator=generator))
        segment = torch.randint(1, len(WORDS) + 1, (length,), generator=generator)
        tokens[row, 1:] = segment.repeat(-(-N_POSITIONS // length))[: N_POSITIONS - 1]
        known[row, length + 2 :] = True
    return tokens, known


def train(
    seed: int = 0, steps: int = STEPS, watch: Callable[[int, torch.nn.Module], None] | None = None
) -> torch.nn.Module:
    """Train and return the model.

    Parameters
    ----------
    seed
        Of the first weights and of the texts.
    steps
        How long to train.
    watch
        Called with the number of steps done and the model, before every step and after the last.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = build().train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    for step in range(steps):
        if watch is not None:
            watch(step, model)
        tokens, known = batch(generator)
        logits = model(tokens).logits[:, :-1]
        loss = cross_entropy(logits[known[:, 1:]], tokens[:, 1:][known[:, 1:]])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    if watch is not None:
        watch(steps, model)
    return model.eval()


def accuracy(model: torch.nn.Module, seed: int = 1) -> float:
    """Share of foretellable tokens the model foretells, on texts it was not trained on."""
    tokens, known = batch(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        found = model(tokens).logits[:, :-1].argmax(dim=-1)
    return float((found == tokens[:, 1:])[known[:, 1:]].float().mean())


def main() -> None:
    """Train, say how well it went, and write the weights in half precision."""
    model = train()
    kept = {name: p.detach().half().contiguous() for name, p in model.named_parameters() if ".mlp." not in name}
    save_file(kept, WEIGHTS)
    print(f"accuracy {accuracy(model):.3f}, {WEIGHTS.stat().st_size / 1e3:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
