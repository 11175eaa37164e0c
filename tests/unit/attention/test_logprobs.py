"""Log-probabilities of tokens: the numbers made of them, and every documented form of a server's answer."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attnscope
from attnscope.attention.logprobs import Alternative, TokenLogprobs
from attnscope.attention.tokens import Tokens
from attnscope.errors import AttnscopeError, AttnscopeWarning, InputError, InputTypeError
from tests.unit.attention.answers import CHAT, CHUNKS, COMPLETION, EVENTS, PROMPT, RESPONSES, Client, entry

LN2 = math.log(2)


def token_logprobs(logprobs, alternatives=None, **given) -> TokenLogprobs:
    tokens = Tokens.of([f" w{at}" for at in range(len(logprobs))])
    listed = tuple(alternatives or [() for _ in logprobs])
    ranks = np.zeros(len(logprobs), np.int64)
    return TokenLogprobs(tokens, np.array(logprobs, float), listed, ranks, **given)


def test_surprisal_is_in_bits_and_perplexity_in_tokens():
    found = token_logprobs([np.nan, math.log(0.5), math.log(0.125), 0.0])
    np.testing.assert_allclose(found.surprisal, [np.nan, 1, 3, 0])
    assert not np.signbit(found.surprisal[3])
    assert found.perplexity == pytest.approx((0.5 * 0.125) ** (-1 / 3))
    assert found.most_surprising(2) == [2, 1]
    assert repr(found) == "TokenLogprobs(4 tokens, 1.33 bits per token, perplexity 2.52)"


def test_what_has_no_probability_is_infinitely_surprising():
    found = token_logprobs([-1.0, -math.inf])
    assert found.surprisal[1] == math.inf
    assert found.perplexity == math.inf
    assert "2 tokens, 1 of probability 0 or not told" in repr(found)
    assert token_logprobs([np.nan]).most_surprising() == []


def test_the_least_entropy_takes_what_is_not_listed_as_one_token():
    half = [Alternative("a", math.log(0.5)), Alternative("b", math.log(0.25))]
    certain, unknown, wrong = [Alternative("a", 0.0)], [], [Alternative("a", -0.1), Alternative("b", -0.1)]
    found = token_logprobs([-1.0] * 4, [tuple(half), tuple(certain), tuple(unknown), tuple(wrong)]).least_entropies
    np.testing.assert_allclose(found, [1.5, 0, np.nan, np.nan])


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=12), st.integers(1, 12))
def test_the_least_entropy_is_never_above_the_entropy(weights, listed):
    shares = np.sort(np.array(weights) / sum(weights))[::-1]
    entropy = -(shares * np.log2(shares)).sum()
    told = tuple(Alternative(str(at), math.log(share)) for at, share in enumerate(shares[:listed]))
    assert token_logprobs([-1.0], [told]).least_entropies[0] <= entropy + 1e-9


def test_numbers_that_are_no_log_probabilities_are_refused():
    with pytest.raises(InputError, match=r"log-probability of token 1 \(' w1'\) is 0.5, and none is above 0"):
        token_logprobs([-1, 0.5])
    with pytest.raises(InputError, match="There are no tokens"):
        token_logprobs([])
    with pytest.raises(InputError, match="There are 2 tokens but 1 entries in alternatives"):
        token_logprobs([-1, -2], [()])
    with pytest.raises(InputTypeError, match="k is a whole number, got str"):
        token_logprobs([-1]).most_surprising("3")


def test_chat_completions():
    found = attnscope.from_logprobs(CHAT)
    assert list(found.tokens) == ["The", " cat", "<0xF0><0x9F>", "<0x98><0x80>", "\n"]
    np.testing.assert_array_equal(found.logprobs, [-0.25, -2.5, -3.0, -0.0625, -math.inf])
    assert found.alternatives[1] == ((" dog", -0.5), (" cat", -2.5), (" fish", -math.inf))
    assert found.ranks.tolist() == [1, 2, 0, 0, 0]
    assert found.model_name == "small-chat"
    assert found.entropies is None


@pytest.mark.parametrize(
    "form",
    [json.dumps, lambda a: json.dumps(a).encode(), Client, lambda a: {**a, "choices": [Client(a["choices"][0])]}],
)
def test_an_answer_as_text_and_as_a_client_s_object(form):
    np.testing.assert_array_equal(attnscope.from_logprobs(form(CHAT)).logprobs, attnscope.from_logprobs(CHAT).logprobs)


@pytest.mark.parametrize("part", [CHAT["choices"][0]["logprobs"], CHAT["choices"][0]["logprobs"]["content"]])
def test_the_log_probabilities_alone(part):
    assert list(attnscope.from_logprobs(part).tokens) == list(attnscope.from_logprobs(CHAT).tokens)


def test_a_refusal_is_a_text_too():
    answer = {"choices": [{"logprobs": {"content": None, "refusal": [entry("No", -0.5)]}}]}
    assert list(attnscope.from_logprobs(answer).tokens) == ["No"]


def test_completions_with_echo():
    found = attnscope.from_logprobs(COMPLETION)
    assert list(found.tokens) == ["The", " cat", "é", "<0xE2><0x80>"]
    np.testing.assert_array_equal(found.logprobs, [np.nan, -2.0, -4.0, -1.0])
    assert found.alternatives[0] == ()
    assert found.alternatives[2] == (("e", -0.5), ("a", -1.5), ("é", -4.0))
    assert found.ranks.tolist() == [0, 1, 0, 2], "the sampled token that was appended has no known rank"


def test_the_responses_api():
    found = attnscope.from_logprobs(RESPONSES)
    assert list(found.tokens) == ["The", " cat"]
    assert found.model_name == "small-responses"


@pytest.mark.parametrize("stream", [EVENTS, EVENTS[:-1]], ids=["whole", "cut off"])
def test_the_events_of_a_stream(stream):
    assert list(attnscope.from_logprobs(stream).tokens) == ["The", " cat"]


@pytest.mark.parametrize(
    "stream",
    [CHUNKS, [Client(chunk) for chunk in CHUNKS], [json.dumps(chunk) for chunk in CHUNKS],
     "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"],
    ids=["dicts", "objects", "texts", "lines"],
)  # fmt: skip
def test_the_chunks_of_a_stream_are_joined_choice_by_choice(stream):
    first, second = attnscope.from_logprobs(stream)
    assert [list(each.tokens) for each in (first, second)] == [["The", " cat"], ["A", " dog"]]
    assert second.logprobs.tolist() == [-1.5, -2.5]


def test_the_prompt_s_tokens_stand_before_the_answer_s():
    found = attnscope.from_logprobs(PROMPT)
    assert list(found.tokens) == [" cat", " sat", " on"]
    np.testing.assert_array_equal(found.logprobs, [-3.0, -0.5, -0.25])
    assert found.ranks.tolist() == [7, 1, 0]
    told = attnscope.from_logprobs({**PROMPT, "prompt_token_ids": [5, 12, 11]})
    assert list(told.tokens) == ["<5>", " dog", " sat", " on"]
    assert math.isnan(told.logprobs[0])
    with pytest.raises(InputError, match="has no token 99, which stands there"):
        attnscope.from_logprobs({**PROMPT, "prompt_token_ids": [5, 99, 11]})


def test_choices_stand_in_the_order_of_their_numbers():
    choices = [{"index": at, "logprobs": {"content": [entry(name, -1.0)]}} for at, name in ((1, "b"), (0, "a"))]
    assert [list(each.tokens) for each in attnscope.from_logprobs({"choices": choices})] == [["a"], ["b"]]


def test_a_prompt_that_is_told_with_every_chunk_stands_there_once():
    found = attnscope.from_logprobs([PROMPT, PROMPT])
    assert list(found.tokens) == [" cat", " sat", " on", " on"]


def test_what_is_above_0_by_rounding_alone_is_0():
    (number,) = attnscope.from_logprobs([entry("a", 3e-7)]).logprobs
    assert number == 0


def test_a_choice_without_log_probabilities_is_left_out_aloud():
    answer = {"choices": [CHAT["choices"][0], {"index": 1, "logprobs": None, "message": {}}]}
    with pytest.warns(AttnscopeWarning, match="Left out, for want of log-probabilities: choice 1"):
        (found,) = attnscope.from_logprobs(answer)
    assert len(found) == 5


def changed(**part):
    return {"choices": [{"logprobs": {"content": [entry("a", -1.0), entry("b", -1.0) | part]}}]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"choices": [{"index": 0, "logprobs": None}]}, "carries no log-probabilities. Ask for them: logprobs=True"),
        ({"choices": []}, "carries no log-probabilities"),
        ({"choices": [{"logprobs": {"content": []}}]}, "carries no log-probabilities"),
        ({"object": "list", "data": []}, "has 'object', 'data', expected choices, output or content"),
        ({}, "has nothing in it, expected choices"),
        ({"error": {"message": "No such model"}}, "is an error, not a text: .*No such model"),
        ("<html>busy</html>", "is a string, and not JSON"),
        ("[" * 100_000, "is a string, and not JSON"),
        ({"choices": {"0": 1}}, "choices is {'0': 1}, expected a list"),
        ([{"type": "response.completed"}], "response is missing or null, expected an object"),
        ({"choices": ["x"]}, r"choices\[0\] is 'x', expected an object"),
        ({"choices": [{"index": "a"}]}, "index is 'a', expected the number of the choice"),
        ({"choices": [{"logprobs": {"content": "ab"}}]}, "content is 'ab', expected a list"),
        (changed(logprob=float("nan")), r"content\[1\]\.logprob is NaN, expected a number of at most 0. The server"),
        (changed(logprob=0.75), "logprob is 0.75, and no log-probability is above 0"),
        (changed(logprob=10**400), "logprob is inf, and no log-probability is above 0"),
        (changed(logprob="-1"), "logprob is '-1', expected a number"),
        (changed(logprob=True), "logprob is True, expected a number"),
        (changed(token=None), "token is missing or null, expected the token as a string"),
        (changed(token=7), "token is 7, expected the token as a string"),
        (changed(bytes=[1, 256]), r"bytes is \[1, 256\], expected whole numbers from 0 to 255"),
        (changed(bytes="ab"), "bytes is 'ab', expected a list"),
        (changed(top_logprobs={"a": -1}), "top_logprobs is {'a': -1}, expected a list"),
        (changed(top_logprobs=[{"token": "a"}]), r"top_logprobs\[0\]\.logprob is missing or null, expected a number"),
        ({"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": []}}]}, "has 0 entries for 1 tokens"),
        ({"choices": [{"logprobs": {"tokens": ["a"]}}]}, "token_logprobs is missing or null, expected a list"),
        (
            {"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": None}]}}]},
            r"top_logprobs\[0\]\['a'\] is missing or null, expected a number",
        ),
        ({"choices": [{"prompt_logprobs": [None, {}]}]}, r"prompt_logprobs\[1\] is empty"),
    ],
)  # fmt: skip
def test_what_is_not_as_documented_is_refused_with_its_place(answer, said):
    with pytest.raises(InputError, match=said):
        attnscope.from_logprobs(answer)


@pytest.mark.parametrize("answer", [None, 3, object(), b"3", "null"])
def test_what_is_no_answer_is_refused(answer):
    with pytest.raises(InputTypeError, match="Expected the answer of a server"):
        attnscope.from_logprobs(answer)


def test_an_answer_that_holds_itself_is_refused():
    answer: dict = {"choices": []}
    answer["choices"].append(answer)
    with pytest.raises(InputError, match="holds itself"):
        attnscope.from_logprobs(answer)


NAMES = st.sampled_from(
    ["choices", "logprobs", "content", "refusal", "token", "logprob", "bytes", "top_logprobs", "tokens", "output",
     "token_logprobs", "text_offset", "prompt_logprobs", "prompt_token_ids", "index", "model", "type", "error",
     "decoded_token", "rank", "response", "12"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(max_size=3)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
)


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_anything_at_all_gives_an_answer_or_our_own_error(answer):
    check(answer)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([CHAT, COMPLETION, RESPONSES, PROMPT, CHUNKS, EVENTS]), st.data())
def test_a_damaged_answer_gives_an_answer_or_our_own_error(whole, data):
    answer = json.loads(json.dumps(whole))
    places = [
        (part, name) for part in walked(answer) for name in (part if isinstance(part, dict) else range(len(part)))
    ]
    for part, name in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        if data.draw(st.booleans()) and len(part) > 1:
            part.pop(*([name, None] if isinstance(part, dict) else []))
        elif isinstance(part, list):
            part[name % len(part)] = data.draw(ANYTHING)
        else:
            part[name] = data.draw(ANYTHING)
    check(answer)


def walked(part):
    if isinstance(part, dict | list) and part:
        yield part
        for inner in part.values() if isinstance(part, dict) else part:
            yield from walked(inner)


def check(answer):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AttnscopeWarning)
            found = attnscope.from_logprobs(answer)
    except AttnscopeError:
        return
    for each in found if isinstance(found, list) else [found]:
        assert np.isnan(each.logprobs).sum() + (each.logprobs <= 0).sum() == len(each) > 0
        assert all(token is not None for token in each.tokens)
