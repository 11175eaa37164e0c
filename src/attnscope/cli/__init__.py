"""The command ``attnscope``: a model and a text in, a page or a picture out."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from attnscope.cli.arguments import parse
from attnscope.errors import AttnscopeError, AttnscopeWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED = 2
"""Exit status where something was refused; argparse has the same."""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What stands behind the command's name; None for what this process was started with.

    Returns
    -------
    int
        0; 2 where something was refused, which is then said in one line on stderr; 130 after Ctrl-C.
    """
    given = parse(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", AttnscopeWarning)
            warnings.showwarning = _show_warning
            given.run(given)
    except AttnscopeError as error:
        print(f"attnscope: {' '.join(str(error).split())}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("attnscope: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    print(f"attnscope: warning: {message}", file=sys.stderr)
