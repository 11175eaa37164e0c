"""The scripts BertViz's pages fetch from the network, taken from the npm registry and served from this machine."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

SCRIPTS = {
    "require.min.js": ("requirejs", "2.3.6", "package/require.js"),
    "d3.min.js": ("d3", "5.7.0", "package/dist/d3.min.js"),
    "jquery.min.js": ("jquery", "2.1.0", "package/dist/jquery.min.js"),
}
"""How an address ends: the package, its version and the file in it. BertViz asks for jQuery 2.0.0, which npm lacks."""


def fetch(folder: Path) -> str:
    """Put the scripts into a folder, where they are not there yet.

    Parameters
    ----------
    folder
        Where to.

    Returns
    -------
    str
        Why they could not be had, in one line; empty where all are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = {name: told for name, told in SCRIPTS.items() if not (folder / name).is_file()}
    npm = shutil.which("npm")
    if missing and npm is None:
        return "npm, which fetches its scripts, is not installed"
    for name, (package, version, member) in missing.items():
        pack = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{package}@{version}"]
        done = subprocess.run(pack, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            return f"npm could not fetch {package} {version}"
        archive = folder / done.stdout.split()[-1]
        with tarfile.open(archive) as packed:
            (folder / name).write_bytes(packed.extractfile(member).read())
        archive.unlink()
    return ""


def serve(page: Page, folder: Path) -> None:
    """Answer a page's requests for the scripts from a folder, and refuse all other addresses outside this machine."""

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in SCRIPTS:
            route.fulfill(body=(folder / name).read_bytes(), content_type="text/javascript")
        else:
            route.abort()

    page.route(lambda address: not address.startswith(("file:", "data:", "blob:", "http://127.0.0.1")), answer)
