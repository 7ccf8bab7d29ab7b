"""The report of networks that are modules: what needs a forward pass only is drawn, and what is left out is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nnspec.catalog import MODELS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.diagnostics import NEED_LAYERS
from nnspec.params import Integer, Param
from nnspec.report.collected.collecting import Collector
from nnspec.report.pages.run import run_report, table_of
from nnspec.report.pages.sweep import sweep_report
from nnspec.report.reporting import material_of
from nnspec.report.run_reporting import gradient_norms, histograms, lines_over_time, surfaces_over_time
from nnspec.report.showing import modules_of
from nnspec.results.events import TrainedCell
from nnspec.specs import RunSpec

Cells = Callable[[Sequence[RunSpec]], list[TrainedCell]]


class TwoPaths(nn.Module):
    """Two linear paths, multiplied."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(inputs, width), nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.a(x) * self.b(x))
        return out


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    MODELS.add(
        Model("two_paths_shown", "", lambda p: (), None, (Param("width", 4, Integer(1)), OUTPUT), module=TwoPaths)
    )
    yield
    MODELS.remove("two_paths_shown")


@pytest.fixture(scope="module")
def cell(trained_cells: Cells, spec_of: Callable[..., RunSpec], registered: None) -> TrainedCell:
    return trained_cells([spec_of(model="two_paths_shown", train={"epochs": 20}, dtype="float64")])[0]


def test_the_surface_is_what_the_module_says(cell: TrainedCell) -> None:
    shown = surfaces_over_time(cell)[-1]
    module = TwoPaths(2, 1, 4).double()
    module.load_state_dict({name: torch.from_numpy(tensor[0]) for name, tensor in cell.result.final.items()})
    xs, ys = np.asarray(shown["xs"]), np.asarray(shown["ys"])
    plane = torch.from_numpy(np.stack(np.meshgrid(xs, ys), -1))
    outputs = torch.sigmoid(module(plane))[..., 0].detach().numpy()
    np.testing.assert_allclose(np.asarray(shown["p"]), outputs, rtol=0, atol=1e-12)


def test_weight_norms_are_by_layer(cell: TrainedCell) -> None:
    assert list(cell.result.weight_norm) == ["a", "b", "out"]
    for name, norm in cell.result.weight_norm.items():
        last = np.linalg.norm(cell.result.final[f"{name}.weight"][0])
        np.testing.assert_allclose(norm[0, -1], last, rtol=1e-12)


def test_what_needs_layers_is_left_out_and_said(cell: TrainedCell) -> None:
    assert lines_over_time(cell) == []
    assert gradient_norms(cell.result) == histograms(cell.result) == {}
    collector = Collector([cell.spec], [])
    collector.add(cell)
    reports = [
        run_report(cell.result, surfaces_over_time(cell), modules=modules_of([cell.spec])),
        sweep_report(material_of(collector, table_of(cell.result))),
    ]
    for report in reports:
        (said,) = [section.text for section in report.sections if section.title == "Inside the networks"]
        assert all(verdict in said for verdict in ("two_paths_shown", *NEED_LAYERS))
        assert any(section.title == "Decision surfaces" for section in report.sections)


def test_of_known_layers_nothing_is_said(spec_of: Callable[..., RunSpec]) -> None:
    assert modules_of([spec_of(), spec_of(model="two_paths_shown")]) == ["two_paths_shown"]
