"""nnspec: does this network train, how reliably, and if not, why?

    import nnspec
    spec = nnspec.spec(["model=mlp", "activation=gelu"])
    net = nnspec.build(spec, seed=3)          # a plain torch.nn.Module
    result = nnspec.train(spec)               # arrays and a data frame
    net = nnspec.load(run_id, replicate=3)    # a trained network, back from MLflow

Importing the package is cheap: torch, MLflow and the rest load when they are first needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from nnspec.errors import NnspecError as NnspecError
from nnspec.errors import SpecError as SpecError
from nnspec.errors import TrackingError as TrackingError
from nnspec.errors import WeightsError as WeightsError
from nnspec.specs import RunSpec as RunSpec

if TYPE_CHECKING:
    from nnspec.api import TrainResult as TrainResult
    from nnspec.api import load as load
    from nnspec.api import table as table
    from nnspec.api import train as train
    from nnspec.builder import build as build
    from nnspec.compose import load_spec as load_spec

_LAZY = {
    "build": "nnspec.builder",
    "load_spec": "nnspec.compose",
    "TrainResult": "nnspec.api",
    "load": "nnspec.api",
    "table": "nnspec.api",
    "train": "nnspec.api",
}
__all__ = ["NnspecError", "RunSpec", "SpecError", "TrackingError", "WeightsError", "spec", *_LAZY]


def spec(overrides: Sequence[str] = ()) -> RunSpec:  # takes the place of the module of its name
    """The checked spec that overrides state, as on the command line: ``nnspec.spec(["model=mlp", "activation=gelu"])``.

    Raises:
        SpecError: with every fault of the overrides and of the spec.
    """
    from nnspec.compose import spec as composed

    return composed(overrides)


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'nnspec' has no attribute '{name}'")
