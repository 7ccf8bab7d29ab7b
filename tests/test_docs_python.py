"""docs/python.md: every example runs as it stands, in its order, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnspec

PAGE = Path(nnspec.__file__).parents[1] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the examples leave."""
    names: dict[str, Any] = {"folder": tmp_path_factory.mktemp("docs")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(names["folder"])
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for block in BLOCKS:
            exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.mark.slow
def test_what_the_examples_make(ran: dict[str, Any]) -> None:
    assert len(BLOCKS) == 10
    assert ran["again"].final_loss.shape == ran["share"].shape == (16, 24)
    assert (len(ran["result"].table), len(ran["swept"].table), len(ran["frame"])) == (100, 200, 200)
    for name in ("sweep.png", "survival.png", "pages/heatmap.png"):
        assert (ran["folder"] / name).read_bytes().startswith(b"\x89PNG")
    assert "dead_units" in repr(ran["failed"].explain())
    assert len(ran["found"].frame()) > 5
    weights = [net.state_dict()["0.weight"].tolist() for net in (ran["net"], nnspec.build(ran["swept"].specs[0], 3))]
    assert weights[0] != weights[1]  # the loaded one is trained


@pytest.mark.slow
def test_a_network_of_ones_own_is_the_reference(ran: dict[str, Any]) -> None:
    """Two implementations of the textbook: the example's and ours, each update in double precision."""
    own, ours = [ran[name] for name in ("W1", "b1", "W2", "b2")], ran["ours"].weights.values()
    for one, other in zip(own, ours, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)  # 100 updates of a few roundings, 1e-16 each
    assert ran["ours"].loss[-1] < 0.9 * ran["ours"].loss[0]  # it has learnt
    lines = BLOCKS[-1].strip().splitlines()
    assert len(lines) <= 16, "the README says fifteen lines and the import"


def test_every_name_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    missing = [name for name in dir(nnspec) if not name.startswith("_") and not re.search(rf"\b{name}\b", text)]
    assert missing == []
