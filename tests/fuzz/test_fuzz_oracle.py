"""The fuzzers' own tests: each rule sees the command that breaks it, and a case depends on its seed alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import command_lines
import pytest
import sabotage
import spec_files
import yaml
from oracle import faults
from sandbox import COMMAND, Sandbox

from nnspec.cli.main import COMMANDS

BROKEN = {
    "traceback": "traceback: ValueError: untold",
    "unexpected": "'unexpected': nnspec: unexpected KeyError",
    "status": "exit status 3",
    "killed": "exit status -6",
    "hang": "hung in File .*in wait",
    "fifo": "hung in File .*in open",
    "warning": "Python warning: .*UserWarning: odd",
    "silence": "exit status 1 without a word",
    "escape": "raw control character: .*x1b",
    "long_line": "an error line of 5008 characters",
    "many_lines": "100 lines of errors",
    "foreign_line": "an error line that is not nnspec's: 'usage",
    "write_outside": "wrote outside, or started a program: open .*/outside$",
    "write_outside_unseen": "left beside its folder: outside",
    "make_folder_outside": "wrote outside, or started a program: os.mkdir /nosuch",
    "link_outside": "wrote outside, or started a program: open /tmp/nnspec-through-a-link",
    "program": "wrote outside, or started a program: subprocess.Popen touch",
    "import_canary": "ran code: ran-canary",
    "load_pickle": "ran code: ran-canary",
}
ENDLESS = ("hang", "fifo")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that imports nothing beforehand."""
    with Sandbox(tmp_path_factory.mktemp("bare"), preload=()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Another, for what never ends: it gives a command a second."""
    with Sandbox(tmp_path_factory.mktemp("impatient"), preload=(), seconds=1) as sandbox:
        yield sandbox


def sees(sandbox: Sandbox, name: str) -> None:
    """The rules find what this sabotage breaks."""
    sandbox.empty()
    found = list(faults(sandbox.run(call=f"sabotage:{name}")))
    assert any(re.search(BROKEN[name], fault) for fault in found), found


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ENDLESS])
def test_each_rule_sees_what_breaks_it(bare: Sandbox, name: str) -> None:
    sees(bare, name)


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_seen(impatient: Sandbox, name: str) -> None:
    sees(impatient, name)


def test_each_sabotage_is_tried() -> None:
    own = {
        name
        for name, value in vars(sabotage).items()
        if getattr(value, "__module__", "") == "sabotage" and callable(value)
    }
    assert own == {*BROKEN, "nothing_wrong"}


def test_nothing_is_wrong_with_a_command_that_does_its_work(bare: Sandbox) -> None:
    bare.empty()
    assert list(faults(bare.run(call="sabotage:nothing_wrong"))) == []
    assert list(faults(bare.run("list", "activations", call=COMMAND))) == []
    assert (bare.work / "here").exists()


def test_a_case_depends_on_its_seed_alone() -> None:
    assert [command_lines.command_line(seed) for seed in range(50)] == [
        command_lines.command_line(seed) for seed in range(50)
    ]
    contents = [
        [spec_files.spoiled(Random(seed), b"seed: 1\ntrain: {epochs: 2}\n") for seed in range(50)] for _ in range(2)
    ]
    assert contents[0] == contents[1]
    assert len(set(contents[0])) > 30


def test_every_command_and_group_is_said() -> None:
    lines = [command_lines.command_line(seed) for seed in range(1000)]
    assert {line[0] for line in lines} >= set(COMMANDS)
    said = {word.partition("=")[0] for line in lines for word in line}
    assert said >= {
        "model",
        "activation",
        "init",
        "optimizer",
        "loss",
        "data",
        "tracking",
        "experiment",
        "hydra/sweeper",
        "--csv",
        "--by",
    }
    assert len(said) > 300


def test_a_valid_spec_is_one() -> None:
    spec = spec_files.valid(Random(1))
    assert yaml.safe_load(yaml.safe_dump(spec.to_mapping()))["data"]["name"] == spec.data.name
