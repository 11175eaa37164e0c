"""Trains the small translator: seeded, about a minute on two cores."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import save_file

from attnscope.recording.translator import WEIGHTS, build, load, sentences, tokenizer

STEPS, WARM_UP, BATCH, RATE = 1500, 50, 48, 3e-3


def batch(seed: int, words: Any) -> dict[str, torch.Tensor]:
    """Draw sentences and their translations: int64 [batch, tokens] each."""
    pairs = sentences(BATCH, seed)
    source = words([pair.english for pair in pairs], padding=True, return_tensors="pt")
    labels = words([pair.french for pair in pairs], padding=True, return_tensors="pt").input_ids
    labels[labels == words.pad_token_id] = -100
    return {"input_ids": source.input_ids, "attention_mask": source.attention_mask, "labels": labels}


def train(seed: int = 0) -> Any:
    """Train and return the model."""
    torch.manual_seed(seed)
    words, model = tokenizer(), build().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 - step / STEPS)
    )
    for step in range(STEPS):
        loss = model(**batch(1_000_000 * (seed + 1) + step, words)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def accuracy(model: Any, seed: int = 0) -> float:
    """Share of words the model foretells, given the right words before, on sentences it was not trained on."""
    given = batch(seed, tokenizer())
    with torch.no_grad():
        found = model(**given).logits.argmax(dim=-1)
    counted = given["labels"] != -100
    return float((found == given["labels"])[counted].float().mean())


def main() -> None:
    """Train, say how well it went, and write the weights in half precision."""
    model = train()
    shared = {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}
    kept = {
        name: tensor.half().contiguous()
        for name, tensor in model.state_dict().items()
        if name not in shared and name != "final_logits_bias"
    }
    save_file(kept, WEIGHTS)
    size = WEIGHTS.stat().st_size / 1e3
    print(f"accuracy {accuracy(model):.3f}, as stored {accuracy(load()[0]):.3f}, {size:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
