"""The sweeper ``hydra/sweeper=nnspec``: hands all cells of a multirun to nnspec at once.

Hydra imports every plugin at its start, so that nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

MANY = 10_000  # cells whose expansion is announced: it takes a second


def watched(cells: Iterator[Any], total: int) -> Iterator[Any]:
    """The cells as they are made; of many it is said how many, and on a terminal how far they are."""
    if total < MANY:
        yield from cells
        return
    from rich.progress import Progress

    from nnspec.terminal import note, progress_options

    note(f"expanding {total:,} cells ...")
    with Progress(**progress_options()) as progress:
        yield from progress.track(cells, total=total, description="cells")


class FusedSweeper(Sweeper):
    """Expands a multirun into checked cells and trains them together. ``params`` are axes, as in Hydra's basic
    sweeper."""

    def __init__(self, params: Mapping[str, Any] | None = None):
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the sweep needs."""
        self._context = hydra_context
        self._task_function = task_function
        self._config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Train the cells that the arguments state; the outcome, or ``SystemExit`` if not all is well."""
        from nnspec.compose.carried import carried

        folder = Path(self._config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, folder / "multirun.yaml")
        outcome = carried(lambda: self._run([f"{key}={value}" for key, value in self.params.items()], arguments))
        if outcome.exit_status:
            raise SystemExit(outcome.exit_status)
        return outcome

    def _run(self, axes: list[str], arguments: list[str]) -> Any:
        from nnspec.compose import command_line, heed
        from nnspec.report.drawing import started
        from nnspec.sweep import expand, unwatched

        start = time.perf_counter()
        settings, composer = self._read()
        plan = expand([*axes, *arguments], settings, composer, unwatched if settings.quiet else watched)
        specs = [cell.spec for cell in plan.cells]
        heed(self._config.hydra, composer, specs, settings, arguments)
        spent = time.perf_counter() - start
        if settings.sweep.map is not None:
            from nnspec.maps.study import run_map_study

            return run_map_study([c.spec for c in plan.cells], settings, command_line(), carry=self._carry())
        drawn = settings.tracking.enabled and settings.sweep.report and not settings.sweep.plan_only
        with started(drawn, specs) as drawer:  # before torch is imported, which takes a second of one core
            from nnspec import runner

            return runner.run(
                plan.cells,
                settings,
                axes=plan.axes,
                duplicates=plan.duplicates,
                sweep=True,
                command=command_line(),
                expand_seconds=spent,
                carry=self._carry(),
                drawer=drawer,
            )

    def _read(self) -> tuple[Any, Any]:
        """The settings of the command, and the composer of its cells."""
        from nnspec.compose import Composer, resolved
        from nnspec.settings import settings_from

        return settings_from(resolved(self._config)), Composer.of_job(self._context.config_loader, self._config)

    def _carry(self) -> Any:
        """What trains the chunks: nothing to say with Hydra's basic launcher, else its jobs, a shard each."""
        from nnspec.execute.launchers import chosen_launcher

        return chosen_launcher(self._context, self._config)
