"""Hydra's launchers: what trains chunks where another than the basic one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins

from nnspec.execute.shards import Shards, ShardTask
from nnspec.execute.submitit_jobs import each_by_itself

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def chosen_launcher(context: Any, config: Any) -> Shards | None:
    """The launcher that the ``config`` of a job or a sweep chooses, a job a shard; None with Hydra's basic one.
    ``context`` is Hydra's."""
    if str(config.hydra.launcher._target_) == BASIC:
        return None

    def launch(task: ShardTask, count: int, first: int) -> Sequence[Any]:
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
        with each_by_itself(launcher):
            words = [[f"shard={index}/{count}"] for index in range(count)]
            return launcher.launch(words, initial_job_idx=first)

    return Shards(launch, Path(config.hydra.sweep.dir))
