"""The cells of a sweep one by one: what the page's script is given, and that nothing in it is markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from nnspec.report.collected.samples import NO_ANSWER, Plane, Samples
from nnspec.report.collected.sampling import Sampler
from nnspec.report.material import Material
from nnspec.report.pages.cells import cell_table, cells_data, packed
from nnspec.report.pages.sweep import sweep_report
from nnspec.results.table import outcome_rows, sweep_table
from nnspec.tracking.cell_records import kept_rows

AXES = ["activation.name", "init.name"]
KINDS = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32, "i1": np.int8, "f4": np.float32}


def unpacked(array):
    return np.frombuffer(base64.b64decode(array["data"]), KINDS[array["type"]])


@pytest.fixture(scope="module")
def specs(spec_of):
    return [
        spec_of(activation=a, init=i, replicates=5, train={"epochs": 200})
        for a, i in product(("relu", "tanh"), ("kaiming_uniform", "zeros"))
    ]


@pytest.fixture(scope="module")
def cells(specs, trained_cells):
    return trained_cells(specs)


def sampled(specs, cells, **limits):
    sampler = Sampler(specs, **limits)
    for cell in cells:
        sampler.add(cell)
    return sampler.samples()


def material(specs, cells, samples):
    table = sweep_table(specs, {cell.index: outcome_rows(cell.result) for cell in cells})
    return Material(table, AXES, samples=samples)


def page_of(material):
    files = sweep_report(material).files()
    page = files["report.html"].decode()
    return page, json.loads(re.search(r'<script type="application/json" class="cells">(.*?)</script>', page)[1]), files


def test_numbers_come_back_from_their_bytes():
    for values, kind in (([0, 255], "u1"), ([256], "u2"), ([65536, 4294967295], "u4"), ([], "u1")):
        found = packed(values)
        assert (found["type"], unpacked(found).tolist()) == (kind, values)
    assert unpacked(packed([0.1, 1e300, np.inf, np.nan], "f4")).tolist()[1:3] == [np.inf, np.inf]


def test_the_script_has_the_rows_of_the_table(specs, cells):
    given = material(specs, cells, None)
    table = cell_table(given.table, AXES)
    data = cells_data(given, table)
    columns = {column["name"]: column for column in data["columns"]}
    for name, column in (("cell", "cell"), ("networks", "networks"), ("solved", "rate"), ("final loss", "final_loss")):
        assert unpacked(columns[name]).tolist() == pytest.approx(table[column].tolist(), rel=1e-6)
    for name, axis in (("activation", AXES[0]), ("init", AXES[1])):
        assert [columns[name]["levels"][code] for code in unpacked(columns[name])] == table[axis].tolist()
    counts = {verdict["name"]: unpacked(verdict).tolist() for verdict in data["verdicts"]}
    for number, cell in enumerate(cells):
        said = cell.result.verdict.tolist()
        assert said.count(table["verdict"][number]) == max(map(said.count, said))
        assert {name: each[number] for name, each in counts.items()} == {name: said.count(name) for name in counts}
    assert data["samples"] is None


def test_seeds_that_are_an_axis_are_a_column(spec_of, trained_cells):
    specs = [spec_of(activation=a, seed=s, train={"epochs": 20}) for a in ("relu", "tanh") for s in (7, 3)]
    given = replace(material(specs, trained_cells(specs), None), axes=AXES[:1])
    table = cell_table(given.table, AXES[:1])
    assert table["seed"].tolist() == [7, 3, 7, 3]
    names = [column["name"] for column in cells_data(given, table)["columns"]]
    assert names == ["cell", "activation", "seed", "solved", "final loss", "updates to solve"]
    page, _, files = page_of(given)
    assert len(pd.read_csv(io.BytesIO(files["pooled.csv"]))) == 2
    assert page.index(">Cells pooled over seeds</h2>") < page.index(">All cells</h2>")


def test_curves_and_surfaces_are_those_of_the_networks(specs, cells):
    samples = sampled(specs, cells)
    data = cells_data(material(specs, cells, samples), cell_table(material(specs, cells, samples).table, AXES))[
        "samples"
    ]
    losses = unpacked(data["loss"]).reshape(-1, data["points"])
    rasters = unpacked(data["raster"]).reshape(-1, data["side"], data["side"])
    assert unpacked(data["row"]).tolist() == [i for i in range(4) for _ in range(5)]
    (steps,), (plane,) = data["clocks"], data["planes"]
    for i, (cell, row) in enumerate(product(cells, range(5))):
        wanted = cell.result.loss[row, np.searchsorted(cell.result.steps, steps)]
        found = data["low"] * (data["high"] / data["low"]) ** (losses[i] / 253)
        step = np.log(data["high"] / data["low"]) / 253  # of the bytes, on a log scale
        assert np.abs(np.log(found) - np.log(np.maximum(wanted, data["low"]))).max() < step
        assert unpacked(data["seed"])[i] == cell.result.seeds[row]
        assert data["verdicts"][unpacked(data["verdict"])[i]] == cell.result.verdict[row]
        x0, x1, y0, y1 = plane["box"]
        for (x, y, target), output in zip(plane["rows"], cell.result.outputs[row, :, 0], strict=True):
            at = [round((v - a) / (b - a) * (data["side"] - 1)) for v, a, b in ((y, y0, y1), (x, x0, x1))]
            near = rasters[i][max(0, at[0] - 1) : at[0] + 2, max(0, at[1] - 1) : at[1] + 2].astype(float) / 254
            assert near.min() - 0.02 <= output <= near.max() + 0.02, (x, y, target)


def test_what_is_kept_depends_on_the_place_alone(specs, cells):
    there = sampled(specs, cells, most=3)
    assert there.cells == [0, 2, 3]
    assert there.cell.tolist() == [0, 2, 3]  # one network each
    for seed in range(3):
        back = sampled(specs, random.Random(seed).sample(cells, len(cells)), most=3)
        for name in ("cell", "seed", "verdict", "clock", "loss", "plane", "raster"):
            assert (getattr(back, name) == getattr(there, name)).all()


def test_samples_of_some_cells_take_the_numbers_of_the_table(specs, cells):
    there = sampled(specs[:2], cells[:2])
    moved = there.renumbered([9, 4])
    assert moved.cell.tolist() == [4] * 5 + [9] * 5
    assert (moved.loss[5:] == there.loss[:5]).all()
    assert (moved.raster[:5] == there.raster[5:]).all()


def test_networks_that_are_not_on_a_plane_or_diverged_have_no_surface(spec_of, trained_cells):
    specs = [spec_of(data="parity", train={"epochs": 20}), spec_of(train={"epochs": 20})]
    cells = trained_cells(specs)
    broken = {name: tensor * np.nan for name, tensor in cells[1].result.final.items()}
    nothing = cells[1].result.loss * np.nan
    cells[1] = replace(cells[1], result=replace(cells[1].result, final=broken, loss=nothing))
    samples = sampled(specs, cells)
    assert samples.plane.tolist() == [-1, 0]
    assert (samples.raster[1] == NO_ANSWER).all()
    given = material(specs, cells, samples)
    found = cells_data(given, cell_table(given.table, []))["samples"]
    losses = unpacked(found["loss"]).reshape(2, -1)
    assert (losses[1] == 254).all()
    assert (losses[0] < 254).all()


@pytest.mark.parametrize(("count", "most"), [(5, 40), (101, 40), (100_001, 40), (1000, 120)])
def test_places_are_even_on_a_log_axis(count, most):
    at = kept_rows(count, most)
    assert (at[0], at[-1]) == (0, count - 1)
    assert min(count, most) * 0.9 <= len(at) <= most
    assert (np.diff(at) > 0).all()
    assert (np.diff(np.diff(at)) >= -np.ceil(at[2:] * 0.05)).all()  # apart ever further, but for rounding


def many(cells):
    """A table of ``cells`` single networks, with samples of each that no network would make: bytes at random."""
    seeds = cells // 20
    levels = product("abcde", "uvwx", range(seeds))
    table = pd.DataFrame(levels, columns=[*AXES, "seed"]).assign(cell=range(cells), final_loss=0.5, final_accuracy=0.75)
    table = table.assign(solved=table["seed"] % 2 == 0, solved_at=9, epochs=1000)
    table["verdict"] = np.where(table["solved"], "solved", "dead_units")
    kept, rng = min(cells, 10_000), np.random.default_rng(0)
    numbers = np.unique(np.round(np.linspace(0, cells - 1, kept)).astype(int))
    points = rng.random((200, 2))
    plane = Plane((0, 1, 0, 1), 2, 0.0, 1.0, points, (points[:, 0] > 0.5) * 1.0)
    samples = Samples(
        cell=numbers,
        seed=numbers % seeds,
        solved=rng.random(kept) < 0.5,
        verdict=np.array(["solved", "dead_units"])[rng.integers(0, 2, kept)],
        clock=np.zeros(kept, int),
        loss=rng.random((kept, 40)).astype(np.float32),
        plane=np.zeros(kept, int),
        raster=rng.integers(0, 255, (kept, 11, 11)).astype(np.uint8),
        clocks=[np.arange(40) * 10],
        planes=[plane] * 8,
        cells=numbers.tolist() if kept < cells else None,
    )
    return Material(table, AXES, samples=samples)


def test_ten_thousand_cells_take_less_than_five_megabytes():
    cells = 20_000
    page, data, files = page_of(many(cells))
    assert len(page.encode()) < 5_000_000
    numbers = unpacked(data["columns"][0])
    assert (len(numbers), numbers[-1]) == (10_000, cells - 1)
    assert len(unpacked(data["samples"]["raster"])) == 10_000 * 121
    assert "10000 of 20000 cells, evenly chosen; cells.csv has all." in page
    assert len(pd.read_csv(io.BytesIO(files["cells.csv"]))) == cells


EVIL = "</script><!--<script>alert(1)</script>'\"&\u2028\U0001f600\u202e"


def test_names_are_text_whatever_they_are(specs, cells):
    samples = sampled(specs, cells)
    samples = replace(samples, verdict=np.array([EVIL] * len(samples.verdict)))
    given = material(specs, cells, samples)
    table = given.table.rename(columns={AXES[0]: f"data.{EVIL}"}).assign(verdict=EVIL)
    table[f"data.{EVIL}"] = table[f"data.{EVIL}"] + EVIL
    page, data, _ = page_of(replace(given, table=table, axes=[f"data.{EVIL}", AXES[1]], title=EVIL, command=EVIL))
    assert page.count("<script") == page.count("</script>") == 2
    assert "<!--" not in page
    assert data["columns"][1]["name"] == f"data.{EVIL}"
    assert all("alert(1)" in level for level in data["columns"][1]["levels"])
    assert data["samples"]["verdicts"] == [EVIL]


def test_the_page_is_whole_without_its_script(specs, cells):
    page, _, _ = page_of(material(specs, cells, sampled(specs, cells)))
    part = page.partition(">All cells</h2>")[2].partition("</section>")[0]
    assert part.count("<tr>") == 5
    assert part.index('<div class="still"><div class="wide"') < part.index("<table>")
    assert '<div class="explorer" hidden></div>' in part


def test_the_policy_lets_only_the_pages_script_run(specs, cells):
    page, _, _ = page_of(material(specs, cells, None))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    code = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith(f"; script-src 'sha256-{digest}'")
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|innerHTML|outerHTML|insertAdjacentHTML|eval)\b", code)
    assert not re.search(r"\b(localStorage|sessionStorage|cookie|alert|location)\b", code)
