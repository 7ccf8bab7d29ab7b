"""Tables, differences and comparisons of filed runs."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from nnspec.cli.filed import opened
from nnspec.readback import networks, read_axes, read_cell


def test_the_table_is_that_of_the_sweep(filed, nnspec, tmp_path):
    expected = filed.sweep.table()
    csv, parquet = tmp_path / "new" / "t.csv", tmp_path / "t.parquet"
    status, out, _ = nnspec(
        "table", filed.sweep.parent, "--uri", filed.uri, "--csv", str(csv), "--parquet", str(parquet)
    )
    assert status == 0
    assert out == f"24 networks written to {csv}\n24 networks written to {parquet}\n"
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), expected)
    assert pd.read_csv(csv)["final_loss"].tolist() == pytest.approx(
        expected["final_loss"].tolist(), rel=1e-6
    )  # float32 in decimals


def test_the_table_in_the_terminal_is_cut_and_counted(filed, nnspec):
    status, out, _ = nnspec("table", filed.sweep.parent, "--uri", filed.uri, "--rows", "5")
    lines = out.splitlines()
    assert status == 0
    assert len(lines) == 8
    assert lines[0].split()[:3] == ["cell", "activation", "init"]
    assert lines[-1].startswith("... and 19 more networks")
    assert len(nnspec("table", filed.sweep.parent, "--uri", filed.uri, "--rows", "0")[1].splitlines()) == 26


def test_a_single_run_has_a_table(filed):
    with opened(filed.uri) as store:
        table = networks(store, filed.single)
        assert read_axes(store, filed.single) == []
    assert table["seed"].tolist() == [0, 1, 2, 3]
    assert table["epochs"].tolist() == [40] * 4


def test_a_sweep_without_its_own_table_is_put_together_from_its_cells(filed):
    with opened(filed.uri) as store:
        own = networks(store, filed.sweep.parent)
        store.set_status([filed.sweep.parent], "RUNNING")  # then its table is not read, for it is still to be filed
        cells = networks(store, filed.sweep.parent)
        store.set_status([filed.sweep.parent], "FINISHED")
    assert ("run_id" in own, "run_id" in cells) == (False, True)
    by = ["activation.name", "init.name", "seed"]
    for column in ("final_loss", "solved", "solved_at", "verdict", "epochs"):
        assert cells.sort_values(by)[column].tolist() == own.sort_values(by)[column].tolist()


def test_a_file_that_cannot_be_made(filed, nnspec):
    status, _, err = nnspec("table", "last", "--uri", filed.uri, "--parquet", "/proc/nosuch/t.parquet")
    assert status == 2
    assert "--parquet must be a file that can be written, but got '/proc/nosuch/t.parquet'" in err


def test_a_cell_comes_back_as_it_trained(filed, trained_twin):
    with opened(filed.uri) as store:
        back = read_cell(store, filed.single)
    twin = trained_twin(back.spec)
    assert (back.result.loss == twin.result.loss).all()
    assert back.result.verdict.tolist() == twin.result.verdict.tolist()
    assert back.result.numbers.keys() == twin.result.numbers.keys()
    assert back.result.solved_at.tolist() == twin.result.solved_at.tolist()
    assert (
        list(back.result.final) == list(back.result.initial) == list(twin.result.final)
    )  # whatever the order in the file
    assert sorted(back.result.snapshots) == sorted(twin.result.snapshots)
    assert list(back.result.snapshots[10]) == list(twin.result.final)
    for name, tensor in twin.result.final.items():
        assert (back.result.final[name] == tensor).all()
    assert (back.result.outputs, back.result.nonfinite_at) == (None, None)  # which no store has


@pytest.fixture
def trained_twin():
    from nnspec.execute.engine import Training
    from nnspec.results.events import TrainedCell
    from nnspec.settings import Runtime

    def train(spec):
        return next(event for event in Training([spec], Runtime(workers=1)) if isinstance(event, TrainedCell))

    return train


def test_a_run_does_not_differ_from_itself(filed, nnspec):
    status, out, _ = nnspec("diff", filed.sweep.parent, filed.sweep.parent, "--uri", filed.uri)
    assert status == 0
    assert "spec: the same" in out
    assert "results: the same, network by network (24)" in out


def test_what_differs_between_two_sweeps(filed, nnspec):
    _, out, _ = nnspec("diff", filed.sweep.parent, filed.longer.parent, "--uri", filed.uri)
    assert [line.split() for line in out.splitlines() if line.startswith("train.")] == [["train.epochs", "60", "80"]]
    rates = [frame["solved"].mean() for frame in (filed.sweep.table(), filed.longer.table())]
    last = out.splitlines()[-1]
    assert last.startswith(f"a - b: {100 * (rates[0] - rates[1]):+.1f}% solved [")
    assert last.endswith("paired by seed")


def test_differences_as_json(filed, nnspec):
    status, out, _ = nnspec("diff", filed.sweep.parent, filed.longer.parent, "--uri", filed.uri, "--json")
    found = json.loads(out)
    assert status == 0
    assert set(found) == {"a", "b", "spec", "same_results", "results", "difference"}
    assert found["a"] == {"run_id": filed.sweep.parent, "name": found["a"]["name"]}
    assert {"field": "train.epochs", "a": "60", "b": "80"} in found["spec"]
    rates = [frame["solved"].mean() for frame in (filed.sweep.table(), filed.longer.table())]
    assert [found["results"][letter]["solve_rate"] for letter in "ab"] == rates
    for side in found["results"].values():
        assert set(side) == {
            *("networks", "solve_rate", "solve_rate_low", "solve_rate_high"),
            *("final_loss_median", "solved_at_median", "verdicts"),
        }
        assert sum(side["verdicts"].values()) == pytest.approx(1)
    assert set(found["difference"]) == {"difference", "low", "high", "p", "paired"}
    assert found["difference"]["difference"] == pytest.approx(rates[0] - rates[1])
    same = json.loads(nnspec("diff", filed.sweep.parent, filed.sweep.parent, "--uri", filed.uri, "--json")[1])
    assert (same["spec"], same["same_results"], same["difference"]) == ([], True, None)


def test_comparison_has_pairs_and_effects(filed, nnspec):
    status, out, _ = nnspec(
        "compare", filed.sweep.parent, "--by", "init", "--by", "activation.name", "--uri", filed.uri
    )
    assert status == 0
    assert "solved by init, 95% intervals" in out
    assert "solved by activation, 95% intervals" in out
    assert "kaiming_uniform  zeros" in out
    assert out.count("paired by seed") == 2
    assert "activation x init" in out


def test_comparison_takes_the_widest_axis_and_a_confidence(filed, nnspec):
    wide = nnspec("compare", filed.sweep.parent, "--confidence", "0.99", "--uri", filed.uri)[1]
    assert "solved by activation, 99% intervals" in wide
    usual = nnspec("compare", filed.sweep.parent, "--uri", filed.uri)[1]
    assert "solved by activation, 95% intervals" in usual
    rates, pairs = ([text.split("\n\n")[part].splitlines()[-1] for text in (wide, usual)] for part in (0, 1))
    assert rates[0] != rates[1]
    assert pairs[0] != pairs[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--by", "nosuch"), "must be a known column of the table, but got 'nosuch'"),
        (("--by", "seed"), "compare needs an axis other than 'seed'"),
    ],
)
def test_an_axis_that_cannot_be_compared(filed, nnspec, words, says):
    status, _, err = nnspec("compare", filed.sweep.parent, "--uri", filed.uri, *words)
    assert status == 2
    assert says in err


def test_a_single_run_has_nothing_to_compare(filed, nnspec):
    status, _, err = nnspec("compare", filed.single, "--uri", filed.uri)
    assert status == 2
    assert "compare needs a sweep that varies more than seeds, but this one does not; name another" in err


def test_a_pooled_table_says_what_it_pools_over(filed, nnspec):
    status, out, _ = nnspec("table", filed.sweep.parent, "--by", "activation", "--uri", filed.uri)
    assert status == 0
    assert out.splitlines()[:2] == [
        "solved by activation, 95% intervals",
        "pooled over init (2 values) and 6 seeds",
    ]
    table = filed.sweep.table()
    rates = table.groupby("activation.name")["solved"].mean()
    shown = {line.split()[0]: line.split()[1:4] for line in out.splitlines()[4:]}
    assert shown == {name: ["12", str(round(12 * rate)), f"{100 * rate:.1f}%"] for name, rate in rates.items()}


def test_without_fields_a_format_has_a_row_a_cell(filed, nnspec):
    out = nnspec("table", filed.sweep.parent, "--format", "latex", "--uri", filed.uri)[1]
    rows = out.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    assert [row.split(" & ")[:2] for row in rows] == [
        ["relu", r"kaiming\_uniform"],
        ["relu", "zeros"],
        ["tanh", r"kaiming\_uniform"],
        ["tanh", "zeros"],
    ]
    assert nnspec("table", filed.single, "--format", "csv", "--uri", filed.uri)[1].startswith("networks,solved,rate")


def test_the_document_of_a_table(filed, nnspec):
    words = ("table", filed.sweep.parent, "--by", "init", "--measure", "final_accuracy", "--uri", filed.uri)
    out = nnspec(*words, "--json")[1]
    found = json.loads(out)
    assert {key: found[key] for key in ("run", "by", "measure", "confidence", "pooled_over", "seeds")} == {
        "run": filed.sweep.parent,
        "by": ["init.name"],
        "measure": "final_accuracy",
        "confidence": 0.95,
        "pooled_over": [{"axis": "activation.name", "values": 2}],
        "seeds": {"fewest": 6, "most": 6},
    }
    assert [set(row) for row in found["rows"]] == [
        {"init.name", "networks", "broken", "mean", "low", "high", "median_updates"}
    ] * 2
    assert nnspec(*words, "--format", "json")[1] == out


def test_solve_rate_is_another_name_of_solved(filed, nnspec):
    one, other = (
        nnspec("table", filed.sweep.parent, "--by", "init,activation", "--measure", name, "--uri", filed.uri)
        for name in ("solve_rate", "solved")
    )
    assert one == other
    assert one[0] == 0


def test_pooled_rows_are_cut_and_go_to_files(filed, nnspec, tmp_path):
    words = ("table", filed.sweep.parent, "--by", "init,activation", "--uri", filed.uri)
    out = nnspec(*words, "--rows", "1")[1]
    assert out.endswith("... and 3 more rows (--rows 0 prints all, --csv FILE writes them)\n")
    assert nnspec(*words, "--csv", str(tmp_path / "t.csv"))[1] == f"4 rows written to {tmp_path}/t.csv\n"
    assert pd.read_csv(tmp_path / "t.csv")["networks"].tolist() == [6] * 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "latex", "--csv", "t.csv"), "--format must be of a table that is printed"),
        (("--format", "latex", "--rows", "3"), "--rows must go with a printed text, but got latex"),
        (("--by", "init", "--csv", "t.csv", "--rows", "3"), "--rows must go with a printed text, but got a file"),
        (("--confidence", "0.9"), "--confidence must go with intervals"),
        (("--json", "--format", "csv"), "--json must be the only format, but got --format csv too"),
        (("--by", "init,,activation"), "must be names with commas between them, but got 'init,,activation'"),
        (("--by", "verdict"), "by must be a known field of the table, but got 'verdict'"),
        (("--format", "pdf"), "invalid choice: 'pdf'"),
    ],
)
def test_flags_of_a_table_that_would_change_nothing(filed, nnspec, words, says):
    status, out, err = nnspec("table", filed.sweep.parent, "--uri", filed.uri, *words)
    assert (status, out) == (2, "")
    assert says in err


def test_the_document_of_a_comparison(filed, nnspec):
    found = json.loads(
        nnspec("compare", filed.sweep.parent, "--by", "init,activation", "--json", "--uri", filed.uri)[1]
    )
    assert (found["run"], found["measure"]) == (filed.sweep.parent, "solved")
    init, activation = found["comparisons"]
    assert (init["by"], activation["by"]) == (["init.name"], ["activation.name"])
    assert init["pooled_over"] == [{"axis": "activation.name", "values": 2}]
    assert [row["networks"] for row in init["rows"]] == [12, 12]
    (pair,) = init["pairs"]
    assert (pair["a"], pair["b"], pair["paired"]) == ("kaiming_uniform", "zeros", True)
    assert pair["difference"] == pytest.approx(init["rows"][0]["rate"] - init["rows"][1]["rate"])
    assert {"low", "high", "p", "p_holm"} < set(pair)
    assert [row["term"] for row in found["effects"]][:2] == ["activation", "init"]


def test_a_comparison_in_other_formats(filed, nnspec):
    words = ("compare", filed.sweep.parent, "--by", "init", "--by", "activation", "--uri", filed.uri, "--format")
    assert nnspec(*words, "latex")[1].count(r"\begin{tabular}") == 5  # rates and pairs of two axes, and their effects
    assert nnspec(*words, "markdown")[1].count("| :-- |") == 5
    pairs = pd.read_csv(io.StringIO(nnspec(*words, "csv")[1]))
    assert pairs["by"].tolist() == ["init.name", "activation.name"]
    assert pairs["b"].tolist() == ["zeros", "tanh"]
