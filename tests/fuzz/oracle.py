"""What must hold of every command, whatever it was given."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox import Said

STATUSES = (0, 1, 2, 130)
LONGEST, MOST = 2000, 60  # characters of a line and lines of an error: a screen
SPEAKER = "nnspec:"
ALLOWED = ("interrupted",)  # what else may stand in stderr
NOTE = re.compile(  # what a command says on the way
    r".* networks? in \d+ stacks?, [\d,]+ chunks? on \d+ process(es)?(; [\d,]+ MLflow runs?, about [\d,]+ \wB.*)?"
    r"|[\d,]+ (of [\d,]+ )?cells? (already done|taken from earlier runs|stated twice: trained once)"
    r"|no earlier runs to reuse|no sweep of these cells to resume yet: starting it|expanding [\d,]+ cells \.\.\."
)
WARNING = re.compile(r"^\S*:\d+: \w*Warning: ", re.MULTILINE)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def faults(said: Said) -> Iterator[str]:
    """What a command did wrong, in words; nothing where all is well."""
    everything = said.out + said.err
    if said.hung:
        yield f"hung in {place(said.err)}"
    elif said.status not in STATUSES:
        yield f"exit status {said.status}"
    if "Traceback (most recent call last)" in everything:
        yield f"traceback: {last(everything)}"
    if found := re.search(r".*\bunexpected \w+.*", everything):
        yield f"'unexpected': {found[0][:300]}"
    if found := WARNING.search(said.err):
        yield f"Python warning: {said.err[found.start() :].splitlines()[0][:300]}"
    if said.status and not everything.strip():
        yield f"exit status {said.status} without a word"
    if found := CONTROL.search(everything):
        yield f"raw control character: {everything[max(0, found.start() - 40) : found.end() + 40]!r}"
    yield from (f"wrote outside, or started a program: {note}" for note in said.noted)
    yield from (f"ran code: {name}" for name in said.ran)
    yield from (f"left beside its folder: {name}" for name in said.strays)
    if not said.hung:
        yield from error_faults(said)


def error_faults(said: Said) -> Iterator[str]:
    """What is wrong with the lines of stderr as an error message."""
    lines = [line for line in said.err.splitlines() if line.strip()]
    if len(lines) > MOST:
        yield f"{len(lines)} lines of errors"
    longest = max(lines, key=len, default="")
    if len(longest) > LONGEST:
        yield f"an error line of {len(longest)} characters: {longest[:100]}..."
    foreign = [line for line in lines if not line.startswith((SPEAKER, *ALLOWED)) and not NOTE.fullmatch(line)]
    if foreign:
        yield f"an error line that is not nnspec's: {foreign[0][:200]!r}"


def last(text: str) -> str:
    """The last line that says something."""
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "")


def place(trace: str) -> str:
    """Where a process hangs, from faulthandler's trace, innermost call first: nnspec's own code if there is any."""
    calls = [line.strip() for line in trace.splitlines() if line.lstrip().startswith("File ")]
    return next((call for call in calls if "/nnspec/" in call), calls[0] if calls else "nobody knows")
