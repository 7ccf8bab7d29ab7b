"""Diagnosis of what a chunk trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnspec.execute.judge import judge
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import plan


def test_networks_that_train_stop_ended_are_judged_by_what_they_trained(spec_of: Callable[..., RunSpec]) -> None:
    """Steps so large that losses go up and down until the end, after which histories are level."""
    spec = spec_of(
        data="moons",
        model={"name": "mlp", "hidden": [8]},
        optimizer={"name": "adam", "lr": 0.3},
        train={"batch_size": 16, "epochs": 60, "stop": "plateau", "patience": 40},
        seed=3,
        replicates=5,
    )
    (chunk,) = plan([spec]).chunks()
    *_, trained = train_chunk([spec], chunk)
    assert isinstance(trained, Results)
    assert trained.stopped_at is not None
    stopped = (trained.stopped_at != NEVER) & (trained.stopped_at < 0.8 * trained.steps[-1])
    judged = judge([spec], chunk, trained)
    assert stopped.any()
    assert (judged.numbers["loss_jitter"][stopped] > 0).all()
    since = judged.numbers["since"][stopped]
    assert (np.isnan(since) | (since < trained.stopped_at[stopped])).all()
