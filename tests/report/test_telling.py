"""What the terminal and the pictures tell of data with many rows, several classes, numbers to be learnt, and a split of
each network's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnspec.analysis.figures.draw import png
from nnspec.analysis.figures.fit import plot_fit
from nnspec.diagnostics import Group, diagnose, estimate_notes
from nnspec.errors import SpecError
from nnspec.execute.judge import judge
from nnspec.problem import Problem
from nnspec.report.collected.collecting import Collector
from nnspec.report.console import single_result
from nnspec.report.pages.networks import surfaces_section
from nnspec.report.pages.run import typical
from nnspec.report.run_reporting import lines_over_time, surfaces_over_time
from nnspec.report.showing import fit, plane_data, surfaces
from nnspec.results.arrays import Results
from nnspec.results.events import TrainedCell
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share

SpecOf = Callable[..., RunSpec]
BLOBS = {"name": "blobs", "rows": 30, "test_fraction": 0.3}
WIDE = {"name": "digits", "test_fraction": 0.5}
SINE = {"name": "sine", "rows": 20}
NUMBERS = {"model": {"name": "mlp", "hidden": [3], "output": "identity"}, "loss": "mse"}


def trained(spec: RunSpec) -> Results:
    *_, last = train_chunk([spec], Chunk((Share(0, 0, spec.replicates),)))
    assert isinstance(last, Results)
    return last


def told(spec: RunSpec) -> list[str]:
    result = trained(spec)
    judged = judge([spec], Chunk((Share(0, 0, spec.replicates),)), result)
    whole = Results(**{**vars(result), "spec": spec, "verdict": judged.verdict, "numbers": judged.numbers})
    return single_result(TrainedCell(0, whole)).splitlines()


def test_few_rows_are_told_one_by_one(spec_of: SpecOf) -> None:
    lines = told(spec_of(train={"epochs": 2}, solved={"tolerance": 0.9}))
    assert lines[0].split() == ["inputs", "target", "output"]
    assert not any(line.startswith(("accuracy", "  on test", f"{'':12}estimated")) for line in lines)


@pytest.mark.parametrize("tolerance", [0.4, 0.45])
def test_an_accuracy_of_0_says_why(tolerance: float, spec_of: SpecOf) -> None:
    """Weights of 0 give outputs of 0.5, which would be half right, were they rounded."""
    said = told(spec_of(init="zeros", train={"epochs": 2}, solved={"tolerance": tolerance}, replicates=2))
    assert f"accuracy    0: no output is within {tolerance} of its target (outputs are not rounded)" in said


def test_an_accuracy_that_is_not_0_or_no_number_says_nothing(spec_of: SpecOf) -> None:
    broken = spec_of(
        optimizer={"name": "sgd", "lr": 1e30},
        loss="mse",
        train={"epochs": 50},
        model={"name": "mlp", "output": "identity"},
    )
    for spec in (spec_of(init="zeros", train={"epochs": 2}, solved={"tolerance": 0.6}), broken):
        assert not any("rounded" in line for line in told(spec))


def test_many_rows_are_told_by_how_many_are_right(spec_of: SpecOf) -> None:
    lines = told(spec_of(data=WIDE, loss="cross_entropy", train={"epochs": 2}, replicates=2))
    heads = [line[:12].rstrip() for line in lines]
    assert heads[:8] == ["final loss", "  on test", "accuracy", "  on test", "solved", "verdict", "", "why"]
    assert "estimated at this size: " in lines[6]
    assert "local_minimum" in lines[6]


def test_what_is_estimated_is_said_once_for_all_cells(spec_of: SpecOf) -> None:
    small, large = spec_of(), spec_of(data=WIDE, loss="cross_entropy")
    assert estimate_notes([small]) == []
    assert estimate_notes([large, small, large]) == estimate_notes([large]) != []


def test_each_network_is_judged_on_its_own_split(spec_of: SpecOf) -> None:
    data = {**BLOBS, "split": "per_network"}
    spec = spec_of(data=data, loss="cross_entropy", train={"epochs": 3}, replicates=3, seed=7)
    result = trained(spec)
    judged = judge([spec], Chunk((Share(0, 0, 3),)), result)
    differ = []
    for row in range(3):
        part = result.select(network=slice(row, row + 1))
        problem = Problem.of(spec, 7 + row)
        ends = (part.steps, part.loss, part.solved, part.nonfinite_at)
        alone = diagnose(Group(spec, part.initial, part.final, *ends, problem=problem))
        assert judged.verdict[row] == alone.verdict[0]
        for name, values in alone.numbers.items():
            np.testing.assert_array_equal(judged.numbers[name][row], values[0], err_msg=name)
        shared = diagnose(Group(spec, part.initial, part.final, *ends))
        differ += [values[0] != shared.numbers[name][0] for name, values in alone.numbers.items()]
    assert any(differ)  # the splits differ, and so does what they say


def test_three_classes_over_the_plane(spec_of: SpecOf) -> None:
    spec = spec_of(data={"name": "blobs", "rows": 30}, loss="cross_entropy", train={"epochs": 60})
    points, targets = plane_data(spec)
    assert sorted(set(targets)) == [0, 1, 2]
    result = trained(spec)
    (found,) = surfaces(spec, [{name: w[0] for name, w in result.final.items()}], ["one"])
    assert found["classes"] == 3
    assert set(np.unique(found["p"])) <= {0, 1, 2}
    assert found["wrong"].sum() == round(30 * (1 - float(result.final_accuracy[0])))
    assert np.array_equal(found["points"], points)


def test_each_network_over_the_plane_has_its_own_rows(spec_of: SpecOf) -> None:
    """Whichever of several networks is shown, its rows are those of its own split, in a sweep's report and a run's."""
    data = {"name": "moons", "rows": 30, "test_fraction": 0.3, "split": "per_network"}
    spec = spec_of(data=data, train={"epochs": 40}, replicates=4, seed=7)
    result = trained(spec)
    result.right[:, -1] = [False, False, True, True]
    cell = TrainedCell(0, result)
    collector = Collector([spec], [])
    collector.add(cell)
    wanted = [typical(result, done) for done in (True, False)]
    assert wanted[0] in (2, 3)
    own = [Problem.of(spec, 7 + row).inputs for row in wanted if row is not None]
    drawn = [surfaces(one.spec, one.moments[-1:], [one.label])[0] for one in collector.shown()]
    over_time = surfaces_over_time(cell)
    lines = lines_over_time(cell)
    for number, inputs in enumerate(own):
        for shown in (drawn[number]["points"], over_time[2 * number]["points"], lines[number].points):
            np.testing.assert_array_equal(shown, inputs)
    np.testing.assert_array_equal(drawn[0]["xs"], drawn[1]["xs"])  # the plane is that of all rows
    assert "that the network in question was trained on" in surfaces_section(drawn, 0.4).text
    assert "that the network in question was trained on" not in surfaces_section(drawn[:1], 0.4).text
    for shown, row in zip(drawn, wanted, strict=True):
        assert shown["wrong"].mean() == pytest.approx(1 - float(result.final_accuracy[row]))


def test_a_curve_of_networks_with_their_own_parts_shows_all_rows(spec_of: SpecOf) -> None:
    spec = spec_of(data={**SINE, "test_fraction": 0.2, "split": "per_network"}, **NUMBERS, train={"epochs": 2})
    found = fit(spec, trained(spec).final)
    assert found is not None
    assert len(found.test[0]) == 0
    whole = Problem.of(spec_of(data=SINE, **NUMBERS))
    order = np.argsort(found.training[0])
    np.testing.assert_allclose(found.training[0][order], np.sort(whole.inputs[:, 0]), rtol=1e-12)


def test_numbers_over_the_plane_are_themselves(spec_of: SpecOf, tmp_path) -> None:
    path = tmp_path / "plane.csv"
    rows = [(x, y, x - 3 * y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    path.write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    spec = spec_of(data={"name": "csv", "path": str(path), "target": "c"}, **NUMBERS)
    assert plane_data(spec)[1].tolist() == [c for _, _, c in rows]


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_an_output_that_cannot_reach_the_numbers_is_refused(spec_of: SpecOf, loss: str) -> None:
    with pytest.raises(SpecError) as error:
        spec_of(data=SINE, loss=loss)
    rule = "model.output must reach targets of -0.9966 to 0.9966, but got 'sigmoid' of 0 to 1"
    assert str(error.value) == f"{rule}; try model.output=identity"


def test_an_output_that_reaches_the_numbers_is_none_of_the_rules(spec_of: SpecOf) -> None:
    for output, data in (("identity", SINE), ("tanh", SINE), ("sigmoid", {"name": "abs"})):
        spec_of(data=data, loss="mse", model={"name": "mlp", "hidden": [3], "output": output})


def test_standardised_numbers_are_reached_or_not(spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match=r"must reach targets of -1\.4.* but got 'tanh' of -1 to 1"):
        spec_of(data={**SINE, "standardize": True}, **{**NUMBERS, "model": {"name": "mlp", "output": "tanh"}})


def test_a_perceptron_is_told_its_own_remedy(spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match=r"^activation\.name must reach .*; try activation=identity$"):
        spec_of(data=SINE, loss="mse", model="perceptron", activation="sigmoid")


def test_a_curve_is_drawn_of_one_input(spec_of: SpecOf) -> None:
    spec = spec_of(data={**SINE, "test_fraction": 0.2}, **NUMBERS, train={"epochs": 5}, replicates=3)
    result = trained(spec)
    found = fit(spec, result.final)
    assert found is not None
    problem = Problem.of(spec)
    np.testing.assert_array_equal(found.training[0], problem.inputs[:, 0])
    np.testing.assert_array_equal(found.test[1], problem.test_targets[:, 0])
    row = int(np.argmin(problem.inputs))  # the first place is the smallest input
    said = np.sort(result.outputs[:, row, 0])
    # outputs are of float32 networks, the curve is of the same weights in float64
    np.testing.assert_allclose([found.low[0], found.median[0], found.high[0]], said, rtol=1e-5, atol=1e-6)
    assert png(plot_fit(found)).startswith(b"\x89PNG")


def test_no_curve_is_drawn_of_classes_or_of_two_inputs(spec_of: SpecOf) -> None:
    spec = spec_of()
    assert fit(spec, trained(spec).final) is None
