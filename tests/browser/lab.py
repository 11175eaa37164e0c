"""Running JupyterLab, and speaking with a notebook's kernel beside it."""

from __future__ import annotations

import ast
import os
import secrets
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import nbformat
import requests
from jupyter_client import BlockingKernelClient
from nbformat.sign import NotebookNotary
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode
    from playwright.sync_api import Page

STARTING = 120
ANSWERING = 180


def notebook_of(cells: list[str]) -> NotebookNode:
    """A notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


class Lab:
    """A JupyterLab server on the loopback, with its own settings, in a folder of its own.

    Parameters
    ----------
    folder
        Where everything it writes goes.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "notebooks"
        self.pages = folder / "pages"
        """What lies here is served under ``static/``."""
        self.log = folder / "log.txt"
        self.token = secrets.token_hex(16)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.root.mkdir()
        self.pages.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
                 "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")  # fmt: skip
        environment = {**os.environ, **{name: str(self._folder / name.lower()) for name in homes}}
        self._settings(self._folder / "jupyterlab_settings_dir")
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}", f"--ServerApp.extra_static_paths={self.pages}",
            "--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + STARTING
        while True:
            try:
                self._ask("get", "api/status").raise_for_status()
            except requests.RequestException as error:
                if self._process.poll() is None and time.monotonic() < until:
                    time.sleep(0.2)
                    continue
                raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-4000:]}") from error
            return

    def stop(self) -> None:
        """End the server and what it started."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with suppress(requests.RequestException):
                self.end_sessions()
                self._ask("post", "api/shutdown")
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def end_sessions(self) -> None:
        """End every notebook's kernel."""
        for session in self._ask("get", "api/sessions").json():
            self._ask("delete", f"api/sessions/{session['id']}")

    def open(self, page: Page, name: str, cells: list[str], frontend: str = "lab/tree") -> Notebook:
        """Write a notebook of code cells, open it and wait for its kernel.

        Parameters
        ----------
        page, name, cells
            Where to open it, its file name, and its code.
        frontend
            ``"lab/tree"`` for JupyterLab; ``"notebooks"`` for Notebook 7, which the same server has.
        """
        self.read(page, name, notebook_of(cells), is_trusted=False, frontend=frontend)
        page.locator('.jp-NotebookPanel-toolbar [data-status="idle"]').wait_for()
        return Notebook(page, self.kernel(self._kernel_of(name)))

    def url(self, path: str, more: str = "") -> str:
        """Give the address of something the server has."""
        return f"{self.address}/{path}?token={self.token}{more}"

    def kernel(self, identity: str) -> Kernel:
        """Speak with a kernel the server started."""
        return Kernel(self._folder / "jupyter_runtime_dir" / f"kernel-{identity}.json")

    def kernels(self) -> set[str]:
        """Name the kernels that run."""
        return {str(kernel["id"]) for kernel in self._ask("get", "api/kernels").json()}

    def end_kernels(self) -> None:
        """End every kernel, those of no notebook too."""
        for identity in self.kernels():
            self._ask("delete", f"api/kernels/{identity}")

    @contextmanager
    def running(self, page: Page, name: str, cells: list[str], widgets: int) -> Iterator[Notebook]:
        """Open a notebook of code cells, run them all and wait until so many widgets are there."""
        notebook = self.open(page, name, cells)
        notebook.run_all()
        expect(page.locator(".attnscope")).to_have_count(widgets, timeout=180_000)
        yield notebook
        notebook.kernel.close()
        self.end_sessions()

    def read(
        self, page: Page, name: str, notebook: NotebookNode, *, is_trusted: bool, frontend: str = "lab/tree"
    ) -> None:
        """Write a notebook and open it; signed as this reader's own, or as one received from somebody."""
        nbformat.write(notebook, self.root / name)
        notary = NotebookNotary(data_dir=str(self._folder / "jupyter_data_dir"))
        (notary.sign if is_trusted else notary.unsign)(nbformat.read(self.root / name, as_version=4))
        notary.store.close()
        page.goto(self.url(f"{frontend}/{name}", "&reset" if frontend.startswith("lab") else ""))
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.wait_for()

    def _kernel_of(self, name: str) -> str:
        until = time.monotonic() + STARTING
        while time.monotonic() < until:
            for session in self._ask("get", "api/sessions").json():
                if session["path"] == name:
                    return str(session["kernel"]["id"])
            time.sleep(0.2)
        raise RuntimeError(f"No kernel was started for {name}:\n{self.log.read_text()[-4000:]}")

    def _ask(self, method: str, path: str) -> requests.Response:
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(method, f"{self.address}/{path}", headers=headers, timeout=20)

    @staticmethod
    def _settings(folder: Path) -> None:
        """No news and no questions on start."""
        place = folder / "@jupyterlab/apputils-extension"
        place.mkdir(parents=True)
        quiet = '{"fetchNews": "false", "checkForUpdates": false, "doNotDisturbMode": true}'
        (place / "notification.jupyterlab-settings").write_text(quiet)


class Kernel:
    """A second client of a notebook's kernel, on a thread of its own.

    Parameters
    ----------
    connection
        The kernel's connection file.
    """

    def __init__(self, connection: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._client = self._thread.submit(self._connect, connection).result(STARTING)

    def run(self, code: str) -> None:
        """Run statements.

        Raises
        ------
        KernelError
            When they raise.
        """
        self._reply(code, {})

    def begin(self, code: str) -> Future[dict[str, Any]]:
        """Run statements without waiting for them."""
        return self._ask(code, {})

    def value(self, expression: str) -> Any:
        """Give the value of an expression that is a literal when printed."""
        found = self._reply("", {"value": f"repr({expression})"})["user_expressions"]["value"]
        if found["status"] != "ok":
            raise KernelError(found["ename"], found["evalue"])
        return ast.literal_eval(ast.literal_eval(found["data"]["text/plain"]))

    def close(self) -> None:
        """Leave the kernel alone."""
        self._thread.submit(self._client.stop_channels).result(STARTING)
        self._thread.shutdown()

    def _reply(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        return self._ask(code, expressions).result(ANSWERING + 10)

    def _ask(self, code: str, expressions: dict[str, str]) -> Future[dict[str, Any]]:
        def ask() -> dict[str, Any]:
            identity = self._client.execute(
                code, silent=False, store_history=False, user_expressions=expressions, stop_on_error=False
            )
            while True:
                reply = self._client.get_shell_msg(timeout=ANSWERING)
                if reply["parent_header"].get("msg_id") == identity:
                    break
            content = reply["content"]
            if content["status"] != "ok":
                raise KernelError(content.get("ename", ""), content.get("evalue", ""))
            return content

        return self._thread.submit(ask)

    @staticmethod
    def _connect(connection: Path) -> BlockingKernelClient:
        client = BlockingKernelClient(connection_file=str(connection))
        client.load_connection_file()
        client.hb_channel.time_to_dead = STARTING  # a slow machine is not a dead kernel
        client.start_channels()
        client.wait_for_ready(timeout=STARTING)
        return client


class KernelError(Exception):
    """What Python raised, as its name and message."""


class Notebook:
    """A notebook on screen and its kernel.

    Parameters
    ----------
    page
        The page it is open in.
    kernel
        Its kernel.
    """

    def __init__(self, page: Page, kernel: Kernel) -> None:
        self.page = page
        self.kernel = kernel

    def run_all(self) -> None:
        """Run every cell, as a reader would."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
