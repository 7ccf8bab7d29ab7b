"""Let Hydra find the sweepers, also in a clone that is not installed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from hydra.core.plugins import Plugins

SWEEPERS = {"hydra_plugins.nnspec_fused": "FusedSweeper", "hydra_plugins.nnspec_search": "SearchSweeper"}


def find_plugin() -> None:
    """Register the sweepers with Hydra if Hydra's own scan did not find them; an installation has them on its path."""
    folder = Path(__file__).resolve().parents[1] / "_plugins"
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    plugins = Plugins.instance()
    for module, name in SWEEPERS.items():
        if f"{module}.{name}" not in plugins.class_name_to_class:
            plugins.register(getattr(import_module(module), name))
