"""Figures hold the numbers they are said to hold, and leave everything around them alone."""

import io
import subprocess
import sys

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from attnscope import AttnscopeError, analysis, from_attentions, from_queries_keys, plot

HOSTILE = ["<script>alert(1)</script>", "$x^2$", "\\frac{a}", "a$", "_b_^", "\n", " ", "\u202eabc", "%#&~{}", "x" * 90]
rng = np.random.default_rng(0)


def maps(*shape, seed=0, spread=1.0):
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], spread), size=shape[:-1]).astype("f4")


def capture_of(layers=2, heads=3, n=5, seed=0, tokens=None):
    return from_attentions(list(maps(layers, heads, n, n, seed=seed)), tokens or [*"abcdefghijklmnop"[:n]])


def causal(n=6, layers=1, heads=2):
    q, k = rng.normal(size=(2, layers, heads, n, 4)).astype("f4")
    return from_queries_keys(list(q), list(k), [f"t{i}" for i in range(n)], causal=True)


def image_of(figure, ax=None):
    axes = ax or figure.axes[0]
    return next(made for made in (*axes.images, *axes.collections) if made.get_array() is not None)


def texts_of(labels):
    return [label.get_text() for label in labels]


def test_a_heat_map_holds_the_weights_and_hides_what_is_masked():
    c = causal()
    figure = plot.heatmap(c, 0, 1)
    shown = image_of(figure).get_array()
    np.testing.assert_array_equal(shown.mask, ~np.tri(6, dtype=bool))
    np.testing.assert_allclose(shown.filled(0), c.weights(0, 1), atol=1e-7)
    ax = figure.axes[0]
    assert texts_of(ax.get_xticklabels()) == texts_of(ax.get_yticklabels()) == c.tokens
    written = {tuple(map(int, text.get_position())): text.get_text() for text in ax.texts}
    assert len(written) == 21
    assert written[2, 4] == f"{c.weights(0, 1)[4, 2]:.2f}"
    assert image_of(figure).get_clim()[1] == pytest.approx(c.weights(0, 1).max())
    assert ax.get_title() == "layer 0, head 1"


def test_a_heat_map_of_some_tokens_and_of_the_mean_over_heads():
    c = capture_of()
    figure = plot.heatmap(c, 1, queries=[3, 0], keys=slice(1, 4), values=False, vmax=0.5)
    np.testing.assert_allclose(image_of(figure).get_array(), c.weights(1).mean(0)[[3, 0], 1:4], atol=1e-6)
    ax = figure.axes[0]
    assert texts_of(ax.get_yticklabels()) == ["d", "a"]
    assert texts_of(ax.get_xticklabels()) == ["b", "c", "d"]
    assert image_of(figure).get_clim() == (0, 0.5)
    assert not ax.texts
    for wrong in ({"queries": [9]}, {"keys": slice(5, 5)}, {"keys": "a"}):
        with pytest.raises(AttnscopeError, match=r"(queries|keys)( is|=)"):
            plot.heatmap(c, 1, **wrong)


def test_a_long_text_is_drawn_as_an_overview(monkeypatch):
    monkeypatch.setattr(sys.modules["attnscope.plot.heatmap"], "MOST_CELLS", 8)
    c = causal(20)
    figure = plot.heatmap(c, 0, 0)
    np.testing.assert_allclose(image_of(figure).get_array().filled(0), c.overview(0, 0, 8), atol=1e-7)
    assert image_of(figure).get_array().mask[0, 1:].all()
    assert "largest of 3 × 3 tokens" in figure.axes[0].get_title()
    with pytest.raises(AttnscopeError, match="too many to draw"):
        plot.heatmap(c, 0)


def test_a_difference_is_signed_and_symmetric():
    a, b = capture_of(), capture_of(seed=1)
    found = analysis.compare(a, b)
    figure = plot.difference(found, 1, 2)
    np.testing.assert_allclose(image_of(figure).get_array(), b.weights(1, 2) - a.weights(1, 2), atol=1e-6)
    low, high = image_of(figure).get_clim()
    assert low == -high == pytest.approx(-np.abs(b.weights(1, 2) - a.weights(1, 2)).max(), abs=1e-6)
    assert "-0.00" not in texts_of(figure.axes[0].texts)


def test_a_grid_holds_every_head_at_its_place():
    c = from_attentions([maps(3, 4, 4), None, maps(2, 4, 4, seed=1)], [*"abcd"])
    figure = plot.head_grid(c)
    sheet = image_of(figure).get_array()
    assert sheet.shape == (4 * 2 + 1, 4 * 3 + 2)
    np.testing.assert_allclose(sheet[:4, 5:9], c.weights(0, 1), atol=1e-7)
    np.testing.assert_allclose(sheet[5:, :4], c.weights(2, 0), atol=1e-7)
    assert sheet.mask[5:, 10:].all()  # the last layer has no third head
    assert sheet.mask[4].all()
    assert sheet.mask[:, 4].all()
    assert texts_of(figure.axes[0].get_yticklabels()) == ["0", "2"]
    some = plot.head_grid(c, layers=[2], heads=[1])
    np.testing.assert_allclose(image_of(some).get_array(), c.weights(2, 1), atol=1e-7)
    for wrong in ({"layers": [1]}, {"heads": [3]}):
        with pytest.raises(AttnscopeError):
            plot.head_grid(c, **wrong)


def test_a_grid_can_be_coloured_by_a_statistic():
    c = from_attentions([maps(3, 4, 4), None, maps(2, 4, 4, seed=1)], [*"abcd"])
    figure = plot.head_grid(c, statistic="previous_token")
    expected = analysis.previous_token(c)
    np.testing.assert_array_equal(image_of(figure).get_array().filled(np.nan), expected)
    assert np.isnan(expected[1, 2])
    assert image_of(figure).get_clim() == (0, 1)
    assert figure.axes[0].get_title() == "weight on the token before"
    assert texts_of(figure.axes[0].get_yticklabels()) == ["0", "2"]
    distance = image_of(plot.head_grid(c, statistic="mean_distance", layers=[2], heads=[1]))
    np.testing.assert_array_equal(distance.get_array(), analysis.mean_distance(c)[1:, 1:2])
    assert distance.get_clim() == (0, pytest.approx(analysis.mean_distance(c)[1, 1]))
    low, high = image_of(plot.head_grid(causal(), statistic="mean_offset")).get_clim()
    assert low == -high < 0
    with pytest.raises(AttnscopeError, match="no statistic 'entropie'"):
        plot.head_grid(c, statistic="entropie")


def test_many_heads_are_one_image():
    c = from_attentions([maps(64, 6, 6)] * 80, [*"abcdef"])
    figure = plot.head_grid(c)
    assert len(figure.axes[0].images) == 1
    assert image_of(figure).get_array().size < 1 << 22


def test_an_alignment_rings_its_links():
    weights = 0.9 * np.eye(4)[[0, 2, 1, 3]] + 0.025
    c = from_attentions(
        [weights[None].astype("f4")],
        ["<s>", "le", "chat", "noir"],
        key_tokens=["the", "black", "cat", "</s>"],
        kind="cross",
    )
    found = analysis.alignment(c, 0, 0)
    for figure in (plot.alignment(found, gold={(1, 1)}), plot.alignment(c, gold={(1, 1)}, layer=0, head=0)):
        ax = figure.axes[0]
        np.testing.assert_allclose(image_of(figure).get_array(), found.weights, atol=1e-7)
        rings = {part.get_label(): part.get_offsets().tolist() for part in ax.collections}
        assert sorted(map(tuple, rings["strongest"])) == sorted((i, j) for i, j in found.links)
        assert rings["known link"] == [[1, 1]]
        assert texts_of(ax.get_xticklabels()) == ["the", "black", "cat"]
        assert texts_of(ax.get_yticklabels()) == ["le", "chat", "noir"]


def test_possible_links_are_drawn_apart_from_sure_ones():
    c = from_attentions([maps(1, 3, 3)], ["le", "chat", "noir"], key_tokens=["the", "black", "cat"], kind="cross")
    figure = plot.alignment(c, gold=analysis.parse_links("0-0 2p1"))
    marks = {part.get_label(): part.get_offsets().tolist() for part in figure.axes[0].collections}
    assert marks["known link"] == [[0, 0]]
    assert marks["possible link"] == [[2, 1]]


def test_entropy_has_a_dot_per_head_and_the_layers_means():
    c = from_attentions([maps(3, 4, 4), maps(2, 4, 4, seed=1)], [*"abcd"])
    ax = plot.entropy(c).axes[0]
    values = analysis.entropy(c)
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], values[~np.isnan(values)], atol=1e-6)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [values[0].mean(), values[1, :2].mean()], atol=1e-6)


def lines_of(figure):
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in figure.axes[0].lines}


def test_evolution_over_layers():
    c = capture_of(layers=4)
    found = analysis.layer_evolution(c, 1, "b")
    lines = lines_of(plot.evolution(found, top=2))
    strongest = np.argsort(-found.weights.max(axis=0))[:2]
    assert list(lines) == [f"{c.tokens[key]} ({key})" for key in strongest]
    np.testing.assert_array_equal(
        lines[f"{c.tokens[strongest[0]]} ({strongest[0]})"][1], found.weights[:, strongest[0]]
    )
    (line,) = plot.evolution(found, statistic="mean_distance").axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), found.statistics["mean_distance"])
    (line,) = plot.evolution(analysis.layer_evolution(c), statistic="change").axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), analysis.layer_evolution(c).change)
    with pytest.raises(AttnscopeError, match="no statistic 'entropie'"):
        plot.evolution(found, statistic="entropie")
    with pytest.raises(AttnscopeError, match="1 to 8"):
        plot.evolution(found, top=9)


def test_evolution_over_checkpoints():
    run = [from_attentions(list(maps(2, 2, 5, 5, seed=at, spread=s)), [*"abcde"]) for at, s in enumerate((5, 1, 0.2))]
    frame = analysis.checkpoint_evolution(run, [0, 100, 1000])
    figure = plot.evolution(frame, top=2)
    named = {name: line for name, line in lines_of(figure).items() if name.startswith("layer")}
    assert len(figure.axes[0].lines) == 4
    assert len(named) == 2
    for name, (x, y) in named.items():
        layer, head = (int(word.rstrip(",")) for word in name.split()[1::2])
        assert x.tolist() == [0, 100, 1000]
        mine = frame[(frame["layer"] == layer) & (frame["head"] == head)]
        np.testing.assert_allclose(y, mine["entropy"])
    text = plot.evolution(analysis.checkpoint_evolution(run, ["$a$", "b", "c"])).axes[0]
    assert texts_of(text.get_xticklabels()) == ["$a$", "b", "c"]
    for wrong in ([], "table", [{"layer": 0}]):
        with pytest.raises(AttnscopeError, match="neither"):
            plot.evolution(wrong)


def test_temperature_and_scaling_hold_their_tables():
    sweep = analysis.temperature_sweep(capture_of(), 0, 1, "c", [0.1, 1, 10])
    lines = lines_of(plot.temperature(sweep, top=2))
    best = int(sweep.weights[1].argmax())
    np.testing.assert_array_equal(lines[f"{'abcde'[best]} ({best})"][1], sweep.weights[:, best])
    np.testing.assert_array_equal(lines["normalised entropy"][1], sweep.entropy)
    table = analysis.scaling_effect([2, 32], n_queries=50)
    lines = lines_of(plot.scaling(table))
    plain = table[~table["scaled"]]
    np.testing.assert_array_equal(lines["normalised entropy, q·k"][1], plain["entropy"])
    np.testing.assert_array_equal(lines["largest weight, q·k / √width"][1], table[table["scaled"]]["max_weight"])


def every_figure():
    c, other = capture_of(n=10, tokens=HOSTILE), capture_of(n=10, seed=1, tokens=HOSTILE)
    cross = from_attentions([maps(2, 10, 10)], HOSTILE, key_tokens=HOSTILE, kind="cross")
    return {
        "heatmap": lambda ax: plot.heatmap(c, 0, 0, ax=ax),
        "difference": lambda ax: plot.difference(analysis.compare(c, other), 0, 0, ax=ax),
        "head_grid": lambda ax: plot.head_grid(c, ax=ax),
        "alignment": lambda ax: plot.alignment(cross, gold=[(0, 0)], ax=ax),
        "entropy": lambda ax: plot.entropy(c, ax=ax),
        "evolution": lambda ax: plot.evolution(analysis.layer_evolution(c, query=1), ax=ax),
        "temperature": lambda ax: plot.temperature(analysis.temperature_sweep(c, 0, 0, 1), top=8, ax=ax),
        "scaling": lambda ax: plot.scaling(ax=ax),
    }


@pytest.mark.parametrize("name", plot.__all__)
@pytest.mark.filterwarnings("error")
def test_every_figure_draws_hostile_tokens_as_text_into_any_axes(name):
    before = dict(mpl.rcParams)
    outer = Figure(layout="constrained")
    axes = outer.subplots(1, 2)
    assert every_figure()[name](axes[1]) is outer
    assert not axes[0].has_data()
    assert axes[1].has_data()
    nested = outer.subfigures(1, 2)[0].subplots()
    assert every_figure()[name](nested) is outer
    figure = every_figure()[name](None)
    for ending in ("png", "svg", "pdf"):
        held = io.BytesIO()
        figure.savefig(held, format=ending)
        assert held.getvalue()
        assert b"<script" not in held.getvalue()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", plot.__all__)
def test_figures_are_dark_on_white_in_any_style(name):
    with mpl.style.context("dark_background"):
        before = dict(mpl.rcParams)
        figure = every_figure()[name](None)
        given = Figure().subplots()
        every_figure()[name](given)
        assert dict(mpl.rcParams) == before
    assert figure.get_facecolor() == figure.axes[0].get_facecolor() == (1, 1, 1, 1)
    held = io.BytesIO()
    figure.savefig(held)
    inside = [text for text in figure.axes[0].texts if text.get_text()]  # numbers in cells go by the cell's colour
    for text in figure.findobj(Text):
        if text.get_text() and text not in inside:
            assert max(mpl.colors.to_rgb(text.get_color())) < 0.5, text
    assert given.get_facecolor() == (0, 0, 0, 1)
    assert mpl.colors.to_rgb(given.xaxis.label.get_color()) == (1, 1, 1)


@pytest.mark.parametrize("name", ["heatmap", "difference", "alignment", "evolution", "temperature"])
def test_tokens_are_never_read_as_mathematics(name):
    figure = every_figure()[name](None)
    holding = [text for text in figure.findobj(Text) if any(sign in text.get_text() for sign in "$\\_{")]
    assert len(holding) >= 2
    for text in holding:
        assert not text.get_parse_math()
        assert not text.get_usetex()
        assert "\n" not in text.get_text()
        assert len(text.get_text()) < 80


def test_pyplot_is_not_touched_and_matplotlib_is_asked_for_late():
    program = """
import sys, numpy as np, attnscope
assert "matplotlib" not in sys.modules
c = attnscope.from_attentions([np.full((1, 2, 2), 0.5)], ["a", "b"])
from attnscope import *
assert "matplotlib" not in sys.modules
attnscope.plot.heatmap(c, 0, 0)._repr_png_()
assert "matplotlib.pyplot" not in sys.modules
assert "plot" in dir(attnscope)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_matplotlib_the_error_says_what_to_install():
    program = """
import sys
sys.modules["matplotlib"] = None
import attnscope
try:
    attnscope.plot
except attnscope.AttnscopeError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "attnscope[plot]"' in done.stdout


def svg_of(figure):
    written = io.BytesIO()
    figure.savefig(written, format="svg")
    return written.getvalue().decode()


def test_figures_for_papers_have_no_raster_parts():
    """Up to 128 × 128 cells, colour scales included."""
    c, other = capture_of(n=12), capture_of(n=12, seed=1)
    cross = from_attentions(list(maps(1, 1, 3, 4)), [*"abc"], key_tokens=[*"efgh"], kind="cross")
    figures = [
        plot.heatmap(c, 0, 1),
        plot.heatmap(causal(20), 0, 0),
        plot.difference(analysis.compare(c, other), 0, 1),
        plot.head_grid(c),
        plot.head_grid(c, statistic="entropy"),
        plot.alignment(cross, layer=0, head=0),
    ]
    for figure in figures:
        assert "<image" not in svg_of(figure)
    assert len(svg_of(plot.heatmap(capture_of(layers=1, heads=1, n=128, tokens=["t"] * 128), 0, 0))) < 8_000_000


def test_large_heat_maps_are_images_in_small_files():
    drawn = svg_of(plot.heatmap(capture_of(layers=1, heads=1, n=129, tokens=["t"] * 129), 0, 0))
    assert "<image" in drawn
    assert len(drawn) < 1_000_000
