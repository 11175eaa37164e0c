"""Python still writes what the page's tests read, and still answers what the page's tests wrote."""

import json

import numpy as np
import pytest
from safetensors.numpy import load

from attnscope.wire.answer import answer
from attnscope.wire.answers import ANSWERS
from attnscope.wire.question import Held
from tests.unit.wire.test_pack import unpack
from tests.wire.golden import FOLDER, cases, files


def test_no_file_is_left_over():
    written = {file for name, capture in cases().items() for file in files(name, capture)}
    assert {path.name for path in FOLDER.glob("*.safetensors")} == written


@pytest.mark.parametrize("name", cases())
def test_files_are_current(name):
    made = files(name, cases()[name])
    for file, content in made.items():
        kept = (FOLDER / file).read_bytes()
        before, after = load(kept), load(content)
        assert before.keys() == after.keys()
        for key in before:
            assert before[key].dtype == after[key].dtype
            np.testing.assert_allclose(
                after[key].astype("f8"),
                before[key].astype("f8"),
                rtol=1e-5,
                atol=1.01 if before[key].dtype == np.uint16 else 1e-6,
            )
        if ".page." in file:
            old, new = unpack(kept)[0], unpack(content)[0]
            for page in (old, new):
                for kind in page["capture"]["kinds"]:
                    kind["notes"]["row_sums"] = np.round(kind["notes"]["row_sums"], 5).tolist()
            assert new == old


def test_what_the_page_asks_is_answered():
    asked = json.loads((FOLDER / "requests.json").read_text())
    assert {request["type"] for request in asked} == {*ANSWERS, "hello", "cancel"}
    for request in asked:
        if request["type"] != "cancel":
            reply, _ = answer(Held(cases()["causal"], draw=str), request)
            wanted = {"ModelError"} if request["type"] == "ablate" else set()  # the golden captures are of no model
            assert {reply["error"]["name"] for _ in [0] if "error" in reply} == wanted, (request, reply)
