"""Networks one by one: whatever crowd they trained in, the facts of each under its own name."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from nnspec.execute.pool import Finished, train_chunks
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.memory import Room
from nnspec.training.plan import Chunk, Share, plan, segment_key

Network = tuple[int, int]  # place of its cell, replicate
Facts = dict[str, bytes]  # everything that a network leaves, bit by bit


def trained_chunk(specs: Sequence[RunSpec], chunk: Chunk, **options: Any) -> Results:
    """The end of a chunk's training."""
    *_, last = train_chunk(specs, chunk, **options)
    assert isinstance(last, Results)
    return last


def facts_of(chunk: Chunk, trained: Results) -> dict[Network, Facts]:
    """What each network of a chunk left."""
    names = [(share.cell, share.first + k) for share in chunk.shares for k in range(share.count)]
    found = {}
    for j, name in enumerate(names):
        sets = {"initial": trained.initial, "final": trained.final} | {
            f"at {step}": w for step, w in trained.snapshots.items()
        }
        facts = {
            f"{kind} {key}": tensor[j].tobytes() for kind, tensors in sets.items() for key, tensor in tensors.items()
        }
        lines = {"loss": trained.loss, "accuracy": trained.accuracy, "right": trained.right, "outputs": trained.outputs}
        tested = {"test_loss": trained.test_loss, "test_accuracy": trained.test_accuracy}
        lines |= {key: line for key, line in tested.items() if line is not None}
        facts |= {key: array[j].tobytes() for key, array in lines.items()}
        facts |= {f"norm {layer}": norm[j].tobytes() for layer, norm in enumerate(trained.weight_norm.values())}
        facts |= {
            key: int(getattr(trained, key)[j]).to_bytes(8, "little", signed=True)
            for key in ("seeds", "solved_at", "nonfinite_at")
        }
        found[name] = facts
    return found


def train_crowd(
    specs: Sequence[RunSpec],
    width: int | None = None,
    shuffle: random.Random | None = None,
    workers: int = 1,
    memory: float | None = None,
    reasons: set[str] | None = None,
    **options: Any,
) -> dict[Network, Facts]:
    """Train ``specs`` as planned, or network by network in a random order in chunks of ``width``; ``reasons`` takes up
    why chunks trained eagerly. With ``options`` of ``train_chunk`` they train in this process."""
    stacks = plan(specs, Room(memory, workers)).stacks
    chunks = [
        chunk for stack in stacks for chunk in (_cut(specs, stack.cells, width, shuffle) if width else stack.chunks)
    ]
    if options:
        trained = [(chunk, trained_chunk(specs, chunk, **options)) for chunk in chunks]
    else:
        events = train_chunks(specs, chunks, workers, lambda *_: None)
        trained = [(chunks[event.chunk], event.trained) for event in events if isinstance(event, Finished)]
    if reasons is not None:
        reasons.update(one.why_eager for _, one in trained)
    return {name: facts for chunk, one in trained for name, facts in facts_of(chunk, one).items()}


def _cut(specs: Sequence[RunSpec], cells: Iterable[int], width: int, shuffle: random.Random | None) -> list[Chunk]:
    shares = [Share(cell, replicate, 1) for cell in cells for replicate in range(specs[cell].replicates)]
    if shuffle is not None:
        shuffle.shuffle(shares)
    shares.sort(key=lambda share: segment_key(specs[share.cell]))  # a chunk has networks of one activation side by side
    return [Chunk(tuple(shares[start : start + width])) for start in range(0, len(shares), width)]


@pytest.fixture(scope="session")
def crowd() -> Callable[..., dict[Network, Facts]]:
    """``crowd(specs, width=None, shuffle=None, workers=1, memory=None)`` trains and gives every network's facts."""
    return train_crowd


@pytest.fixture(scope="session")
def train() -> Callable[[RunSpec], Results]:
    """``train(spec)`` is the only chunk of one spec, trained."""

    def trained(spec: RunSpec) -> Results:
        (stack,) = plan([spec]).stacks
        (chunk,) = stack.chunks
        return trained_chunk([spec], chunk)

    return trained


@pytest.fixture(scope="session")
def differing() -> Callable[[dict[Any, Facts], dict[Any, Facts]], dict[Any, list[str]]]:
    """The names of networks in both and the facts in which they differ; empty where all is bitwise equal."""

    def compare(ours: dict[Any, Facts], theirs: dict[Any, Facts]) -> dict[Any, list[str]]:
        shared = ours.keys() & theirs.keys()
        assert shared, "nothing to compare"
        both = {
            name: [fact for fact in ours[name] if ours[name][fact] != theirs[name][fact]] for name in sorted(shared)
        }
        return {name: facts for name, facts in both.items() if facts}

    return compare
