"""What was filed, from Python: runs are named as on the command line, and errors speak of arguments, not of flags."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import nnspec
from nnspec import analysis
from nnspec.cli import main
from nnspec.documents import document
from nnspec.errors import NnspecError, TrackingError


def test_a_run_by_id_beginning_name_and_last(swept) -> None:
    wanted = nnspec.table(swept.result.run_id)
    assert len(wanted) == 48
    for words in (swept.result.run_id[:20], swept.name, "last"):
        pd.testing.assert_frame_equal(nnspec.table(words), wanted)


def test_a_cell_is_loaded_by_the_beginning_of_its_id(swept) -> None:
    short, whole = (nnspec.load(name, 3) for name in (swept.result.run_ids[1][:28], swept.result.run_ids[1]))
    assert str(short) == str(whole)
    assert [p.tolist() for p in short.parameters()] == [p.tolist() for p in whole.parameters()]


def test_a_sweep_has_no_network_of_its_own(swept) -> None:
    with pytest.raises(NnspecError, match="got 'last', a sweep; say which of its cells, as in cell=17"):
        nnspec.load("last")


def test_errors_speak_python(swept, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"must be named by a run id, .* which none has"):
        nnspec.table("nosuch")
    with pytest.raises(TrackingError, match=r"must be there to be read.* name their store with uri=$"):
        nnspec.table("last", uri=f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())


def test_ids_of_one_second_are_told_apart(swept) -> None:
    with pytest.raises(TrackingError, match="must be named so that no other is meant") as refused:
        nnspec.table(swept.result.run_ids[0][:4])
    named = [words.split(" (")[0] for words in str(refused.value).partition("may be ")[2].split(", ")]
    assert len(set(named)) == len(named) > 1


def test_compare_takes_a_run_or_a_frame(swept) -> None:
    by_name, by_frame = nnspec.compare("last", by="activation"), nnspec.compare(nnspec.table("last"), "activation")
    pd.testing.assert_frame_equal(by_name, by_frame)
    axes = ["activation.name", "init.name"]
    pd.testing.assert_frame_equal(by_name, analysis.compare(swept.result.table, "activation", axes))
    losses = nnspec.compare("last", "init", measure="final_loss", confidence=0.5)
    assert {"mean_a", "mean_b"} < set(losses.columns)
    assert nnspec.compare("last")["a"][0] == "relu"  # the widest axis, the first of two


def test_a_report_is_written_where_asked(swept, tmp_path: Path) -> None:
    shown = nnspec.report("last", out=tmp_path / "deep" / "page")
    page = tmp_path / "deep" / "page" / "report.html"
    assert (Path(shown), str(shown)) == (page, str(page))
    assert page.with_name("heatmap.png").is_file()
    frame = shown._repr_html_()
    assert frame.startswith('<iframe srcdoc="&lt;!doctype html')
    assert swept.name in frame
    assert frame.count('"') == 4  # nothing of the page ends the attribute


def test_a_report_that_cannot_be_written_is_refused(swept, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NnspecError, match="out must be a folder that can be written"):
        nnspec.report("last", out=tmp_path / "file")


def test_a_pooled_table_is_that_of_the_command_line(swept, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["table", "last", "--by", "activation", "--json"]) == 0
    theirs = json.loads(capsys.readouterr().out)["rows"]
    assert json.loads(document(nnspec.table("last", by="activation"))) == theirs
    assert [row["networks"] for row in theirs] == [24, 24]
    assert len(nnspec.table("last", ["activation", "init"])) == 4
    cells = nnspec.table("last", measure="final_loss")
    assert (len(cells), "mean" in cells) == (4, True)


def test_what_a_paper_says(swept, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["cite", "last"]) == 0
    found = nnspec.cite("last")
    assert capsys.readouterr().out == f"{found}\n"
    assert (found.cells, found.networks, found.version) == (4, 48, nnspec.__version__)
    assert nnspec.cite().run is None


def test_a_choice_is_grouped_by_as_it_is_typed(swept):
    table = nnspec.table("last")
    assert table["activation"].tolist() == table["activation.name"].tolist()
    assert nnspec.compare(table, "activation").equals(nnspec.compare(table.drop(columns=["activation", "init"])))
