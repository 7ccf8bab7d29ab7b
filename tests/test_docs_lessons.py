"""docs/lessons: the code cells of each lesson run in their order, exercises' solutions too, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnspec

FOLDER = Path(nnspec.__file__).parents[1] / "docs" / "lessons"
LESSONS = sorted(path for path in FOLDER.glob("*.md") if path.name[0].isdigit())
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADER = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n"
PARTS = ("Before you go on", "## Exercise", "tags: [hide-cell]")  # a prediction, an exercise, a solution to unfold


def cells(lesson: str) -> list[str]:
    """The code of a lesson's cells."""
    return CELL.findall(lesson)


def ran(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What became of code that ran as a program of its own."""
    (folder / "lesson.py").write_text(code, "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["MPLBACKEND"] = "agg"
    command = [sys.executable, "-W", "error::SyntaxWarning", "lesson.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_there_are_lessons_and_each_has_its_parts() -> None:
    assert len(LESSONS) == 8
    for path in LESSONS:
        text = path.read_text("utf-8")
        assert text.startswith(HEADER), path.name
        assert [part for part in PARTS if part not in text] == [], path.name
        assert len(cells(text)) == text.count("{code-cell}"), path.name
        assert "assert" in cells(text)[-1], f"{path.name}: the solution at the end is marked"


@pytest.mark.slow
@pytest.mark.parametrize("path", LESSONS, ids=[path.stem for path in LESSONS])
def test_a_lesson_runs(path: Path, tmp_path: Path) -> None:
    done = ran("\n".join(cells(path.read_text("utf-8"))), tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lesson.py"], "a lesson leaves no files"


@pytest.mark.slow
def test_a_lesson_that_is_broken_is_noticed(tmp_path: Path) -> None:
    """An exercise whose solution is wrong, and a name that is not there."""
    lesson = LESSONS[0].read_text("utf-8")
    for right, wrong, error in (
        ("mark(w=[-1, -1], b=0.5)", "mark(w=[1, 1], b=0.5)", "AssertionError"),
        ("nnspec.sweep(", "nnspec.swoop(", "AttributeError"),
    ):
        broken = lesson.replace(right, wrong)
        assert broken != lesson
        done = ran("\n".join(cells(broken)), tmp_path)
        assert done.returncode == 1
        assert error in done.stderr
