"""The reference lists every public name, each with a docstring that shows its use, and builds without a warning."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import public

ROOT = Path(__file__).parent.parent.parent
DIRECTIVE = re.compile(r"\.\. (currentmodule|autofunction|autoclass|autoexception|data):: (\S+)")


def listed():
    found = []
    for page in sorted((ROOT / "docs" / "reference").glob("*.rst")):
        module = ""
        for directive, name in DIRECTIVE.findall(page.read_text("utf-8")):
            if directive == "currentmodule":
                module = name
            else:
                found.append(f"{module}.{name}")
    return found


def test_every_public_name_is_listed_once():
    assert sorted(listed()) == sorted(public.names())


@pytest.mark.parametrize("name", sorted(set(public.names()) - public.WITHOUT_DOCSTRING))
def test_public_name_says_what_it_is_and_shows_its_use(name):
    said = inspect.getdoc(public.names()[name]) or ""
    assert re.search(r"^Examples\n-{8}\n>>> ", said, re.MULTILINE), f"{name} has no section of examples"
    assert not said.startswith("Examples")


def test_the_reference_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "read")]
    built = subprocess.run([*command, "docs", str(tmp_path / "docs")], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "docs" / "reference" / "attnscope.html").read_text("utf-8")
    assert 'id="attnscope.capture"' in page
    assert "doctest: +SKIP" not in page


def test_the_files_the_architecture_page_names_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = {name for name in re.findall(r"`([a-z_][\w/]*\.(?:py|ts))`", page) if "NAME" not in name}
    there = [f"/{path.relative_to(ROOT)}" for top in ("src/attnscope", "js/src") for path in (ROOT / top).rglob("*")]
    assert len(named) > 15
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in there)] == []
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (ROOT / "docs" / link).exists(), link
