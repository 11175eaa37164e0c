"""What the page is told of a profile, and what it is answered."""

import gzip
import json

import numpy as np
import pytest
from safetensors import numpy as safetensors

from attnscope.profiling.reading import Texts
from attnscope.wire.profile_answers import Shown, answer_profile
from attnscope.wire.profile_heads import NO_ROLE
from attnscope.wire.profile_pack import LONGEST, described_statistic, pack_profile
from tests.unit.profiling.corpus import HEADS, LAYERS, small_profile, texts
from tests.unit.profiling.synthetic import synthetic

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\ud800"
STATE = {"by": "rows", "ranges": {}, "layer_range": None, "role": ""}


@pytest.fixture
def profile():
    return small_profile()


def read(data):
    raw = gzip.decompress(data)
    size = int.from_bytes(raw[:8], "little")
    return json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["profile"]), safetensors.load(raw)


def test_every_number_is_that_of_the_profile(profile):
    page, arrays = read(pack_profile(profile, STATE))
    assert page["layers"] == list(range(LAYERS))
    assert page["heads"] == [HEADS] * LAYERS
    names = [one["name"] for one in page["statistics"]]
    assert tuple(names) == profile.statistics
    for at, by in enumerate(page["by"]):
        for row, name in enumerate(names):
            np.testing.assert_array_equal(arrays["mean"][at, row], profile.mean(name, by=by).astype("f4"))
            np.testing.assert_array_equal(arrays["spread"][at, row], profile.spread(name, by=by).astype("f4"))
            np.testing.assert_array_equal(arrays["chance"][at, row], profile.level(name, by=by).astype("f4"))
    for row, name in enumerate(page["listed"]):
        hits = profile.strongest(name, 1, 2)
        numbers = arrays["numbers"][row, 1, 2]
        assert numbers[numbers >= 0].tolist() == [hit.text for hit in hits]
        np.testing.assert_allclose(arrays["values"][row, 1, 2][numbers >= 0], [hit.value for hit in hits], rtol=1e-6)


def test_roles_are_those_of_the_profile():
    profile = synthetic(LAYERS, HEADS)
    page, arrays = read(pack_profile(profile, STATE))
    fires = {}
    for row in profile.roles().to_dict("records"):
        at = page["roles"].index(row["role"])
        assert arrays["fires"][at, row["layer"], row["head"]] == row["fires"]
        if row["fires"]:
            fires.setdefault((row["layer"], row["head"]), []).append((row["margin"], row["role"]))
    assert fires, "no head has a role, so nothing was compared"
    for layer in range(LAYERS):
        for head in range(HEADS):
            best = max(fires.get((layer, head), []), default=None)
            found = arrays["role"][layer, head]
            assert (None if found == NO_ROLE else page["roles"][found]) == (best and best[1])


def test_texts_are_stored_within_the_room_there_is(profile):
    page, _ = read(pack_profile(profile, STATE, Texts(texts()[:24])))
    wanted = {hit.text for name in page["listed"] for hit in profile.strongest(name, 0, 0)}
    assert {int(number) for number in page["snippets"]} >= wanted
    assert all(page["snippets"][str(number)] == texts()[number] for number in wanted)
    page, arrays = read(pack_profile(profile, STATE, Texts(texts()[:24]), most=1000))
    assert 0 < len(page["listed"]) < len(page["statistics"])
    assert len(page["listed"]) == len(arrays["numbers"])
    assert sum(map(len, page["snippets"].values())) <= 1000


def test_hostile_and_long_texts_are_only_text(profile):
    given = [HOSTILE + "x" * 1000] * 24
    page, _ = read(pack_profile(profile, STATE, Texts(given)))
    assert {len(text) for text in page["snippets"].values()} == {LONGEST + 1}
    assert next(iter(page["snippets"].values())).startswith("</script>")


def test_a_statistic_says_what_it_is():
    assert described_statistic("mean_distance")["tokens"] is True
    assert described_statistic("sink_share") == {
        "name": "sink_share",
        "says": "weight on the first token",
        "tokens": False,
    }
    hit = described_statistic("sink_share_hit")
    assert hit["says"] == "share of queries whose strongest key is: the first token"


def ask(profile, given, **request):
    opened = []
    shown = Shown(profile, given, lambda state: f"<svg>{state['by']}</svg>", lambda *what: opened.append(what))
    reply, buffers = answer_profile(shown, {"id": "a", **request})
    return reply, buffers, opened


def test_strongest_texts_are_answered(profile):
    given = Texts(texts()[:24])
    reply, (numbers,), _ = ask(profile, given, type="strongest", statistic="entropy", layer=1, head=2)
    hits = profile.strongest("entropy", 1, 2)
    assert reply["info"]["texts"] == [hit.text for hit in hits]
    assert reply["info"]["snippets"][str(hits[0].text)] == texts()[hits[0].text]
    np.testing.assert_allclose(np.frombuffer(numbers, "<f4"), [hit.value for hit in hits], rtol=1e-6)
    reply, *_ = ask(profile, None, type="strongest", statistic="entropy", layer=1, head=2)
    assert reply["info"]["snippets"] == {}


def test_a_figure_and_a_text_are_asked_for(profile):
    reply, *_ = ask(profile, None, type="figure", state={"by": "rows"})
    assert reply["info"]["svg"] == "<svg>rows</svg>"
    reply, _, opened = ask(profile, None, type="open", text=3, statistic="entropy", layer=1, head=2)
    assert "error" not in reply
    assert opened == [(3, "entropy", 1, 2)]


@pytest.mark.parametrize(
    "request_",
    [
        {"type": "nonsense"},
        {"type": ["open"]},
        {},
        {"type": "strongest", "statistic": "entropy", "layer": 99, "head": 0},
        {"type": "strongest", "statistic": "nonsense", "layer": 0, "head": 0},
        {"type": "strongest", "statistic": 7, "layer": 0, "head": 0},
        {"type": "strongest", "statistic": "entropy", "layer": True, "head": 0},
        {"type": "open", "text": -1, "layer": 0, "head": 0},
        {"type": "open", "text": "0", "layer": 0, "head": 0},
        {"type": "figure", "state": 7},
    ],
)
def test_a_bad_request_gets_an_error(profile, request_):
    reply, buffers, opened = ask(profile, None, **request_)
    assert reply["error"]["message"]
    assert (buffers, opened) == ([], [])


def test_whatever_fails_is_said(profile):
    def fail(*_):
        raise RuntimeError("out of memory")

    shown = Shown(profile, None, fail, fail)
    reply, _ = answer_profile(shown, {"id": 1, "type": "open", "text": 0, "layer": 0, "head": 0})
    assert "out of memory" in reply["error"]["message"]
