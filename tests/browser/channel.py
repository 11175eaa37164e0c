"""A page and a widget of this process, joined by a socket as a notebook's comm joins them; every byte is counted."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import comm
from comm.base_comm import BaseComm
from tornado import httpserver, netutil, web, websocket

import attnscope
from attnscope.wire.assets import asset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

SCRIPT = ("_esm", "_css")
"""What of a widget's state is its program."""
PAGE = """<!doctype html><meta charset="utf-8"><title>A notebook's page</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="widget.css"><style>body { margin: 0 }</style><div id="here"></div>
<script type="module">
import widget from "./widget.js";
window.seen = { tasks: [], began: performance.now() };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.seen.tasks.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
const handlers = new Map();
const tell = (event, ...values) => { for (const run of [...(handlers.get(event) ?? [])]) run(...values); };
const state = {};
const changed = new Set();
const socket = new WebSocket(`ws://${location.host}/comm`);
socket.binaryType = "arraybuffer";
const send = (data) => socket.send(JSON.stringify(data));
const model = {
  get: (name) => state[name],
  set(name, value) { state[name] = value; changed.add(name); tell(`change:${name}`); },
  save_changes() {
    send({ method: "update", state: Object.fromEntries([...changed].map((name) => [name, state[name]])) });
    changed.clear();
  },
  send: (content) => send({ method: "custom", content }),
  on(event, run) { handlers.set(event, [...(handlers.get(event) ?? []), run]); },
  off(event, run) { handlers.set(event, (handlers.get(event) ?? []).filter((other) => other !== run)); },
};
const here = document.getElementById("here");
new MutationObserver(() => {
  if (window.seen.ready !== undefined || !here.querySelector('.attnscope[data-painted="true"]')) return;
  window.seen.ready = performance.now();
  send({ method: "painted" });
}).observe(here, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-painted"] });
socket.onmessage = ({ data }) => {
  const length = new DataView(data).getUint32(0, true);
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  let at = 4 + length;
  const buffers = message.lengths.map((size) => {
    const buffer = new DataView(data.slice(at, at + size));
    at += size;
    return buffer;
  });
  const { method, content, buffer_paths: paths = [] } = message.data;
  if (method === "custom") return tell("msg:custom", content, buffers);
  const update = message.data.state ?? {};
  paths.forEach((path, index) => {
    let node = update;
    for (const step of path.slice(0, -1)) node = node[step];
    node[path[path.length - 1]] = buffers[index];
  });
  Object.assign(state, update);
  if (message.type === "comm_open") widget.render({ model, el: here });
  else for (const name of Object.keys(update)) tell(`change:${name}`);
};
</script>"""


@dataclass(frozen=True)
class Sent:
    """One message to the page.

    Parameters
    ----------
    kind
        ``"state"`` or the type of the reply.
    size, script
        Its bytes as Jupyter would send them, and how many of them are the widget's program.
    """

    kind: str
    size: int
    script: int = 0


@dataclass
class Channel:
    """What went over the socket.

    Parameters
    ----------
    sent
        Messages to the page, in order.
    asked
        Requests of the page, in order, its cancellations too.
    """

    sent: list[Sent] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""
    widget: Any = None
    painted: threading.Event = field(default_factory=threading.Event)
    first: int = 0
    """How many messages were sent until the first view was complete."""

    def requests(self, kind: str) -> list[dict[str, Any]]:
        """Give the page's requests of a type."""
        return [message for message in list(self.asked) if message.get("type") == kind]

    def replies(self, kind: str) -> int:
        """Count answers of a type."""
        return sum(1 for message in list(self.sent) if message.kind == kind)


class _Comm(BaseComm):
    """A widget's end: what is sent before a page is there waits for it."""

    def __init__(self, *args: Any, **given: Any) -> None:
        self._waiting: list[tuple[bytes, Sent]] | None = []
        self.channel: Channel | None = None
        self._deliver: Any = None
        super().__init__(*args, **given)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        parts = [bytes(buffer) for buffer in buffers or []]
        data = data or {}
        program = {name: data.get("state", {}).get(name, "") for name in SCRIPT if name in data.get("state", {})}
        lean = (
            {**data, "state": {k: v for k, v in data.get("state", {}).items() if k not in SCRIPT}} if program else data
        )
        script = sum(len(json.dumps(text)) for text in program.values())
        head = json.dumps({"type": msg_type, "data": lean, "lengths": [len(part) for part in parts]}).encode()
        content = data.get("content")
        kind = content.get("type", "error") if isinstance(content, dict) else "state"
        sent = Sent(kind, len(json.dumps(data)) + sum(map(len, parts)), script)
        frame = len(head).to_bytes(4, "little") + head + b"".join(parts)
        if self._waiting is None:
            self._deliver(frame, sent)
        else:
            self._waiting.append((frame, sent))

    def meet(self, deliver: Any) -> None:
        """Send to a page from now on."""
        waiting, self._waiting, self._deliver = self._waiting or [], None, deliver
        for frame, sent in waiting:
            deliver(frame, sent)


@contextmanager
def live(capture: attnscope.Capture, **given: Any) -> Iterator[Channel]:
    """Make a widget and serve the page that shows it; see :func:`show`."""
    comms: list[_Comm] = []

    def create(*args: Any, **kwargs: Any) -> _Comm:
        comms.append(_Comm(*args, **kwargs))
        return comms[-1]

    channel = Channel()
    with mock.patch.object(comm, "create_comm", create):
        channel.widget = attnscope.AttentionWidget(capture, **given)
    end = next(one for one in comms if one is channel.widget.comm)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    class Socket(websocket.WebSocketHandler):
        def open(self) -> None:
            def deliver(frame: bytes, sent: Sent) -> None:
                channel.sent.append(sent)
                loop.call_soon_threadsafe(write, frame)

            def write(frame: bytes) -> None:
                if self.ws_connection is not None:
                    self.write_message(frame, binary=True)

            end.meet(deliver)

        def on_message(self, message: str | bytes) -> None:
            data = json.loads(message)
            if data["method"] == "painted":
                channel.first = len(channel.sent)
                channel.painted.set()
                return
            if data["method"] == "custom":
                channel.asked.append(data["content"])
            end.handle_msg({"content": {"data": data}, "buffers": []})

    class File(web.RequestHandler):
        def get(self, name: str) -> None:
            if name not in ("", "widget.js", "widget.css"):
                raise web.HTTPError(404)
            kind = {"js": "text/javascript", "css": "text/css"}.get(name.rpartition(".")[2], "text/html")
            self.set_header("Content-Type", f"{kind}; charset=utf-8")
            self.write(asset(name).read_bytes() if name else PAGE)

    async def serve() -> httpserver.HTTPServer:
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        channel.address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
        server = httpserver.HTTPServer(web.Application([("/comm", Socket), ("/(.*)", File)]))
        server.add_sockets(sockets)
        return server

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(30)
    try:
        yield channel
    finally:
        channel.widget.close()
        loop.call_soon_threadsafe(server.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def show(page: Page, channel: Channel, patience: float = 60) -> None:
    """Open the page and wait until its first view is complete."""
    page.goto(channel.address)
    page.wait_for_function("() => window.seen?.ready !== undefined", timeout=1000 * patience)
    if not channel.painted.wait(patience):
        raise TimeoutError("The page never said that its first view is complete.")
