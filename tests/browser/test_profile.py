"""A profile on screen, opened from disk without a kernel: the numbers are Python's, by mouse and by keyboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from attnscope import ProfileWidget
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE
from tests.browser.widget import Widget, exact
from tests.unit.profiling.synthetic import synthetic

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from attnscope import HeadProfile

LAYERS, HEADS = 4, 6
GIVEN = [f"text {number}: the cat sat on mat {number}" for number in range(300)]
PLAIN = "entropy"


class View(Widget):
    """A profile on screen, and its parts."""

    @property
    def point(self) -> Locator:
        """The point of the scatter where the keyboard is."""
        return self.root.locator(".scatter-plane").locator("[data-at]")

    @property
    def side(self) -> Locator:
        """What is said of the head selected last."""
        return self.root.get_by_role("region", name="Selected head")

    def table(self) -> dict[tuple[int, int], dict[str, float]]:
        """The rows of the table that are there, with their exact numbers, read at once."""
        self.wait()
        read = """table => {
          const names = [...table.querySelectorAll("thead th")].map((cell) => cell.dataset.by);
          return [...table.querySelectorAll("tbody tr[data-at]")].map((row) => [
            row.dataset.at,
            [...row.children].map((cell, at) => [names[at], cell.dataset.weight]),
          ]);
        }"""
        rows = self.root.get_by_role("table", name="Heads and their statistics").evaluate(read)
        return {
            tuple(map(int, place.split("."))): {name: float(number) for name, number in cells if number is not None}
            for place, cells in rows
        }

    def said(self, statistic: str) -> dict[str, float]:
        """The exact numbers of a statistic of the head selected last."""
        cells = self.side.locator(f'[data-statistic="{statistic}"] [data-weight]')
        read = "cells => cells.map(cell => [cell.dataset.what, Number(cell.dataset.weight)])"
        return dict(cells.evaluate_all(read))


def opened(page: Page, tmp_path: Path, profile: HeadProfile | None = None, **given) -> View:
    path = tmp_path / "profile.html"
    widget = ProfileWidget(synthetic(LAYERS, HEADS) if profile is None else profile, **{"texts": GIVEN, **given})
    widget.save(path)
    widget.close()
    page.goto(path.as_uri())
    return View.on(page)


@pytest.fixture
def view(page, tmp_path):
    return opened(page, tmp_path, heads=[[1, 2]], color_by=PLAIN)


def test_every_number_of_the_table_is_pythons(page, tmp_path):
    profile = synthetic(LAYERS, HEADS)
    for by in ("rows", "texts"):
        view = opened(page, tmp_path, profile, show="table", by=by)
        rows = view.table()
        assert set(rows) == {(layer, head) for layer in range(LAYERS) for head in range(HEADS)}
        shown = [name for name in profile.statistics if not name.endswith("_hit")]
        for (layer, head), numbers in rows.items():
            assert set(numbers) == set(shown)
            for name in shown:
                assert numbers[name] == pytest.approx(profile.mean(name, by=by)[layer, head], abs=1e-7)


def test_the_selected_head_and_its_texts_have_pythons_numbers(page, tmp_path):
    profile = synthetic(LAYERS, HEADS)
    view = opened(page, tmp_path, profile, heads=[[3, 4]], color_by="sink_share", x=PLAIN, y="gini")
    expect(view.side.get_by_role("heading", level=2)).to_have_text("Layer 3 · Head 4")
    for name in ("sink_share", PLAIN, "gini"):
        wanted = [profile.mean(name)[3, 4], profile.spread(name)[3, 4], profile.level(name)[3]]
        np.testing.assert_allclose([view.said(name)[what] for what in ("mean", "spread", "chance")], wanted, atol=1e-6)
    hits = profile.strongest("sink_share", 3, 4)
    texts = view.side.locator("button[data-text]")
    expect(texts).to_have_count(len(hits))
    for at, hit in enumerate(hits):
        assert texts.nth(at).get_attribute("data-text") == str(hit.text)
        assert exact(texts.nth(at).locator("[data-weight]")) == pytest.approx(hit.value, abs=1e-6)
        expect(texts.nth(at)).to_contain_text(GIVEN[hit.text])
    view.root.get_by_label("mean over").select_option("texts")
    view.wait()
    error = profile.spread(PLAIN, by="texts")[3, 4] / np.sqrt(profile.n_texts - 1)
    assert view.said(PLAIN)["error"] == pytest.approx(error, abs=1e-6)


def test_a_head_is_chosen_in_the_map_with_mouse_and_keys(page, view):
    view.head(2, 3).click()
    expect(view.side.get_by_role("heading", level=2)).to_have_text("Layer 2 · Head 3")
    view.head(0, 1).click(modifiers=["Shift"])
    assert view.selected() == [(0, 1), (2, 3)]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(view.head(1, 2)).to_be_focused()
    value = synthetic(LAYERS, HEADS).mean(PLAIN)[1, 2]
    expect(view.head(1, 2)).to_have_attribute("aria-label", f"Layer 1, head 2: entropy {value:.2f}")
    page.keyboard.press("Enter")
    assert view.selected() == [(1, 2)]
    expect(view.side.get_by_role("heading", level=2)).to_have_text("Layer 1 · Head 2")


def test_the_scatter_is_walked_with_keys(page, view):
    profile = synthetic(LAYERS, HEADS)
    x, y = profile.mean("entropy"), profile.mean("mean_distance")
    by_x = [tuple(place) for place in np.argwhere(np.isfinite(x)).tolist()]
    by_y = sorted(by_x, key=lambda place: y[place])
    by_x.sort(key=lambda place: x[place])
    view.point.focus()
    page.keyboard.press("Home")
    assert view.point.get_attribute("data-at") == "{}.{}".format(*by_x[0])
    page.keyboard.press("ArrowRight")
    place = by_x[1]
    assert view.point.get_attribute("data-at") == "{}.{}".format(*place)
    assert float(view.point.get_attribute("data-x")) == pytest.approx(x[place], abs=1e-6)
    assert float(view.point.get_attribute("data-y")) == pytest.approx(y[place], abs=1e-6)
    expect(view.head(*place)).to_have_class(re.compile("pointed"))
    step = 1 if by_y.index(place) < len(by_y) - 1 else -1
    page.keyboard.press("ArrowUp" if step > 0 else "ArrowDown")
    place = by_y[by_y.index(place) + step]
    assert view.point.get_attribute("data-at") == "{}.{}".format(*place)
    page.keyboard.press("Enter")
    assert view.selected() == [place]
    expect(view.point).to_have_attribute("aria-selected", "true")


def middle(view: View) -> tuple[float, float]:
    box = view.resting_box(view.point)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_point_is_hovered_and_clicked(page, view):
    view.point.focus()
    page.keyboard.press("Home")
    layer, head = map(int, view.point.get_attribute("data-at").split("."))
    at = middle(view)
    view.head(1, 2).click()
    page.mouse.move(*at)
    expect(view.head(layer, head)).to_have_class(re.compile("pointed"))
    expect(view.root.get_by_role("tooltip")).to_contain_text(f"Layer {layer}, head {head}: entropy")
    page.mouse.click(*at)
    assert view.selected() == [(layer, head)]


def test_hovering_the_map_marks_the_row_of_the_table(page, view):
    view.root.get_by_role("tab", name="Table").click()
    view.head(2, 1).hover()
    expect(view.root.locator('tr[data-at="2.1"]')).to_have_class(re.compile("pointed"))
    view.root.locator('tr[data-at="3.3"]').hover()
    expect(view.head(3, 3)).to_have_class(re.compile("pointed"))
    expect(view.head(2, 1)).not_to_have_class(re.compile("pointed"))


def test_dragging_over_the_scatter_selects_what_lies_inside(page, view):
    profile = synthetic(LAYERS, HEADS)
    x, y = profile.mean("entropy"), profile.mean("mean_distance")
    view.point.focus()
    page.keyboard.press("End")
    right = middle(view)
    least = tuple(map(int, view.point.get_attribute("data-at").split(".")))
    box = view.resting_box(view.root.locator(".scatter-plane"))
    page.mouse.move(right[0] - 3, right[1] - 3)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 20, steps=3)
    page.mouse.up()
    inside = {tuple(place) for place in np.argwhere((y > y[least] + 0.02) & (x < x[least] - 0.02)).tolist()}
    found = set(view.selected())
    assert inside
    assert inside <= found
    assert all(y[place] > y[least] - 1e-3 and x[place] < x[least] for place in found)


def test_filters_let_through_what_python_says(page, tmp_path):
    profile = synthetic(LAYERS, HEADS)
    mine = ProfileWidget(profile)
    view = opened(page, tmp_path, profile, show="table")

    def agree() -> None:
        view.wait()
        assert sorted(view.table()) == mine.heads_shown
        of = LAYERS * HEADS
        expect(view.root.locator(".count")).to_have_text(f"{len(mine.heads_shown)} of {of} heads")
        assert 0 < len(mine.heads_shown) < of

    view.root.get_by_label("Show heads by").select_option("sink_share")
    view.root.get_by_label("sink share, from").fill("0.2")
    page.keyboard.press("Enter")
    mine.ranges = {"sink_share": [0.2, None]}
    agree()
    view.root.get_by_label("sink share, to").fill("0.9")
    page.keyboard.press("Enter")
    mine.ranges = {"sink_share": [0.2, 0.9]}
    agree()
    view.root.get_by_label("First layer").fill("1")
    page.keyboard.press("Enter")
    mine.layer_range = [1, 3]
    agree()
    outside = next(place for place in sorted({(0, 0), (0, 1)}) if place not in mine.heads_shown)
    expect(view.head(*outside)).to_have_attribute("aria-label", re.compile("filtered out"))
    view.root.get_by_role("button", name="select these").click()
    assert view.selected() == mine.heads_shown
    view.root.get_by_role("button", name="show all").click()
    mine.ranges, mine.layer_range, mine.role = {}, None, "sink"
    view.root.get_by_label("role", exact=True).select_option("sink")
    agree()


def test_the_table_is_sorted_by_any_column(page, view):
    profile = synthetic(LAYERS, HEADS)
    view.root.get_by_role("tab", name="Table").click()
    view.root.get_by_role("button", name="gini").click()
    values = profile.mean("gini")
    assert list(view.table()) == sorted(view.table(), key=lambda place: -values[place])
    expect(view.root.locator('[data-by="gini"]')).to_have_attribute("aria-sort", "descending")
    view.root.get_by_role("button", name="gini").click()
    assert list(view.table()) == sorted(view.table(), key=lambda place: values[place])
    first = next(iter(view.table()))
    view.root.locator("tbody button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert view.selected() == [first]


def test_colours_by_role_name_the_roles(page, view):
    profile = synthetic(LAYERS, HEADS)
    view.root.get_by_label("Heads coloured by").select_option("role")
    view.wait()
    fires = {tuple(row[:2]) for row in profile.roles().query("fires")[["layer", "head"]].to_numpy().tolist()}
    assert 0 < len(fires) < LAYERS * HEADS
    for layer, head in ((layer, head) for layer in range(LAYERS) for head in range(HEADS)):
        label = view.head(layer, head).get_attribute("aria-label")
        assert ("no clear role" in label) == ((layer, head) not in fires), label


def test_without_a_kernel_it_says_how_a_text_is_opened(view):
    hit = synthetic(LAYERS, HEADS).strongest(PLAIN, 1, 2)[0]
    view.side.locator(f'[data-text="{hit.text}"]').first.click()
    expect(view.side.locator("code")).to_have_text(
        f"ProfileWidget(profile, texts=texts, model=model, tokenizer=tokenizer).open_text({hit.text}, 1, 2)"
    )


@pytest.mark.parametrize(
    ("theme", "show", "width"),
    [("light", "scatter", 1200), ("dark", "table", 1200), ("light", "table", 420), ("dark", "scatter", 420)],
)
def test_axe_finds_nothing(page, tmp_path, axe, theme, show, width):
    page.set_viewport_size({"width": width, "height": 900})
    view = opened(page, tmp_path, theme=theme, show=show, ranges={PLAIN: [0.1, None]}, color_by="role")
    expect(view.root).to_have_attribute("data-theme", theme)
    assert complaints(page, axe) == []
    assert view.root.evaluate("root => root.scrollWidth <= root.clientWidth"), "it is wider than its place"


def test_hostile_names_and_texts_are_only_text(page, tmp_path):
    profile = synthetic(LAYERS, HEADS, model="".join(HOSTILE))
    view = opened(page, tmp_path, profile, texts=[HOSTILE[number % len(HOSTILE)] for number in range(300)])
    expect(view.side.locator("button[data-text]")).to_have_count(5)
    assert page.evaluate("window.hit") is None
    assert page.locator("img, main script, main style").count() == 0


def test_80_layers_of_64_heads(page, tmp_path):
    profile = synthetic(80, 64)
    view = opened(page, tmp_path, profile, heads=[[40, 5]], color_by=PLAIN)
    cell = view.root.get_by_role("grid", name="Heads: rows are layers").get_by_role("gridcell")
    cell.focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    value = profile.mean(PLAIN)[48, 6]
    expect(cell).to_have_attribute("aria-label", f"Layer 48, head 6: entropy {value:.2f}")
    page.keyboard.press("Enter")
    expect(view.side.get_by_role("heading", level=2)).to_have_text("Layer 48 · Head 6")
    assert view.said(PLAIN)["mean"] == pytest.approx(value, abs=1e-6)
    page.keyboard.press("t")
    view.root.get_by_role("button", name="gini").click()
    values = profile.mean("gini")
    rows = view.table()
    assert len(rows) < 80, "rows out of sight were made"
    ranked = [tuple(place) for place in np.dstack(np.unravel_index(np.argsort(-values, axis=None), values.shape))[0]]
    np.testing.assert_allclose([values[place] for place in rows], [values[place] for place in ranked[: len(rows)]])
    view.root.locator("tbody button").first.focus()
    page.keyboard.press("End")
    assert next(reversed(view.table())) == ranked[-1]
    page.keyboard.press("Enter")
    expect(view.side.get_by_role("heading", level=2)).to_have_text("Layer {} · Head {}".format(*ranked[-1]))
