"""Let Hydra find the sweeper, also in a clone that is not installed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from hydra.core.plugins import Plugins

MODULE, CLASS = "hydra_plugins.nnspec_fused", "FusedSweeper"


def find_plugin() -> None:
    """Register the sweeper with Hydra if Hydra's own scan did not find it; an installation has it on its path."""
    folder = Path(__file__).resolve().parents[1] / "_plugins"
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    plugins = Plugins.instance()
    if f"{MODULE}.{CLASS}" not in plugins.class_name_to_class:
        plugins.register(getattr(import_module(MODULE), CLASS))
