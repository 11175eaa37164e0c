import pytest

from attnscope.wire.answers import ANSWERS
from attnscope.wire.lanes import lane_of


def test_every_request_has_a_lane_and_only_rows_are_near():
    near = {name for name in ANSWERS if lane_of({"type": name}) == "near"}
    assert near == {"weights", "steps", "vectors", "picture", "tokens"}
    assert {lane_of({"type": name}) for name in ("statistic", "roles", "links", "findings", "likeness")} == {"heads"}
    assert lane_of({"type": "hello"}) == "near"


@pytest.mark.parametrize(
    ("queries", "lane"),
    [([0, 1024], "near"), ([0, 1025], "wide"), ([5, 5], "near"), (None, "near"), ([0], "near"), (["a", 9e9], "near")],
)
def test_a_column_is_not_near(queries, lane):
    assert lane_of({"type": "weights", "queries": queries}) == lane
