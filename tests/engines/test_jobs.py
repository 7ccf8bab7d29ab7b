"""Jobs of Hydra's launchers, one of which is killed in the middle: the same bits as one process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import holding
import pytest
import sweeps

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_job_that_is_killed_costs_nothing_but_time(
    launcher: str, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    hold = holding.Hold(tmp_path / "hold")
    under = sweeps.Circumstances(variables=hold.variables)
    sweep = holding.begin(tmp_path / "sweep", f"hydra/launcher={launcher}", under=under)
    os.kill(hold.reached(), signal.SIGKILL)
    assert sweeps.ended(sweep) == 0, sweeps.output(tmp_path / "sweep")
    assert holding.complete(tmp_path / "sweep").digests == undisturbed
