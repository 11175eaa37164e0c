"""What is built carries the page, and nothing it should not."""

import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STATIC = (
    "widget.js", "widget.css", "host.js", "profile.js", "profile.css", "profile-host.js", "strip.js", "strip.css",
    "strip-host.js", "standin.js",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_carries_the_page(built):
    with zipfile.ZipFile(built[0]) as wheel:
        sizes = {info.filename: info.file_size for info in wheel.infolist()}
        commands = wheel.read("attnscope-0.1.0.dist-info/entry_points.txt").decode()
        metadata = Parser().parsestr(wheel.read("attnscope-0.1.0.dist-info/METADATA").decode())
    for name in STATIC:
        assert sizes[f"attnscope/static/{name}"] > 1000
    assert "attnscope/py.typed" in sizes
    assert "attnscope = attnscope.cli:main" in commands.splitlines()
    assert not [name for name in sizes if not name.startswith(("attnscope/", "attnscope-0.1.0.dist-info/"))]
    needed = {line.split(";")[0] for line in metadata.get_all("Requires-Dist") if "extra" not in line}
    assert not any(line.startswith(("torch", "transformers")) for line in needed)


def test_the_sdist_can_be_built_again_without_node(built, tmp_path):
    with tarfile.open(built[1]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
        sdist.extractall(tmp_path, filter="data")
    assert {f"src/attnscope/static/{name}" for name in STATIC} <= names
    assert {"js/package.json", "js/src/widget.ts", "pyproject.toml", "LICENSE", "README.md"} <= names
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name or name.startswith(".venv")]
    (source,) = tmp_path.iterdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")],
        cwd=source,
        check=True,
        capture_output=True,
        env={"PATH": ""},
    )
    (wheel,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(wheel) as again, zipfile.ZipFile(built[0]) as first:
        assert set(again.namelist()) == set(first.namelist())


def test_the_page_is_not_in_git():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "src/attnscope/static"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert listed.stdout == ""
