"""A widget that follows a model while it writes."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import attnscope.widget.live as live_module
from attnscope import AttentionWidget, record
from attnscope.errors import InputError, InputTypeError

PROMPT, NEW = 5, 8


@pytest.fixture(autouse=True)
def every_token(monkeypatch):
    monkeypatch.setattr(live_module, "PACE", 0)


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=32, vocab_size=50, n_positions=64, bos_token_id=0, eos_token_id=1)
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def shown(monkeypatch):
    widgets = []
    monkeypatch.setattr("IPython.display.display", widgets.append)
    return widgets


def write(model, new=NEW):
    ids = torch.arange(2, 2 + PROMPT)[None]
    return model.generate(ids, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)


def test_the_widget_grows_with_each_token(model, shown):
    seen = []
    with AttentionWidget.follow(model, None, heads=[[1, 1]]) as live:
        model.register_forward_pre_hook(
            lambda *_: (
                (seen and seen.append((len(live.capture.tokens), live.widget.progress, live.widget.query)))
                or seen.append(None)
            )
        )
        write(model)
    steps = [step for step in seen if step]
    assert [n for n, _, _ in steps] == list(range(PROMPT, PROMPT + NEW - 1))
    assert [p["done"] for _, p, _ in steps] == list(range(1, NEW))
    assert {p["total"] for _, p, _ in steps} == {NEW}
    assert shown == [live.widget]
    assert live.widget.progress is None
    assert live.widget.heads == [[1, 1]]


def test_its_numbers_are_those_of_a_recording(model, shown):
    with AttentionWidget.follow(model, None) as live:
        write(model)
    with record(model, live=True) as recording:
        write(model)
    wanted = recording.capture()
    assert live.capture.tokens == wanted.tokens
    for layer in range(2):
        assert abs(live.capture.weights(layer) - wanted.weights(layer)).max() < 1e-6
    assert live.widget.capture is live.capture


def test_the_newest_token_is_pinned_until_the_reader_pins_another(model, shown):
    with AttentionWidget.follow(model, None) as live:
        ids = write(model)
    assert live.widget.query == len(live.capture.tokens) - 1 == ids.shape[1] - 2

    def pin(*_):
        if live._widget is not None:
            live.widget.query = 1

    with AttentionWidget.follow(model, None) as live:
        model.register_forward_hook(pin)
        write(model)
    assert live.widget.query == 1


def test_stop_ends_the_block_and_keeps_what_was_written(model, shown):
    after = []

    def press_stop(*_):
        if live._widget is not None and len(live.capture.tokens) == 7:
            live.widget._on_message(None, {"type": "stop"}, [])

    with AttentionWidget.follow(model, None) as live:
        hook = model.register_forward_hook(press_stop)
        write(model)
        after.append("not reached")
    hook.remove()
    assert after == []
    assert PROMPT < len(live.capture.tokens) < PROMPT + NEW - 1
    assert live.widget.progress is None
    assert write(model).shape[1] == PROMPT + NEW


def test_a_widget_on_screen_can_follow(model, shown):
    with record(model) as recording:
        model(torch.arange(2, 2 + PROMPT)[None])
    widget = AttentionWidget(recording.capture(), heads=[[1, 0]], query=2)
    with AttentionWidget.follow(model, None, widget=widget) as live:
        write(model)
    assert live.widget is widget
    assert widget.capture is live.capture
    assert shown == []
    assert (widget.heads, widget.query) == ([[1, 0]], len(live.capture.tokens) - 1)


def test_an_interrupt_keeps_what_was_written(model, shown):
    def interrupt(*_):
        if len(live.capture.tokens) == 8:
            raise KeyboardInterrupt

    live = AttentionWidget.follow(model, None)
    model.register_forward_pre_hook(lambda *_: live._capture and interrupt())
    with pytest.raises(KeyboardInterrupt), live:
        write(model)
    assert len(live.capture.tokens) == 8
    assert live.widget.progress is None


def test_an_error_of_the_model_is_the_users(model, shown):
    def fail(*_):
        raise RuntimeError("out of ideas")

    model.register_forward_hook(fail)
    live = AttentionWidget.follow(model, None)
    with pytest.raises(RuntimeError, match="out of ideas"), live:
        write(model)
    with pytest.raises(InputError, match="generate"):
        _ = live.capture


def test_an_unknown_trait_is_refused_before_anything_runs(model):
    with pytest.raises(InputTypeError, match="threshold"):
        AttentionWidget.follow(model, None, treshold=0.1)


def test_another_capture_keeps_what_it_has_of_the_selection(model):
    def captured(n):
        with record(model) as recording:
            model(torch.arange(2, 2 + n)[None])
        return recording.capture()

    long, short = captured(8), captured(4)
    widget = AttentionWidget(long, heads=[[1, 1]], query=7)
    widget.more_queries = [2, 6]
    widget.capture = short
    assert (widget.heads, widget.query, widget.more_queries) == ([[1, 1]], None, [2])
    assert widget._capture["kinds"][0]["queries"]["text"] == short.tokens
    with pytest.raises(InputTypeError, match="Capture"):
        widget.capture = "text"
    assert widget.capture is short
    widget.close()
