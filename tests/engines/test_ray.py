"""A sweep on Ray, on one machine and on a cluster of several nodes, whatever is killed meanwhile: the same bits as one
process. Nothing listens but on the loopback interface."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import holding
import psutil
import pytest
import sweeps

from nnspec.execute.engines.on_ray import LOOPBACK, QUIET

pytestmark = pytest.mark.slow
RUN = Path(__file__).resolve().parents[2] / "run.py"
RAY = "train.engine=ray"
ONE = {"num_cpus": 1, "object_store_memory": 80_000_000}  # a node; bytes


class Cluster:
    """A Ray of several nodes, each a few processes of this machine."""

    def __init__(self) -> None:
        os.environ.update({**QUIET, **LOOPBACK})
        from ray.cluster_utils import Cluster as Nodes

        self._nodes = Nodes(initialize_head=True, head_node_args={**ONE, "num_cpus": 0, "include_dashboard": False})
        self.words = (RAY, f"train.address={self._nodes.address}")

    def add(self, **variables: str) -> Any:
        """Another node, with these variables in its environment."""
        return self._nodes.add_node(**ONE, env_vars=variables)

    def kill(self, node: Any) -> None:
        """End a node at once, its workers too."""
        self._nodes.remove_node(node, allow_graceful=False)

    def end(self) -> None:
        """End all of it."""
        self._nodes.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    before = dict(os.environ)
    found = Cluster()
    yield found
    found.end()
    os.environ.clear()
    os.environ.update(before)


def circumstances(**more: Any) -> sweeps.Circumstances:
    """A driver that reaches what listens on the loopback interface only."""
    return sweeps.Circumstances(**{**more, "variables": {**LOOPBACK, **more.get("variables", {})}})


def test_a_node_that_is_killed_costs_its_chunks_only(
    cluster: Cluster, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    hold = holding.Hold(tmp_path / "hold")
    victim = cluster.add(**hold.variables)  # the only node that trains, so that it gets the chunk that is held
    sweep = holding.begin(tmp_path / "sweep", *cluster.words, under=circumstances())
    hold.reached()
    survivors = [cluster.add(), cluster.add()]
    cluster.kill(victim)
    assert sweeps.ended(sweep) == 0, sweeps.output(tmp_path / "sweep")
    assert "raylet" not in sweeps.output(tmp_path / "sweep")  # Ray's own words, which it prints among the results
    assert holding.complete(tmp_path / "sweep").digests == undisturbed
    for node in survivors:
        cluster.kill(node)


def test_a_driver_that_is_killed_goes_on(cluster: Cluster, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    node = cluster.add()
    killed = holding.begin(tmp_path, *cluster.words, under=circumstances(killed_at=5))
    assert sweeps.ended(killed) == -signal.SIGKILL, sweeps.output(tmp_path)
    resumed = holding.begin(tmp_path, *cluster.words, "resume=last", under=circumstances())
    assert sweeps.ended(resumed) == 0, sweeps.output(tmp_path)
    cluster.kill(node)
    assert holding.complete(tmp_path).digests == undisturbed


def test_a_node_with_another_nnspec_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "other" / "nnspec"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "release.py").write_text("def code():\n    return 'nnspec 0.0.1 (code 0123456789ab)'\n")
    node = cluster.add(PYTHONPATH=str(other.parent))
    sweep = holding.begin(tmp_path / "sweep", *cluster.words, under=circumstances())
    assert sweeps.ended(sweep) == 1
    cluster.kill(node)
    said = sweeps.output(tmp_path / "sweep").splitlines()[-1]
    assert said.startswith("nnspec: a worker on Ray must have nnspec ")
    assert said.endswith("but got nnspec 0.0.1 (code 0123456789ab); install the same there")
    assert not (tmp_path / "sweep" / "mlflow.db").exists()


def test_a_ray_of_its_own_ends_with_its_command(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    hold = holding.Hold(tmp_path / "hold")
    sweep = subprocess.Popen(  # not forked: those processes end without Python's clean-up
        [sys.executable, str(RUN), *holding.words_of(RAY)[1:]],
        cwd=tmp_path,
        env={**os.environ, **hold.variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    worker = hold.reached()
    ray = psutil.Process(sweep.pid).children(recursive=True)
    assert worker in [process.pid for process in ray]
    sweep.send_signal(signal.SIGINT)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, said
    assert "cells done, and what is known of the others is filed; go on with" in said
    assert not psutil.wait_procs(ray, timeout=30)[1]
    assert sweeps.ended(holding.begin(tmp_path, "resume=last")) == 0, sweeps.output(tmp_path)
    assert holding.complete(tmp_path).digests == undisturbed
