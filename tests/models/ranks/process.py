"""What each of two processes does: ``python -m tests.models.ranks.process RANK FOLDER``.

Everything a rank captures is saved in the folder as ``NAME.RANK.safetensors``, and what it is refused as
``NAME.RANK.txt``.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor.experimental import context_parallel
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from transformers import AutoModelForCausalLM
from transformers.distributed import DistributedConfig

from attnscope import analysis, capture, record
from attnscope.recording.collect.collector import Collector
from attnscope.recording.ranks import exchange
from tests.models.ranks.models import FAMILIES, TEXTS, plain, plan_of
from tests.models.test_untouched import state_of
from tests.models.zoo import tokenizer_of

RANK, FOLDER = int(sys.argv[1]), Path(sys.argv[2])


def keep(name, found):
    found.save(FOLDER / f"{name}.{RANK}.safetensors")


def refused(name, do):
    """Note what a call raises, or that it raises nothing."""
    try:
        do()
        said = "nothing was raised"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        said = f"{type(error).__name__}: {error}"
    (FOLDER / f"{name}.{RANK}.txt").write_text(said, encoding="utf-8")


def loaded(name, **config):
    config = config or {"tp_plan": plan_of(name), "tp_size": 2}
    return AutoModelForCausalLM.from_pretrained(FOLDER / name, distributed_config=DistributedConfig(**config)).eval()


def families():
    for name, known in FAMILIES.items():
        model, tokenizer = loaded(name), tokenizer_of(known)
        # transformers does not run padded texts where each rank has all key heads
        alone = name == "one key head"
        texts = [capture(model, tokenizer, text) for text in TEXTS] if alone else capture(model, tokenizer, TEXTS)
        for number, found in enumerate(texts):
            keep(f"{name}.text{number}", found)
        keep(f"{name}.values", capture(model, tokenizer, TEXTS[0], layers=[1, 2], values=True))


def llama(model, tokenizer):
    inputs = tokenizer(TEXTS[0], return_tensors="pt")
    before = state_of(model)
    with torch.no_grad():
        logits = model(**inputs).logits
    keep("bfloat16", capture(model, tokenizer, TEXTS[0], dtype="bfloat16"))
    with record(model) as recording:
        model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    keep("generated", recording.capture(tokenizer=tokenizer))
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, logits)
    after = state_of(model)
    changed = [part for part in before if before[part] != after[part]]
    assert changed == [], changed


def refusals(model, tokenizer):
    inputs = tokenizer(TEXTS[0], return_tensors="pt")
    refused("other texts", lambda: capture(model, tokenizer, TEXTS[0][RANK:]))
    refused("other layers", lambda: capture(model, tokenizer, TEXTS[0], layers=[RANK]))
    refused("live", lambda: record(model, live=True))
    refused("to a file", lambda: capture(model, tokenizer, TEXTS[0], path=FOLDER / f"{RANK}.safetensors"))
    refused("ablation", lambda: analysis.ablate_heads(model, tokenizer, TEXTS[0], [(0, 1)]))

    def stops_after_the_pass():
        with record(model), torch.no_grad():
            model(**inputs)
            if RANK:
                raise KeyError("mine")

    refused("an error after the pass", stops_after_the_pass)
    take = Collector.take
    if RANK:
        Collector.take = lambda *_: 1 / 0
    refused("an error within the pass", lambda: capture(model, tokenizer, TEXTS[0]))
    Collector.take = take
    expect = Collector.expect
    if RANK:
        Collector.expect = lambda *_: 1 / 0
    refused("an error before the pass", lambda: capture(model, tokenizer, TEXTS[0]))
    Collector.expect = expect
    keep("after refusals", capture(model, tokenizer, TEXTS[0]))
    refused("stages", lambda: capture(loaded("llama", pp_size=2), tokenizer, TEXTS[0]))


def pytorch():
    """What PyTorch itself splits, and other ways to share a model."""
    mesh = init_device_mesh("cpu", (2,))
    keep("plain", recorded(*split_plain(mesh, local=True)))
    keep("plain, cut", recorded(*cut_plain(mesh)))
    keep("plain, cut, its mesh on the model", recorded(*cut_plain(None, mesh)))
    refused("distributed tensors", lambda: recorded(*split_plain(mesh, local=False)))
    whole, tokenizer = AutoModelForCausalLM.from_pretrained(FOLDER / "llama").eval(), tokenizer_of(FAMILIES["llama"])
    kind = type(whole.model.layers[0])
    if RANK == 0:  # the other need not take part
        keep("data parallel", capture(torch.nn.parallel.DistributedDataParallel(whole), tokenizer, TEXTS[0]))
    else:
        torch.nn.parallel.DistributedDataParallel(whole)
    wrapped = FullyShardedDataParallel(whole, device_id=torch.device("cpu"), auto_wrap_policy=ModuleWrapPolicy({kind}))
    keep("fully sharded, wrapped", capture(wrapped, tokenizer, TEXTS[RANK]))
    sharded = AutoModelForCausalLM.from_pretrained(FOLDER / "llama").eval()
    for layer in sharded.model.layers:
        fully_shard(layer)
    fully_shard(sharded)
    keep("fully sharded", capture(sharded, tokenizer, TEXTS[RANK], values=True))
    ids, places = torch.arange(10, 22)[None], torch.arange(12)[None]
    model = AutoModelForCausalLM.from_pretrained(FOLDER / "llama").eval()

    def share_the_text():
        with torch.no_grad(), context_parallel(mesh, buffers=[ids, places], buffer_seq_dims=[1, 1]):
            capture(model, None, {"input_ids": ids, "position_ids": places})

    refused("context parallel", share_the_text)


def split_plain(mesh, *, local):
    model, x = plain()
    for layer in model.layers:
        columns = {name: ColwiseParallel(use_local_output=local) for name in "qkv"}
        parallelize_module(layer, mesh, {**columns, "o": RowwiseParallel()})
    return model, x


def cut_plain(mesh, of_model=None):
    """Cut as transformers' releases up to 5.20 do: plain tensors, marked on their modules."""
    model, x = plain()
    model._device_mesh = of_model
    for layer in model.layers:
        for part in layer.children():
            part._hf_device_mesh, part._hf_tp_plan = mesh, "rowwise" if part is layer.o else "colwise"
            part.weight = torch.nn.Parameter(part.weight.chunk(2, dim=int(part is layer.o))[RANK].clone())
            if part is not layer.o:
                part.bias = torch.nn.Parameter(part.bias.chunk(2)[RANK].clone())
        layer.o.register_forward_hook(add_up)
    return model, x


def add_up(module, args, output):
    output = output - module.bias
    distributed.all_reduce(output)
    return output + module.bias


def recorded(model, x):
    with torch.no_grad(), record(model, values=True) as recording:
        model(x)
    return recording.capture()


def lost(model, tokenizer):
    """A rank that does not come, and then goes away; last, as nothing can be exchanged afterwards."""
    while RANK and not (FOLDER / "alone.0.txt").exists():
        time.sleep(0.05)
    if RANK == 0:
        exchange.PATIENCE = 1.0
        refused("alone", lambda: capture(model, tokenizer, TEXTS[0]))
        exchange.PATIENCE = 60.0
        refused("left", lambda: capture(model, tokenizer, TEXTS[0]))
    os._exit(0)  # gloo may abort where it waits for one that is gone


def main():
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{FOLDER}/store", timedelta(seconds=100), rank=RANK, world_size=2)
    families()
    model, tokenizer = loaded("llama"), tokenizer_of(FAMILIES["llama"])
    llama(model, tokenizer)
    refusals(model, tokenizer)
    pytorch()
    lost(model, tokenizer)


if __name__ == "__main__":
    main()
