from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import AnalysisError, axes_of, group_by, levels_of, short, widest


def test_numbers_rise_and_names_keep_their_order(small):
    assert levels_of(small, "optimizer.lr").labels == ("0.01", "0.1", "1.0", "10.0")
    assert levels_of(small, "activation.name").labels[:3] == ("relu", "gelu", "tanh")
    assert levels_of(pd.DataFrame({"a": ["10", "9", "8.5"]}), "a").labels == ("8.5", "9", "10")


def test_levels_code_each_network(small):
    levels = levels_of(small, "optimizer.lr")
    assert (np.array(levels.values)[levels.codes] == small["optimizer.lr"]).all()


def test_lists_and_missing_values_are_levels():
    table = pd.DataFrame({"model.hidden": [[4], [2, 2], None, [4]]})
    levels = levels_of(table, "model.hidden")
    assert levels.labels == ("[4]", "[2,2]", "null")
    assert levels.codes.tolist() == [0, 1, 2, 0]


def test_an_unknown_axis_names_the_nearest(small):
    with pytest.raises(
        AnalysisError,
        match=r"'activation.nam'; did you mean 'activation.name'\? available: activation.name, optimizer.lr",
    ):
        levels_of(small, "activation.nam")


def test_groups_hold_only_what_occurs(small):
    part = small[~((small["activation.name"] == "relu") & (small["optimizer.lr"] == 1))]
    groups = group_by(part, ["activation.name", "optimizer.lr"])
    assert len(groups) == 19
    assert "relu, 1.0" not in groups.labels()
    assert np.bincount(groups.codes).tolist() == [30] * 19


def test_axes_are_what_is_constant_in_a_cell_and_varies(small):
    table = small.assign(init_dead=np.arange(len(small)), **{"loss.name": "bce"})
    assert axes_of(table) == ["activation.name", "optimizer.lr"]


def test_the_widest_axes_have_the_most_levels(small):
    assert widest(small, ["optimizer.lr", "activation.name", "seed"]) == ["activation.name", "optimizer.lr"]
    assert short("activation.name") == "activation"


def test_importing_analysis_is_cheap():
    code = (
        "import sys, nnspec.analysis; print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in "
        "sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
