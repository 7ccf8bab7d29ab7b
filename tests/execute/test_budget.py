"""How ``train.memory`` is shared out, what is refused with which words, and that real processes keep within it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.analysis.sequential import looks
from nnspec.errors import SpecError
from nnspec.execute.adaptive import AdaptiveTraining
from nnspec.execute.budget import MIB, Budget, Use, budget, kinds, planned_bytes, results_bytes, shared_out
from nnspec.execute.engine import Training
from nnspec.results.events import TrainedCell
from nnspec.runner import run
from nnspec.settings import Runtime, Settings, Tracking
from nnspec.settings import Sweep as SweepSettings
from nnspec.specs import RunSpec
from nnspec.sweep import Cell

SpecOf = Callable[..., RunSpec]
ROOT = Path(__file__).resolve().parents[2]
WIDE = {"model": {"name": "mlp", "hidden": [512, 512]}, "replicates": 64, "train": {"epochs": 3}}
TOO_LARGE: list[dict[str, Any]] = [  # for 100 MiB
    WIDE,
    {"model": {"name": "mlp", "hidden": [30000, 30000]}},
    {"data": {"name": "parity", "bits": 16}, "replicates": 256},
    {"replicates": 4000, "train": {"epochs": 2000, "log_every": 1}},
    {"replicates": 100_000_000},
    {"train": {"epochs": 10_000_000, "log_every": 1}},
    {"train": {"epochs": 1_000_000, "snapshot_every": 1}},
]


@pytest.mark.parametrize("fields", TOO_LARGE, ids=str)
@pytest.mark.parametrize("use", [Use(), Use(files=True, keep=True)], ids=str)
def test_what_does_not_fit_is_refused_with_the_size_that_does(
    spec_of: SpecOf, fields: dict[str, Any], use: Use
) -> None:
    spec = spec_of(**fields)
    with pytest.raises(
        SpecError, match=r"train\.memory must be at least [\d,]+ MiB here, but got 100; raise it or "
    ) as refused:
        shared_out([spec], 2, 100, use)
    said = re.search(r"at least ([\d,]+) MiB", str(refused.value))
    assert said is not None
    needed = int(said[1].replace(",", ""))
    assert needed > 100
    assert isinstance(shared_out([spec], 2, needed, use), Budget)
    assert "\n" not in str(refused.value)


def test_the_other_remedies_are_enough_too(spec_of: SpecOf) -> None:
    spec = spec_of(replicates=4000, train={"epochs": 2000, "log_every": 1})
    with pytest.raises(SpecError) as refused:
        shared_out([spec], 2, 100, Use(keep=True))
    every, fewer = (
        int(number.replace(",", ""))
        for number in re.findall(r"(?:log_every|replicates) to ([\d,]+)", str(refused.value))
    )
    for enough in (replace(spec, train=replace(spec.train, log_every=every)), replace(spec, replicates=fewer)):
        assert isinstance(shared_out([enough], 2, 100, Use(keep=True)), Budget)
    for more in (replace(spec, train=replace(spec.train, log_every=every - 1)), replace(spec, replicates=fewer + 1)):
        with pytest.raises(SpecError):
            shared_out([more], 1, 100, Use(keep=True))


@given(
    replicates=st.integers(1, 20_000),
    cells=st.integers(1, 300),
    every=st.integers(1, 1000),
    hidden=st.sampled_from([[4], [16, 16], [64, 64], [300]]),
    workers=st.integers(1, 4),
    files=st.booleans(),
    keep=st.booleans(),
    memory=st.integers(30, 4000),
)
@settings(max_examples=60, deadline=None)
def test_a_budget_never_shares_out_more_than_there_is(
    replicates: int, cells: int, every: int, hidden: list[int], workers: int, files: bool, keep: bool, memory: int
) -> None:
    from nnspec.check import checked_mapping

    groups = {"model": "mlp", "activation": "relu", "init": "zeros", "optimizer": "adam", "loss": "bce", "data": "xor"}
    mapping: dict[str, Any] = {group: {"name": name} for group, name in groups.items()}
    spec = checked_mapping(
        {**mapping, "model": {"name": "mlp", "hidden": hidden}, "train": {"log_every": every}, "replicates": replicates}
    )
    (found,) = kinds([spec])
    found = replace(found, cells=cells, networks=cells * replicates)
    shared = budget([found], workers, memory * MIB, Use(files, keep))
    if isinstance(shared, Budget):
        assert shared.room.bytes is not None
        assert 1 <= shared.room.workers <= workers
        assert results_bytes([found], Use(files, keep)) + shared.room.bytes + shared.backlog <= memory * MIB
        assert isinstance(
            budget([found], workers, 2 * memory * MIB, Use(files, keep)), Budget
        )  # more is never too little
    else:
        assert shared > memory * MIB
        assert isinstance(budget([found], workers, shared + 1, Use(files, keep)), Budget)


def test_small_memory_takes_fewer_processes_rather_than_none(spec_of: SpecOf) -> None:
    spec = spec_of(model={"name": "mlp", "hidden": [1000, 1000]}, replicates=64, train={"epochs": 3})
    workers = [shared_out([spec], 4, memory, Use()).room.workers for memory in (820, 1000, 1500, 4000)]
    assert workers == sorted(workers)
    assert workers[0] == 1
    assert workers[-1] == 4


@pytest.mark.parametrize("plan_only", [False, True])
@pytest.mark.parametrize("auto", [False, True])
def test_nothing_is_filed_or_trained_of_what_does_not_fit(
    spec_of: SpecOf, folder: Path, plan_only: bool, auto: bool
) -> None:
    cells = [Cell(spec_of(**WIDE)), Cell(spec_of(seed=3, **WIDE))]
    chosen = Settings(Tracking(), Runtime(memory=20), SweepSettings(plan_only=plan_only), auto=auto)
    with pytest.raises(SpecError, match=r"train\.memory must be at least"):
        run(cells, chosen, ["seed"], sweep=True)
    assert list(folder.iterdir()) == []


def test_the_default_takes_a_million_networks_and_ten_thousand_cells(spec_of: SpecOf) -> None:
    million = kinds([spec_of(replicates=1_000_000)])
    assert isinstance(
        budget(million, 2, 3 * 2**30, Use(keep=True)), Budget
    )  # a quarter of what a machine of 12 GiB has free
    assert isinstance(budget(million, 2, 5 * 2**30, Use(files=True, keep=True)), Budget)
    many = [replace(kind, cells=10_000, networks=10_000) for kind in kinds([spec_of()])]
    shared = budget(many, 2, 1.5 * 2**30, Use(files=True))
    assert isinstance(shared, Budget)
    assert shared.room.workers == 2
    assert shared.room.compiled


def test_a_plan_of_a_hundred_million_networks_is_arithmetic(spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match="lower replicates to"):
        Training([spec_of(replicates=100_000_000)], Runtime(workers=2, memory=1000))
    with pytest.raises(SpecError, match=r"raise train\.log_every to"):
        Training([spec_of(train={"epochs": 100_000_000, "log_every": 1})], Runtime(workers=2, memory=1000))


def test_what_a_plan_says_grows_with_what_is_planned(spec_of: SpecOf) -> None:
    sizes = []
    for replicates in (1, 1000, 100_000):
        training = Training([spec_of(replicates=replicates)], Runtime(workers=1, memory=2000), keep=True)
        sizes.append(planned_bytes(training.plan, training.shared) / MIB)
        assert sizes[-1] <= 2000
    assert sizes == sorted(sizes)
    assert sizes[-1] > 100


def test_rounds_take_as_many_cells_as_fit_and_give_the_same_networks(spec_of: SpecOf) -> None:
    specs = [spec_of(seed=seed, train={"epochs": 60}) for seed in (0, 500, 900)]

    def solved(memory: float | None) -> tuple[int, list[bytes]]:
        training = AdaptiveTraining(list(specs), Runtime(workers=1, memory=memory, precision=0.4))
        found = sorted((event for event in training if isinstance(event, TrainedCell)), key=lambda cell: cell.index)
        return training.together, [cell.result.loss.tobytes() for cell in found]

    least = budget(kinds([replace(specs[0], replicates=looks(0.4).sizes[-1])]), 1, 0, Use(keep=True))
    assert isinstance(least, float)
    few, together = solved(least / MIB + 0.001), solved(None)
    assert few[0] < 3
    assert together[0] == 3
    assert few[1] == together[1]


def resident(session: int) -> int:
    """Bytes of memory that all processes of a session have, shared pages counted in each."""
    held = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        held += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if int(fields[3]) == session else 0
    return held


def peak(*words: str) -> tuple[float, int, str]:
    """The most MiB that a command held, its exit status and what it said."""
    command = [sys.executable, str(ROOT / "run.py"), *words, "tracking=off"]
    environ, most = {**os.environ, "PYTHONPATH": str(ROOT)}, 0
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as output:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=folder, env=environ, start_new_session=True, **streams)
        while process.poll() is None:
            most = max(most, resident(process.pid))
            time.sleep(0.02)  # between two looks
        output.seek(0)
        return most / 2**20, process.returncode, output.read()


IDLE = {1: ("replicates=1", "train.epochs=1"), 2: ("replicates=600", "train.epochs=1")}
ALL = "adagrad,adam,adamw,rmsprop,rprop,sgd"
REAL = [
    (2, 340, ["model.hidden=[512,512]", "replicates=64", "train.epochs=10"]),
    (1, 320, ["model.hidden=[1000,1000]", "train.epochs=10"]),
    (1, 400, ["data=parity", "data.bits=14", "replicates=64", "train.epochs=5"]),
    (2, 60, ["loss=cross_entropy", "replicates=4000", "train.epochs=200"]),
    (2, 150, ["model.hidden=[64,64]", "dtype=float64", "replicates=60", "train.epochs=100", "train.snapshot_every=20"]),
    (2, 150, ["replicates=4000", "train.epochs=500", "train.log_every=3"]),
    (
        2,
        300,
        [
            "-m",
            "optimizer=glob(*,exclude=perceptron_rule)",
            "model.hidden=[16,16,16,16]",
            "replicates=200",
            "train.epochs=20",
        ],
    ),
]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("workers", "memory", "words"), REAL, ids=str)
def test_real_processes_keep_within_it(workers: int, memory: int, words: list[str]) -> None:
    idle, _, _ = peak(*IDLE[workers], f"train.workers={workers}")
    most, status, said = peak(*words, f"train.workers={workers}", f"train.memory={memory}")
    assert status == 0, said
    assert most <= idle + memory


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "words", [["replicates=1000000", "train.log_every=1"], ["train.epochs=10000000", "train.log_every=1"]], ids=str
)
def test_a_refusal_and_a_plan_take_no_memory_to_speak_of(words: list[str]) -> None:
    idle, _, _ = peak(*IDLE[1])
    for more in ([], ["--plan"]):
        most, status, said = peak(*words, *more, "train.memory=100")
        assert status == 2, said
        assert said.startswith("nnspec: train.memory must be at least ")
        assert most <= idle + 50
    most, status, said = peak("model.hidden=[2000,2000]", "replicates=64", "--plan", "train.memory=9000")
    assert status == 0, said
    assert " 0.0 s" not in said
    assert most <= idle + 100
