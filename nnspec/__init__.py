"""nnspec: does this network train, how reliably, and if not, why?

    import nnspec
    spec = nnspec.spec(["model=mlp", "activation=gelu"])
    net = nnspec.build(spec, seed=3)          # a plain torch.nn.Module
    result = nnspec.train(spec)               # arrays and a data frame
    swept = nnspec.sweep(["activation=relu,tanh", "replicates=50"])
    net = nnspec.load("last")                 # a trained network, back from MLflow

Importing the package is cheap: torch, MLflow and the rest load when they are first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nnspec.errors import NnspecError as NnspecError
from nnspec.errors import SpecError as SpecError
from nnspec.errors import TrackingError as TrackingError
from nnspec.errors import WeightsError as WeightsError
from nnspec.specs import RunSpec as RunSpec

if TYPE_CHECKING:
    from nnspec.api import TrainResult as TrainResult
    from nnspec.api import cite as cite
    from nnspec.api import compare as compare
    from nnspec.api import diff as diff
    from nnspec.api import explain as explain
    from nnspec.api import export as export
    from nnspec.api import load as load
    from nnspec.api import load_map as load_map
    from nnspec.api import map as map
    from nnspec.api import map_study as map_study
    from nnspec.api import plan as plan
    from nnspec.api import promote as promote
    from nnspec.api import remedy as remedy
    from nnspec.api import report as report
    from nnspec.api import sweep as sweep
    from nnspec.api import table as table
    from nnspec.api import train as train
    from nnspec.builder import build as build
    from nnspec.compose import load_spec as load_spec
    from nnspec.contracts import check_parts as check_parts
    from nnspec.parts import activation as activation
    from nnspec.parts import data as data
    from nnspec.parts import init as init
    from nnspec.parts import loss as loss
    from nnspec.parts import model as model
    from nnspec.parts import optimizer as optimizer
    from nnspec.parts import param as param
    from nnspec.verifying import verify as verify

_MEMBERS = {
    "nnspec.parts": "activation data init loss model optimizer param",
    "nnspec.builder": "build",
    "nnspec.contracts": "check_parts",
    "nnspec.compose": "load_spec",
    "nnspec.api": "TrainResult cite compare diff explain export load load_map map map_study plan promote remedy report "
    "sweep table train",
    "nnspec.verifying": "verify",
}
_LAZY = {name: module for module, names in _MEMBERS.items() for name in names.split()}
_ROOMS = ("analysis", "reference")  # modules for users, imported by naming them
__all__ = ["NnspecError", "RunSpec", "SpecError", "TrackingError", "WeightsError", "spec", *_LAZY]


def spec(overrides: Sequence[str] = ()) -> RunSpec:
    """The checked spec that overrides state, as on the command line: ``nnspec.spec(["model=mlp", "activation=gelu"])``.

    Raises:
        SpecError: with every fault of the overrides and of the spec.
    """
    from nnspec.compose import spec as composed

    return composed(overrides)


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return _function(name)
    if name in _ROOMS:
        return import_module(f"nnspec.{name}")
    if name == "__version__":
        from nnspec.release import version

        return version()
    raise AttributeError(f"module 'nnspec' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS, "__doc__", "__version__"])


def _function(name: str) -> Any:
    return getattr(import_module(_LAZY[name]), name)


class _Room(ModuleType):
    """A subpackage that has the name of a function, and is called as that function: ``nnspec.sweep([...])``."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.__wrapped__(*args, **options)

    @property
    def __wrapped__(self) -> Any:  # where ``inspect.signature`` looks
        return _function(self.__name__.rpartition(".")[2])


class _Package(ModuleType):
    """nnspec itself: when a subpackage of a function's name is imported, Python puts it in the function's place."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _LAZY and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
