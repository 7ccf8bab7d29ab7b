"""What a process elsewhere must have in common with the driver."""

from __future__ import annotations

import os
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nnspec
from nnspec.errors import SpecError, TrainingError
from nnspec.execute.elsewhere import ChunkTask, Surroundings
from nnspec.execute.engines.on_ray import answer_of
from nnspec.execute.pool import Finished, Lost, train_chunks
from nnspec.execute.worker import after_training
from nnspec.release import code, fingerprint
from nnspec.specs import RunSpec
from nnspec.training.memory import Room
from nnspec.training.plan import Chunk, plan


@pytest.fixture
def specs() -> list[RunSpec]:
    shown = ["activation=relu", "activation=tanh", "activation=gelu"]
    return [nnspec.spec([line, "replicates=3", "train.epochs=5", "model.hidden=[5]"]) for line in shown]


def chunks_of(specs: list[RunSpec]) -> list[Chunk]:
    return list(plan(specs, Room(workers=1)).chunks())


def test_a_task_travels_with_its_own_specs_and_gives_the_same_bits(specs: list[RunSpec]) -> None:
    several = [*specs, *(replace(spec, dtype="float64") for spec in specs)]  # another stack, so another chunk
    chunks = chunks_of(several)
    here = {e.chunk: e for e in train_chunks(several, chunks, 1, after_training) if isinstance(e, Finished)}
    assert len(here) == 2
    for number, chunk in enumerate(chunks):
        task = ChunkTask.of(several, chunk, number, after_training, Surroundings.here())
        travelled = pickle.loads(pickle.dumps(task))
        assert set(travelled.specs.specs) == {share.cell for share in chunk.shares}
        found = travelled()
        assert isinstance(found, Finished)
        assert found.chunk == number
        for name, tensor in here[number].trained.final.items():
            np.testing.assert_array_equal(found.trained.final[name], tensor)
        assert found.extra.verdict.tolist() == here[number].extra.verdict.tolist()


def test_what_loses_a_chunk_is_an_answer_and_no_error(specs: list[RunSpec]) -> None:
    def full(specs: object, chunk: object, trained: object) -> None:
        raise MemoryError

    (chunk,) = chunks_of(specs[:1])
    lost = ChunkTask.of(specs, chunk, 0, full, Surroundings.here())()
    assert lost == Lost(0, "out of memory; lower train.memory or replicates")


def test_another_nnspec_is_refused() -> None:
    other = replace(Surroundings.here(), code="nnspec 0.0.1 (code 0123456789ab)")
    wanted = r"a worker must have nnspec 0.0.1 \(code 0123456789ab\), but got "
    with pytest.raises(TrainingError, match=wanted + re.escape(code())):
        other.enter()


def test_a_worker_of_ray_with_another_nnspec_says_which_it_has() -> None:
    assert answer_of()("nnspec 0.0.1", b"nobody reads this") == code()
    assert answer_of()(code()) == b""


def test_a_worker_works_in_the_drivers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = Surroundings.here()
    monkeypatch.chdir("/")
    there.enter()
    assert Path.cwd() == tmp_path
    os.chdir("/")
    replace(there, folder=tmp_path / "absent").enter()  # a machine without that folder: only data files would miss it
    assert Path.cwd() == Path("/")


def test_a_file_of_parts_must_be_the_same(tmp_path: Path) -> None:
    file = tmp_path / "parts.py"
    file.write_text("import nnspec\n")
    with pytest.raises(SpecError, match=r"--parts must be the same file on every machine, but got '.*parts.py'"):
        replace(Surroundings.here(), parts=((file, "0" * 64),)).enter()
    with pytest.raises(SpecError, match="--parts must be a file of Python that can be read"):
        replace(Surroundings.here(), parts=((tmp_path / "absent.py", "0" * 64),)).enter()


def test_a_fingerprint_sees_a_changed_a_moved_and_a_new_file(tmp_path: Path) -> None:
    def made(**texts: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
        return fingerprint(folder)

    assert made(a="1", b="2") == made(a="1", b="2")
    assert len({made(a="1", b="2"), made(a="1", b="3"), made(a="2", b="1"), made(a="1", c="2"), made(a="1")}) == 5
