"""The entries of the verdicts against the conditions that decide them and the thresholds that these turn on."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields

import pytest

from nnspec.diagnostics import VERDICT_ENTRIES, VERDICTS, Thresholds, conditions, verdict_entry
from nnspec.diagnostics.outcome import ORDER, STUCK
from nnspec.diagnostics.thresholds import reason
from nnspec.diagnostics.verdicts import REMEDIES
from nnspec.errors import SpecError


def test_there_is_an_entry_for_each_condition_in_the_order_in_which_they_are_asked():
    assert (*(condition.__name__ for condition in ORDER), STUCK) == VERDICTS


@pytest.mark.parametrize("entry", VERDICT_ENTRIES.values(), ids=VERDICTS)
def test_an_entry_is_complete(entry):
    assert "\n" not in entry.summary
    assert len(entry.summary) < 80  # one line of `nnspec list verdicts`
    assert all((entry.meaning, entry.condition, entry.source))
    assert set(entry.remedies) <= set(REMEDIES)
    assert bool(entry.remedies) == (entry.name != "solved")
    assert set(entry.thresholds) <= {each.name for each in fields(Thresholds)}


def test_an_entry_names_the_thresholds_of_its_condition():
    named = {name for entry in VERDICT_ENTRIES.values() for name in entry.thresholds}
    used = {each.name for each in fields(Thresholds) if f"limits.{each.name}" in inspect.getsource(conditions)}
    assert used <= named


@pytest.mark.parametrize("threshold", [each.name for each in fields(Thresholds)])
def test_every_threshold_has_its_reason(threshold):
    assert len(reason(threshold)) > 40


def test_an_unknown_verdict_names_the_nearest():
    with pytest.raises(SpecError, match=r"must be a known verdict.*did you mean 'dead_units'"):
        verdict_entry("dead_unit")


def test_what_verdicts_mean_can_be_told_without_torch():
    code = "import sys, nnspec.diagnostics.verdicts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
