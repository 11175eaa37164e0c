import threading
from types import SimpleNamespace

import IPython
import numpy as np
import pytest
import traitlets

from attnscope import AttentionWidget, from_queries_keys
from attnscope.widget.cell_end import at_cell_end
from attnscope.widget.storing import Store

STATE = {"kind": "self", "heads": [[0, 0]]}


def capture(n=6, width=8):
    rng = np.random.default_rng(0)
    arrays = [[rng.normal(size=(3, n, width)).astype("f4") for _ in range(2)] for _ in range(2)]
    return from_queries_keys(*arrays, [f"t{at}" for at in range(n)])


@pytest.fixture
def sent():
    return []


def test_what_is_there_is_not_sent_again(sent):
    store, c = Store(sent.append), capture()
    store.fill(c, None, STATE, "auto", 1.0)
    assert len(sent) == 1
    store.fill(c, None, STATE, "auto", 1.0, has=len(sent[0]))
    store.fill(c, None, STATE | {"heads": [[1, 1]]}, "auto", 1.0, has=len(sent[0]))  # all of it is there
    assert len(sent) == 1
    store.fill(c, None, STATE, "auto", 1.0, has=0)  # a page that was loaded anew
    assert sent[1:] == sent[:1]


def test_a_selection_follows_what_is_selected(sent):
    store, c = Store(sent.append), capture()
    store.fill(c, None, STATE, "selection", 1.0)
    store.fill(c, None, STATE | {"heads": [[1, 2]]}, "selection", 1.0)
    assert len(sent) == 2
    assert sent[0] != sent[1]


def test_another_policy_and_another_capture_replace_it(sent):
    store, c = Store(sent.append), capture()
    store.fill(c, None, STATE, "auto", 1.0)
    store.fill(c, None, STATE, "none", 1.0)
    assert sent[1] == b""
    store.fill(c, None, STATE, "all", 1.0)
    store.clear()
    assert sent[3] == b""
    store.clear()
    assert len(sent) == 4
    store.fill(capture(5), None, STATE, "all", 1.0)
    assert sent[4] not in (b"", sent[2])


def test_the_page_s_wish_is_granted_beside_the_kernel(sent):
    done = threading.Event()
    store = Store(lambda data: (sent.append((threading.current_thread().name, data)), done.set()))
    store.fill_later(capture(), None, STATE, "auto", 1.0, has=0)
    assert done.wait(60)
    assert sent[0][0].startswith("attnscope-store")
    store.close()


@pytest.fixture
def messages(monkeypatch):
    """What a widget sends as updates of its state."""
    kept = []
    monkeypatch.setattr(
        AttentionWidget, "_send", lambda _, message, buffers=None: kept.append((message, buffers)), raising=True
    )
    return kept


def stored(messages):
    return [buffers[0] for message, buffers in messages if message.get("buffer_paths") == [["_stored"]]]


def test_nothing_is_stored_before_the_page_has_come_to_rest(messages):
    widget = AttentionWidget(capture())
    widget.query = 2
    assert stored(messages) == []
    assert "_stored" not in widget.get_state()


def test_the_page_asks_and_another_capture_empties(messages):
    widget = AttentionWidget(capture())
    widget._on_message(widget, {"type": "store", "has": 0}, [])
    widget._store._thread.shutdown(wait=True)
    assert len(stored(messages)) == 1
    widget.capture = capture(5)
    assert stored(messages)[1] == b""


def test_malformed_wishes_are_nothing(messages):
    widget = AttentionWidget(capture())
    for has in (None, "5", {}):
        widget._on_message(widget, {"type": "store", "has": has}, [])
    assert stored(messages) == []


@pytest.mark.parametrize(("name", "value"), [("embed", "some"), ("embed_megabytes", -1)])
def test_policies_are_checked(name, value):
    with pytest.raises(traitlets.TraitError):
        AttentionWidget(capture(), **{name: value})


class Events:
    def __init__(self):
        self.ends = []

    def register(self, name, run):
        assert name == "post_run_cell"
        self.ends.append(run)

    def unregister(self, name, run):
        assert name == "post_run_cell"
        self.ends.remove(run)


@pytest.fixture
def shell(monkeypatch):
    """A notebook's shell; its cell was asked for with the given metadata."""
    found = SimpleNamespace(events=Events(), metadata={})
    found.kernel = SimpleNamespace(get_parent=lambda: {"metadata": found.metadata})
    monkeypatch.setattr(IPython, "get_ipython", lambda: found)
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)
    return found


@pytest.mark.parametrize(("metadata", "is_watched"), [({"cellId": "a"}, True), ({}, False), (None, False)])
def test_the_end_of_a_cell_comes_once_and_knows_who_asked(shell, metadata, is_watched):
    shell.metadata = metadata
    told = []
    at_cell_end(told.append)
    assert told == []
    for end in list(shell.events.ends):
        end(None)
    assert told == [is_watched]
    assert shell.events.ends == []


def test_only_a_notebook_has_cells_that_end(shell, monkeypatch):
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    at_cell_end(print)
    monkeypatch.delenv("SERVER_SOFTWARE")
    del shell.kernel
    at_cell_end(print)
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    at_cell_end(print)
    assert shell.events.ends == []


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_cell_that_shows_a_widget_ends_with_what_stands_in_for_it(shell, messages, monkeypatch, is_watched):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data["text/html"]))
    shell.metadata = {"cellId": "a"} if is_watched else {}
    widget = AttentionWidget(capture())
    for _ in range(2):
        data, _ = widget._repr_mimebundle_()
    widget.heads = [[1, 2]]
    for end in list(shell.events.ends):
        end(None)
    assert len(shown) == 1
    assert f'data-attnscope-standin="{widget._mark}"' in shown[0]
    assert f'data-attnscope-picture="{widget._mark}"' in data["text/html"]
    assert "Layer 1, head 2" in shown[0]  # what is on screen when the cell has run
    assert len(stored(messages)) == (0 if is_watched else 1)
