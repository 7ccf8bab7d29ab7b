"""What a command may hold: ``train.memory`` shared out between what trains, what is kept and what waits to be filed.

Counted is what training, its results and everything after it hold beyond a process that does nothing. The sizes of a
network are those of ``training.memory`` and ``diagnostics.room``; here they are added up, before anything trains.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnspec.architecture import architecture
from nnspec.diagnostics import diagnosis_bytes, probe_bytes
from nnspec.duration import log_every, pace, updates
from nnspec.errors import Fault, SpecError
from nnspec.specs import RunSpec
from nnspec.training.layout import is_separate, on_card
from nnspec.training.memory import (
    OBJECTS,
    Room,
    compiles,
    diagnosis_numbers,
    held_bytes,
    largest_file_bytes,
    makes_files,
    result_bytes,
)
from nnspec.training.plan import Plan, alike, formulas
from nnspec.training.spans import logged_rows

MIB = 2**20
SHARE = 4  # of what is free, a quarter: the store, the report and the user's other programs need some too
PROCESS = 8 * MIB  # what a process that trains touches besides: libraries, buffers
COMPILER = 90 * MIB  # LLVM and what it leaves behind
CARD_LIBRARIES = 1024 * MIB  # CUDA's libraries and what they hold of a process's memory, about: not measured
CARD_SHARE = 0.8  # of the free memory of a graphics card: torch's own blocks do not fit without gaps
ELSEWHERE = 8192 * MIB  # of a card on another machine, of which nothing is known here
TABLE_WRITER = 50 * MIB  # pyarrow, in each process that makes files
STORE = 12 * MIB  # what filing touches besides
TABLES = 3  # copies of the table of all networks while a sweep's results are shown, filed and drawn
WAITING = 1 / 8  # of what is left: results that wait to be filed, and what the store makes of those it takes
FILED = 2 / 3  # of that: what waits
CELL = 3_000  # bytes of the Python objects of a cell's outcome


@dataclass(frozen=True)
class Kind:
    """Cells that train as one stack: one of their specs, how many cells and networks, and the replicates of the
    largest."""

    spec: RunSpec
    cells: int
    networks: int
    largest: int


@dataclass(frozen=True)
class Use:
    """What becomes of the results: ``files`` are made and filed, the cells' arrays are kept to the end (``keep``)."""

    files: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Budget:
    """How a command's memory is shared out, in bytes: ``results`` the parent keeps, ``backlog`` may wait to be filed;
    the rest, but for what each process takes whatever it trains, is the ``room`` of what trains."""

    results: float
    backlog: float
    room: Room


def kinds(specs: Sequence[RunSpec]) -> list[Kind]:
    """The specs by what trains together."""
    groups = [[specs[i] for i in cells] for cells in alike(specs)]
    return [
        Kind(min(g, key=lambda s: s.replicates), len(g), sum(s.replicates for s in g), max(s.replicates for s in g))
        for g in groups
    ]


def results_bytes(found: Iterable[Kind], use: Use) -> float:
    """What the parent holds: of every network its outcome, of every cell its arrays where they are kept, else those of
    the cells that are not whole yet or are being filed."""
    found = list(found)
    several = sum(kind.cells for kind in found) > 1
    table = sum(kind.networks * 8 * (8 + diagnosis_numbers(kind.spec)) for kind in found) * (1 + TABLES * several)
    objects = sum(kind.cells for kind in found) * (CELL + (OBJECTS if use.keep else 0))
    arrays = [(kind.networks if use.keep else kind.largest) * result_bytes(kind.spec) for kind in found]
    held = sum(arrays) if use.keep else max(arrays)
    filed = STORE + max(_filed_bytes(kind) for kind in found) if use.files else 0.0
    return table + objects + held + filed


def _filed_bytes(kind: Kind) -> float:
    """A file of the largest cell, and its metrics over steps."""
    return kind.largest * largest_file_bytes(kind.spec) + 8 * logged_rows(pace(kind.spec)) * (
        6 + len(architecture(kind.spec).layers)
    )


def fixed_bytes(kind: Kind, room: Room) -> float:
    """What a process takes that trains networks of this kind, however many: the compiler, what writes files."""
    writer = TABLE_WRITER if room.workers > 1 and room.files and makes_files(kind.spec) else 0
    if on_card(kind.spec):
        return PROCESS + writer + CARD_LIBRARIES
    always = is_separate(kind.spec)  # there is no other way to train them
    return PROCESS + writer + (COMPILER if always or (room.compiled and compiles(kind.spec, kind.networks)) else 0)


def budget(found: Sequence[Kind], workers: int, memory: float, use: Use) -> Budget | float:
    """How ``memory`` bytes are shared out, or the bytes that would do if they do not.

    Most processes first, with the compiler if there is room for it: fewer processes cost less time than training
    without it.
    """
    results = results_bytes(found, use)
    worth = any(compiles(kind.spec, kind.networks) for kind in found)
    for compiled in (True, False) if worth else (False,):
        for processes in range(workers, 0, -1):
            room = Room(None, processes, use.files, compiled, diagnosis_bytes)
            fixed = max(fixed_bytes(kind, room) for kind in found)
            left = memory - results - processes * fixed
            waiting = left * WAITING if use.files else 0.0
            if left - waiting >= least_bytes(found, room):
                return Budget(results, waiting * FILED, replace(room, bytes=left - waiting))
    return results + fixed + least_bytes(found, room) / (1 - WAITING if use.files else 1)


def least_bytes(found: Iterable[Kind], room: Room) -> float:
    """The least that is held while networks of each kind train, one at a time in each process."""
    return max(held_bytes(kind.spec, 1, kind.networks, room) for kind in found)


def shared_out(specs: Sequence[RunSpec], workers: int, mebibytes: float | None, use: Use) -> Budget:
    """The budget of a command.

    Raises:
        SpecError: it cannot be done within ``train.memory``, with the size that it needs and what would make it
            smaller.
    """
    found = kinds(specs)
    memory = allowance(mebibytes)
    shared = budget(found, workers, memory, use)
    if isinstance(shared, Budget):
        return shared
    said = f"{memory / MIB:,.0f}" + ("" if mebibytes is not None else " (a quarter of what is free)")
    raise SpecError(
        [Fault("train.memory", f"must be at least {upto(shared):,} MiB here", said, remedy(found, memory, use))]
    )


def card(specs: Sequence[RunSpec], here: bool) -> float | None:
    """Bytes that the networks of specs may take of a graphics card, ``here`` or on whatever machine trains them; None
    where no spec asks for one.

    Raises:
        SpecError: a spec asks for a card, and there is none that torch can use here.
    """
    if not any(map(on_card, specs)):
        return None
    if not here:
        return CARD_SHARE * ELSEWHERE
    from nnspec.training.device.card import free_bytes

    return CARD_SHARE * free_bytes()


def upto(size: float) -> int:
    """Whole MiB that are enough for ``size`` bytes."""
    return int(-(-size // MIB))


def remedy(found: Sequence[Kind], memory: float, use: Use) -> str:
    """What to change so that it fits."""

    def fits(some: Sequence[Kind]) -> bool:
        return isinstance(budget(some, 1, memory, use), Budget)

    def thinned(every: int) -> list[Kind]:
        return [
            replace(k, spec=replace(k.spec, train=replace(k.spec.train, log_every=max(every, log_every(k.spec)))))
            for k in found
        ]

    def fewer(largest: int) -> list[Kind]:
        return [replace(k, networks=min(k.networks, k.cells * largest), largest=min(k.largest, largest)) for k in found]

    remedies = ["raise it"]
    longest, largest = max(updates(kind.spec) for kind in found), max(kind.largest for kind in found)
    if fits(thinned(longest)):
        remedies.append(f"raise train.log_every to {_first(lambda every: fits(thinned(every)), longest):,}")
    if largest > 1 and fits(fewer(1)):
        remedies.append(
            f"lower replicates to {largest + 1 - _first(lambda less: fits(fewer(largest + 1 - less)), largest):,}"
        )
    return " or ".join(remedies if len(remedies) > 1 else ["raise it", "train fewer, smaller or shorter"])


def _first(holds: Callable[[int], bool], most: int) -> int:
    """The first of 1..most for which ``holds``, which holds for ``most`` and for all from the first on."""
    return 1 + bisect_left(range(1, most), True, key=holds)


def planned_bytes(plan: Plan, shared: Budget) -> float:
    """What the command holds when most of it is there, if no Hessian is wanted: few networks need one, but there is
    room for it."""
    sizes = []
    for stack in plan.stacks:
        spec, largest = plan.specs[stack.cells[0]], max(stack.chunks, key=lambda chunk: chunk.networks)
        each = largest.networks // formulas(plan.specs, largest)
        room = replace(shared.room, workers=min(shared.room.workers, len(stack.chunks)), after=probe_bytes)
        fixed = room.workers * fixed_bytes(Kind(spec, 1, each, each), room)
        sizes.append(fixed + held_bytes(spec, largest.networks, stack.networks, room))
    return shared.results + max(sizes)


def allowance(mebibytes: float | None) -> float:
    """Bytes that training may hold at a time: as said in MiB, else a quarter of what is free."""
    return mebibytes * MIB if mebibytes is not None else free() / SHARE


def free() -> float:
    """Bytes of memory that are free; 2 GiB where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 2.0 * 2**30
