"""Studies of maps: claims about figures of maps, one a seed, and where they are zoomed in on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nnspec
from nnspec.claims.measures import OF_MAPS
from nnspec.cli import main
from nnspec.maps.axes import Axis
from nnspec.maps.reducing import empty
from nnspec.maps.result import Map
from nnspec.maps.zooming import deeper
from nnspec.tracking import RunQuery, opened

HEAD = "# @package _global_\n# Where does gradient descent converge?\n"
LR, GAIN = ["optimizer.lr", 0.1, 100.0, "log", 8], ["init.gain", 0.2, 5.0, "log", 8]
SHORT = {
    "defaults": [{"override /loss": "mse"}, {"override /optimizer": "sgd"}, {"override /activation": "tanh"}],
    "dtype": "float64",
    "model": {"output": "identity"},
    "train": {"epochs": 8, "log_every": 1},
    "replicates": 8,
    "sweep": {"map": [LR, GAIN], "zooms": 1},
    "hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"optimizer.weight_decay": "0.0,10.0"}}},
}
FREE, HELD = {"optimizer.weight_decay": 0.0, "zoom": 0}, {"optimizer.weight_decay": 10.0, "zoom": 0}
SHARE = {"measure": "converged_share"}
# of each relation one claim that is true of these maps and one that is false: so strong a decay makes more diverge
RELATIONS = {
    "below": ({**SHARE, "where": HELD, "below": 0.9}, {**SHARE, "where": FREE, "below": 0.01}),
    "above": ({**SHARE, "where": FREE, "above": 0.01}, {**SHARE, "where": HELD, "above": 0.9}),
    "inside": ({**SHARE, "where": FREE, "inside": [0.01, 0.99]}, {**SHARE, "where": FREE, "inside": [0.98, 0.99]}),
    "equals": (
        {"measure": "solved_share", "where": HELD, "equals": 0, "within": 0.5},
        {"measure": "solved_share", "where": HELD, "equals": 1, "within": 0.1},
    ),
    "counts": (
        {**SHARE, "where": FREE, "counts": {"above": 0.01}, "above": 0.3},
        {**SHARE, "where": FREE, "counts": {"above": 0.99}, "above": 0.9},
    ),
    "larger_than": ({**SHARE, "where": FREE, "larger_than": HELD}, {**SHARE, "where": HELD, "larger_than": FREE}),
    "smaller_than": ({**SHARE, "where": HELD, "smaller_than": FREE}, {**SHARE, "where": FREE, "smaller_than": HELD}),
    "equal_to": (
        {"measure": "solved_share", "where": FREE, "equal_to": HELD, "within": 0.5},
        {**SHARE, "where": FREE, "equal_to": HELD, "within": 0.001},
    ),
    "rising_along": (
        {**SHARE, "where": {"zoom": 0}, "counts": {"below": 0.9}, "above": 0.5},
        {**SHARE, "where": {"zoom": 0}, "rising_along": "optimizer.weight_decay"},
    ),
    "falling_along": (
        {**SHARE, "where": {"zoom": 0}, "falling_along": "optimizer.weight_decay"},
        {"measure": "converged_share", "where": {"zoom": 0}, "counts": {"above": 0.99}, "above": 0.9},
    ),
    "formula": (
        {**SHARE, "where": FREE, "formula": "0.5 - weight_decay", "within": 0.49},
        {**SHARE, "where": FREE, "formula": "2 + zoom", "within": 0.5},
    ),
}


def write(folder: Path, name: str, *claims: dict[str, object], **changes: object) -> list[str]:
    stated = [{"says": f"claim {number}", **claim} for number, claim in enumerate(claims)]
    study = {"question": "Where does gradient descent converge?", "source": "textbook", "claims": stated}
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / f"{name}.yaml").write_text(HEAD + json.dumps({"study": study, **SHORT, **changes}))
    return [f"experiment={name}"]


def test_of_each_relation_the_true_claim_holds_and_the_false_one_is_refuted(folder: Path) -> None:
    words = write(folder, "mine", *[claim for pair in RELATIONS.values() for claim in pair])
    found = nnspec.map_study([*words, "replicates=12"], workers=1)
    said = [each.verdict for each in found.claims]
    assert said == ["holds", "refuted"] * len(RELATIONS), repr(found)


def test_a_seed_has_the_maps_that_it_has_alone(folder: Path) -> None:
    """Its map, and the square of it that is zoomed in on, as maps of their own."""
    words = write(folder, "mine", RELATIONS["above"][0])
    table = nnspec.map_study([*words, "replicates=2", "seed=7"], workers=1).table
    assert table["seed"].tolist() == [7, 8] * 4
    assert table["zoom"].tolist() == [0, 0, 1, 1] * 2
    alone = ["loss=mse", "optimizer=sgd", "activation=tanh", "dtype=float64", "model.output=identity"]
    alone += ["train.epochs=8", "train.log_every=1", "seed=8", "optimizer.weight_decay=10.0"]
    whole = nnspec.map([*alone, f"sweep.map={json.dumps([LR, GAIN]).replace(chr(34), '')}"], workers=1)
    row = table[(table["optimizer.weight_decay"] == 10) & (table["seed"] == 8)].iloc[0]
    assert [row[name] for name in OF_MAPS[1:]] == [whole.figures[name] for name in OF_MAPS[1:]]
    square = deeper(whole)
    assert square is not None
    axes = [[a.key, a.low, a.high, a.scale, a.count] for a in square]
    inner = nnspec.map([*alone, f"sweep.map={json.dumps(axes).replace(chr(34), '')}"], workers=1)
    row = table[(table["optimizer.weight_decay"] == 10) & (table["seed"] == 8)].iloc[1]
    assert [row[name] for name in OF_MAPS[1:]] == [inner.figures[name] for name in OF_MAPS[1:]]


def mapped(inside: np.ndarray) -> Map:
    """A map whose pixels converged where said."""
    height, width = inside.shape
    spec = nnspec.spec(["optimizer=sgd"])
    arrays = empty(inside.size, 1, spec.dtype)
    arrays["converged"][:] = inside.ravel()
    arrays["verdict"][:] = 0
    axes = (
        Axis("optimizer.lr", 1.0, float(width), "linear", width),
        Axis("init.gain", 1.0, float(height), "linear", height),
    )
    return Map(spec, *axes, arrays)


def test_a_zoom_is_a_part_where_there_is_most_of_the_boundary() -> None:
    inside = np.zeros((40, 50), bool)
    inside[:, :20] = True  # a straight line
    assert deeper(mapped(inside)) == (
        Axis("optimizer.lr", 19.0, 22.0, "linear", 50),  # across it: pixels 20 and 21 differ
        Axis("init.gain", 19.0, 22.0, "linear", 40),  # at its middle
    )
    inside[30:36:2, 40:46:2] = True  # dots
    x, y = deeper(mapped(inside)) or (None, None)
    assert x is not None
    assert y is not None
    assert 39 <= x.low <= 46
    assert 29 <= y.low <= 36
    assert set(inside[int(y.low) - 1 : int(y.high), int(x.low) - 1 : int(x.high)].ravel()) == {True, False}
    inside[:] = True
    inside[0, 49] = False  # in a corner
    assert deeper(mapped(inside)) == (
        Axis("optimizer.lr", 47.0, 50.0, "linear", 50),
        Axis("init.gain", 1.0, 4.0, "linear", 40),
    )
    assert deeper(mapped(np.ones((40, 50), bool))) is None


def test_a_map_without_a_boundary_has_no_further_zoom(folder: Path) -> None:
    words = write(
        folder, "mine", {**SHARE, "where": {"zoom": 0}, "above": 0.5}, {**SHARE, "where": {"zoom": 1}, "above": 0.5}
    )
    tame = "sweep.map=[[optimizer.lr,0.001,0.01,log,8],[init.gain,0.1,0.2,log,8]]"
    found = nnspec.map_study([*words, tame], workers=1)
    assert [each.verdict for each in found.claims] == ["holds"]
    assert "converged_share" in str(found.unjudged[0])
    assert found.exit_status == 1
    assert np.isnan(found.table["converged_share"][found.table["zoom"] == 1]).all()


def test_what_is_known_to_be_a_line_has_dimension_one_however_deep(folder: Path) -> None:
    """Of a quadratic loss gradient descent diverges from a learning rate on, whatever the start."""
    claims = (
        {"measure": "boundary_dimension", "equals": 1, "within": 0.05},
        {"measure": "boundary_dimension", "above": 1.1},
    )
    linear = {"model": {"output": "identity"}, "train": {"epochs": 60, "log_every": 1}, "replicates": 7}
    start = [{"override /model": "perceptron"}, *SHORT["defaults"][:2]]
    axes = [["optimizer.lr", 0.1, 10.0, "log", 33], ["init.gain", 0.2, 5.0, "log", 33]]
    words = write(
        folder, "line", *claims, defaults=start, sweep={"map": axes, "zooms": 1}, hydra={"mode": "RUN"}, **linear
    )
    found = nnspec.map_study(words, workers=1)
    assert [each.verdict for each in found.claims] == ["holds", "refuted"], found.table.to_string()


def test_the_command_says_each_verdict_and_its_status_and_files_the_first_map(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = write(folder, "mine", *RELATIONS["above"])
    assert main(["run", *words]) == 1
    said = capfd.readouterr()
    assert "holds      claim 0" in said.out
    assert "refuted    claim 1" in said.out
    assert "converged_share where optimizer.weight_decay=0.0, zoom=0: " in said.out
    assert "of 8 maps" in said.out
    assert "32 maps of optimizer.lr by init.gain: 2,048 networks" in said.err
    with opened(None) as store:
        (run,) = store.search(RunQuery())
        facts = store.get(run.run_id)
        assert facts.tags["nnspec.study"] == "1 claim holds, 1 is refuted"
        assert store.artifact(run.run_id, "maps.png").startswith(b"\x89PNG")
        assert b"| claim 1 | refuted |" in store.artifact(run.run_id, "study.md")
    assert nnspec.load_map("last").spec.seed == 0
    expected = {**RELATIONS["above"][1], "expected": "refuted"}
    assert (
        main(
            [
                "run",
                *write(folder, "expected", expected, hydra={"mode": "RUN"}, optimizer={"weight_decay": 10.0})[:1],
                "tracking=off",
            ]
        )
        == 0
    )
    assert main(["run", *words, "--plan"]) == 0
    assert "32 maps" in capfd.readouterr().out
    assert main(["run", *words, "tracking=off", "--json"]) == 1
    info = json.loads(capfd.readouterr().out)
    assert (info["kind"], info["exit_status"], len(info["maps"])) == ("maps", 1, 32)
    assert [claim["verdict"] for claim in info["study"]["claims"]] == ["holds", "refuted"]


@pytest.mark.slow
@pytest.mark.usefixtures("own_only")
def test_pages_have_the_maps_and_are_the_same_bytes_each_time(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(folder, "mine", RELATIONS["above"][0])
    results = folder / "experiments" / "results"
    made = []
    for _ in range(2):
        assert main(["experiments", "--run", "mine"]) == 0
        made.append({path.name: path.read_bytes() for path in results.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"mine.md", "mine.svg", "mine.png"}
    page = made[0]["mine.md"].decode()
    assert "![Maps of the first seed](mine.png)" in page
    assert "of 8 maps |" in page
    capfd.readouterr()
    assert main(["experiments", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capfd.readouterr().out)}
    assert (listed["mine"]["last_verdict"], listed["mine"]["networks"]) == ("holds", 8 * 8 * 8 * 2 * 2)


CLAIM = {"measure": "boundary_dimension", "above": 1}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("claim", "changes", "words", "message"),
    [
        (
            {"above": 0.5},
            {},
            [],
            "study.claims[0].measure must be a figure of a map, but got solved; try boundary_dim",
        ),
        ({**CLAIM, "measure": "verdict.saddle"}, {}, [], "measure must be a figure of a map, but got verdict.saddle"),
        (CLAIM, {"sweep": {}}, [], "study.claims[0].measure must be of networks: that is a figure of a map, but got"),
        ({**CLAIM, "among": "solved"}, {}, [], "study.claims[0].among must be of networks, but got solved"),
        ({**CLAIM, "where": {"optimizer.lr": 1}}, {}, [], "study.claims[0].where.optimizer.lr is no key of a cell"),
        (
            {**CLAIM, "where": {"zoom": 2}},
            {},
            [],
            "study.claims[0].where must match a cell of the sweep, but got zoom=2",
        ),
        (CLAIM, {}, ["study=null"], "has no effect on a sweep: a map is one run"),
        (CLAIM, {}, ["sweep.map=null"], "sweep.zooms=1 has no effect without a study of maps"),
        (CLAIM, {}, ["sweep.zooms=50"], "sweep.zooms must be at most 42 with 8 by 8 pixels in float64"),
        (CLAIM, {}, ["dtype=float32", "sweep.zooms=30"], "pixels in float32, to which those beyond are not apart"),
        (CLAIM, {}, ["replicates=auto"], "replicates=auto has no effect as auto on a map"),
        (CLAIM, {}, ["sweep.csv=a.csv"], "sweep.csv=a.csv has no effect on a map"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_line(
    claim: dict[str, object],
    changes: dict[str, object],
    words: list[str],
    message: str,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stated = write(folder, "mine", claim, **changes)
    assert main(["run", *stated, "tracking=off", *words]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert [message in line for line in captured.err.splitlines() if line.startswith("nnspec:")].count(True) == 1


def test_python_says_which_function_takes_a_study_of_maps(folder: Path) -> None:
    words = write(folder, "mine", CLAIM)
    for call in (nnspec.sweep, nnspec.map):
        with pytest.raises(nnspec.SpecError, match=r"use nnspec\.map_study"):
            call(words)
    with pytest.raises(nnspec.SpecError, match=r"must have a study and sweep\.map in nnspec"):
        nnspec.map_study(["replicates=2"])
