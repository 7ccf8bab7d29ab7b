"""The sweeper ``hydra/sweeper=nnspec_search``: the axes of a multirun are a space, of which Optuna proposes cells.

Hydra imports every plugin at its start, so that nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import time
from typing import Any

from hydra_plugins.nnspec_fused import FusedSweeper


class SearchSweeper(FusedSweeper):  # type: ignore[misc]  # no package of its own
    """Searches the space that a multirun states. ``params`` are axes, as of the sweeper ``nnspec``."""

    def _run(self, axes: list[str], arguments: list[str]) -> Any:
        from nnspec.compose import command_line, heed
        from nnspec.search.space import Space

        start = time.perf_counter()
        settings, composer = self._read()
        space = Space([*axes, *arguments], settings, composer)
        heed(self._config.hydra, composer, space.specs, settings, arguments, search=True)
        spent = time.perf_counter() - start
        from nnspec.runner.search import search

        return search(space, settings, command_line(), spent, self._carry())
