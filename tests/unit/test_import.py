"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import attnscope

HEAVY = ["torch", "transformers", "numpy", "safetensors", "pandas", "matplotlib", "anywidget", "ipywidgets", "IPython"]


def imported_by(statement: str) -> set[str]:
    """The top-level packages a fresh process holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_attnscope_imports_nothing_heavy():
    found = imported_by("import attnscope")
    assert "attnscope" in found
    assert not found & set(HEAVY)


def test_reading_given_weights_needs_neither_torch_nor_transformers():
    found = imported_by(
        "import attnscope, numpy as np\n"
        "c = attnscope.from_attentions([np.full((1, 2, 2), 0.5)], ['a', 'b'])\n"
        "c.weights(0), c.overview(0, 0), attnscope.analysis.entropy(c)"
    )
    assert "numpy" in found
    assert not found & {"torch", "transformers", "anywidget", "ipywidgets"}


@pytest.mark.parametrize("name", attnscope.__all__)
def test_every_public_name_is_there(name):
    assert getattr(attnscope, name) is not None
    assert name in dir(attnscope)


def test_star_import_gives_the_public_names():
    names = {}
    exec("from attnscope import *", names)
    assert set(attnscope.__all__) <= set(names)


def test_names_are_where_they_say():
    from attnscope.attention.capture import Capture
    from attnscope.recording.capture import capture

    assert attnscope.Capture is Capture
    assert attnscope.capture is capture
    assert attnscope.errors.AttnscopeError is attnscope.AttnscopeError


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'attnscope' has no attribute 'atention'"):
        attnscope.atention  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'atention'"):
        exec("from attnscope import atention")


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert attnscope.__version__ == version("attnscope")


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("InputError", ValueError), ("InputTypeError", TypeError), ("NotFoundError", IndexError),
        ("ModelError", ValueError), ("NoAttentionError", ValueError), ("UnverifiedError", ValueError),
        ("FileError", ValueError), ("TooLargeError", MemoryError), ("MissingPackageError", ImportError),
    ],
)  # fmt: skip
def test_errors_are_also_what_python_users_expect(name, python):
    error = getattr(attnscope.errors, name)
    assert issubclass(error, attnscope.AttnscopeError)
    assert issubclass(error, python)


def test_without_torch_captures_are_shown_and_capture_says_what_is_missing():
    program = """
import sys
sys.modules["torch"] = None
import attnscope
shown = attnscope.from_attentions([[[[1.0]]]], ["a"])
assert "1 token" in repr(shown), shown
try:
    attnscope.capture
except ImportError as error:
    assert isinstance(error, attnscope.AttnscopeError)
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "needs torch" in done.stdout
    assert 'pip install "attnscope[transformers]"' in done.stdout
