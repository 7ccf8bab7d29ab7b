"""Whole commands with ``device=cuda``: without a card nothing is filed; with one (here the processor in its place) they
are as any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.cli import main
from nnspec.execute.adaptive import AdaptiveTraining
from nnspec.execute.budget import card
from nnspec.execute.engine import Training
from nnspec.maps.axes import Axis
from nnspec.maps.training import MapTraining
from nnspec.results.events import TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.training.device.card import missing
from nnspec.training.memory import card_bytes

SpecOf = Callable[..., RunSpec]
WITHOUT = pytest.mark.skipif(not missing()[0], reason="a card is there")


def cells(training: Any) -> list[TrainedCell]:
    found = [event for event in training if isinstance(event, TrainedCell)]
    return sorted(found, key=lambda cell: cell.index)


@pytest.fixture
def in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is the card, with a gigabyte free."""
    monkeypatch.setattr("nnspec.training.device.card.free_bytes", lambda: 2**30)
    monkeypatch.setattr("nnspec.training.loop.found", lambda: torch.device("cpu"))


@WITHOUT
@pytest.mark.parametrize(
    "words",
    [
        ["device=cuda"],
        ["device=cuda", "replicates=auto"],
        ["-m", "device=cpu,cuda"],
        ["-m", "device=cuda", "seed=1,2", "train.workers=2"],
        ["device=cuda", "--plan"],
    ],
    ids=" ".join,
)
def test_without_a_card_one_line_says_so_and_nothing_is_filed(
    words: list[str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *words]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("nnspec: device must be cpu here: ")
    assert said.err.count("\n") == 1
    assert not list(folder.glob("*.db"))


def test_a_spec_for_a_card_can_be_stated_and_read_anywhere(spec_of: SpecOf, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "device=cuda"]) == 0
    assert "device: cuda" in capfd.readouterr().out
    spec = spec_of(device="cuda")
    assert RunSpec.from_mapping(spec.to_mapping()) == spec
    assert spec.flat()["device"] == "cuda"


def test_cells_on_a_card_are_diagnosed_as_any(spec_of: SpecOf, in_its_place: None) -> None:
    fields: list[dict[str, Any]] = [
        {"activation": "relu", "replicates": 30},
        {"activation": "tanh", "replicates": 30},
        {"data": {"name": "moons", "rows": 40}, "train": {"epochs": 10, "batch_size": 16}, "replicates": 3},
    ]
    ours = cells(Training([spec_of(**each, device="cuda") for each in fields], Runtime()))
    theirs = cells(Training([spec_of(**each) for each in fields], Runtime(workers=1)))
    for one, other in zip(ours[:2], theirs[:2], strict=True):  # in lanes, where the processor does the same
        np.testing.assert_array_equal(one.result.verdict, other.result.verdict)
        np.testing.assert_array_equal(one.result.solved_at, other.result.solved_at)
    assert set(ours[2].result.verdict) <= {"still_learning", "solved", *theirs[2].result.verdict}
    assert {cell.spec.device for cell in ours} == {"cuda"}


def test_one_process_unless_more_are_said(spec_of: SpecOf, in_its_place: None) -> None:
    specs = [spec_of(replicates=5000, device="cuda")]
    assert Training(specs, Runtime()).workers == 1
    shared = Training(specs, Runtime(workers=3))
    assert shared.workers == 3
    assert len(list(shared.plan.chunks())) == 3


def test_chunks_fit_into_what_is_free_of_the_card(spec_of: SpecOf, in_its_place: None) -> None:
    spec = spec_of(replicates=2_000_000, train={"epochs": 20}, device="cuda")
    room = card([spec], here=True)
    assert room is not None
    assert room < 2**30
    sizes = [chunk.networks for chunk in Training([spec], Runtime(memory=100_000)).plan.chunks()]
    assert max(sizes) * card_bytes(spec) <= room < (max(sizes) + 65) * card_bytes(spec)


def test_a_card_elsewhere_is_not_asked_for_here(spec_of: SpecOf) -> None:
    assert card([spec_of(device="cuda")], here=False)
    assert card([spec_of()], here=True) is None


def test_networks_are_added_on_a_card_until_the_rate_is_known(spec_of: SpecOf, in_its_place: None) -> None:
    fields = {"activation": "tanh", "train": {"epochs": 200}}
    runtime = Runtime(workers=1, precision=0.4)
    (ours,) = cells(AdaptiveTraining([spec_of(**fields, device="cuda")], runtime))
    (theirs,) = cells(AdaptiveTraining([spec_of(**fields)], runtime))
    assert ours.spec.replicates == theirs.spec.replicates > 1
    np.testing.assert_array_equal(ours.result.solved_at, theirs.result.solved_at)


@pytest.mark.slow
def test_runs_on_a_card_are_filed_and_resumed(
    folder: Path, in_its_place: None, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "device=cpu,cuda", "replicates=5", "train.epochs=50", "sweep.report=false"]
    assert main(["run", *words]) == 0
    said = capfd.readouterr()
    assert "device" in said.out
    assert main(["run", *words, "resume=last"]) == 0
    assert "2 of 2 cells" in capfd.readouterr().err
    assert main(["run", "device=cuda", "train.epochs=50", "--timings"]) == 0
    assert "1 network eagerly: they train on cpu" in capfd.readouterr().out
    assert main(["explain", "last"]) == 0
    capfd.readouterr()
    assert main(["run", "device=cuda", "replicates=5", "--plan"]) == 0
    out = capfd.readouterr().out
    assert "networks train on the graphics card, all of a chunk at once" in out
    assert "time unknown: not tried out" in out


def test_a_map_trains_on_a_card(spec_of: SpecOf, in_its_place: None) -> None:
    axes = [Axis("optimizer.lr", 1e-3, 1.0, "log", 6), Axis("init.gain", 0.5, 2.0, "linear", 5)]
    maps = []
    for device in ("cpu", "cuda"):
        spec = spec_of(init="xavier_uniform", activation="tanh", train={"epochs": 40}, device=device)
        training = MapTraining(spec, *axes, Runtime(workers=1))
        list(training)
        assert not training.lost
        maps.append(training.arrays)
    for name, array in maps[0].items():
        np.testing.assert_array_equal(maps[1][name], array)
