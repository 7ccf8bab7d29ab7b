"""What a process elsewhere needs in order to train a chunk to the same bits: the same code, folder and parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, overload

from nnspec.errors import Fault, SpecError, TrainingError
from nnspec.execute.pool import Extra, Finished, Lost, chunk_events
from nnspec.parts.loading import load, load_installed, loaded
from nnspec.release import code
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk


@dataclass(frozen=True)
class Surroundings:
    """What another process must have in common with this one: the code, the working folder, by which data files are
    found, and the files of the user's own parts with their SHA-256."""

    code: str
    folder: Path
    parts: tuple[tuple[Path, str], ...] = ()

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        return cls(code(), Path.cwd(), tuple((path, _digest(path)) for path in loaded()))

    def enter(self) -> None:
        """Make them those of this process.

        Raises:
            TrainingError: it has another nnspec, or another version of what computes.
            SpecError: a file of parts is not there, or is another one.
        """
        if self.code != code():
            raise TrainingError(str(other_code("a worker", code(), self.code)))
        if self.folder.is_dir() and self.folder != Path.cwd():
            os.chdir(self.folder)
        load_installed()
        load(path for path, _ in self.parts)
        for path, digest in self.parts:
            if _digest(path) != digest:
                rule, remedy = "must be the same file on every machine", "copy it there, or share the folder"
                raise SpecError([Fault("--parts", rule, f"'{path}'", remedy)])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def other_code(who: str, found: str, wanted: str) -> Fault:
    """The fault of a worker that would give other bits."""
    return Fault(who, f"must have {wanted}", found, "install the same there")


@dataclass(frozen=True)
class Some(Sequence[RunSpec]):
    """Some of the specs of a sweep by their places in it: what a chunk is about, without the others."""

    specs: Mapping[int, RunSpec]

    @overload
    def __getitem__(self, place: int) -> RunSpec: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[RunSpec]: ...
    def __getitem__(self, place: int | slice) -> RunSpec | Sequence[RunSpec]:
        return self.specs[cast(int, place)]

    def __len__(self) -> int:
        return len(self.specs)


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to be trained anywhere: trained twice, it gives the same bits twice."""

    specs: Some
    chunk: Chunk
    number: int
    extra: Extra
    surroundings: Surroundings

    @classmethod
    def of(
        cls, specs: Sequence[RunSpec], chunk: Chunk, number: int, extra: Extra, surroundings: Surroundings
    ) -> ChunkTask:
        """The task of a sweep's chunk of this number."""
        own = Some({share.cell: specs[share.cell] for share in chunk.shares})
        return cls(own, chunk, number, extra, surroundings)

    def __call__(self) -> Finished | Lost:
        """How the chunk ended."""
        self.surroundings.enter()
        return ended(self.specs, self.chunk, self.number, self.extra)


def ended(specs: Sequence[RunSpec], chunk: Chunk, number: int, extra: Extra) -> Finished | Lost:
    """Train a chunk in this process; how it ended."""
    ends = [event for event in chunk_events(specs, chunk, number, extra) if isinstance(event, (Finished, Lost))]
    return ends[-1]
