"""docs/howto/*.md: the commands of each page run as they stand, in their order, in an empty folder.

A comment on the line above a block says what is special about it: ``<!-- file: NAME -->`` is written as a file,
``<!-- fails: N -->`` ends with that exit status, ``<!-- shown -->`` is not run, ``<!-- prints -->`` is what the blocks
before it printed, in part: a line ``...`` stands for any lines, and numbers may be others.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import nnspec

PAGES = Path(nnspec.__file__).parents[1] / "docs" / "howto"
BLOCK = re.compile(r"^(?:<!-- ([a-z]+)(?:: (\S+))? -->\n)?```([a-z]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_commands_of_a_page(page: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | {"PATH": path}
    output = ""
    for block in blocks(page):
        if block.mark == "file":
            target = tmp_path / block.named
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
        elif block.mark == "prints":
            assert says(output, block.text), f"{block.text}\nis not what was printed:\n{output}"
        elif block.mark != "shown" and block.language in ("bash", "python"):
            program = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}  # in one, as a terminal shows them
            done = subprocess.run(
                [*program, block.text], cwd=tmp_path, env=environ, text=True, timeout=TIMEOUT, **pipes
            )
            output = done.stdout
            assert done.returncode == int(block.named or 0), f"{block.text}\n{output}"
