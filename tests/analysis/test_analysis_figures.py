from __future__ import annotations

import sys

import numpy as np
import pytest

from nnspec.analysis import figures as f
from nnspec.analysis.figures.draw import new_figure, pick, png, spread
from nnspec.analysis.solving import survival

POINTS, TARGETS = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
GRID = np.linspace(-0.5, 1.5, 21)


def drawn(figure):
    """The figure rendered, with its texts."""
    assert png(figure, 40).startswith(b"\x89PNG")
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_heat_map_writes_rates_and_intervals(small):
    info = f.heatmap_info(small, "activation.name", "optimizer.lr")
    texts = drawn(f.plot_heatmap(info))
    i = info.row_labels.index("tanh")
    assert f"{100 * info.rate[i, 0]:.0f}%\n{100 * info.low[i, 0]:.0f}-{100 * info.high[i, 0]:.0f}" in texts


def test_verdict_shares_sum_to_one(small):
    info = f.verdicts_info(small, "activation.name")
    assert info.verdicts == ("solved", "local_minimum", "dead_units")
    assert info.shares.sum(axis=1) == pytest.approx(np.ones(5))
    tanh = small[small["activation.name"] == "tanh"]
    assert info.shares[info.labels.index("tanh"), 0] == tanh["solved"].mean()
    assert "dead_units" in drawn(f.plot_verdicts(info))


def test_unknown_verdicts_are_shown_last(outcomes):
    table = outcomes(seed=[0, 1, 2], solved=False, verdict=["odd", None, "saddle"])
    assert f.verdicts_info(table).verdicts == ("saddle", "odd", "unknown")


def test_many_levels_are_thinned_and_counted(sweep):
    table = sweep({"optimizer.lr": [float(i) for i in range(100)]}, 4, lambda lr: lr / 100)
    assert (len(f.verdicts_info(table, "optimizer.lr").labels), f.verdicts_info(table, "optimizer.lr").left_out) == (
        24,
        76,
    )
    info = f.survival_info(table, "optimizer.lr")
    assert len(info.curves) + info.left_out == 100
    assert any("more levels not shown" in text for text in drawn(f.plot_survival(info)))


def test_curves_are_quantiles_of_replicates():
    steps = np.arange(3)
    values = np.arange(1.0, 12.0)[:, None] * [1.0, 0.1, 0.01]
    curve = f.curves_info({"relu": (steps, values)}).curves[0]
    assert curve.median.tolist() == pytest.approx([6, 0.6, 0.06])
    assert curve.low.tolist() == pytest.approx([2, 0.2, 0.02])
    assert curve.high.tolist() == pytest.approx([10, 1, 0.1])
    assert curve.networks == 11


def test_a_diverged_network_raises_its_band_and_does_not_leave_it():
    values = np.array([[1.0, np.nan], [1.0, np.inf], [1.0, 0.1], [1.0, 0.2]])
    info = f.curves_info({"sgd": (np.arange(2), values)})
    assert info.curves[0].median[1] == 0.2
    assert np.isinf(info.curves[0].high[1])
    assert "sgd" in drawn(f.plot_curves(info))


def test_all_diverged_still_draws():
    drawn(f.plot_curves(f.curves_info({"sgd": (np.arange(3), np.full((2, 3), np.nan))})))


def test_a_log_scale_has_whole_powers_of_ten():
    values = np.geomspace(1, 1e-6, 50)[None]
    texts = drawn(f.plot_curves(f.curves_info({"sgd": (np.arange(50), values)})))
    assert {"10⁰", "10⁻²", "10⁻⁶"} <= set(texts)
    assert not any("$" in text for text in texts)


def test_panels_of_a_plane_lie_side_by_side_and_rows_in_their_own():
    """Two networks on other planes: each surface has its own square, with its rows where they are in the plane."""
    wide = f.surface_info(10 * GRID, GRID, np.zeros((21, 21)), np.multiply(POINTS, [10, 1]), TARGETS, "wide")
    narrow = f.surface_info(GRID, GRID, np.zeros((21, 21)), POINTS, TARGETS, "narrow")
    axes = f.plot_surfaces([wide, narrow]).axes[0]
    left, right = (np.array(image.get_extent()).reshape(2, 2) for image in axes.images[:2])
    assert np.ptp(left, axis=1) == pytest.approx(np.ptp(right, axis=1))
    assert left[0, 1] < right[0, 0]
    circles = next(dots for dots in axes.collections if len(dots.get_offsets()) == 4)  # the targets of 1, two each
    for (x, y), (low, high), (row, column) in zip(
        circles.get_offsets(), (left.T, left.T, right.T, right.T), [(0, 1), (1, 0)] * 2, strict=True
    ):
        assert [x, y] == pytest.approx(low + (high - low) * (np.array([row, column]) + 0.5) / 2)


def test_survival_curves_are_those_of_each_level(small):
    info = f.survival_info(small, "activation.name")
    part = small[small["activation.name"] == "gelu"]
    expected = survival(part["solved_at"], part["solved"], part["epochs"])
    curve = info.curves[info.labels.index("gelu")]
    assert curve.unsolved.tolist() == expected.unsolved.tolist()
    assert info.end == 1000
    assert {"relu", "tanh"} <= set(drawn(f.plot_survival(info)))


def test_surface_rings_the_rows_that_are_wrong():
    info = f.surface_info(GRID, GRID, np.full((21, 21), 0.9), POINTS, TARGETS)
    assert info.wrong.tolist() == [True, False, False, True]
    assert (info.low, info.high) == (0, 1)


def test_surface_reads_p_as_rows_of_y():
    """p = x: point (1, 0) is right with target 1, point (0, 1) with target 0."""
    info = f.surface_info(GRID, GRID, np.tile(np.clip(GRID, 0, 1), (21, 1)), [[1, 0], [0, 1]], [1, 0])
    assert not info.wrong.any()


def test_surfaces_share_their_shades():
    both = [{"xs": GRID, "ys": GRID, "p": np.full((21, 21), value), "label": str(value)} for value in (-2.0, 3.0)]
    infos = f.surfaces_info(both)
    assert [(info.low, info.high) for info in infos] == [(-2, 3)] * 2
    assert {"-2.0", "3.0"} <= set(drawn(f.plot_surfaces(infos)))


def test_the_box_of_the_lines_leaves_a_margin():
    assert f.lines_info([[[1.0, 0.0]]], [[0.0]], np.array(POINTS) * [1, 2]).box == pytest.approx(
        (-0.35, 1.35, -0.7, 2.7)
    )


def test_surface_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"p must be \[ny, nx\] = \[3, 21\], but got \[21, 3\]; transpose"):
        f.surface_info(GRID, [0, 1, 2], np.zeros((21, 3)))
    with pytest.raises(ValueError, match="targets must be one a point, but got 1 for 4 points"):
        f.surface_info(GRID, GRID, np.zeros((21, 21)), POINTS, [1])


def test_lines_run_where_the_unit_is_zero():
    start, end = [[1.0, 1.0], [1.0, 0.0]], [[2.0, -2.0], [0.0, 0.0]]
    info = f.lines_info([start, end], [[-1.0, -9.0], [0.0, 1.0]], POINTS, TARGETS)
    for moment, (w, b) in enumerate(((start[0], -1.0), (end[0], 0.0))):
        ends = info.segments[moment, 0]
        assert ends @ w + b == pytest.approx([0, 0])
        assert np.abs(ends - 0.5).max(axis=1) == pytest.approx([0.85, 0.85])
    assert np.isnan(info.segments[0, 1]).all()  # x = 9 misses the box
    assert np.isnan(info.segments[1, 1]).all()  # no weights, no line
    assert info.normals[1].tolist() == pytest.approx(np.array([[0.5**0.5, -(0.5**0.5)], [0, 0]]))
    assert any("1 ending outside" in text for text in drawn(f.plot_lines(info)))


def test_lines_keep_start_and_end_of_many_moments():
    weights = [[[1.0, float(k)]] for k in range(100)]
    info = f.lines_info(weights, [[0.0]] * 100)
    assert len(info.segments) == 6
    assert info.normals[-1, 0] == pytest.approx(np.array([1, 99]) / np.hypot(1, 99))
    assert info.normals[0, 0].tolist() == [1, 0]


def test_lines_refuse_layers_on_other_inputs():
    with pytest.raises(ValueError, match=r"must be \[moments, h, 2\] .*, but got \[2, 1, 3\]"):
        f.lines_info([[[1, 2, 3]]] * 2, [[0]] * 2)


def test_activation_tells_how_flat_it_is():
    x = np.linspace(-1, 1, 101)
    info = f.activation_info(x, np.maximum(x, 0), (x > 0) * 1.0, "relu")
    assert info.flat == pytest.approx(51 / 101)
    assert "relu:\nflat over 50%" in drawn(f.plot_activations([info]))


def test_norms_keep_layers_apart():
    info = f.norms_info([0, 10], {"hidden": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "output": [[9.0, 9.0]]})
    assert [curve.label for curve in info.curves] == ["hidden", "output"]
    assert info.curves[0].median.tolist() == [3, 4]
    assert {"hidden", "output"} <= set(drawn(f.plot_norms([info, info])))


def test_histograms_share_edges_and_leave_out_the_non_finite():
    info = f.histograms_info({"hidden": {"start": [0.0, 1.0], "end": [0.0, np.nan, 3.0, np.inf]}}, bins=3)
    assert info.edges[0].tolist() == [0, 1, 2, 3]
    assert info.shares[0].tolist() == [[0.5, 0.5, 0], [0.5, 0, 0.5]]
    assert "hidden" in drawn(f.plot_histograms(info))


def test_labels_keep_their_distance_order_and_bounds():
    places = np.array([0.99, 1.0, 0.98, 0.2, 0.2])
    moved = spread(places, 0.05)
    assert np.diff(np.sort(moved)).min() >= 0.05 - 1e-12
    assert moved.max() <= 1 + 1e-12
    assert moved[3:].mean() == pytest.approx(0.2)
    assert np.argsort(moved).tolist() == np.argsort(places, kind="stable").tolist()
    assert spread([0.1, 0.5], 0.05).tolist() == [0.1, 0.5]


def test_picked_lines_differ_before_they_repeat():
    scores = [0.0] * 20 + [0.5, 1.0, 0.2]
    chosen = pick(scores, 5)
    assert {20, 21, 22} < set(chosen)
    assert len(chosen) == 5
    assert pick(np.arange(100), 4) == [0, 33, 66, 99]
    assert pick([1, 2], 8) == [0, 1]


def test_labels_with_dollar_signs_are_drawn_as_written(outcomes):
    table = outcomes(a=["$\\frac{1$", "b$x$"], seed=0, solved=[True, False], cell=[0, 1])
    assert "$\\frac{1$".replace("$", r"\$") in drawn(f.plot_verdicts(f.verdicts_info(table, "a")))


def test_equal_figures_are_equal_bytes_and_pyplot_stays_out(small):
    one, two = (png(f.plot_verdicts(f.verdicts_info(small, "activation.name")), 40) for _ in range(2))
    assert one == two
    assert "matplotlib.pyplot" not in sys.modules


def test_a_picture_is_what_matplotlib_would_save(small):
    """Laid out once and not by a drawing of its own, a figure must come out the same to the last pixel."""
    import io

    import matplotlib.image

    def picture():
        return f.plot_verdicts(f.verdicts_info(small, "activation.name"))

    plain = io.BytesIO()
    picture().savefig(plain, format="png", dpi=90)
    ours = matplotlib.image.imread(io.BytesIO(png(picture(), 90)))
    plain.seek(0)
    np.testing.assert_array_equal(ours, matplotlib.image.imread(plain))


def test_a_heat_map_says_what_it_pools_over(small):
    table = small.assign(**{"train.epochs": np.arange(len(small)) % 2})
    axes = ["activation.name", "optimizer.lr", "train.epochs"]
    pooled = f.plot_heatmap(f.heatmap_info(table, *axes[:2], axes=axes))
    said = {" ".join(text.split()) for text in drawn(pooled)}  # in lines that fit the figure
    assert "Share solved, by activation and optimizer.lr pooled over train.epochs (2 values)" in said
    whole = f.plot_heatmap(f.heatmap_info(table, *axes[:2], axes=axes[:2]))
    assert not any("pooled" in text for text in drawn(whole))


def test_a_notebook_can_show_a_figure_that_pyplot_knows_nothing_of() -> None:
    figure = new_figure()
    figure.subplots()
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
