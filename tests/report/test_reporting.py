"""What a sweep's report is made of, how it is drawn, and that it never costs the sweep its results."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nnspec import runner
from nnspec.report.activations import activation_curves
from nnspec.report.collected import collecting
from nnspec.report.collected.collecting import Collector, plan
from nnspec.report.drawing import (
    Drawer,
    Material,
    ReportError,
    draw,
    pictures_ahead,
    started,
)
from nnspec.report.notebook import result_html
from nnspec.report.pages.run import typical
from nnspec.report.reporting import material_of, pictured
from nnspec.report.showing import Shown, surfaces, unit_lines
from nnspec.report.stepping import MOST_CELLS, MOST_STEPS, snapshot_images
from nnspec.results.table import outcome_rows, sweep_table
from nnspec.settings import Settings, Sweep, Tracking
from nnspec.sweep import Cell
from nnspec.tracking import open_store

AXES = ["activation.name", "init.name"]


@pytest.fixture(scope="module")
def specs(spec_of):
    return [
        spec_of(activation=a, init=i, replicates=10, train={"epochs": 60})
        for a in ("relu", "tanh")
        for i in ("kaiming_uniform", "zeros")
    ]


@pytest.fixture(scope="module")
def cells(specs, trained_cells):
    return trained_cells(specs)


def collected(specs, cells, axes=AXES, **limits):
    collector = Collector(specs, axes, **limits)
    for cell in cells:
        collector.add(cell)
    return collector


@pytest.fixture(scope="module")
def table(specs, cells):
    return sweep_table(specs, {cell.index: outcome_rows(cell.result) for cell in cells})


@pytest.fixture(scope="module")
def material(specs, cells, table):
    return material_of(collected(specs, cells), table, command="python run.py -m <x>", spec="a: b\n", title="T")


@pytest.fixture(scope="module")
def drawn(material):
    """The report with nothing drawn ahead."""
    return draw(material)


def test_curves_are_the_losses_of_each_level(specs, cells):
    curves = collected(specs, cells).curves()
    assert list(curves) == ["relu", "tanh"]
    steps, loss = curves["tanh"]
    assert steps.tolist() == cells[2].result.steps.tolist()
    assert (loss == np.concatenate([cells[2].result.loss, cells[3].result.loss])).all()


def test_shown_networks_are_the_typical_ones_of_each_cell(specs, cells):
    # as many candidates as there are networks: then the choice is the exact median
    shown = collected(specs, cells, most_candidates=10).shown()
    expected = []
    for cell, label in zip(
        cells, ("relu, kaiming_uniform", "relu, zeros", "tanh, kaiming_uniform", "tanh, zeros"), strict=True
    ):
        for word, done in (("solved", True), ("failed", False)):
            row = typical(cell.result, done)
            if row is not None:
                expected.append((f"{label}: {word}", cell, row))
    for one, (label, cell, row) in zip(shown, expected, strict=True):
        assert one.label.startswith(label)
        seed = int(one.label.rpartition(" ")[2])
        assert cell.result.final_loss[seed] == cell.result.final_loss[row]  # networks that start at zero are equal
        assert (one.moments[0]["0.weight"] == cell.result.initial["0.weight"][seed]).all()
        assert (one.moments[-1]["0.weight"] == cell.result.final["0.weight"][seed]).all()


@pytest.mark.parametrize("axes", [AXES, AXES[:1]])
def test_the_order_of_arrival_changes_nothing(specs, cells, axes):
    few = 3  # fewer than the networks of a group, which with one axis has two cells
    there = collected(specs, cells, axes, most_candidates=few)
    for seed in range(5):
        back = collected(specs, random.Random(seed).sample(cells, len(cells)), axes, most_candidates=few)
        assert [one.label for one in back.shown()] == [one.label for one in there.shown()]
        for label, (_, loss) in there.curves().items():
            assert (back.curves()[label][1] == loss).all()


def test_memory_is_bounded_whatever_the_number_of_cells(spec_of, cells):
    """2000 cells of 10 networks each, over an axis of 100 levels: what is kept is a few hundred networks."""
    rates = [0.001 * (k + 1) for k in range(100)]
    lrs = {rate: spec_of(optimizer={"name": "adam", "lr": rate}, replicates=10, train={"epochs": 60}) for rate in rates}
    many = [replace(lrs[rate], seed=10 * s) for rate in rates for s in range(20)]
    collector = Collector(many, ["optimizer.lr"], most_curves=50)
    for index, spec in enumerate(many):
        cell = cells[index % 4]
        collector.add(replace(cell, index=index, result=replace(cell.result, spec=spec)))
    assert len(collector.curves()) == collecting.LEVELS
    assert {len(loss) for _, loss in collector.curves().values()} == {50}
    assert len(collector.shown()) == 2 * collecting.GROUPS
    assert max(collector.kept().values()) <= collecting.CANDIDATES


def test_levels_of_several_lengths_show_the_longest(spec_of):
    specs = [spec_of(activation=a, train={"epochs": e}) for a in ("relu", "tanh", "gelu") for e in (20, 50)]
    found = plan(specs, ["activation.name", "train.epochs"])
    assert list(found.bands) == ["relu, 50 updates", "tanh, 50 updates", "gelu, 50 updates"]
    assert sorted(found.band) == [1, 3, 5]


@pytest.mark.parametrize("loss", ["bce", "mse", "cross_entropy", "hinge", "huber"])
def test_surfaces_are_the_networks_outputs(spec_of, trained_cells, loss):
    """Class 1 of cross-entropy, and -1 to 1 of the hinge as 0 to 1."""
    (cell,) = trained_cells([spec_of(loss=loss, train={"epochs": 30}, dtype="float64")])
    weights = {name: tensor[0] for name, tensor in cell.result.final.items()}
    (found,) = surfaces(cell.spec, [weights], [""])
    outputs = cell.result.outputs[0, :, -1]
    wanted = (outputs + 1) / 2 if loss == "hinge" else outputs
    at = [(np.abs(found["ys"] - y).argmin(), np.abs(found["xs"] - x).argmin()) for x, y in found["points"]]
    assert [found["p"][i] for i in at] == pytest.approx(wanted.tolist(), abs=1e-12)
    assert found["targets"].tolist() == [0, 1, 1, 0]


def test_lines_are_where_a_hidden_unit_is_zero(cells):
    weights = {name: tensor[0].astype(float) for name, tensor in cells[0].result.final.items()}
    lines = unit_lines(Shown("", cells[0].spec, [weights, weights]))
    seen = lines.segments[-1][~np.isnan(lines.segments[-1]).any(axis=(1, 2))]
    units = np.flatnonzero(~np.isnan(lines.segments[-1]).any(axis=(1, 2)))
    assert len(units)
    for unit, ends in zip(units, seen, strict=True):
        assert ends @ weights["0.weight"][unit] + weights["0.bias"][unit] == pytest.approx([0, 0], abs=1e-9)


def test_a_perceptron_has_no_lines(spec_of, trained_cells):
    (cell,) = trained_cells([spec_of(model="perceptron", train={"epochs": 5})])
    assert unit_lines(Shown("", cell.spec, [{name: tensor[0] for name, tensor in cell.result.final.items()}])) is None


def test_every_activation_has_a_curve(spec_of):
    from nnspec.catalog import ACTIVATIONS

    names = [entry.name for entry in ACTIVATIONS if entry.trainable]
    curves = activation_curves([spec_of(activation=name, init="lecun_normal") for name in names], 99)
    assert [curve.name for curve in curves] == names
    assert all(np.isfinite(curve.value).all() and len(curve.derivative) == len(curve.x) for curve in curves)


def test_the_report_of_collected_cells(drawn):
    page = drawn["report.html"].decode()
    assert {"loss.png", "surfaces.png", "lines.png", "activations.png", "heatmap.png"} < set(drawn)
    assert "python run.py -m &lt;x&gt;" in page
    assert "40 networks in 4 cells" in page


def sweep_of(specs, folder, **kept):
    settings = Settings(tracking=Tracking(uri=f"sqlite:///{folder}/mlflow.db"), sweep=Sweep(**kept))
    cells = [Cell(spec, (("activation", spec.activation.name), ("init", spec.init.name))) for spec in specs]
    return runner.run(cells, settings, ("activation", "init"), True, "the command", quiet=True), open_store(
        settings.tracking
    )


def artifacts(store, run_id, path="report/report.html"):
    try:
        return store.artifact(run_id, path)
    except Exception:
        return None


def test_a_sweep_files_its_report(specs, tmp_path):
    outcome, store = sweep_of(specs, tmp_path)
    assert b"the command" in artifacts(store, outcome.parent)
    assert artifacts(store, outcome.parent, "report/surfaces.png").startswith(b"\x89PNG")
    assert outcome.seconds["report"] > 0
    assert outcome.exit_status == 0


def test_a_sweep_without_report_draws_none(specs, tmp_path, monkeypatch):
    monkeypatch.setattr("nnspec.journal.parent.SweepReport", None)
    outcome, store = sweep_of(specs, tmp_path, report=False)
    assert artifacts(store, outcome.parent) is None
    assert "report" not in outcome.seconds


@pytest.mark.parametrize(
    "where", ["nnspec.report.reporting.pictured", "nnspec.report.drawing.draw", "nnspec.report.drawing.prepare"]
)
def test_a_failed_report_is_told_in_a_line_and_costs_nothing(specs, tmp_path, monkeypatch, capsys, where):
    def broken(*_, **__):
        raise ValueError("no ink\nleft")

    monkeypatch.setattr(where, broken)
    outcome, store = sweep_of(specs, tmp_path)
    said = capsys.readouterr().err
    assert re.search(r"nnspec: the sweep has no report: .*; make it later with: nnspec report last\n", said)
    assert ("no ink left" in said) == ("prepare" not in where)
    assert store.get(outcome.parent).status == "FINISHED"
    assert len(store.find_children(outcome.parent)) == 4
    assert artifacts(store, outcome.parent) is None
    assert artifacts(store, outcome.parent, "results.parquet")


def nothing():
    pass


def test_a_drawer_that_dies_is_a_reason():
    drawer = Drawer(lambda material, pictures: os._exit(7), nothing)
    drawer.draw(1)
    with pytest.raises(ReportError, match=r"its process died \(status 7\)"):
        drawer.result()


def test_a_drawer_that_hangs_is_stopped():
    drawer = Drawer(lambda material, pictures: time.sleep(60), nothing)
    drawer.draw(1)
    with pytest.raises(ReportError, match=r"it was not drawn within 0.2 s"):
        drawer.result(0.2)
    assert not drawer.process.is_alive()


def test_a_drawer_ends_with_its_parent():
    """Its pipe closes: it must not wait for ever, as it would if it held the other end itself."""
    drawer = Drawer(lambda material, pictures: {}, nothing)
    drawer.pipe.close()
    drawer.process.join(20)
    assert drawer.process.exitcode == 0


def test_a_drawer_started_beforehand_is_used_and_ends_whatever_happens(specs, tmp_path, monkeypatch):
    settings = Settings(tracking=Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"))
    with started() as drawer:
        monkeypatch.setattr("nnspec.report.reporting.drawer_of", None)  # a second one would be an error, which is said
        outcome = runner.run([Cell(spec) for spec in specs], settings, ("activation",), True, quiet=True, drawer=drawer)
    assert artifacts(open_store(settings.tracking), outcome.parent)
    assert not drawer.process.is_alive()
    with pytest.raises(RuntimeError, match="the store is down"), started() as drawer:
        raise RuntimeError("the store is down")
    assert not drawer.process.is_alive()


def test_no_drawer_is_started_where_none_is_wanted_or_can_be(monkeypatch):
    def no_more(*_):
        raise OSError("Resource temporarily unavailable")

    with started(wanted=False) as drawer:
        assert drawer is None
    monkeypatch.setattr("nnspec.report.drawing.Drawer", no_more)
    with started() as drawer:
        assert drawer is None


def test_a_sweeps_drawer_is_there_before_torch_is_imported(tmp_path):
    """In a process of its own, as this one has torch, which ends where a drawer would begin."""
    code = """
import os, sys
import nnspec.report.drawing as drawing
from nnspec.cli import main
def watched(*parts):
    os._exit(3 if "torch" in sys.modules else 4)
drawing.Drawer = watched
main(["run", "-m", "activation=relu,gelu", "train.epochs=2"])
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=120).returncode == 4


def test_material_crosses_a_process(material):
    import pickle

    assert isinstance(pickle.loads(pickle.dumps(material)), Material)


@pytest.fixture(scope="module")
def stepped(spec_of, trained_cells):
    return trained_cells([spec_of(train={"epochs": 40, "snapshot_every": 2})])[0]


def test_images_are_named_as_mlflow_names_them(stepped):
    files = snapshot_images(stepped, 123)
    names = [
        re.fullmatch(r"images/surface\+step\+(\d+)\+timestamp\+123\+([0-9a-f-]{36})(\+compressed)?\.png", name)
        for name in files
    ]
    assert all(names)
    steps = sorted(int(name[1]) for name in names if not name[3])
    assert steps == sorted(int(name[1]) for name in names if name[3])
    assert (len(steps), steps[0], steps[-1]) == (MOST_STEPS, 0, 40)
    assert all(content.startswith(b"\x89PNG") for content in files.values())
    assert len(set(files.values())) > MOST_STEPS / 2  # pictures of different moments


def test_few_cells_have_images(stepped, cells, spec_of, trained_cells):
    assert snapshot_images(replace(stepped, index=MOST_CELLS), 1) == {}
    assert snapshot_images(cells[0], 1) == {}  # no snapshots
    (wide,) = trained_cells([spec_of(data="parity", train={"epochs": 4, "snapshot_every": 2})])
    assert snapshot_images(wide, 1) == {}  # three inputs


def test_a_notebook_shows_rates_and_a_figure(cells):
    outcomes = {cell.index: outcome_rows(cell.result) for cell in cells}
    table = sweep_table([cell.result.spec for cell in cells], outcomes)
    axes = ["activation.name", "init.name"]
    html = result_html(table, axes, len(cells), None, axes)
    assert html.count("<tr>") == 5
    assert html.count("<img") == html.count("data:image/png;base64,") == 1
    assert "40 networks in 4 cells" in html
    assert 'alt="Solve rates by activation.name and init.name"' in html


def test_a_notebook_shows_the_loss_of_a_single_spec(cells):
    result = cells[0].result
    html = result_html(sweep_table([result.spec], {0: outcome_rows(result)}), [], 1, result, [])
    assert 'alt="Loss over updates"' in html
    assert html.count("<tr>") == 2


def test_activations_are_drawn_before_the_rest_is_known(specs, material, drawn):
    """Their picture is that of the specs that the drawer was started for: here fewer than those of the report."""
    from nnspec.report.pages.networks import activations_section
    from nnspec.report.pages.page import pictures_of

    ahead = activation_curves(specs[:1], 9)
    with started(specs=specs[:1]) as drawer:
        drawer.draw(material)
        files, _ = drawer.result()
    assert files["activations.png"] == pictures_of([activations_section(ahead)])["activations"]
    assert files["activations.png"] != drawn["activations.png"]
    assert files["heatmap.png"] == drawn["heatmap.png"]


def test_a_report_is_whole_though_the_second_process_dies(material, drawn, monkeypatch):
    from nnspec.report.pages import page

    first, png = os.getpid(), page.png
    monkeypatch.setattr(page, "png", lambda figure: png(figure) if os.getpid() == first else os._exit(1))
    assert draw(material) == drawn


def test_the_second_process_ends_though_the_first_cannot_draw(material, monkeypatch):
    from nnspec.report.pages import page

    first, png = os.getpid(), page.png

    def faulty(figure):
        if os.getpid() == first:
            raise RuntimeError("no room")
        return png(figure)

    monkeypatch.setattr(page, "png", faulty)
    with pytest.raises(RuntimeError, match="no room"):
        draw(material)
    assert not multiprocessing.active_children()


def test_what_is_drawn_ahead_are_the_pictures_of_the_page(material):
    from nnspec.report.pages.sweep import sweep_pictures, sweep_report

    for columns in (AXES, []):
        shown = replace(material, axes=columns)
        ahead = {section.name: section.alt for section in sweep_pictures(shown)}
        page = {section.name: section.alt for section in sweep_report(shown).sections if section.plot is not None}
        assert ahead == page


def test_pictures_are_drawn_before_the_words_are_known(specs, cells, table, material, drawn):
    """Those that were sent ahead are taken, here those of one activation; what could not be drawn ahead is drawn with
    the rest."""
    few = pictured(collected(specs, cells), table[table["activation.name"] == "relu"])
    with started() as drawer:
        drawer.draw_ahead(partial(pictures_ahead, few))
        drawer.draw_ahead(partial(pictures_ahead, None))  # which fails
        drawer.draw(material)
        files, _ = drawer.result()
    ahead = draw(few)
    assert files["verdicts_init.png"] == ahead["verdicts_init.png"] != drawn["verdicts_init.png"]
    assert "heatmap.png" not in ahead
    assert files["heatmap.png"] == drawn["heatmap.png"]
