"""The description of a sweep's run: the answer in Markdown, within a tag, whatever the names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nnspec.explaining import Explanation
from nnspec.report.describing import PAD, code_block, link, running_description, sweep_description
from nnspec.results.outcome import Outcome
from nnspec.specs import RunSpec
from nnspec.tracking.limits import TAG_LIMIT, clip

SpecOf = Callable[..., RunSpec]
NASTY = "<script>alert(1)</script> |a_ `b` *c* ~~d~~ [e](javascript:f) @me :smile: www.g.h \u202e ünï"


def rows(spec: RunSpec, solved: bool) -> dict[str, np.ndarray]:
    count = spec.replicates
    return {
        "seed": np.arange(count),
        "final_loss": np.full(count, 0.1),
        "final_accuracy": np.ones(count),
        "solved": np.full(count, solved),
        "solved_at": np.full(count, 10 if solved else -1),
        "verdict": np.full(count, "solved" if solved else "stuck"),
        "epochs": np.full(count, 20),
    }


def outcome_of(specs: list[RunSpec], axes: tuple[str, ...], solves: Callable[[RunSpec], bool]) -> Outcome:
    return Outcome(specs, axes, {cell: rows(spec, solves(spec)) for cell, spec in enumerate(specs)})


@pytest.fixture
def swept(spec_of: SpecOf) -> Outcome:
    specs = [spec_of(activation=a, init=i, replicates=4) for a in ("relu", "tanh") for i in ("normal", "zeros")]
    return outcome_of(specs, ("activation", "init"), lambda spec: spec.init.name == "normal")


def named(spec_of: SpecOf, paths: list[str]) -> list[RunSpec]:
    """Specs that differ by the path of a file, whatever its name."""
    spec = spec_of(replicates=1)
    return [replace(spec, data=replace(spec.data, params=(*spec.data.params, ("path", path)))) for path in paths]


def test_the_answer_stands_in_it_and_first(swept: Outcome) -> None:
    why = [Explanation("stuck", 8, 16, "it does not move", "", None, 8)]
    note = sweep_description(swept, why, "run -m", [link("report", "#/there")])
    assert note.splitlines()[0] == r"**8 of 16 networks solved: 50% \[28-72\]** · [report](#/there)"
    assert (
        "| activation \\\\ init | normal | zeros |\n| :-- | --: | --: |\n"
        "| relu | 100% \\[51-100\\] | 0% \\[0-49\\] |\n| tanh | 100% \\[51-100\\] | 0% \\[0-49\\] |\n"
    ) in note.replace(PAD, "")
    best, worst = note.replace(PAD, "").partition("**best**")[2].split("**worst**")
    assert re.findall(r"^\| (\d+)%.* \| 4 \| (\w+) \| (\w+) \|$", best, re.M) == [
        ("100", "relu", "normal"),
        ("100", "tanh", "normal"),
    ]
    assert re.findall(r"^\| (\d+)%.* \| 4 \| (\w+) \| (\w+) \|$", worst, re.M) == [
        ("0", "tanh", "zeros"),
        ("0", "relu", "zeros"),
    ]
    assert "8 of 16 networks not solved: 8 stuck" in note
    assert "stuck 50.0%: it does not move" in note
    assert note.endswith("4 cells over activation, init\n\n```\nrun -m\n```")


def test_the_axes_asked_for_make_the_table(swept: Outcome) -> None:
    assert f"| init{PAD} | solved{PAD} |\n" in sweep_description(swept, [], "run", by=["init.name"])


def test_a_sweep_without_results_says_what_it_is(swept: Outcome) -> None:
    nothing = replace(swept, outcomes={})
    assert sweep_description(nothing, [], "run -m") == running_description(4, ("activation", "init"), "run -m")
    some = replace(swept, outcomes={0: swept.outcomes[0]})
    assert "; 3 cells without a result" in sweep_description(some, [], "run -m").splitlines()[0]


def test_whatever_the_names_it_fits_a_tag_and_its_tables_are_whole(spec_of: SpecOf) -> None:
    paths = [f"{NASTY * 3} {number}" for number in range(40)]
    specs = [
        replace(spec, optimizer=replace(spec.optimizer, params=(*spec.optimizer.params, ("x", f"{number} {NASTY}"))))
        for spec in named(spec_of, paths)
        for number in range(5)
    ]
    swept = outcome_of(
        specs, ("data.path", "optimizer.x", NASTY * 10), lambda spec: "3" in dict(spec.data.params)["path"]
    )
    why = [Explanation("stuck", 1, 2, NASTY * 5, "", None, 1, NASTY * 5)] * 9
    note = sweep_description(swept, why, f"{NASTY}\n" * 500, [link("report", "#/there")] * 2)
    assert len(note) <= TAG_LIMIT
    assert clip(note, TAG_LIMIT) == note
    tables = re.findall(r"(?:^\|.*\n)+", note, re.M)
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
        assert len(table.splitlines()) > 2
    assert re.search(r"^\.\.\. and \d+ more rows", note, re.M)
    assert re.search(r"^\.\.\. and \d+ more verdicts", note, re.M)
    outside = note.rpartition("\n\n```")[0]
    assert "<" not in outside
    assert "@" not in outside
    assert "\u202e" not in note


@pytest.mark.parametrize("text", ["plain", "a ``` b", "````", "one\n```\ntwo", "\x1b[31m"])
def test_nothing_in_a_command_ends_its_block(text: str) -> None:
    fence, line, end = code_block(text).split("\n")
    assert fence == end
    assert fence not in line
    assert set(fence) == {"`"}
    assert line.isprintable()


def test_of_a_wide_and_long_table_columns_and_rows_are_left_out_and_counted(spec_of: SpecOf) -> None:
    specs = [
        replace(spec, init=replace(spec.init, params=(*spec.init.params, ("x", number))))
        for spec in named(spec_of, [f"file {number}" for number in range(60)])
        for number in range(50)
    ]
    note = sweep_description(outcome_of(specs, ("data.path", "init.x"), lambda spec: False), [], "run")
    found = re.search(r"^\.\.\. and (\d+) more rows and (\d+) more columns$", note, re.M)
    assert found is not None
    lines = note.split("**best**")[0].splitlines()
    rows, columns = sum(line.startswith("| file") for line in lines), lines[2].count(" | ")
    assert (rows + int(found[1]), columns + int(found[2])) == (60, 50)
    assert rows > 5
    assert columns > 5
