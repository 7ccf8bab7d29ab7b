"""Studies as users run them: experiments of one's own, from the command line and from Python."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nnspec
from nnspec.claims.measures import figures
from nnspec.cli import main

HEAD = "# @package _global_\n# What becomes of equal units?\n"
CELLS = {
    "replicates": 60,
    "train": {"epochs": 300},
    "hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"init": "zeros,kaiming_uniform", "activation": "tanh"}}},
}
ZERO, HE = {"init": "zeros"}, {"init": "kaiming_uniform"}
# of each relation one claim that is true of these networks and one that is false
RELATIONS = {
    "below": ({"where": ZERO, "below": 0.2}, {"where": HE, "below": 0.2}),
    "above": ({"where": HE, "above": 0.5}, {"where": ZERO, "above": 0.5}),
    "inside": ({"where": HE, "inside": [0.5, 1]}, {"where": HE, "inside": [0, 0.3]}),
    "equals": (
        {"measure": "final_loss", "where": ZERO, "equals": 0.6931, "within": 0.001},
        {"measure": "final_loss", "where": ZERO, "equals": 0.5, "within": 0.001},
    ),
    "larger_than": ({"where": HE, "larger_than": ZERO}, {"where": ZERO, "larger_than": HE}),
    "smaller_than": ({"where": ZERO, "smaller_than": HE}, {"where": HE, "smaller_than": ZERO}),
    "equal_to": (
        {"measure": "dead_units", "where": ZERO, "equal_to": HE, "within": 0.1},
        {"measure": "final_loss", "where": ZERO, "equal_to": HE, "within": 0.1},
    ),
    "among": (
        {"measure": "final_loss", "among": "solved", "where": HE, "below": 0.4},
        {"measure": "final_loss", "among": "solved", "where": HE, "above": 0.6},
    ),
    "rising_along": ({"rising_along": "init"}, {"measure": "final_loss", "rising_along": "init"}),
    "falling_along": ({"measure": "final_loss", "falling_along": "init"}, {"falling_along": "init"}),
    "formula": (
        {"measure": "final_loss", "where": ZERO, "formula": "log(2)", "within": 0.001},
        {"measure": "final_loss", "where": ZERO, "formula": "log(3)", "within": 0.001},
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    return tmp_path


def write(folder: Path, name: str, *claims: dict[str, object]) -> None:
    stated = [{"says": f"claim {number}", **claim} for number, claim in enumerate(claims)]
    study = {"question": "What becomes of equal units?", "source": "textbook", "claims": stated}
    text = HEAD + json.dumps({"study": study, **CELLS})  # which is YAML too
    (folder / "experiments" / f"{name}.yaml").write_text(text)


def test_of_each_relation_the_true_claim_holds_and_the_false_one_is_refuted(folder: Path) -> None:
    write(folder, "mine", *[claim for pair in RELATIONS.values() for claim in pair])
    found = nnspec.sweep(["experiment=mine"]).claims
    assert [each.verdict for each in found] == ["holds", "refuted"] * len(RELATIONS)


def test_the_command_says_each_verdict_and_its_status(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, "right", RELATIONS["below"][0])
    assert main(["run", "experiment=right", "tracking=off"]) == 0
    said = capfd.readouterr().out
    assert "holds      claim 0" in said
    assert "solved where init=zeros: 0% [0%" in said
    write(folder, "wrong", RELATIONS["below"][0], RELATIONS["below"][1])
    assert main(["run", "experiment=wrong", "tracking=off"]) == 1
    assert "1 claim holds, 1 is refuted; all intervals together hold with 95%" in capfd.readouterr().out
    write(folder, "expected", {**RELATIONS["below"][1], "expected": "refuted"})
    assert main(["run", "experiment=expected", "tracking=off"]) == 0
    write(folder, "few", {"where": HE, "above": 0.85})
    assert main(["run", "experiment=few", "tracking=off", "replicates=8"]) == 0
    said = capfd.readouterr().out
    assert "undecided" in said
    assert "replicates=" in said


@pytest.mark.usefixtures("own_only")
def test_pages_are_the_same_bytes_each_time(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, "mine", *[pair[0] for pair in RELATIONS.values()])
    results = folder / "experiments" / "results"
    made = []
    for _ in range(2):
        assert main(["experiments", "--run", "mine"]) == 0
        made.append({path.name: path.read_bytes() for path in results.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"mine.md", "mine.svg"}
    page = made[0]["mine.md"].decode()
    assert "verdict: holds" in page
    assert "| claim 0 | holds | 0% \\[0%" in page
    assert f"{len(RELATIONS)} claims hold" in capfd.readouterr().out
    assert main(["experiments", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capfd.readouterr().out)}
    assert listed["mine"]["last_verdict"] == "holds"
    assert (listed["mine"]["networks"], listed["mine"]["cells"], listed["mine"]["claims"]) == (120, 2, len(RELATIONS))


@pytest.mark.usefixtures("own_only")
def test_a_refuted_study_is_told_and_what_is_behind_it_still_runs(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(folder, "b_false", RELATIONS["above"][1])
    write(folder, "c_true", RELATIONS["above"][0])
    assert main(["experiments", "--run", "b_false", "c_true"]) == 1
    said = capfd.readouterr().out
    assert "b_false: 1 claim is refuted" in said
    assert "c_true: 1 claim holds" in said
    assert main(["experiments"]) == 0
    said = {line.split()[0]: line for line in capfd.readouterr().out.splitlines()}
    assert "refuted" in said["b_false"]
    assert "holds" in said["c_true"]


@pytest.mark.usefixtures("own_only")
def test_one_bad_file_keeps_no_other_from_the_list(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor does a page that is no text; and a study is a study whatever its name has in it."""
    names = ["b,c='d'", "mine", "wörd and more"]
    for name in names:
        write(folder, name, RELATIONS["below"][0])
    (folder / "experiments/broken.yaml").write_text("train: {epochs: banana}")
    (folder / "experiments/folder.yaml").mkdir()
    (folder / "experiments/results").mkdir()
    (folder / "experiments/results/mine.md").write_bytes(b"\xff\xfe\x00")
    assert main(["experiments"]) == 1
    captured = capfd.readouterr()
    assert [line.partition("  ")[0] for line in captured.out.splitlines()[1:]] == names
    (told,) = captured.err.splitlines()
    assert told.startswith("nnspec: broken: train.epochs must be a whole number")
    assert main(["experiments", "--json"]) == 1
    assert [each["name"] for each in json.loads(capfd.readouterr().out)] == names
    assert main(["experiments", "--run", *names[::2]]) == 0
    page = (folder / f"experiments/results/{names[0]}.md").read_text()
    (command,) = [line for line in page.splitlines() if "run.py" in line]
    assert shlex.split(command.strip("` "))[:2] == ["python", "run.py"]
    assert main(["run", *shlex.split(command.strip("` "))[2:], "tracking=off"]) == 0


SEARCH = {
    "train": {"epochs": 7, "log_every": 7},
    "replicates": 3,
    "sweep": {"trials": 5},
    "hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"optimizer.lr": "interval(0.1,1)"}}},
}


@pytest.mark.usefixtures("own_only")
def test_a_search_is_listed_and_its_command_is_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "experiments/wide.yaml").write_text(json.dumps(SEARCH))
    assert main(["experiments", "--json"]) == 0
    (listed,) = json.loads(capfd.readouterr().out)
    assert (listed["cells"], listed["networks"], listed["updates"]) == (5, 15, 105)
    assert main(["experiments"]) == 0
    assert capfd.readouterr().out.endswith("(a search)\n")
    assert main(["experiments", "--run", "wide"]) == 2
    (told,) = capfd.readouterr().err.splitlines()
    said, _, command = told.partition("; run it with: nnspec ")
    assert said == "nnspec: wide: a study must have cells that are known beforehand, but got a search"
    assert main([*shlex.split(command), "tracking=off"]) == 0
    assert "5 trials by tpe" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "nothing"], "there is no study 'nothing'"),
        (["--file"], "--file goes with --run"),
        (["--run", "mine", "--results", "taken"], "--results must be a folder that can be written"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(words: list[str], message: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, "mine", RELATIONS["below"][0])
    (folder / "taken").write_text("")
    assert main(["experiments", *words]) == 2
    said = capfd.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_a_bad_claim_is_refused_before_anything_trains(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, "mine", {"where": {"inti": "zeros"}, "above": 0.5})
    assert main(["run", "experiment=mine", "tracking=off"]) == 2
    captured = capfd.readouterr()
    assert "study.claims[0].where.inti is no key of a cell" in captured.err
    assert captured.out == ""


def test_a_claim_that_cannot_be_judged_is_told_after_the_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, "mine", {"measure": "final_los", "above": 0}, RELATIONS["below"][0])
    assert main(["run", "experiment=mine", "tracking=off"]) == 1
    said = capfd.readouterr()
    assert re.search(r"kaiming_uniform +\d+%", said.out)
    assert "1 claim holds" in said.out
    assert "study.claims[0].measure must be measured in the claim's cells" in said.err
    result = nnspec.sweep(["experiment=mine"])
    assert [each.claim.says for each in result.claims] == ["claim 1"]
    assert "final_los" in str(result.unjudged[0])
    assert main(["experiments", "--run", "mine"]) == 1
    said = capfd.readouterr()
    assert "did you mean 'final_loss'" in said.err
    assert "1 claim holds" in said.out


def test_networks_are_added_until_the_claims_are_decided(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With 20 networks the first claim is undecided at the confidence that allows for ten looks, the second is not."""
    write(folder, "mine", {"where": HE, "above": 0.7}, {"where": ZERO, "below": 0.9})
    assert main(["run", "experiment=mine", "tracking=off", "replicates=auto"]) == 0
    said = capfd.readouterr()
    assert "2 claims hold" in said.out
    result = nnspec.sweep(["experiment=mine", "replicates=auto"])
    assert [spec.replicates for spec in result.specs] == [20, 80]
    as_many = nnspec.sweep(["experiment=mine", "replicates=80"]).table
    added, plain = (
        table[table["init.name"] == HE["init"]].reset_index(drop=True)
        for table in (result.table.drop(columns="replicates"), as_many)
    )
    pd.testing.assert_frame_equal(added, plain)
    short = nnspec.sweep(["experiment=mine", "replicates=auto", "train.most_replicates=20"])
    assert [each.verdict for each in short.claims] == ["undecided", "holds"]
    assert short.claims[0].needed is not None
    assert 20 < short.claims[0].needed <= 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["replicates=auto", "train.precision=0.1"], "has no effect in a study"),
        (["train.most_replicates=100"], "has no effect without replicates=auto"),
        (["replicates=auto", "shard=0/2"], "has no effect on a study with replicates=auto"),
        (["replicates=auto", "train.memory=20"], "must be so few that 2 cells, whose claims are judged together"),
    ],
    ids=str,
)
def test_what_does_not_go_with_it_is_told(
    words: list[str], message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(folder, "mine", *[pair[0] for pair in RELATIONS.values()])
    main(["run", "experiment=mine", "tracking=off", "--plan", *words])
    assert message in capfd.readouterr().err


def test_the_run_in_mlflow_has_the_claims(folder: Path) -> None:
    import mlflow

    write(folder, "mine", RELATIONS["below"][0])
    result = nnspec.sweep(["experiment=mine"], tracking=True)
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    assert result.run_id is not None
    run = client.get_run(result.run_id)
    assert run.data.tags["nnspec.study"] == "1 claim holds"
    assert "study.md" in {file.path for file in client.list_artifacts(result.run_id)}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("tier", ["all", "none"])
def test_figures_of_the_weights_are_measured_of_cells_that_are_filed_already(folder: Path, tier: str) -> None:
    write(folder, "mine", {"measure": "weight_norm.0", "where": HE, "above": 0})
    said = ["experiment=mine", "replicates=5", "train.epochs=5", f"tracking.cells={tier}"]
    first, again = (nnspec.sweep([*said, *more], tracking=True).claims for more in ([], ["reuse=true"]))
    assert [each.parts for each in again] == [each.parts for each in first]
    assert first[0].parts[0].found.networks == 5


def test_figures_of_the_weights() -> None:
    spec = nnspec.spec(["replicates=3", "dtype=float64", "train.epochs=50", "activation=tanh"])
    result = nnspec.train(spec).result
    found = figures(result, ["weight_norm.0", "weight_ratio.0.1/2", "weight_ratio.0.1/3", "reference_error", "solved"])
    weight = result.final["0.weight"]
    np.testing.assert_allclose(
        found["weight_norm.0"], [np.linalg.norm(each) for each in weight], rtol=1e-14
    )  # rounding
    ordered = np.sort(np.abs(weight), axis=2)
    np.testing.assert_array_equal(found["weight_ratio.0.1/2"], np.median(ordered[..., 1] / ordered[..., 0], axis=1))
    assert np.isnan(found["weight_ratio.0.1/3"]).all()  # a unit has two weights
    assert found["reference_error"].max() < 1e-8  # float64 after 50 updates, as the reference is compared elsewhere
    assert set(found) == {"weight_norm.0", "weight_ratio.0.1/2", "weight_ratio.0.1/3", "reference_error"}


def test_a_module_without_a_reference_is_not_measured() -> None:
    spec = nnspec.spec(["model=sequential", "model.layers=[{linear: 4}, {tanh: {}}, {linear: 1}]", "train.epochs=5"])
    assert np.isnan(figures(nnspec.train(spec).result, ["reference_error"])["reference_error"]).all()
