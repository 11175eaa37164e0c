"""The widget in every host, each in a real browser on a real kernel, by one script of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.hosts.actions import FEATURES
from tests.browser.hosts.openers import OPENERS, open_host
from tests.browser.hosts.table import README, table
from tests.browser.test_export import queries_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.hosts.host import Host

TOKENS = ["[CLS]", "the", "cat", "sat", "on", "the", "mat", "because", "it", "was", "tired", ".", "[SEP]"]


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    """A capture in a file, so that no host has to load a model."""
    path = tmp_path_factory.mktemp("capture") / "capture.safetensors"
    queries_keys(TOKENS, layers=6, heads=12).save(path)
    return path


@pytest.fixture(scope="module")
def host(request, chromium, jupyter_lab, capture, tmp_path_factory) -> Iterator[Host]:
    """A host with the widget on screen; opened once."""
    folder = tmp_path_factory.mktemp("host")
    with open_host(request.param, chromium, jupyter_lab, str(capture), folder) as opened:
        yield opened


CASES = [
    pytest.param(name, feature, id=f"{name}: {feature.name}")
    for name in OPENERS
    for feature in FEATURES
    if name not in feature.reasons
]
done: set[tuple[str, str]] = set()


@pytest.mark.parametrize(("host", "feature"), CASES, indirect=["host"], scope="module")
def test_host(request, host, feature):
    host.reset()
    feature.act(host)
    done.add((request.node.callspec.params["host"], feature.name))


def test_the_readme_s_table_is_what_passed():
    """Goes last: every cell is a test that passed just now, or has its reason."""
    if len(done) < len(CASES):
        pytest.skip(f"{len(CASES) - len(done)} of the cells were not tested in this run")
    assert table(done) in README.read_text(encoding="utf-8"), "run python -m tests.browser.hosts.table"
