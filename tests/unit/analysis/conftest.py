"""Questions are computed each time here: several ways to the same number are compared on one capture."""

import pytest

from attnscope import limit_cache


@pytest.fixture(autouse=True)
def nothing_kept():
    before = limit_cache(0)
    yield
    limit_cache(before)
