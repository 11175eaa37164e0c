"""The command: what it writes, what it says, and how it refuses."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import attnscope
from attnscope.cli import main
from attnscope.cli.arguments import numbers
from attnscope.cli.console import _tick
from attnscope.cli.demo import subject
from attnscope.errors import AttnscopeWarning
from attnscope.recording.loading import load_model
from tests.models.folders import save_models
from tests.unit.test_import import imported_by

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "The cat sat because it was tired."


def stored(path: Path) -> dict:
    """What a page says of itself."""
    data = re.search(r'id="attnscope-data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1]
    packed = gzip.decompress(base64.b64decode(data))
    length = int.from_bytes(packed[:8], "little")
    return json.loads(json.loads(packed[8 : 8 + length])["__metadata__"]["page"])


def tensor(path: Path, name: str) -> np.ndarray:
    from safetensors.numpy import load

    data = re.search(r'id="attnscope-data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1]
    return load(gzip.decompress(base64.b64decode(data)))[name]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(capsys):
    """Runs a command that has to be refused, and gives what it says."""

    def run(*arguments: str) -> str:
        assert main(arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("attnscope: ")
        assert said.err.count("\n") == 1
        return said.err

    return run


def test_the_command_writes_a_page_of_the_model_s_own_numbers(here, models):
    command = [sys.executable, "-m", "attnscope", "page", "--model", str(models / "bert"), TEXT, "-o", "cat.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"cat\.html \(\d+ kB\): bert · self · \d+ × \d+ heads · \d+ tokens\n", done.stdout)
    assert done.stderr == ""
    page = stored(here / "cat.html")
    captured = attnscope.capture(*load_model(str(models / "bert")), TEXT)
    layer = captured["self"].stored[1]
    (kept,) = (entry for entry in page["layers"] if entry["layer"] == 1)
    np.testing.assert_array_equal(tensor(here / "cat.html", kept["queries"]), layer.queries)
    assert page["capture"]["kinds"][0]["queries"]["text"] == captured.tokens


def test_help_and_version_are_quick_and_import_nothing_heavy():
    found = imported_by(
        "import contextlib, io\nfrom attnscope.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main(['page', '--help'])"
    )
    assert "argparse" in found
    assert not found & {"torch", "transformers", "numpy", "anywidget", "ipywidgets", "scipy"}


@pytest.mark.parametrize("command", ["page", "picture", "demo"])
def test_help_says_how(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "examples:" in said or "Nothing is downloaded" in said


def test_the_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"attnscope {attnscope.__version__}\n"


def test_what_is_asked_for_is_shown_first(here, models, capsys):
    arguments = ["--view", "matrix", "--layer", "1", "--head", "0,2", "--query", "cat", "--theme", "dark"]
    assert main(["page", "-m", str(models / "bert"), TEXT, *arguments]) == 0
    state = stored(here / "attention.html")["state"]
    assert (state["view"], state["heads"], state["theme"]) == ("matrix", [[1, 0], [1, 2]], "dark")
    assert "cat" in stored(here / "attention.html")["capture"]["kinds"][0]["queries"]["text"][state["query"]]


def test_two_tokens_open_the_page_at_the_head_that_links_them(here, models):
    assert main(["page", "-m", str(models / "bert"), TEXT, "--query", "it", "--key", "cat"]) == 0
    captured = attnscope.capture(*load_model(str(models / "bert")), TEXT)
    weights = [captured.weights(layer)[:, captured.find("it"), captured.find("cat")] for layer in range(2)]
    assert stored(here / "attention.html")["state"]["heads"] == [list(divmod(int(np.argmax(weights)), len(weights[0])))]


def test_a_token_is_meant_before_a_position(here, models):
    assert main(["page", "-m", str(models / "bert"), TEXT, "--query", "3", "--key", "2"]) == 0
    state = stored(here / "attention.html")["state"]
    assert (state["query"], state["key"]) == (3, 2)


@pytest.mark.parametrize("pair", [["it was tired."], ["--pair", "it was tired."]])
def test_a_sentence_pair(here, models, pair):
    assert main(["page", "-m", str(models / "bert"), "The cat sat.", *pair]) == 0
    segments = stored(here / "attention.html")["capture"]["kinds"][0]["queries"]["segments"]
    assert set(segments) >= {0, 1}


def test_the_text_can_come_from_stdin_or_a_file(here, models, monkeypatch):
    (here / "story.txt").write_text("\ufeffThe cat sat.\r\nIt slept.\n", encoding="utf-8")
    typed = io.TextIOWrapper(io.BytesIO(b"The cat sat.\nIt slept.\n"))
    for given in (["-"], ["--file", "-"], ["--file", "story.txt"]):
        typed.seek(0)
        monkeypatch.setattr("sys.stdin", typed)
        assert main(["page", "-m", str(models / "bert"), *given]) == 0
        tokens = stored(here / "attention.html")["capture"]["kinds"][0]["queries"]["text"]
        assert tokens == attnscope.capture(*load_model(str(models / "bert")), "The cat sat.\nIt slept.").tokens


def test_an_encoder_decoder_reads_a_target_or_writes_by_itself(here, models):
    assert main(["page", "-m", str(models / "bart"), TEXT, "--target", "It was tired.", "--kind", "cross"]) == 0
    page = stored(here / "attention.html")
    assert page["state"]["kind"] == "cross"
    assert [kind["kind"] for kind in page["capture"]["kinds"]] == ["encoder", "decoder", "cross"]
    told = " ".join(page["capture"]["kinds"][1]["queries"]["text"])
    assert "was" in told
    assert main(["page", "-m", str(models / "bart"), TEXT]) == 0
    assert " ".join(stored(here / "attention.html")["capture"]["kinds"][1]["queries"]["text"]) != told


def test_two_texts_and_two_models_are_compared(here, models):
    assert main(["page", "-m", str(models / "bert"), TEXT, "--compare", "The dog sat."]) == 0
    page = stored(here / "attention.html")
    assert "dog" in page["other"]["capture"]["kinds"][0]["queries"]["text"]
    loaded = load_model(str(models / "bert"))
    a, b = (attnscope.capture(*loaded, text) for text in (TEXT, "The dog sat."))
    change = attnscope.analysis.compare(a, b).change
    assert page["state"]["heads"] == [list(map(int, np.unravel_index(np.nanargmax(change), change.shape)))]
    assert page["state"]["view"] == "compare"
    models_compared = ["--compare-model", str(models / "bert")]
    assert main(["page", "-m", str(models / "bert"), TEXT, *models_compared]) == 0
    assert "cat" in stored(here / "attention.html")["other"]["capture"]["kinds"][0]["queries"]["text"]


def test_some_layers_and_the_values(here, models):
    assert main(["page", "-m", str(models / "bert"), TEXT, "--layers", "1", "--measure", "value_weighted"]) == 0
    page = stored(here / "attention.html")
    assert page["capture"]["kinds"][0]["layers"] == [1]
    assert page["state"]["measure"] == "value_weighted"


def test_a_capture_out_of_a_file_needs_no_model(here, models):
    captured = attnscope.capture(*load_model(str(models / "bert")), TEXT)
    captured.save("run.safetensors")
    program = (
        "import sys\nsys.modules['torch'] = None\nsys.modules['transformers'] = None\n"
        "from attnscope.cli import main\nsys.exit(main(['page', '--capture', 'run.safetensors', '-q']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert stored(here / "attention.html")["capture"]["kinds"][0]["queries"]["text"] == captured.tokens


def test_pictures(here, models, capsys):
    given = ["-m", str(models / "bert"), TEXT, "--head", "1", "--query", "it"]
    assert main(["picture", *given, "-o", "it.svg", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert (here / "it.svg").read_text(encoding="utf-8").startswith("<svg")
    assert main(["picture", *given, "-o", "it.png", "--view", "matrix"]) == 0
    assert min(Image.open(here / "it.png").size) > 100
    assert main(["picture", *given, "-o", "two.svg", "--view", "compare", "--compare", "It sat.", "--force"]) == 0
    assert "B − A" in (here / "two.svg").read_text(encoding="utf-8")


def test_the_demo_shows_a_model_that_is_at_hand(here, capsys):
    assert main(["demo", "shown"]) == 0
    said = capsys.readouterr().out
    page = stored(here / "shown" / "attention.html")
    ((layer, head),) = page["state"]["heads"]
    assert page["capture"]["model"] == subject().name
    assert f"layer {layer} head {head} links" in said
    assert (here / "shown" / "attention.svg").is_file()


def test_the_demo_falls_back_on_the_model_that_ships(here, monkeypatch, capsys):
    monkeypatch.setattr("attnscope.cli.demo.has_minilm", lambda: False)
    assert main(["demo"]) == 0
    page = stored(here / "attnscope-demo" / "attention.html")
    assert page["capture"]["model"] == "attnscope small"
    assert page["state"]["heads"][0][0] == 1
    assert float(re.search(r"weight (0\.\d+)", capsys.readouterr().out)[1]) > 0.9


def test_numbers_are_read_as_written():
    assert numbers("0-2,5") == [0, 1, 2, 5]
    assert numbers("3") == [3]
    for wrong in ("", "a", "3-1", "-1", "1,,2", "1-"):
        with pytest.raises(Exception, match="no list of numbers"):
            numbers(wrong)


REFUSALS = {
    "no model": (["page", TEXT], "Give --model NAME and a text"),
    "no text": (["page", "-m", "{bert}"], "Give one text"),
    "two texts": (["page", "-m", "{bert}", TEXT, "--file", "x"], "Give one text"),
    "empty text": (["page", "-m", "{bert}", " \n"], "The text is empty"),
    "two pairs": (["page", "-m", "{bert}", TEXT, "b", "--pair", "c"], "leave out --pair"),
    "text and capture": (["page", "--capture", "x", TEXT], "a text has nothing to say"),
    "target and capture": (["page", "--capture", "x", "--target", "y"], "--target has nothing to say"),
    "no capture": (["page", "--capture", "x.safetensors"], "x.safetensors"),
    "no file": (["page", "-m", "{bert}", "--file", "x.txt"], "Cannot read the text 'x.txt': No such file"),
    "no folder of a model": (["page", "-m", "./nothing", TEXT], "There is no folder './nothing'"),
    "no known model": (["page", "-m", "nothing", TEXT], "HF_HUB_OFFLINE keeps it from asking the hub. Give a folder"),
    "suffix": (["page", "-m", "{bert}", TEXT, "-o", "x.svg"], "must end in .html. For that there is attnscope picture"),
    "no folder": (["page", "-m", "{bert}", TEXT, "-o", "no/x.html"], "there is no folder 'no'"),
    "a folder": (["page", "-m", "{bert}", TEXT, "-o", "taken.html"], "is a folder"),
    "view": (["page", "-m", "{bert}", TEXT, "--view", "lniks"], "Did you mean 'links'?"),
    "measure": (["page", "-m", "{bert}", TEXT, "--measure", "heat"], "There are weights"),
    "nothing to compare": (["page", "-m", "{bert}", TEXT, "--view", "compare"], "give --compare"),
    "layer": (["page", "-m", "{bert}", TEXT, "--layer", "7"], "the layers are 0 to"),
    "head": (["page", "-m", "{bert}", TEXT, "--head", "99"], "the heads are 0 to"),
    "kind": (["page", "-m", "{bert}", TEXT, "--kind", "cross"], "There is no 'cross' attention here, only self"),
    "token": (["page", "-m", "{bert}", TEXT, "--query", "elephant"], "elephant"),
    "position": (["page", "-m", "{bert}", TEXT, "--query", "999"], "999"),
    "target": (["page", "-m", "{bert}", TEXT, "--target", "x"], "encoder–decoder"),
    "device": (["page", "-m", "{bert}", TEXT, "--device", "toaster"], "cannot run on the device 'toaster'"),
    "measure of a picture": (["picture", "-m", "{bert}", TEXT, "--measure", "roll"], "Did you mean 'rollout'?"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_done_is_said_in_one_line(here, models, refused, arguments, said):
    (here / "taken.html").mkdir()
    filled = [argument.format(bert=models / "bert") for argument in arguments]
    assert said in refused(*filled)
    assert [path.name for path in here.iterdir()] == ["taken.html"]


def test_a_text_that_is_no_utf_8(here, models, refused):
    (here / "latin.txt").write_bytes("Café".encode("latin-1"))
    assert "byte 3 is no UTF-8" in refused("page", "-m", str(models / "bert"), "--file", "latin.txt")


def test_a_file_of_somebody_else_is_kept(here, models, refused):
    (here / "mine.html").write_text("<p>mine", encoding="utf-8")
    given = ["page", "-m", str(models / "bert"), TEXT, "-o", "mine.html"]
    assert "--force replaces it" in refused(*given)
    assert (here / "mine.html").read_text(encoding="utf-8") == "<p>mine"
    assert main([*given, "--force"]) == 0
    assert main([*given, "--view", "grid"]) == 0
    assert stored(here / "mine.html")["state"]["view"] == "grid"


def test_without_torch_it_says_what_to_install(here, models):
    program = (
        "import sys\nsys.modules['torch'] = None\nfrom attnscope.cli import main\n"
        f"sys.exit(main(['page', '-m', {str(models / 'bert')!r}, 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "needs torch" in done.stderr
    assert 'pip install "attnscope[transformers]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_it_without_a_traceback(monkeypatch, capsys):
    def interrupted(given):
        raise KeyboardInterrupt

    monkeypatch.setattr("attnscope.cli.arguments._run_demo", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "attnscope: interrupted\n"


def test_only_our_own_warnings_are_passed_on(monkeypatch, capsys):
    def warns(given):
        warnings.warn("of another", FutureWarning, stacklevel=1)
        warnings.warn("of ours", AttnscopeWarning, stacklevel=1)

    monkeypatch.setattr("attnscope.cli.arguments._run_demo", warns)
    assert main(["demo"]) == 0
    assert capsys.readouterr().err == "attnscope: warning: of ours\n"


class Ends:
    """An event that comes after two seconds, without the waiting."""

    def __init__(self):
        self.answers = iter([False, False, True])

    def wait(self, seconds):
        return next(self.answers)


def test_a_long_step_says_how_long(capsys):
    _tick("writing", Ends())
    assert re.fullmatch(r"\r\033\[Kwriting …(\r\033\[Kwriting … \d+ s){2}", capsys.readouterr().err)


def test_a_terminal_sees_what_is_being_done(here, models, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["page", "-m", str(models / "bert"), TEXT]) == 0
    said = capsys.readouterr().err
    assert "running the model …" in said
    assert said.endswith("\r\033[K")
    assert main(["page", "-m", str(models / "bert"), TEXT, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
