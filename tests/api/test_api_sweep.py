"""``nnspec.sweep``: what ``run.py -m`` trains, as data frames and figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import nnspec
from nnspec.cli import main
from nnspec.errors import NnspecError, SpecError
from nnspec.intervals import wilson_interval

SHORT = ["train.epochs=3", "replicates=2"]


def test_a_sweep_is_that_of_the_command_line(swept, folder: Path) -> None:
    words = ["activation=relu,tanh", "init=kaiming_uniform,zeros", "replicates=12", "train.epochs=60", "seed=4"]
    assert main(["run", "-m", *words, "train.workers=1", "sweep.report=false"]) == 0
    pd.testing.assert_frame_equal(nnspec.table("last"), swept.result.table)


def test_rates_are_counted_by_axis(swept) -> None:
    table, rates = swept.result.table, swept.result.rates("activation")
    assert rates["activation.name"].tolist() == ["relu", "tanh"]
    for _, row in rates.iterrows():
        own = table[table["activation.name"] == row["activation.name"]]
        assert (row["networks"], row["solved"]) == (len(own), own["solved"].sum())
    assert len(swept.result.rates()) == 4
    cell = swept.result.rates().iloc[0]
    limits = [float(limit) for limit in wilson_interval(int(cell["solved"]), 12)]
    assert [cell["low"], cell["high"]] == pytest.approx(limits)
    assert len(swept.result.rates(())) == 1


def test_levels_are_compared(swept) -> None:
    pairs = swept.result.compare("init")
    assert (pairs["a"][0], pairs["b"][0], pairs["networks_a"][0]) == ("kaiming_uniform", "zeros", 24)
    assert pairs["difference"][0] == pytest.approx(swept.result.rates("init")["rate"].diff().iloc[1] * -1)


def test_figures(swept) -> None:
    assert swept.result.figure().axes[0].get_title("left") == "Share solved, by activation and init"
    one = swept.result.figure("init")
    assert [label.get_text().split(" ")[0] for label in one.axes[0].get_yticklabels()] == ["kaiming_uniform", "zeros"]
    with pytest.raises(NnspecError, match=r"one or two axes, but got 3: activation\.name, init\.name, seed"):
        swept.result.figure(["activation", "init", "seed"])


def test_a_notebook_shows_one_table_and_one_figure(swept) -> None:
    html = swept.result._repr_html_()
    assert html.count("<table") == html.count('src="data:image/png;base64,') == 1
    assert "48 networks in 4 cells" in html


def test_what_is_filed_is_named(swept) -> None:
    assert len(swept.result.run_ids) == len(swept.result.specs) == 4
    assert swept.result.run_id not in (None, *swept.result.run_ids)
    assert len(swept.result.verdicts) == 4


def test_a_named_experiment_has_its_axes_and_takes_others_in_their_place(folder: Path) -> None:
    result = nnspec.sweep(["experiment=zero_init", "activation=relu,gelu", *SHORT], workers=1)
    assert result.table.groupby(["init.name", "activation.name"]).ngroups == 4 * 2
    assert len(result.table) == 16
    assert result.run_id is None
    assert list(folder.iterdir()) == []


def test_arrays_are_kept_where_asked(folder: Path) -> None:
    words = ["activation=relu,gelu", *SHORT]
    dropped, kept = nnspec.sweep(words, workers=1), nnspec.sweep(words, workers=1, keep=True)
    assert dropped.results == ()
    with pytest.raises(NnspecError, match="sweep with keep=True"):
        dropped.net()
    assert kept.results[1].loss.shape[0] == 2
    assert kept.net(1, cell=1)[1].__class__.__name__ == "GELU"


def test_a_sweep_of_one_cell_is_a_result_too(folder: Path) -> None:
    result = nnspec.sweep(SHORT, workers=1)
    assert (len(result.table), result.axes) == (2, [])
    assert "<table" in result._repr_html_()
    with pytest.raises(NnspecError, match="varies more than seeds"):
        result.compare()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["activation=relu,geluu"], "activation must be a known activation.*did you mean 'gelu'"),
        ("activation=relu,tanh", r"must be a list of texts.*write nnspec.sweep\(\['activation=relu,tanh'\]\)"),
        (["activation=relu,tanh", "sweep.plan_only=true"], "sweep.plan_only must be false"),
        (["activation=relu,tanh", "sweep.zip=[[activation,init]]"], "sweep.zip must name axes of the sweep"),
    ],
)
def test_what_is_no_sweep_is_refused(folder: Path, words: list[str], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        nnspec.sweep(words)
    assert list(folder.iterdir()) == []


def test_a_key_without_effect_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nnspec.sweep(["activation=relu,tanh", "tracking.experiment=mine", *SHORT], workers=1)
    assert "tracking.experiment=mine has no effect with tracking=off" in capfd.readouterr().err


@pytest.mark.parametrize("word", ["json=true", "quiet=true"])
def test_what_only_a_command_line_prints_is_refused(word: str) -> None:
    with pytest.raises(SpecError, match=r"must be false in nnspec\.sweep"):
        nnspec.sweep(["activation=relu,tanh", *SHORT, word])


def test_rates_that_were_looked_at_on_the_way_have_limits_that_allow_for_it() -> None:
    result = nnspec.sweep(["replicates=auto", "train.precision=0.3", "train.epochs=3"])
    assert "(95%, exact, allowing for the looks on the way)" in repr(result)
