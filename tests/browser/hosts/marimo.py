"""Running marimo's notebook, and speaking with its Python beside it."""

from __future__ import annotations

import ast
import os
import secrets
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from multiprocessing.connection import Client
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from pathlib import Path

STARTING = 120
NOTEBOOK = '''
import marimo

app = marimo.App(width="full")


@app.cell
def _():
{cell}
    return c, w, AttentionWidget


@app.cell
def _(c, w, AttentionWidget):
    import threading
    from multiprocessing.connection import Listener

    def listen(names):
        """Do what the test says, on a thread of its own."""
        with Listener(("127.0.0.1", {ear}), authkey=b"{key}") as door, door.accept() as line:
            while True:
                try:
                    kind, text = line.recv()
                except EOFError:
                    return
                try:
                    line.send((True, repr(eval(text, names)) if kind == "value" else exec(text, names)))
                except Exception as error:
                    line.send((False, f"{{type(error).__name__}}: {{error}}"))

    threading.Thread(target=listen, args=(dict(c=c, w=w, AttentionWidget=AttentionWidget),), daemon=True).start()
    return
'''
SETTINGS = """
[display]
theme = "system"
cell_output = "below"

[runtime]
auto_instantiate = true
"""


def free_port() -> int:
    """Find a port nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Marimo:
    """A marimo server on the loopback, with its own settings, in a folder of its own.

    Parameters
    ----------
    folder
        Where everything it writes goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._ear = free_port()
        self._key = secrets.token_hex(8)
        self.address = ""

    def start(self, cell: str) -> None:
        """Start the server on a notebook with one cell and wait until it answers."""
        path = self._folder / "notebook.py"
        path.write_text(NOTEBOOK.format(cell=textwrap.indent(cell, "    "), ear=self._ear, key=self._key))
        settings = self._folder / "config/marimo"
        settings.mkdir(parents=True)
        (settings / "marimo.toml").write_text(SETTINGS)
        homes = {f"XDG_{name.upper()}_HOME": str(self._folder / name) for name in ("config", "cache", "state", "data")}
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        command = [
            sys.executable, "-m", "marimo", "edit", "--headless", "--no-token", "--skip-update-check",
            "--host", "127.0.0.1", "--port", str(port), str(path),
        ]  # fmt: skip
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                command, env={**os.environ, **homes}, cwd=self._folder, stdout=out, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + STARTING
        while True:
            try:
                requests.get(f"{self.address}/health", timeout=5).raise_for_status()
            except requests.RequestException as error:
                if self._process.poll() is None and time.monotonic() < until:
                    time.sleep(0.1)
                    continue
                raise RuntimeError(f"marimo did not start:\n{self._log.read_text()[-4000:]}") from error
            return

    def ear(self) -> Ear:
        """Speak with the notebook's Python, once its cells have run."""
        until = time.monotonic() + STARTING
        while time.monotonic() < until:
            with suppress(ConnectionRefusedError):
                return Ear(Client(("127.0.0.1", self._ear), authkey=self._key.encode()))
            time.sleep(0.1)
        raise RuntimeError(f"The notebook's cells did not run:\n{self._log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the server and what it started."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Ear:
    """A line to the notebook's Python.

    Parameters
    ----------
    line
        The connection.
    """

    def __init__(self, line: Any) -> None:
        self._line = line

    def run(self, code: str) -> None:
        """Run statements."""
        self._ask("run", code)

    def value(self, expression: str) -> Any:
        """Give the value of an expression that is a literal when printed."""
        return ast.literal_eval(self._ask("value", expression))

    def close(self) -> None:
        """Leave it alone."""
        with suppress(OSError):
            self._line.close()

    def _ask(self, kind: str, text: str) -> Any:
        self._line.send((kind, text))
        fine, answer = self._line.recv()
        if not fine:
            raise RuntimeError(answer)
        return answer
