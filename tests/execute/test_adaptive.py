"""replicates=auto: rounds that end where the interval is narrow enough, and the same networks as replicates=n."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.analysis.sequential import looks
from nnspec.check import checked_mapping
from nnspec.errors import SpecError
from nnspec.execute.adaptive import AdaptiveTraining
from nnspec.execute.engine import Training
from nnspec.results.events import TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import RunSpec

PRECISION = 0.4
GROUPS = {"model": "mlp", "init": "torch_default", "optimizer": "adam", "loss": "bce", "data": "xor"}


def spec(activation: str, **more: object) -> RunSpec:
    groups = {group: {"name": name} for group, name in {**GROUPS, "activation": activation}.items()}
    return checked_mapping({**groups, "train": {"epochs": 120, "log_every": 40}, **more})


def cells(training: Training | AdaptiveTraining) -> dict[int, TrainedCell]:
    found = [event for event in training if isinstance(event, TrainedCell)]
    assert len({cell.index for cell in found}) == len(found), "a cell came out twice"
    return {cell.index: cell for cell in found}


def test_every_cell_stops_at_the_first_look_that_is_precise_enough() -> None:
    training = AdaptiveTraining([spec("relu"), spec("gelu")], Runtime(workers=1, precision=PRECISION))
    rule = looks(PRECISION)
    found = cells(training)
    assert training.updaters == {
        "too few updates to compile for": sum(len(cell.result.seeds) for cell in found.values())
    }
    for index, cell in found.items():
        solved = np.asarray(cell.result.solved)
        networks = len(solved)
        assert training.by_cell[index].replicates == cell.spec.replicates == networks
        assert networks in rule.sizes
        earlier = [size for size in rule.sizes if size < networks]
        assert not any(rule.enough(int(solved[:size].sum()), size) for size in earlier)
        assert rule.enough(int(solved.sum()), networks) or networks == rule.sizes[-1]


def test_the_networks_are_those_of_a_plain_run_of_as_many_replicates() -> None:
    cell = cells(AdaptiveTraining([spec("relu", seed=5)], Runtime(workers=1, precision=PRECISION)))[0]
    assert cell.spec.replicates > looks(PRECISION).sizes[0], "choose a spec that takes more than one round"
    plain = cells(Training([spec("relu", seed=5, replicates=cell.spec.replicates)], Runtime(workers=1)))[0]
    assert cell.spec == plain.spec
    for name in ("seeds", "loss", "right", "solved_at", "outputs"):
        np.testing.assert_array_equal(getattr(cell.result, name), getattr(plain.result, name))
    for name, tensor in plain.result.final.items():
        np.testing.assert_array_equal(cell.result.final[name], tensor)
    np.testing.assert_array_equal(cell.result.verdict, plain.result.verdict)


def test_stored_weights_are_refused() -> None:
    stored = spec("relu")
    stored = RunSpec(
        **{**stored.__dict__, "init": stored.init.__class__("from_file", (("digest", None), ("path", "w.safetensors")))}
    )
    with pytest.raises(SpecError, match="replicates must be a number with init=from_file"):
        AdaptiveTraining([stored], Runtime(precision=PRECISION))
