"""What is read off a model's output: which prediction it is, what it may be, and how likely the model finds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import InputError, InputTypeError, ModelError, NotFoundError
from attnscope.recording import models
from attnscope.recording.encode import text_tokenizer, tokens_of_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.attention.tokens import Tokens

    Score = Callable[[Any], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Readout:
    """Which part of a model's output is looked at.

    Parameters
    ----------
    what
        ``"next token"``, ``"masked token"``, ``"token class"`` or ``"class"``, where the model says what is likely;
        ``"hidden state"`` where it does not; ``"score"`` where a function reads the output; ``"nothing"``.
    position
        Position of the token whose prediction, class or hidden state it is; None for the whole text.
    n_tokens
        Tokens of the text, or of the decoder's.
    target
        Number of the token or class whose probability is followed; None for hidden states.
    score
        With ``"score"``: the function of the model's output that gives the number to follow for each input.
    """

    what: str
    position: int | None
    n_tokens: int
    target: int | None = None
    score: Score | None = None

    @property
    def logits_to_keep(self) -> int:
        """How many of the last positions need logits; 0 for all, as transformers counts."""
        return 0 if self.position is None or self.score is not None else self.n_tokens - self.position

    def logits(self, output: Any) -> torch.Tensor | None:
        """Logits of everything that is possible: float32 [inputs, possible]; None for hidden states."""
        if self.what in ("hidden state", "score", "nothing"):
            return None
        logits = wide(tensor_of(output, "logits"))
        return logits if self.what == "class" else logits[:, self._from_end(logits)]

    def log_probs(self, output: Any) -> torch.Tensor | None:
        """Logarithms of their probabilities, likewise."""
        logits = self.logits(output)
        return None if logits is None else logits.log_softmax(-1)

    def states(self, output: Any) -> torch.Tensor:
        """Hidden states at the position, or their mean over the text: float32 [inputs, width]."""
        states = wide(tensor_of(output, "last_hidden_state"))
        return states.mean(1) if self.position is None else states[:, self._from_end(states)]

    def value(self, output: Any, of: str = "log probability") -> torch.Tensor:
        """The number that is followed, of each input: the target's log probability or ``"logit"``, or the score.

        Raises
        ------
        ModelError
            When there is neither.
        """
        if self.score is not None:
            given = self.score(output)
            if not isinstance(given, torch.Tensor) or given.ndim > 1:
                raise InputTypeError(
                    "A target function takes the model's output and gives one number per input, a tensor [inputs]; got "
                    f"{list(given.shape) if isinstance(given, torch.Tensor) else type(given).__name__}."
                )
            return wide(given).reshape(-1)
        values = self.logits(output) if of == "logit" else self.log_probs(output)
        if values is None:
            raise ModelError(
                "The model gives hidden states and predicts nothing, so there is no probability to follow. Load it "
                "with its head (AutoModelForCausalLM, …ForMaskedLM, …ForSequenceClassification), or give "
                "target=function, a function of its output that gives a number, such as "
                "lambda output: output.last_hidden_state[:, 0, 5]."
            )
        assert self.target is not None
        return values[:, self.target]

    def _from_end(self, values: torch.Tensor) -> int:
        """The position, in an output that may hold the last positions only."""
        assert self.position is not None
        return self.position - self.n_tokens + values.shape[1]


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Half precision as float32; others as they are."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def tensor_of(output: Any, name: str) -> torch.Tensor:
    """The output's tensor of a name; of a plain tensor or tuple, the first."""
    found = getattr(output, name, None)
    if isinstance(found, torch.Tensor):
        return found
    first = output[0] if isinstance(output, tuple | list) else output
    assert isinstance(first, torch.Tensor)
    return first


def readout_of(
    model: Any,
    tokenizer: Any,
    tokens: Tokens,
    output: Any,
    *,
    position: int | str | None,
    target: int | str | Score | None,
    causal: bool,
) -> Readout:
    """Find out what a model's output says, by its form.

    Parameters
    ----------
    tokens
        Of the text, or of the decoder's text.
    output
        What the model gives for it.
    position
        Where to read; None for the last token of a causal model, the first masked token of a masked language model,
        the whole text otherwise.
    target
        Token or class to follow; None for the one the model finds likeliest.
    causal
        Whether tokens see no later ones.
    """
    n = len(tokens)
    if callable(target):
        return Readout("score", None, n, score=target)
    what = said(model, output, causal=causal)
    if what == "class":
        where = None
    elif position is not None:
        where = tokens.position(position)
    elif what == "masked token":
        where = _masked(tokenizer, tokens)
    elif what == "token class":
        raise InputError("The model gives every token a class. Say whose: position=3, or position='Paris'.")
    else:
        where = n - 1 if what == "next token" else None
    readout = Readout(what, where, n)
    logits = readout.logits(output)
    if logits is None:
        if target is not None:
            readout.value(output)  # says that there is no prediction
        return readout
    if target is None:
        chosen = int(logits[0].argmax())
    elif "class" in what:
        chosen = _class(model, target, logits.shape[-1])
    else:
        chosen = _token(tokenizer, target, logits.shape[-1])
    return Readout(what, where, n, chosen)


def names(model: Any, tokenizer: Any, what: str, numbers: list[int]) -> list[str]:
    """Name predicted tokens or classes; without a tokenizer tokens are named by their numbers."""
    if "class" in what:
        labels = getattr(getattr(models.unwrapped(model), "config", None), "id2label", None) or {}
        return [str(labels.get(number, number)) for number in numbers]
    texts = tokens_of_ids(numbers, tokenizer).text
    known = math.inf if tokenizer is None else len(text_tokenizer(tokenizer))  # models may have room for more
    return [text if number < known else f"<{number}>" for text, number in zip(texts, numbers, strict=True)]


def said(model: Any, output: Any, *, causal: bool) -> str:
    """Say what a model's output is, by its form; see :class:`Readout`."""
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, torch.Tensor | tuple | list) and not models.is_transformers(model):
        logits = tensor_of(output, "logits")
    if not isinstance(logits, torch.Tensor):
        if hasattr(output, "last_hidden_state"):
            return "hidden state"
        raise ModelError(
            f"{type(models.unwrapped(model)).__name__} gives {type(output).__name__}, and no logits or hidden state to "
            "compare. Give target=function, a function of its output that gives a number."
        )
    if logits.ndim == 2:
        return "class"
    size = getattr(getattr(models.unwrapped(model), "config", None), "vocab_size", logits.shape[-1])
    if causal:
        return "next token"
    return "masked token" if logits.shape[-1] == size else "token class"


def _masked(tokenizer: Any, tokens: Tokens) -> int:
    mask = getattr(text_tokenizer(tokenizer), "mask_token_id", None)
    found = [] if tokens.ids is None or mask is None else [i for i, token in enumerate(tokens.ids) if token == mask]
    if not found:
        name = getattr(text_tokenizer(tokenizer), "mask_token", None) or "[MASK]"
        raise InputError(
            f"The model predicts masked tokens, and the text has none. Write {name} where it is to predict, or say at "
            "which token to read: position=3."
        )
    return found[0]


def _class(model: Any, target: Any, count: int) -> int:
    labels = getattr(models.unwrapped(model).config, "id2label", {}) if hasattr(model, "config") else {}
    if isinstance(target, str):
        found = [number for number, label in labels.items() if label == target]
        if not found:
            raise NotFoundError(
                f"There is no class {target!r}; the classes are {', '.join(map(str, labels.values()))}."
            )
        return int(found[0])
    return _number(target, count, "class")


def _token(tokenizer: Any, target: Any, count: int) -> int:
    if not isinstance(target, str):
        return _number(target, count, "token")
    tokenizer = text_tokenizer(tokenizer)
    if tokenizer is None:
        raise InputTypeError(f"Following the token {target!r} needs a tokenizer; without one give its id.")
    forms = [f" {target}", target] if target[:1].isalnum() else [target, f" {target}"]
    tries = [tokenizer(form, add_special_tokens=False)["input_ids"] for form in forms]
    unknown = getattr(tokenizer, "unk_token_id", None)
    single = next((ids[0] for ids in tries if len(ids) == 1 and ids[0] != unknown), None)
    if single is None:
        single = tokenizer.convert_tokens_to_ids(target)
    if single is not None and single != unknown:
        return int(single)
    pieces = tokenizer.convert_ids_to_tokens(tries[forms.index(target)])
    raise InputError(
        f"{target!r} is no single token of this model but {len(pieces)}: {pieces}. Follow one of them, or a token id."
    )


def _number(target: Any, count: int, name: str) -> int:
    if isinstance(target, bool) or not isinstance(target, int):
        raise InputTypeError(f"A target is a {name}'s name or number, got {type(target).__name__} {target!r}.")
    if not 0 <= target < count:
        raise NotFoundError(f"There is no {name} {target}: the numbers are 0 to {count - 1}.")
    return target
