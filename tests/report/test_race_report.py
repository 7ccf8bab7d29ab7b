"""What a race leaves in the store, on its page, in the terminal and in documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis import methods
from nnspec.analysis.racing import anytime_interval
from nnspec.check import checked_mapping
from nnspec.cli import main
from nnspec.errors import TrackingError
from nnspec.execute.pool import Event, Extra, train_chunks
from nnspec.readback import read_race
from nnspec.report.racing import race_table
from nnspec.results.race import RACE, RACE_TAG, race_of
from nnspec.runner import Outcome, run
from nnspec.settings import Settings, Sweep, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.tracking import RunQuery, Store, open_store
from nnspec.tracking.records import PARENT_TAG
from nnspec.training.plan import Chunk

NAMES = ("relu", "tanh", "gelu")
WORDS = ["-m", "init=zeros,kaiming_uniform", "activation=tanh,gelu", "train.epochs=100", "sweep.race=true"]
WORDS += ["sweep.within=0.2", "train.workers=1"]


def raced(tracking: Tracking, mapping_of: Callable[..., Any], carry: Any = None, report: bool = True) -> Outcome:
    """A race of three cells, of which the first never solves."""
    specs = [checked_mapping(mapping_of(activation=name, train={"epochs": 200})) for name in NAMES]
    specs[0] = checked_mapping(mapping_of(activation=NAMES[0], init="zeros", train={"epochs": 200}))
    cells = [Cell(spec, (("activation", name),)) for spec, name in zip(specs, NAMES, strict=True)]
    settings = Settings(tracking=tracking, sweep=Sweep(race=True, within=0.1, budget=2000, report=report))
    return run(cells, settings, ("activation",), True, "nnspec run -m", quiet=True, carry=carry)


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory, mapping_of: Callable[..., Any]) -> tuple[Store, Outcome]:
    tracking = Tracking(uri=f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")
    return open_store(tracking), raced(tracking, mapping_of)


def test_the_sweeps_run_says_who_won(filed: tuple[Store, Outcome]) -> None:
    store, outcome = filed
    race = outcome.race
    assert race is not None
    assert race.known
    assert outcome.parent is not None
    facts = store.get(outcome.parent)
    text = (
        f"is within 0.1 of the best solve rate, at 95% confidence ({race.networks:,} networks, {len(race.looks)} looks)"
    )
    assert facts.tags[RACE_TAG] == f"activation={NAMES[race.best or 0]} {text}"
    assert facts.metrics["race_known"] == 1
    assert facts.metrics["networks_trained"] == race.networks
    solved = outcome.outcomes[race.best or 0]["solved"]
    low, high = anytime_interval(int(solved.sum()), len(solved))
    named = [facts.metrics[f"best_solve_rate{end}"] for end in ("", "_low", "_high")]
    assert named == pytest.approx([solved.mean(), float(low), float(high)])
    assert facts.params["networks"] == "at most 2000"
    assert "replicates" not in facts.params
    assert read_race(store, outcome.parent) == race_of(store.artifact(outcome.parent, RACE)) == race


def test_the_cells_runs_say_how_it_ended_for_them(filed: tuple[Store, Outcome]) -> None:
    store, outcome = filed
    race = outcome.race
    assert race is not None
    assert race.out[0] == 20
    for cell, run_id in outcome.run_ids.items():
        facts, solved = store.get(run_id), outcome.outcomes[cell]["solved"]
        assert facts.tags[RACE_TAG] == race.ended(cell)
        assert facts.params["replicates"] == str(len(solved))
        low, high = anytime_interval(int(solved.sum()), len(solved))
        assert facts.metrics["solve_rate_low"] == pytest.approx(float(low))
        assert facts.metrics["solve_rate_high"] == pytest.approx(float(high))


def test_the_table_of_cells(filed: tuple[Store, Outcome]) -> None:
    _, outcome = filed
    race = outcome.race
    assert race is not None
    cells = race_table(outcome.table(), ["activation.name"], race)
    assert cells["race"].iloc[0] == "best"
    assert cells.iloc[-1][["cell", "activation.name", "networks", "solved", "race"]].tolist() == [
        *(0, "relu", 20, 0, "out after 20")
    ]
    assert cells["networks"].sum() == race.networks == len(outcome.table())


def test_the_page_has_the_race_whenever_it_is_made(filed: tuple[Store, Outcome], folder: Path) -> None:
    store, outcome = filed
    assert outcome.parent is not None
    first = store.artifact(outcome.parent, "report/report.html").decode()
    assert main(["report", outcome.parent, "--uri", store.location.uri, "--out", "again"]) == 0
    for page in (first, (folder / "again" / "report.html").read_text()):
        assert "<h2" in page
        assert "The race" in page
        assert "out after 20" in page
        assert "its intervals do not allow for stopping" in page
    assert "out after 20" in (folder / "again" / "race.csv").read_text()


def test_the_description_and_the_citation(filed: tuple[Store, Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    store, outcome = filed
    assert outcome.parent is not None
    facts = store.get(outcome.parent)
    assert "out after 20" in facts.tags["mlflow.note.content"]
    assert main(["cite", outcome.parent, "--uri", store.location.uri]) == 0
    said = capsys.readouterr().out
    assert methods.RACE in said
    assert methods.LOOKS not in said
    assert main(["compare", outcome.parent, "--uri", store.location.uri]) == 0
    assert main(["table", outcome.parent, "--uri", store.location.uri, "--rows", "1"]) == 0


def test_a_broken_race_is_one_line(folder: Path, mapping_of: Callable[..., Any]) -> None:
    store, outcome = open_store(Tracking()), raced(Tracking(), mapping_of, report=False)
    assert outcome.parent is not None
    store.add_artifacts(outcome.parent, {RACE: b'{"out": 3}'})
    with pytest.raises(TrackingError, match=r"race.json of run \w+ must be what a race found out, but got"):
        read_race(store, outcome.parent)


def test_a_race_that_is_broken_off_names_nobody(folder: Path, mapping_of: Callable[..., Any]) -> None:
    rounds: list[int] = []

    def carry(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
        rounds.append(len(specs))
        if len(rounds) == 2:
            raise KeyboardInterrupt
        yield from train_chunks(specs, chunks, workers, extra)

    outcome = raced(Tracking(), mapping_of, carry, report=False)
    assert outcome.exit_status == 130
    assert rounds == [3, 2]
    race, store = outcome.race, open_store(Tracking())
    assert race is not None
    assert outcome.parent is not None
    assert (race.best, race.known, race.out, race.networks) == (None, False, {0: 20}, 60)
    assert store.get(outcome.parent).tags[RACE_TAG] == "the race ended without a best cell (60 networks, 1 look)"
    statuses = {child.run_id: child.status for child in store.find_children(outcome.parent)}
    assert sorted(statuses.values()) == ["FINISHED", "KILLED", "KILLED"]


@pytest.mark.parametrize(("within", "known"), [(0.02, False), (0.4, True)])
def test_where_nothing_solves_no_cell_is_best(
    within: float, known: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "init=zeros", "activation=relu,tanh", "train.epochs=5", "train.log_every=5", "sweep.race=true"]
    assert main(["run", *words, "sweep.budget=100", f"sweep.within={within}", "train.workers=1"]) == 0
    said = capsys.readouterr().out
    assert "no network is solved, so no cell is the best (" in said
    assert "solves most" not in said
    assert said.count("in to the end") == 2
    store = open_store(Tracking())
    (sweep,) = store.search(RunQuery(without_tags=(PARENT_TAG,)))
    race = read_race(store, sweep.run_id)
    assert race is not None
    assert (race.best, race.known, race.unsolved) == (None, known, True)
    facts = store.get(sweep.run_id)
    assert facts.tags[RACE_TAG].startswith("no network is solved")
    page = store.artifact(sweep.run_id, "report/report.html").decode()
    assert "no network is solved, so no cell is the best" in page


def test_the_commands_document_and_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", *WORDS, "tracking.cells=chosen", "sweep.report=false", "sweep.csv=cells.csv"]
    assert main([*words, "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["race"]["known"]
    assert info["race"]["networks"] == sum(cell["networks"] for cell in info["cells"])
    assert {cell["interval"] for cell in info["cells"]} == {"at any time, for the looks of sweep.race"}
    assert main([*words, "require.solve_rate_low=0.5"]) == 1
    said = capsys.readouterr()
    assert "is within 0.2 of the best solve rate, at 95% confidence" in said.out
    assert "require.solve_rate_low 0.5, but got 0 [0.000, 0.224]" in said.err
    lines = (folder / "cells.csv").read_text().splitlines()
    assert lines[0] == "cell,init.name,activation.name,networks,solved,rate,low,high,race"
    assert len(lines) == 5


def test_a_study_is_raced_without_its_claims(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "experiment=zero_init", "tracking=off", "sweep.race=true", "sweep.within=0.3", "train.epochs=30"]
    assert main(["run", *words]) == 0
    said = capsys.readouterr()
    assert "no claim of the study is judged" in said.err
    assert "has no effect with sweep.race=true; leave it out" in said.err


def test_from_python() -> None:
    result = nnspec.sweep([*WORDS[1:], "sweep.budget=300"])
    race = result.outcome.race
    assert race is not None
    assert len(result.table) == race.networks <= 300
    planned = nnspec.plan([*WORDS[1:], "sweep.budget=300"])
    assert "(the first look of the race, which trains at most 300 networks)" in str(planned)
    assert planned.info["networks"] == 80
    assert planned.info["first_round_only"]
