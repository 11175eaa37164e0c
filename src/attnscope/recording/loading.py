"""A model's name or folder in, the model and its tokenizer out."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnscope.errors import AttnscopeWarning, InputError, MissingPackageError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DTYPES = ("auto", "float32", "float16", "bfloat16", "float64")


def load_model(
    name: str, *, dtype: str = "auto", device: str = "cpu", trust_remote_code: bool = False
) -> tuple[Any, Any]:
    """Load a transformers model and its tokenizer.

    An encoder–decoder comes with its language head, so that it can write its decoder's text; any other model without,
    since attention needs none.

    Parameters
    ----------
    name
        A folder with a model, or the model's name on the hub.
    dtype
        ``"auto"`` for the one it was saved in, or one of ``DTYPES``.
    device
        Where it runs, as PyTorch names it.
    trust_remote_code
        Whether code that comes with the model may run.

    Returns
    -------
    transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase
        The model in eval mode.

    Raises
    ------
    MissingPackageError
        Without torch or transformers, or a package the model needs.
    ModelError
        When there is no such model, its files are damaged, or it needs what is not allowed.
    InputError
        For a device that is not there.
    """
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"Running a model needs {error.name}, which is not installed. "
            'Install it with: pip install "attnscope[transformers]".'
        ) from error
    where = _checked(name)
    with _told(name, "the model"):
        config = transformers.AutoConfig.from_pretrained(where, trust_remote_code=trust_remote_code)
        loader = _loader(config)
        model, found = loader.from_pretrained(
            where, config=config, dtype=dtype, trust_remote_code=trust_remote_code, output_loading_info=True
        )
    with _told(name, "the tokenizer"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=trust_remote_code)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(
            f"{name!r} has a model, but no tokenizer: it knows special tokens only. Save one beside the model with "
            "tokenizer.save_pretrained(...)."
        )
    _warn_of_random(name, found["missing_keys"])
    try:
        model = model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"The model cannot run on the device {device!r}: {_first_sentence(error)}") from error
    return model.eval(), tokenizer


def quiet(*, bars: bool) -> None:
    """Keep transformers from giving advice, and it and the hub's client from drawing progress bars unless wanted."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    if not bars:
        logging.disable_progress_bar()


def _warn_of_random(name: str, missing: Iterable[str]) -> None:
    """Warn of weights that no file had; a pooler stands behind all attention, so it may be anything."""
    random = sorted(key for key in missing if "pooler" not in key)
    if random:
        warnings.warn(
            f"{len(random)} of the weights of {name!r} are in none of its files and therefore random: "
            f"{', '.join(random[:3])}{' …' if len(random) > 3 else ''}. What depends on them shows nothing.",
            AttnscopeWarning,
            stacklevel=3,
        )


def _loader(config: Any) -> Any:
    """Give what loads the model: for an encoder–decoder the class it was saved from, which can write."""
    import transformers

    if getattr(config, "is_encoder_decoder", False):
        for name in config.architectures or []:
            saved = getattr(transformers, name, None)
            if isinstance(saved, type) and issubclass(saved, transformers.PreTrainedModel):
                return saved
    return transformers.AutoModel


def _checked(name: str) -> str:
    """Give a folder's path or a model's name; refuse what is meant as a folder and is none, before a hub is asked.

    Raises
    ------
    ModelError
        With what is there instead.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(
                f"The folder {name!r} has no config.json, so it holds no transformers model. Give the folder that "
                "model.save_pretrained(...) wrote."
            )
        return str(path)
    if path.is_file():
        raise ModelError(f"{name!r} is a file. Give the folder it lies in, or a model's name on the hub.")
    if path.is_absolute() or name.startswith(".") or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"There is no folder {name!r}. Give a folder with a model, or a model's name on the hub.")
    return name


@contextmanager
def _told(name: str, part: str) -> Iterator[None]:
    """Turn what goes wrong while files are found and read into one sentence and a remedy."""
    try:
        yield
    except ImportError as error:
        raise MissingPackageError(f"Loading {part} of {name!r} needs a package: {_first_sentence(error)}") from error
    except OSError as error:
        raise ModelError(f"Cannot load {part} of {name!r}: {_reason(error)}") from error
    except (ValueError, KeyError) as error:
        raise ModelError(f"Cannot load {part} of {name!r}: {_own_code(error) or _first_sentence(error)}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _READERS:
            raise
        raise ModelError(
            f"Cannot load {part} of {name!r}: its files are damaged ({_first_sentence(error)}) Fetch them again."
        ) from error


_READERS = ("safetensors", "pickle", "_pickle", "tokenizers")
"""Packages that read a model's files."""


def _own_code(error: Exception) -> str:
    asked = "trust_remote_code" in str(error)
    return "it comes with code of its own. Read that first; trust_remote_code=True then lets it run." if asked else ""


def _reason(error: BaseException) -> str:
    """Say why nothing was found, by what the hub's client raised beneath."""
    from huggingface_hub import errors

    beneath = error.__cause__
    if isinstance(beneath, errors.GatedRepoError):
        return "its owner asks for an agreement. Agree to it on the model's page, then log in with: hf auth login"
    if isinstance(beneath, errors.RepositoryNotFoundError):
        return "the hub has no model of that name, or it is private. Check the name, or log in with: hf auth login"
    if isinstance(beneath, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        off = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
        hub = "HF_HUB_OFFLINE keeps it from asking the hub" if off else "the hub cannot be reached"
        return (
            f"it is no folder here, it was not downloaded before, and {hub}. Give a folder with a model, or download "
            "it once where there is a network."
        )
    if isinstance(beneath, errors.HFValidationError):
        return "that is neither a folder nor a model's name on the hub (name, or owner/name)."
    return _first_sentence(error)


def _first_sentence(error: object) -> str:
    """Give the first line of a long message, with a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0].rstrip('.')}." if lines else f"{type(error).__name__}."
