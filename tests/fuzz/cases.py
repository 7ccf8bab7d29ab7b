"""All fuzzers under one roof, and the command that runs one case again:

python tests/fuzz/cases.py command_line 17
python tests/fuzz/cases.py store 0-99 20    (a command hangs after 20 seconds in place of 60)

NNSPEC_TIMES=5 pytest -m slow tests/fuzz    runs five times as many cases as CI does
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import command_lines
import spec_files
import spools
import stores
import values
from oracle import faults
from sandbox import Said, Sandbox

# What is run by `pytest -m slow`, times NNSPEC_TIMES: the seeds of a kind are 0, 1, ... These go on finding what a
# change breaks; many more are for whoever changes what reads strangers' words and files.
TIMES = int(os.environ.get("NNSPEC_TIMES", "1"))
CASES = {
    kind: number * TIMES
    for kind, number in {"command_line": 100, "process": 4, "spec_file": 20, "store": 20, "spool": 10}.items()
}


class Cases:
    """The cases of each kind by seed, in one sandbox: what each command said, with what was wrong with it."""

    def __init__(self, sandbox: Sandbox):
        self.sandbox = sandbox

    @cached_property
    def _store(self) -> Path:
        return stores.made(self.sandbox)

    @cached_property
    def _spools(self) -> Path:
        return spools.made(self.sandbox)

    def run(self, kind: str, seed: int) -> Iterator[tuple[Said, list[str]]]:
        """The case of this kind and seed."""
        yield from getattr(self, kind)(seed)

    def command_line(self, seed: int) -> Iterator[tuple[Said, list[str]]]:
        said = self.sandbox.run(*self._furnished(seed))
        yield said, list(faults(said))

    def process(self, seed: int) -> Iterator[tuple[Said, list[str]]]:
        """Some of the same command lines in processes of their own."""
        said = self.sandbox.run_process(*(word.encode("utf-8", "replace").decode() for word in self._furnished(seed)))
        yield said, list(faults(said))

    def _furnished(self, seed: int) -> list[str]:
        """A command line, and the folder that it expects: runs to read, files to name."""
        template = self._store
        self.sandbox.empty(template)
        values.planted(self.sandbox.work)
        return stores.ids(template).into(command_lines.command_line(seed))

    def spec_file(self, seed: int) -> Iterator[tuple[Said, list[str]]]:
        yield from spec_files.case(seed, self.sandbox)

    def store(self, seed: int) -> Iterator[tuple[Said, list[str]]]:
        template = self._store
        yield from stores.case(seed, self.sandbox, template)

    def spool(self, seed: int) -> Iterator[tuple[Said, list[str]]]:
        template = self._spools
        yield from spools.case(seed, self.sandbox, template)


def main(kind: str, seeds: str, seconds: str = "60") -> int:
    """Run the cases and print what they said and what was wrong; the number of those that were."""
    first, _, last = seeds.partition("-")
    wrong = 0
    root = Path(tempfile.mkdtemp(prefix="nnspec-fuzz-"))
    with Sandbox(root, seconds=float(seconds)) as sandbox:
        cases = Cases(sandbox)
        for seed in range(int(first), int(last or first) + 1):
            began = time.perf_counter()
            found = [(said, found) for said, found in cases.run(kind, seed) if found or not last]
            wrong += any(found for _, found in found)
            for said, what in found:
                print(f"{kind} {seed}: {said.words} -> {said.status}, {time.perf_counter() - began:.1f} s")
                print("".join(f"    {fault}\n" for fault in what), end="", flush=True)
                if not last:
                    print(said.out, said.err, sep="\n---\n")
    if last:
        shutil.rmtree(root)
        print(f"{wrong} of them")
    else:
        print(f"left as it was: {root}")
    return wrong


if __name__ == "__main__":
    sys.exit(min(1, main(*sys.argv[1:])))
