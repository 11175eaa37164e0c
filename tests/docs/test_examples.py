"""Every example of the reference gives what it says."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from tests.docs import public
from tests.docs.namespace import namespace

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EXAMPLES = public.examples()


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    return namespace()


@pytest.mark.parametrize("test", EXAMPLES, ids=[test.name for test in EXAMPLES])
def test_example_gives_what_it_says(test, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "pipeline" in test.docstring:
        from tests.models import pipelines

        names = names | {"pipeline": pipelines.made("stable_diffusion")}
    test.globs = names.copy()
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append, clear_globs=False)
    assert result.attempted > 0
    assert not result.failed, "".join(said)
