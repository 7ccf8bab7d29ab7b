"""What a command would train, said instead of trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnspec.documents import document
from nnspec.execute.budget import planned_bytes
from nnspec.execute.engine import Trainer
from nnspec.execute.pool import cores
from nnspec.report import as_json, console
from nnspec.report.voice import Voice
from nnspec.settings import Settings


@dataclass(frozen=True)
class Planned:
    """What would train, in words and as the document of ``--json``. It prints as the words."""

    text: str
    info: dict[str, Any]

    def __repr__(self) -> str:
        return self.text


def planned(training: Trainer, duplicates: int = 0, filing: Sequence[str] = ()) -> Planned:
    """What would train together, how much memory and about how long it takes; ``duplicates`` are cells stated twice,
    ``filing`` is what would be filed, in words."""
    from nnspec.execute.cost import plan_seconds
    from nnspec.training.loop import probe

    plan, workers = training.plan, training.workers
    memory = planned_bytes(plan, training.shared)
    seconds = plan_seconds(plan, min(workers, cores()), probe)
    lines = [console.plan_report(plan, workers, memory, seconds)]
    lines += [f"({training.part})"] if training.part else []
    lines += [*filing, *stated_twice(duplicates)]
    return Planned("\n".join(lines), as_json.plan_info(plan, workers, memory, seconds, bool(training.part), duplicates))


def stated_twice(duplicates: int) -> list[str]:
    """A line about cells that are stated twice, where there are some."""
    return [f"{console.count(duplicates, 'cell')} stated twice: trained once"] if duplicates else []


def show_plan(found: Planned, settings: Settings, speak: Voice) -> None:
    """Say what would train, as a document of JSON or in words."""
    if settings.json:
        print(document(found.info))
    speak.asked(found.text)
