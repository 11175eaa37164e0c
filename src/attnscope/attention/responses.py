"""from_logprobs(): a server's answer in, the log-probabilities of its tokens out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnscope.attention.logprobs import TokenLogprobs, ranks_among
from attnscope.attention.pieces import looks_special, words_of
from attnscope.attention.tokens import Tokens
from attnscope.attention.told_tokens import Told, a_list, a_mapping, read_columns, read_entries, read_prompt
from attnscope.errors import AttnscopeWarning, InputError, InputTypeError

_ASK = (
    "Ask for them: logprobs=True, top_logprobs=5 (chat completions), logprobs=5 (completions), or "
    'include=["message.output_text.logprobs"], top_logprobs=5 (responses).'
)


def from_logprobs(response: Any) -> TokenLogprobs | list[TokenLogprobs]:
    """Read the log-probabilities out of the answer of an OpenAI-style server.

    Parameters
    ----------
    response
        The answer as it came: a client's object, a dict, JSON, or the chunks or events of a stream, as a list or as the
        text of ``data:`` lines. Chat completions, completions (also with ``echo``), the Responses API, vLLM's
        ``prompt_logprobs``, and a ``logprobs`` object alone.

    Returns
    -------
    TokenLogprobs or list of TokenLogprobs
        A list where the answer has several choices. Bytes that are no character on their own are written ``<0xE4>``;
        log-probabilities of -9999, which servers send for a token too unlikely to be told, are -inf.

    Raises
    ------
    InputError
        When the answer has no log-probabilities, with what to ask for; or when something in it is not as documented,
        with its place.
    InputTypeError
        When it is no answer of a server.

    Examples
    --------
    >>> said = {"token": "Paris", "logprob": -0.02, "top_logprobs": [{"token": "Rome", "logprob": -4.1}]}
    >>> answer = {"object": "chat.completion", "choices": [{"logprobs": {"content": [said]}}]}
    >>> from_logprobs(answer)
    TokenLogprobs(1 tokens, 0.03 bits per token, perplexity 1.02)
    """
    reader = _Reader()
    for part in _parts(_plain(_parsed(response))):
        reader.read(part)
    return reader.found()


class _Reader:
    """Collects the choices of one answer, or of all chunks of one."""

    def __init__(self) -> None:
        self.told: dict[int, list[Told]] = {}
        self.model_name = ""

    def read(self, part: Mapping[Any, Any]) -> None:
        if part.get("error"):
            raise InputError(f"The answer is an error, not a text: {str(part['error'])[:200]}. Ask again.")
        name = part.get("model")
        self.model_name = name if isinstance(name, str) else self.model_name
        if part.get("choices") is not None:
            self._choices(part)
        elif part.get("output") is not None:
            self._output(part["output"])
        elif part.get("type") in ("response.output_text.delta", "response.refusal.delta"):
            if part.get("logprobs") is not None:
                self._of(0).extend(read_entries(part["logprobs"], "logprobs"))
        elif _is_logprobs(part):
            self._of(0).extend(_read_logprobs(part, "the answer"))
        elif not isinstance(part.get("type"), str):
            raise InputError(
                f"The answer has {_names(part)}, expected choices, output or content, as OpenAI-style servers send "
                "them. Give it whole."
            )

    def found(self) -> TokenLogprobs | list[TokenLogprobs]:
        """Give what was collected, choice by choice."""
        empty = [index for index, told in self.told.items() if not told]
        if len(empty) == len(self.told):
            raise InputError(f"The answer carries no log-probabilities. {_ASK}")
        if empty:
            left = ", ".join(map(str, empty))
            warnings.warn(f"Left out, for want of log-probabilities: choice {left}.", AttnscopeWarning, stacklevel=3)
        each = [_assembled(told, self.model_name) for _, told in sorted(self.told.items()) if told]
        return each if len(self.told) > 1 else each[0]

    def _of(self, index: int) -> list[Told]:
        return self.told.setdefault(index, [])

    def _choices(self, part: Mapping[Any, Any]) -> None:
        for place, one in enumerate(a_list(part["choices"], "choices")):
            where = f"choices[{place}]"
            choice = a_mapping(one, where)
            index = choice.get("index", place)
            if type(index) is not int:
                raise InputError(f"{where}.index is {index!r}, expected the number of the choice.")
            mine = self._of(index)
            holder, prefix = (choice, f"{where}.") if choice.get("prompt_logprobs") is not None else (part, "")
            if holder.get("prompt_logprobs") is not None and not mine:
                mine += read_prompt(
                    holder["prompt_logprobs"], holder.get("prompt_token_ids"), f"{prefix}prompt_logprobs"
                )
            if choice.get("logprobs") is not None:
                here = f"{where}.logprobs"
                mine += _read_logprobs(a_mapping(choice["logprobs"], here), here)

    def _output(self, output: Any) -> None:
        for place, item in enumerate(a_list(output, "output")):
            where = f"output[{place}]"
            contents = a_mapping(item, where).get("content")
            for at, one in enumerate([] if contents is None else a_list(contents, f"{where}.content")):
                content = a_mapping(one, f"{where}.content[{at}]")
                if content.get("logprobs") is not None:
                    here = f"{where}.content[{at}].logprobs"
                    self._of(0).extend(read_entries(content["logprobs"], here))


def _parts(response: Any) -> list[Mapping[Any, Any]]:
    """Give an answer as the parts it came in: one, or chunks, or events."""
    if isinstance(response, Mapping):
        return [response]
    if not isinstance(response, Sequence) or isinstance(response, str | bytes):
        raise InputTypeError(
            f"Expected the answer of a server, got {type(response).__name__}: give the client's object, a dict, JSON, "
            "or a list of the chunks of a stream. For a model of your own: attnscope.logprobs(model, tokenizer, text)."
        )
    parts = [a_mapping(part, f"chunk {at}") for at, part in enumerate(response)]
    if parts and all("token" in part for part in parts):
        return [{"content": parts}]
    whole = [
        part.get("response") for part in parts if part.get("type") in ("response.completed", "response.incomplete")
    ]
    return [a_mapping(whole[-1], "response")] if whole else parts


def _read_logprobs(told: Mapping[Any, Any], where: str) -> list[Told]:
    if told.get("tokens") is not None:
        return read_columns(told, where)
    found = []
    for name in ("content", "refusal"):
        if told.get(name) is not None:
            found += read_entries(told[name], f"{where}.{name}")
    return found


def _is_logprobs(part: Mapping[Any, Any]) -> bool:
    return any(isinstance(part.get(name), Sequence) for name in ("content", "refusal", "tokens"))


def _assembled(told: list[Told], model_name: str) -> TokenLogprobs:
    text = tuple(each.token for each in told)
    special = np.array([looks_special(each) for each in text], bool)
    logprobs = np.array([each.logprob for each in told], np.float64)
    alternatives = tuple(each.alternatives for each in told)
    ranks = ranks_among(logprobs, alternatives)
    said = np.array([each.rank for each in told], np.int64)
    nothing_dropped = np.zeros(len(text), np.int32)
    tokens = Tokens(text, special, words_of(text, special), gaps=nothing_dropped)
    return TokenLogprobs(tokens, logprobs, alternatives, np.where(said > 0, said, ranks), model_name=model_name)


def _parsed(value: Any) -> Any:
    """Read JSON, and the ``data:`` lines of a stream, where an answer is a string or a list of strings."""
    if isinstance(value, list | tuple):
        return [each if isinstance(each, list | tuple) else _parsed(each) for each in value]
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "replace")
    if not isinstance(value, str):
        return value
    try:
        if value.lstrip().startswith("data:"):
            lines = [line[5:].strip() for line in value.splitlines() if line.startswith("data:")]
            return [json.loads(line) for line in lines if line not in ("", "[DONE]")]
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"The answer is a string, and not JSON ({type(error).__name__}: {str(error)[:120]}): {value[:40]!r}. Give "
            "all of it."
        ) from error


def _plain(value: Any) -> Any:
    """Turn a client's objects, at any depth, into mappings and lists."""
    try:
        if callable(getattr(value, "model_dump", None)):
            value = value.model_dump()
        if isinstance(value, Mapping):
            return {name: _plain(each) for name, each in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
            return [_plain(each) for each in value]
    except RecursionError:
        raise InputError("The answer holds itself, or is nested too deep to be one. Give it as it came.") from None
    return value


def _names(part: Mapping[Any, Any]) -> str:
    names = ", ".join(repr(str(name)[:30]) for name in list(part)[:8])
    return names or "nothing in it"
