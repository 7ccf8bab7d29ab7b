"""The report of what is filed, written and logged."""

from __future__ import annotations

import base64
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import AnalysisError
from nnspec.cli import main
from nnspec.cli.filed import opened
from nnspec.problem import Problem
from nnspec.readback import read_cell
from nnspec.reference import forward, loss_of
from nnspec.report.run_reporting import figures, gradient_norms, histograms, lines_over_time, surfaces_over_time

SWEEP_PICTURES = {"heatmap", "loss", "surfaces", "lines", "activations"} | {
    f"{kind}_{axis}" for kind in ("verdicts", "survival") for axis in ("activation", "init")
}


class Reported(NamedTuple):
    """A store in which ``nnspec report`` has written the page of its first sweep: the sweep's run before that, what
    the command said, and the folder with the page."""

    filed: Any
    before: Any
    said: str
    folder: Path


@pytest.fixture(scope="module")
def reported(filed_in, tmp_path_factory):
    made = filed_in(tmp_path_factory.mktemp("reported"))
    folder = tmp_path_factory.mktemp("page")
    with opened(made.uri) as store:
        before = store.get(made.sweep.parent)
    with redirect_stdout(io.StringIO()) as said:
        assert main(["report", made.sweep.parent, "--uri", made.uri, "--out", str(folder)]) == 0
    return Reported(made, before, said.getvalue(), folder)


def test_the_report_of_a_sweep(reported):
    assert {path.stem for path in reported.folder.glob("*.png")} == SWEEP_PICTURES
    page = (reported.folder / "report.html").read_text()
    assert "24 networks in 4 cells over activation (2), init (2)" in page
    assert "python run.py -m epochs=60" in page
    run_id = reported.filed.sweep.parent
    with opened(reported.filed.uri) as store:
        assert store.artifact(run_id, "report/report.html").decode() == page
        assert store.artifact(run_id, "report/heatmap.png").startswith(b"\x89PNG")
        assert store.get(run_id) == reported.before  # status and times are those of the sweep
    assert "9 pictures and cells.csv" in reported.said


def test_the_report_of_a_single_run(reported, nnspec, tmp_path, monkeypatch):
    opened_pages = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened_pages.append(url) or True)
    words = ("report", "last", "--uri", reported.filed.uri, "--out", str(tmp_path / "out"), "--open")
    assert nnspec(*words)[0] == 0
    expected = {"verdicts", "survival", "loss", "norms", "surfaces", "lines", "histograms", "activations"}
    expected |= {"confusion_training"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == expected
    assert opened_pages == [(tmp_path / "out" / "report.html").as_uri()]


def test_open_without_a_browser_says_where_the_page_is(reported, nnspec, tmp_path, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    status, _, err = nnspec("report", "last", "--uri", reported.filed.uri, "--out", str(tmp_path / "out"), "--open")
    assert status == 2
    assert f"--open needs a browser, but none was found; open {tmp_path}/out/report.html yourself" in err


def test_a_folder_that_cannot_be_made(filed, nnspec):
    status, _, err = nnspec("report", "last", "--uri", filed.uri, "--out", "/proc/nosuch")
    assert status == 2
    assert "--out must be a folder that can be written, but got '/proc/nosuch'" in err


@pytest.fixture(scope="module")
def single(filed):
    with opened(filed.uri) as store:
        return read_cell(store, filed.single)


@pytest.fixture(scope="module")
def outputs(single):
    """[r, n] what the networks' final weights give for the rows, by the slow reference."""
    problem = Problem.of(single.spec)
    weights = [{name: w[r].astype(float) for name, w in single.result.final.items()} for r in range(4)]
    return np.stack([forward(problem, one)[-1].h[:, 0] for one in weights])


def test_surfaces_over_time_end_with_the_networks_outputs(single, outputs):
    surfaces = surfaces_over_time(single)
    assert [s["label"].rpartition(" ")[2] for s in surfaces if s["label"].startswith(surfaces[0]["label"][:6])] == [
        "0",
        "10",
        "20",
        "30",
        "40",
    ]
    last = [s for s in surfaces if s["label"].endswith("epoch 40")]
    for shown in last:
        seed = int(shown["label"].split("seed ")[1].split(",")[0])
        at = [(np.abs(shown["ys"] - y).argmin(), np.abs(shown["xs"] - x).argmin()) for x, y in shown["points"]]
        assert [shown["p"][i] for i in at] == pytest.approx(outputs[seed].tolist(), abs=1e-12)


def test_lines_over_time_end_where_the_networks_units_are_zero(single):
    for lines in lines_over_time(single):
        assert len(lines.segments) == 5  # moments, with the untrained weights
        seed = int(lines.label.rpartition(" ")[2])
        assert lines.label.startswith("solved" if single.result.solved[seed] else "failed")
        weight, bias = (single.result.final[f"0.{part}"][seed].astype(float) for part in ("weight", "bias"))
        units = np.flatnonzero(~np.isnan(lines.segments[-1]).any(axis=(1, 2)))
        assert len(units)
        for unit in units:
            assert lines.segments[-1][unit] @ weight[unit] + bias[unit] == pytest.approx([0, 0], abs=1e-9)


def test_gradient_norms_against_finite_differences(single):
    """Of the last layer's weights, in the middle of training."""
    import dataclasses

    norms = gradient_norms(single.result)
    assert {name: values.shape for name, values in norms.items()} == {"0": (4, 5), "2": (4, 5)}
    problem = Problem.of(single.spec)
    weights = {name: tensor[2].astype(float) for name, tensor in single.result.snapshots[20].items()}

    def loss(changed):
        return loss_of(problem, forward(problem, changed)[-1])

    squares = 0.0
    for index in np.ndindex(weights["2.weight"].shape):
        step = np.zeros_like(weights["2.weight"])
        step[index] = 1e-6
        squares += (
            (
                loss({**weights, "2.weight": weights["2.weight"] + step})
                - loss({**weights, "2.weight": weights["2.weight"] - step})
            )
            / 2e-6
        ) ** 2
    assert norms["2"][2, 2] == pytest.approx(np.sqrt(squares), rel=1e-5)
    fewer = dataclasses.replace(single.result, snapshots={})
    assert gradient_norms(fewer)["2"].tolist() == norms["2"][:, [0, -1]].tolist()


def test_histograms_have_a_start_and_an_end(single, outputs):
    found = histograms(single.result)
    assert {layer: {moment: len(values) for moment, values in moments.items()} for layer, moments in found.items()} == {
        "1": {"start": 64, "end": 64},  # 4 replicates, 4 rows, 4 units
        "3": {"start": 16, "end": 16},
    }
    assert found["3"]["end"] == pytest.approx(outputs.ravel())


@pytest.mark.parametrize("which", ["sweep", "single"])
def test_figures_for_a_paper(filed, nnspec, tmp_path, which):
    run_id = filed.sweep.parent if which == "sweep" else filed.single
    out = tmp_path / "figures"
    words = ("--figures", "svg", "--width", "single", "--out", str(out))
    status, said, _ = nnspec("report", run_id, "--uri", filed.uri, *words)
    assert status == 0
    assert [str(path) for path in sorted(out.iterdir())] == sorted(said.splitlines())
    names = {path.stem for path in out.glob("*.svg")}
    if which == "sweep":
        assert names == SWEEP_PICTURES
    else:
        assert names > {"verdicts", "loss", "surfaces", "confusion_training"}
    assert 'width="234pt"' in (out / "loss.svg").read_text()  # 3.25 inches


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--width", "single"), "--width must go with figures, but got no --figures; add --figures pdf"),
        (("--figures", "pdf", "--open"), "--open must go with a page, but got --figures, which makes none"),
        (("--figures", "eps"), "invalid choice: 'eps'"),
    ],
)
def test_flags_of_figures_that_would_change_nothing(filed, nnspec, tmp_path, words, says):
    status, _, err = nnspec("report", "last", "--uri", filed.uri, "--out", str(tmp_path / "out"), *words)
    assert status == 2
    assert says in err
    assert not (tmp_path / "out").exists()


def test_the_report_has_all_cells(reported):
    cells = pd.read_csv(reported.folder / "cells.csv")
    assert cells[["activation.name", "init.name"]].drop_duplicates().shape == (4, 2)
    rates = reported.filed.sweep.table().groupby(["activation.name", "init.name"])["solved"].mean()
    assert cells.set_index(["activation.name", "init.name"])["rate"].to_dict() == rates.to_dict()
    page = (reported.folder / "report.html").read_text()
    assert page.partition(">All cells</h2>")[2].partition("</section>")[0].count("<tr>") == 5
    assert "Pooled over init (2 values)." in page


@pytest.mark.parametrize(("format", "column"), [("eps", "single"), ("pdf", "triple")])
def test_figures_from_python_have_known_formats_and_columns(filed, format, column):
    with opened(filed.uri) as store, pytest.raises(AnalysisError, match=r"must be a known (format|column), but got"):
        figures(store, filed.single, format, column)


@pytest.mark.slow
def test_figures_do_not_replace_the_pictures_of_the_page(reported, nnspec, folder):
    words = ("report", reported.filed.single, "--uri", reported.filed.uri)
    nnspec(*words)
    (page,) = folder.glob("nnspec-report/*/loss.png")
    before = page.read_bytes()
    said = nnspec(*words, "--figures", "png")[1]
    assert str(page.parent.relative_to(folder) / "figures" / "loss.png") in said.splitlines()
    assert page.read_bytes() == before


def test_the_page_of_a_filed_sweep_shows_each_cells_own_networks(reported):
    page = (reported.folder / "report.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" class="cells">(.*?)</script>', page)[1])
    samples = {
        name: np.frombuffer(base64.b64decode(data["samples"][name]["data"]), np.uint8) for name in ("row", "verdict")
    }
    table = reported.filed.sweep.table()
    for number in range(4):
        said = [data["samples"]["verdicts"][code] for code in samples["verdict"][samples["row"] == number]]
        assert said == table[table["cell"] == number]["verdict"].tolist()
