"""README.md and docs/: the commands of each page run as they stand, in their order, in an empty folder.

A comment on the line above a block says what is special about it: ``<!-- file: NAME -->`` is written as a file,
``<!-- fails: N -->`` ends with that exit status, ``<!-- shown -->`` and ``<!-- ci: NAME -->`` (which .ci/run runs) are
not run, ``<!-- prints -->`` is what the blocks before it printed, in part: a line ``...`` stands for any lines, and
numbers may be others. A block without a language that begins with ``$ `` is a session: commands, each with what it
prints.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import nnspec

ROOT = Path(nnspec.__file__).parents[1]
OTHERS = ("docs/python.md", "docs/verify.md")  # test_docs_python.py and test_docs_verify.py run these
PAGES = sorted(
    name
    for pattern in ("README.md", "docs/*.md", "docs/how/*.md", "docs/howto/*.md")
    for page in ROOT.glob(pattern)
    if (name := page.relative_to(ROOT).as_posix()) not in OTHERS
)
BLOCK = re.compile(r"^(?:<!-- ([a-z]+)(?:: (\S+))? -->\n)?```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PROGRAMS = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
TIMEOUT = 300  # seconds a block, on a busy machine


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its mark with what that names, its language, its text."""

    mark: str
    named: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    return [Block(*(part or "" for part in found)) for found in BLOCK.findall(page.read_text("utf-8"))]


def shape(text: str) -> list[str]:
    """The lines of an output without what differs between machines: numbers, runs of spaces and dashes."""
    masked = re.sub(r"[<>]?-?\d[\d.,e+-]*", "#", text.replace("...", "#"))
    return [" ".join(re.sub(r"-{3,}", "", line).split()) for line in masked.splitlines() if line.strip(" -")]


def says(output: str, shown: str) -> bool:
    """Whether the lines shown come in this order in an output; a line ``...`` stands for any lines."""
    rest = iter(shape(output))
    return all(any(matches(line, wanted) for line in rest) for wanted in shape(shown) if wanted != "#")


def matches(line: str, wanted: str) -> bool:
    """Whether a line is the one wanted, whatever stands for its numbers and behind its last one."""
    pattern = re.escape(wanted).replace(r"\#", "#").replace("#", r"\S*")
    return re.match(pattern, line) is not None


def test_what_a_page_says_is_compared() -> None:
    """The comparison can fail: other words, another order, a line that is not there."""
    output = "verdict     solved 52.5%, dead_units 44.2%\nsolved 3 of 4\n"
    assert says(output, "verdict     solved 10%, dead_units 9.1%\n...\nsolved 1 of 2\n")
    assert not says(output, "verdict     solved 52.5%, saturated 44.2%\n")
    assert not says(output, "solved 3 of 4\nverdict     solved 52.5%, dead_units 44.2%\n")
    assert not says(output, "solved 3 of 4\nsolved 3 of 4\n")


def environ() -> dict[str, str]:
    """This environment's commands first, no store but the folder's own, and a browser that opens nothing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return {**kept, "PATH": path, "BROWSER": "true"}


def done(folder: Path, program: list[str], text: str, status: int = 0) -> str:
    """What a block prints, both streams in one as a terminal shows them, once it has ended with this status."""
    ran = subprocess.run(
        [*program, text],
        cwd=folder,
        env=environ(),
        text=True,
        timeout=TIMEOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert ran.returncode == status, f"{text}\n{ran.stdout}"
    return ran.stdout


def agree(output: str, shown: str) -> None:
    """That an output has the lines shown."""
    assert says(output, shown), f"{shown}\nis not what was printed:\n{output}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page(page: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "run.py", tmp_path)
    output = ""
    for block in blocks(ROOT / page):
        if block.mark == "file":
            target = tmp_path / block.named
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
        elif block.mark == "prints":
            agree(output, block.text)
        elif block.mark in ("shown", "ci"):
            continue
        elif block.language in PROGRAMS:
            output = done(tmp_path, PROGRAMS[block.language], block.text, int(block.named or 0))
        elif not block.language:
            for command, shown in SESSION.findall(block.text):
                agree(done(tmp_path, PROGRAMS["bash"], command, int(block.named or 0)), shown)
