"""What is asked of a model before it runs, and what its modules are called."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from attnscope.errors import InputError, InputTypeError, ModelError


def require_recordable(model: Any) -> None:
    """Refuse a model whose attention could not be recorded truly.

    Raises
    ------
    InputTypeError
        When it is no PyTorch module.
    ModelError
        When a part of it is scripted, or would drop out weights at random.
    """
    model = unwrapped(model)
    if not isinstance(model, nn.Module):
        raise InputTypeError(
            f"Expected a PyTorch model (a transformers model, or any torch.nn.Module), got "
            f"{type(model).__module__}.{type(model).__name__}. Load one with AutoModel.from_pretrained(...). Weights "
            "computed elsewhere go in through attnscope.from_attentions(...) or from_queries_keys(...)."
        )
    stage: Any = getattr(model, "_pp_stage", None)
    if stage is not None and stage.pp_size > 1:
        raise ModelError(
            f"{type(model).__name__} is run in {stage.pp_size} stages by as many processes (pipeline parallel), and "
            "this one has not all of its layers. Load it with tensor parallel or a device_map to capture it."
        )
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            which = f"{type(model).__name__} is" if not path else f"{path} of {type(model).__name__} is"
            raise ModelError(
                f"{which} a scripted model (torch.jit): its attention runs outside Python and cannot be recorded. Use "
                "the module it was scripted from."
            )
        if _drops(module):
            raise ModelError(
                f"{type(model).__name__} is in training mode, where dropout ({path}) makes the weights random. "
                "Call model.eval() first; model.train() afterwards brings training mode back."
            )


def is_transformers(model: Any) -> bool:
    """Whether a model is one of transformers', whose inputs and modules are known; without importing transformers."""
    modeling = sys.modules.get("transformers.modeling_utils")
    return modeling is not None and isinstance(unwrapped(model), modeling.PreTrainedModel)


def is_encoder_decoder(model: Any) -> bool:
    """Whether a model has an encoder and a decoder that looks at it."""
    model = unwrapped(model)
    config = getattr(model, "config", None)
    if config is not None and hasattr(config, "is_encoder_decoder"):
        return bool(config.is_encoder_decoder) and (
            not hasattr(model, "get_encoder") or model.get_encoder() is not model
        )
    return hasattr(model, "encoder") and hasattr(model, "decoder")


def decoders(model: Any) -> list[nn.Module]:
    """The decoder of an encoder–decoder, where it can be told."""
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    return [decoder] if isinstance(decoder, nn.Module) and decoder is not model else []


def unwrapped(model: Any) -> Any:
    """Give the module inside the wrappers of ``torch.compile`` and of parallel training, which share it."""
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) or _is_fully_sharded(model):
        return unwrapped(model.module)
    return model


def runnable(model: Any) -> Any:
    """Give what is called for a pass: without wrappers that deal inputs out to devices, or wait for other processes."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return runnable(model.module)
    return model


def _is_fully_sharded(model: Any) -> bool:
    """Whether a model is a wrapper that gathers the parameters of the one inside while it runs."""
    wrappers = sys.modules.get("torch.distributed.fsdp")
    return wrappers is not None and isinstance(model, wrappers.FullyShardedDataParallel)


def require_known(model: Any, ids: torch.Tensor) -> None:
    """Refuse an input longer than the model's table of learned positions, or with tokens it has no vector for.

    Raises
    ------
    InputError
        With what was given and the most the model takes.
    """
    n_tokens, most = ids.shape[-1], learned_positions(model)
    if most is not None and n_tokens > most:
        raise InputError(
            f"The text has {n_tokens} tokens, and {type(unwrapped(model)).__name__} takes at most {most} (its table of "
            f"positions ends there). Shorten the text, or capture it in pieces of at most {most} tokens."
        )
    table = _token_vectors(model)
    known = table.num_embeddings if isinstance(table, nn.Embedding) else None
    if known is not None and not 0 <= int(ids.min()) <= int(ids.max()) < known:
        strange = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise InputError(
            f"There is a token with id {strange}, but {type(unwrapped(model)).__name__} knows the ids 0 to "
            f"{known - 1}. The tokenizer belongs to another model: load both from the same place."
        )


def module_paths(model: Any) -> dict[nn.Module, str]:
    """Name every module of the model by its path."""
    return {module: path for path, module in unwrapped(model).named_modules()}


def layer_number(module: nn.Module, path: str) -> int | None:
    """Read a module's layer number off its ``layer_idx`` or the first number in its path."""
    number = getattr(module, "layer_idx", None)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    found = re.search(r"(?:^|\.)(\d+)(?:\.|$)", path)
    return int(found[1]) if found else None


def display_name(model: Any) -> str:
    """Name the model for titles: the last part of where it was loaded from, or its class."""
    model = unwrapped(model)
    given = str(getattr(model, "name_or_path", "") or "")
    parts = [part for part in re.split(r"[\\/]", given) if part and part not in (".", "..")]
    if not parts:
        return type(model).__name__
    generic = {"model", "models", "checkpoint", "final", "output", "weights"}
    if os.path.isabs(given) or Path(given).exists():  # noqa: PTH117
        parts = [part for part in parts if part.lower() not in generic] or [type(model).__name__]
    return parts[-1]


def _drops(module: nn.Module) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return module.training and module.dropout > 0
    return isinstance(module, _DropoutNd) and module.training and module.p > 0


def _token_vectors(model: Any) -> Any:
    """The table of the vectors of token ids; None where the model names none."""
    try:
        return _of_text(model).get_input_embeddings()
    except (NotImplementedError, AttributeError):
        return None


def _of_text(model: Any) -> Any:
    """The tower that reads text, of models that have one for it and others for images or sound; else the model."""
    tower = getattr(unwrapped(model), "text_model", None)
    return tower if isinstance(tower, nn.Module) else unwrapped(model)


def learned_positions(model: Any) -> int | None:
    """Length of the table of learned absolute positions, less what its padding index takes; None without one."""
    for path, module in _of_text(model).named_modules():
        last = path.rsplit(".", maxsplit=1)[-1]
        if isinstance(module, nn.Embedding) and last in ("position_embeddings", "wpe", "embed_positions"):
            offset = int(getattr(module, "offset", 0))
            if not offset and module.padding_idx is not None:
                offset = module.padding_idx + 1
            return int(module.num_embeddings) - offset
    return None
