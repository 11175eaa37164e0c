"""The head map's questions and the inspector's judgement: the numbers on screen are Python's, by mouse and by keys."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

import attnscope
from attnscope import analysis
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE, opened, queries_keys
from tests.browser.test_steps import gpt2, t5

SENTENCE = "The cat sat on the mat because it was tired."


@pytest.fixture(scope="module")
def captured(minilm):
    return attnscope.capture(minilm.model, minilm.tokenizer, SENTENCE, values=True)


def asker(widget):
    return widget.root.get_by_role("textbox", name="Which heads link two tokens?")


def hits(widget):
    """The ranked heads: (layer, head), weight, rank, share of other pairs that do as well."""
    expect(widget.root.locator(".hits [data-share]").first).to_be_visible()
    found = []
    for button in widget.root.locator(".hits button").all():
        layer, head = map(int, button.get_attribute("data-hit").split("."))
        numbers = [
            float(button.locator(f"[{name}]").get_attribute(name))
            for name in ("data-weight", "data-rank", "data-share")
        ]
        found.append(((layer, head), *numbers))
    return found


def check_hits(widget, capture, query, key, kind=None):
    shown = hits(widget)
    expected = analysis.find_heads(capture, query, key, direction="forward", k=len(shown), kind=kind)
    assert [hit[0] for hit in shown] == [(hit.layer, hit.head) for hit in expected]
    np.testing.assert_allclose([hit[1] for hit in shown], [hit.weight for hit in expected], atol=2e-5)
    assert [hit[2] for hit in shown] == [hit.rank for hit in expected]
    np.testing.assert_allclose([hit[3] for hit in shown], [hit.share_as_good for hit in expected], atol=1e-9)


def test_a_typed_question_names_the_heads(page, tmp_path, captured):
    widget = opened(page, tmp_path, captured)
    asker(widget).focus()
    page.keyboard.type("it -> cat")
    page.keyboard.press("Enter")
    widget.wait()
    expect(widget.token("query", 8)).to_have_attribute("aria-pressed", "true")
    assert widget.root.get_by_label("Heads coloured by").input_value() == "pair"
    check_hits(widget, captured, "it", "cat")
    expect(widget.head(5, 11)).to_have_attribute("aria-label", "Layer 5, head 11: it → cat 0.71")
    widget.root.locator(".hits button").nth(1).click()
    layer, head = hits(widget)[1][0]
    expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
    expect(widget.root.locator(f'.hits [data-hit="{layer}.{head}"]')).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(widget.head(5, 11)).to_have_attribute("aria-selected", "true")
    widget.root.get_by_role("button", name="more", exact=True).click()
    expect(widget.root.locator(".hits button")).to_have_count(20)
    check_hits(widget, captured, "it", "cat")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("it -> cta", "Did you mean “cat”"),
        ("it cat", "an arrow between them"),
        ("it -> 99", "positions 0 to 12"),
        ("<img src=x> -> cat", "no token or word “<img src=x>”"),
    ],
)
def test_what_cannot_be_asked_is_said(page, tmp_path, captured, typed, said):
    widget = opened(page, tmp_path, captured)
    asker(widget).fill(typed)
    page.keyboard.press("Enter")
    problem = widget.root.locator(".ask [role=alert]")
    expect(problem).to_contain_text(said)
    expect(asker(widget)).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    expect(problem).to_be_hidden()
    asker(widget).fill("#8 → [SEP]")
    page.keyboard.press("Enter")
    widget.wait()
    check_hits(widget, captured, 8, 12)


def test_a_causal_model_answers_backwards_only(page, tmp_path):
    capture = gpt2()
    widget = opened(page, tmp_path, capture)
    asker(widget).fill("2 -> 6")
    page.keyboard.press("Enter")
    expect(widget.root.locator(".ask [role=alert]")).to_contain_text("Ask the other way")
    asker(widget).fill("6 -> 2")
    page.keyboard.press("Enter")
    widget.wait()
    check_hits(widget, capture, "6", "2")  # without a tokenizer, tokens are called by their ids


def test_kinds_are_switched_and_each_is_asked_of_its_own_tokens(page, tmp_path):
    capture = t5()
    widget = opened(page, tmp_path, capture, view="grid")
    menu = widget.root.get_by_label("Kind of attention")
    for kind in ("cross", "decoder", "encoder"):
        menu.focus()
        menu.select_option(kind)
        widget.wait()
        assert menu.input_value() == kind
        queries, _ = capture.tokens_of(kind)
        asker(widget).fill(f"#{len(queries) - 1} -> #2")
        page.keyboard.press("Enter")
        widget.wait()
        check_hits(widget, capture, len(queries) - 1, 2, kind)
        layer, head = hits(widget)[0][0]
        label = widget.head(layer, head).get_attribute("aria-label")
        weight = capture.weights(layer, head, kind=kind)[len(queries) - 1, 2]
        assert float(label.rsplit(" ", 1)[1]) == pytest.approx(weight, abs=0.0051)
    wanted = f"{capture['encoder'].n_layers} × {capture['encoder'].n_heads} heads"
    expect(widget.root.locator(".about")).to_contain_text(wanted)


def test_roles_have_colours_signs_and_a_legend(page, tmp_path, captured):
    widget = opened(page, tmp_path, captured, heads=[[0, 2]])
    menu = widget.root.get_by_label("Heads coloured by")
    menu.focus()
    menu.select_option("role")
    widget.wait()
    table = analysis.head_roles(captured)
    fired = table[table["fires"]]
    strongest = fired.assign(rank=fired["margin"].fillna(0)).sort_values("rank").groupby(["layer", "head"]).last()
    counts = strongest["role"].value_counts()
    for role, count in counts.items():
        entry = widget.root.locator(f'.role-legend [data-role="{role}"]')
        assert entry.inner_text().split()[-1] == str(count)
    for (layer, head), row in strongest.iterrows():
        cell = widget.head(layer, head)
        assert f"{row['score']:.2f}, chance {row['chance']:.2f}" in cell.get_attribute("aria-label")
        assert cell.inner_text() != ""
    first = widget.root.locator(".role-legend button").first
    first.focus()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-pressed", "true")
    widget.wait()
    only = first.get_attribute("data-role")
    signed = [cell for cell in widget.root.locator(".head-cell").all() if cell.inner_text()]
    assert len(signed) == counts[only]
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-pressed", "false")


def test_the_inspector_says_a_role_with_its_chance(page, tmp_path, captured):
    widget = opened(page, tmp_path, captured, heads=[[0, 2]])
    table = analysis.head_roles(captured)
    row = table[(table["layer"] == 0) & (table["head"] == 2) & table["fires"]].iloc[0]
    wanted = f"{row['role'].replace('_', ' ')} {row['score']:.2f} · chance {row['chance']:.2f}"
    expect(widget.inspector.locator(".habit").first).to_have_text(wanted)


def test_the_strip_says_how_far_to_trust(page, tmp_path, captured):
    widget = opened(page, tmp_path, captured, heads=[[2, 7]])
    facts = {
        row.locator("dt").inner_text(): row.locator("dd").inner_text()
        for row in widget.inspector.locator(".honesty > div").all()
    }
    sink = analysis.sink_share(captured)[2, 7]
    assert facts["row sums"] == "1 ✓"
    assert facts["L2 H7 on the first token"] == f"{100 * sink:.0f} %"
    assert facts["computed in"] == "float32"
    assert facts["rows that see no key"] == "none"
    assert facts["checked"] == "6 of 6 layers"
    worst = max(captured["self"].check.values())
    assert float(facts["off the model’s own"].removeprefix("≤ ")) == pytest.approx(worst, rel=0.6)


def test_the_strip_says_what_is_kept_and_how_far_that_moves_weights(page, tmp_path, minilm):
    captured = attnscope.capture(minilm.model, minilm.tokenizer, SENTENCE, dtype="bfloat16")
    widget = opened(page, tmp_path, captured)
    row = widget.inspector.locator(".honesty > div").filter(has_text="kept in bfloat16")
    most = max(captured["self"].error.values())
    assert most <= float(row.locator("dd").inner_text().removeprefix("weights ± ")) <= most + 0.01


def test_findings_are_folded_and_select_their_heads(page, tmp_path):
    rng = np.random.default_rng(0)
    layers = [rng.dirichlet(np.ones(7), size=(4, 7)).astype("f4") for _ in range(2)]
    layers[1][2] *= 0.8
    capture = attnscope.from_attentions(layers, list("abcdefg"))
    widget = opened(page, tmp_path, capture)
    fold = widget.inspector.locator(".findings-fold")
    found = analysis.health(capture)
    expect(fold.locator("summary")).to_contain_text(f"{len(found)} finding")
    expect(fold.locator("li").first).to_be_hidden()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    for line, finding in zip(fold.locator("li").all(), found, strict=True):
        expect(line).to_contain_text(f"{finding.severity}: {finding.message}")
    fold.get_by_role("button", name="select 1 head", exact=True).focus()
    page.keyboard.press("Enter")
    widget.wait()
    assert widget.selected() == [(1, 2)]


def test_value_weighted_is_one_click_away(page, tmp_path, captured):
    layer, head, query = 5, 11, captured.find("it")
    name = f"Layer {layer} · Head {head}"
    widget = opened(page, tmp_path, captured, heads=[[layer, head]], query=query)
    weights = np.sort(captured.weights(layer, head, queries=query))[::-1]
    np.testing.assert_allclose(widget.numbers(name), weights[:8], atol=2e-5)
    switch = widget.inspector.get_by_role("button", name="Value-weighted")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    handed_on = analysis.value_weighted(captured, layer, head, share=True)[query]
    assert abs(handed_on - captured.weights(layer, head, queries=query)).max() > 0.01, "the two would look alike"
    listed = widget.listed(name)
    order = np.argsort(-handed_on, kind="stable")[:8]
    assert [token for token, _ in listed] == [captured.tokens[at] for at in order]
    np.testing.assert_allclose([number for _, number in listed], handed_on[order], atol=2e-5)
    expect(widget.root.get_by_label("measure", exact=True)).to_have_value("value_weighted")
    switch.focus()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "false")
    np.testing.assert_allclose(widget.numbers(name), weights[:8], atol=2e-5)


def test_without_values_nothing_is_offered_that_needs_them(page, tmp_path):
    """And ablation is not offered where there is no kernel."""
    widget = opened(page, tmp_path, queries_keys())
    for name in ("Value-weighted", "Ablate"):
        expect(widget.inspector.get_by_role("button", name=name)).to_be_hidden()


def test_large_maps_are_enlarged_and_asked(page, tmp_path):
    capture = queries_keys([f" t{i}" for i in range(6)], layers=80, heads=64, width=4)
    widget = opened(page, tmp_path, capture, heads=[[3, 3]])
    assert widget.root.locator(".headmap").evaluate("map => map.scrollWidth <= map.clientWidth"), (
        "a head is out of sight"
    )
    larger = widget.root.get_by_role("button", name="larger map")
    before = widget.resting_box(widget.root.locator(".head-canvas canvas"))
    larger.focus()
    page.keyboard.press("Enter")
    grown = "least => document.querySelector('.head-canvas canvas').getBoundingClientRect().width > least"
    page.wait_for_function(grown, arg=2 * before["width"])
    after = widget.resting_box(widget.root.locator(".head-canvas canvas"))
    pitch = after["width"] / 64
    page.mouse.click(after["x"] + 20.5 * pitch, after["y"] + 7.5 * pitch)
    widget.wait()
    assert widget.selected() == [(7, 20)]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    widget.wait()
    assert widget.selected() == [(8, 21)]
    asker(widget).fill("#5 -> #1")
    page.keyboard.press("Enter")
    widget.wait()
    check_hits(widget, capture, 5, 1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["links", "grid"])
def test_axe_finds_nothing(page, tmp_path, axe, captured, theme, view):
    given = {"query": 8, "key": 2, "color_by": "role", "order_by": "role"}
    widget = opened(page, tmp_path, captured, heads=[[5, 11], [0, 2]], theme=theme, view=view, **given)
    asker(widget).fill("nothing -> cat")
    page.keyboard.press("Enter")
    widget.inspector.locator(".findings-fold summary").click()
    widget.wait()
    assert complaints(page, axe) == []


def test_tokens_stay_text(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(HOSTILE), heads=[[0, 1]])
    asker(widget).fill("#0 -> #1")
    page.keyboard.press("Enter")
    widget.wait()
    expect(widget.root.locator(".hits-fold summary")).to_contain_text("<img src=x")
    asker(widget).fill(f"{HOSTILE[0]}2 -> {HOSTILE[1]}")
    page.keyboard.press("Enter")
    expect(widget.root.locator(".ask [role=alert]")).to_contain_text("<img")
    assert page.evaluate("window.hit") is None
