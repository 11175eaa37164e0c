"""The token strip, with the mouse and with the keyboard alone; its numbers are Python's."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from playwright.sync_api import expect

import attnscope
from tests.browser.test_accessibility import CONTRAST, complaints
from tests.browser.test_export import HOSTILE
from tests.browser.widget import Widget
from tests.models.test_logprobs import with_head
from tests.unit.attention.answers import CHAT, entry

TEXT = "The cat sat on the mat because it was tired. Emily always wanted to visit Paris."


@pytest.fixture(scope="module")
def local():
    return attnscope.logprobs(*with_head("gpt2"), TEXT)


def of(tokens, number=-1.5):
    """An answer of those tokens, every third more surprising than the one before."""
    other = "<b>other</b>", -3.0
    entries = [entry(token, number * (1 + at % 3), (token, number), other) for at, token in enumerate(tokens)]
    return attnscope.from_logprobs({"choices": [{"logprobs": {"content": entries}}]})


def opened(page, tmp_path, logprobs, **given) -> Widget:
    path = tmp_path / "page.html"
    attnscope.LogprobsWidget(logprobs, **given).save(path)
    page.goto(path.as_uri())
    return Widget.on(page)


def token(widget, index):
    return widget.root.locator(f'.word[data-index="{index}"]')


def exact(part, name):
    return float(part.get_attribute(f"data-{name}").replace("Infinity", "inf"))


def details(widget):
    return widget.root.get_by_role("region", name="Details")


def facts(widget, logprobs, at):
    """Compare what the page says of a token with what Python knows, all of it read at once."""
    section = details(widget).get_by_role("region", name="Token")
    expect(section.locator("small")).to_have_text(f" token {at}")
    widget.wait()
    read = section.evaluate(
        """node => ({
          facts: Object.fromEntries([...node.querySelectorAll("dd")].map(fact =>
            [fact.previousElementSibling.textContent, Number(Object.values(fact.dataset)[0])])),
          listed: [...node.querySelectorAll("li")].map(row => [row.querySelector(".ranking-token").textContent,
            Number(row.querySelector("[data-weight]").dataset.weight), row.classList.contains("chosen")]),
        })"""
    )
    logprob = logprobs.logprobs[at]
    assert read["facts"]["log-probability"] == logprob
    assert read["facts"]["surprisal"] == pytest.approx(logprobs.surprisal[at], rel=1e-15)
    assert read["facts"]["probability"] == pytest.approx(math.exp(logprob), rel=1e-14)
    assert read["facts"]["rank"] == logprobs.ranks[at]
    known = logprobs.entropies if logprobs.entropies is not None else logprobs.least_entropies
    assert read["facts"]["entropy here"] == pytest.approx(known[at], rel=1e-14)
    listed = logprobs.alternatives[at]
    shares = [math.exp(each.logprob) for each in listed]
    np.testing.assert_allclose([share for _, share, _ in read["listed"]][: len(listed)], shares, rtol=1e-14)
    assert [chosen for *_, chosen in read["listed"]].count(True) == 1


def test_a_click_pins_and_says_the_numbers_of_python(page, tmp_path, local):
    widget = opened(page, tmp_path, local)
    for at in (5, 1, len(local) - 1):
        token(widget, at).click()
        expect(token(widget, at)).to_have_attribute("aria-pressed", "true")
        facts(widget, local, at)
    token(widget, len(local) - 1).click()
    expect(widget.root.locator('[aria-pressed="true"]')).to_have_count(0)


def test_hovering_previews_and_leaving_goes_back_to_what_is_pinned(page, tmp_path, local):
    widget = opened(page, tmp_path, local, token=3)
    token(widget, 9).hover()
    facts(widget, local, 9)
    tooltip = widget.root.get_by_role("tooltip")
    expect(tooltip).to_contain_text(f"{local.surprisal[9]:.3f} bits")
    expect(token(widget, 3)).to_have_attribute("aria-pressed", "true")
    details(widget).get_by_role("heading", name="Most surprising").hover()
    facts(widget, local, 3)
    expect(tooltip).to_be_hidden()


def test_every_token_carries_its_exact_numbers_and_its_colour_follows_them(page, tmp_path, local):
    widget = opened(page, tmp_path, local)
    read = widget.root.locator(".word[data-logprob]").evaluate_all(
        """nodes => nodes.map(node => [Number(node.dataset.index), Number(node.dataset.logprob),
           getComputedStyle(node).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number),
           parseFloat(getComputedStyle(node).backgroundSize.split(",")[0].split(" ").at(-1)) || 0])"""
    )
    assert [at for at, *_ in read] == list(range(len(local)))
    np.testing.assert_array_equal([number for _, number, *_ in read], local.logprobs)
    order = sorted(range(1, len(local)), key=lambda at: local.surprisal[at])
    brightness = [sum(read[at][2]) for at in order]
    thickness = [read[at][3] for at in order]
    assert brightness == sorted(brightness, reverse=True)
    assert brightness[0] - brightness[-1] > 200
    assert thickness == sorted(thickness)
    assert thickness[-1] == 3, "colour is not the only sign"
    expect(token(widget, 0)).to_have_class(re.compile("unseen"))
    assert "nothing before it" in token(widget, 0).get_attribute("aria-label")
    assert f"{local.surprisal[4]:.2f} bits" in token(widget, 4).get_attribute("aria-label")


def test_the_keyboard_alone(page, tmp_path, local):
    widget = opened(page, tmp_path, local)
    page.locator("body").press("Tab")
    while not page.evaluate("document.activeElement.matches('.word')"):
        page.keyboard.press("Tab")
    expect(token(widget, 0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(token(widget, 1)).to_be_focused()
    facts(widget, local, 1)
    page.keyboard.press("End")
    expect(token(widget, len(local) - 1)).to_be_focused()
    page.keyboard.press("Home")
    expect(token(widget, 0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(token(widget, 1)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(token(widget, 1)).to_have_attribute("aria-pressed", "false")
    most = local.most_surprising(3)
    for key, at in zip("nnnp", [*most, most[1]], strict=True):
        page.keyboard.press(key)
        expect(token(widget, at)).to_be_focused()
        expect(token(widget, at)).to_have_attribute("aria-pressed", "true")
    facts(widget, local, most[1])
    spoken = widget.root.locator('[aria-live="polite"]')
    expect(spoken).to_contain_text(f"{local.surprisal[most[1]]:.3f} bits")


def test_the_most_surprising_tokens_are_listed_in_order(page, tmp_path, local):
    widget = opened(page, tmp_path, local)
    rows = details(widget).get_by_role("region", name="Most surprising").get_by_role("button")
    read = rows.evaluate_all(
        "rows => rows.map(row => [Number(row.dataset.token), Number(row.querySelector('.number').dataset.surprisal)])"
    )
    assert [at for at, _ in read] == local.most_surprising(100)
    np.testing.assert_allclose([number for _, number in read], local.surprisal[local.most_surprising(100)], rtol=1e-15)
    rows.nth(2).click()
    facts(widget, local, local.most_surprising(3)[2])
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")


def test_a_server_s_answer_with_what_it_does_not_tell(page, tmp_path):
    answer = attnscope.from_logprobs(CHAT)
    widget = opened(page, tmp_path, answer, token=1)
    facts(widget, answer, 1)
    expect(details(widget)).to_contain_text("at least")
    words = widget.root.locator(".word")
    expect(words).to_have_text(["The", "·cat", "😀", "⁺", "⏎"])
    token(widget, 4).click()
    expect(details(widget).locator("[data-rank]")).to_have_text("beyond the 3 listed")
    assert exact(details(widget).locator("dd[data-surprisal]"), "surprisal") == math.inf
    expect(widget.root.locator(".about")).to_contain_text("1 of probability 0 or not told")
    rows = details(widget).get_by_role("region", name="Token").get_by_role("listitem")
    expect(rows).to_have_count(4)
    expect(rows.last).to_contain_text("–")


def test_several_texts_share_one_scale(page, tmp_path, local):
    widget = opened(page, tmp_path, [local, of(["a", " b", " c"], -0.1)], token=2)
    scale = widget.root.locator(".color-scale")
    said = scale.inner_text()
    choice = widget.root.get_by_label("Text", exact=True)
    choice.select_option("text 2 of 2")
    expect(widget.root.locator(".word")).to_have_text(["a", "·b", "·c"])
    expect(widget.root.locator('[aria-pressed="true"]')).to_have_count(0)
    widget.wait()
    assert scale.inner_text() == said


def test_five_thousand_tokens_are_scrolled_not_built(page, tmp_path):
    tokens = [f" w{at}" + ("\n" if at % 40 == 39 else "") for at in range(5000)]
    widget = opened(page, tmp_path, of(tokens), token=4000)
    expect(token(widget, 4000)).to_be_in_viewport()
    assert widget.root.locator(".word").count() < 1500
    token(widget, 4000).focus()
    page.keyboard.press("Home")
    expect(token(widget, 0)).to_be_focused()
    expect(token(widget, 0)).to_be_in_viewport()


def test_lines_never_reach_past_their_room(page, tmp_path):
    page.set_viewport_size({"width": 420, "height": 700})
    tokens = [*"日本語のテキストです。" * 8, *[f" {'w' * (at % 9 + 1)}" for at in range(60)], "x" * 120]
    widget = opened(page, tmp_path, of(tokens))
    over = widget.root.locator(".text-lines").evaluate(
        "box => [...box.querySelectorAll('.word')].filter(word =>"
        " word.getBoundingClientRect().right > box.getBoundingClientRect().right).length"
    )
    assert over == 0


def test_no_token_becomes_anything_but_text(page, tmp_path):
    widget = opened(page, tmp_path, of([*HOSTILE, "\ud83d", "مرحبا", " בעולם", "👩‍👩‍👧"]), token=0)
    assert widget.root.locator(":is(img, script, style, b:not(.subject b, .title b))").count() == 0
    assert page.evaluate("window.hit") is None
    for at in range(len(HOSTILE) + 4):
        expect(token(widget, at)).to_have_count(1)
    expect(details(widget).locator(".ranking")).to_contain_text("<b>other</b>")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 420)])
def test_axe_finds_nothing_and_text_stands_out(page, tmp_path, axe, local, theme, width):
    page.set_viewport_size({"width": width, "height": 800})
    widget = opened(page, tmp_path, [local, local], token=4, theme=theme)
    expect(widget.root).to_have_attribute("data-theme", theme)
    assert complaints(page, axe) == []
    found = widget.root.evaluate(CONTRAST)
    assert len(found) > 40
    assert [entry for entry in found if entry[2] < 4.5] == []


def test_a_damaged_page_says_so(page, tmp_path, local):
    path = tmp_path / "page.html"
    attnscope.LogprobsWidget(local).save(path)
    html = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'(id="attnscope-data">).{2000}', r"\1", html), encoding="utf-8")
    page.goto(path.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("This page cannot be shown; it may have been cut off or changed.")
