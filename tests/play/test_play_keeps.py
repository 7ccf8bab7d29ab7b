"""Every state of the page has a link, a picture and a command, and they are what they say."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import chromium as pages
import numpy as np
import pytest
from PIL import Image
from playing import Page

import nnspec
from nnspec.analysis.figures.draw import VERDICTS

pytestmark = pages.MARKS
RUN = Path(__file__).resolve().parents[2] / "run.py"


@pytest.fixture
def downloads(shown: Page, tmp_path: Path) -> Iterator[Path]:
    """Where the page's files go, and a clipboard that it may use."""
    shown.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    clipboard = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    shown.driver.execute_cdp_cmd("Browser.grantPermissions", clipboard)
    yield tmp_path
    shown.driver.execute_cdp_cmd("Browser.resetPermissions", {})


def pasted(shown: Page) -> str:
    """What lies on the clipboard."""
    return shown.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0], arguments[0])")


def pixels(file: Path) -> Counter[tuple[int, ...]]:
    """How often each colour is in a picture."""
    with Image.open(file) as picture:
        return Counter(map(tuple, np.array(picture.convert("RGB")).reshape(-1, 3).tolist()))


def test_the_picture_shows_the_networks_in_frames_of_their_verdicts(shown: Page, downloads: Path) -> None:
    shown.open("replicates=40", "train.epochs=300", "activation=relu")
    shown.run()
    shown.press("picture")
    file = downloads / "nnspec-play.png"
    shown.until(file.exists)
    found = pixels(file)
    surfaces = shown.driver.execute_script(
        "return [...document.querySelectorAll('.tile canvas')]"
        ".map(canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data])"
    )
    drawn = {tuple(pixel) for surface in surfaces for pixel in np.reshape(surface, (-1, 4))[:, :3].tolist()}
    assert len(drawn) > 100
    assert drawn <= found.keys()
    verdicts = Counter(nnspec.train(nnspec.spec(["replicates=40", "train.epochs=300"])).result.verdict.tolist())
    assert verdicts["dead_units"] > 5
    # a frame is 3 points wide around 35, its colour in the legend 15 times 15
    grey = tuple(bytes.fromhex(VERDICTS["dead_units"][0][1:]))
    assert found[grey] == verdicts["dead_units"] * (41**2 - 35**2) + 15**2


def test_the_link_is_copied_and_opens_the_state(shown: Page, downloads: Path) -> None:
    shown.open("replicates=13", "activation=tanh", "seed=4")
    before = shown.pictures()
    shown.press("link")
    shown.until(lambda: "link is copied" in shown.text("said"))
    link = pasted(shown)
    shown.open("replicates=2")
    shown.driver.get("about:blank")
    shown.driver.get(link)
    shown.ready()
    assert shown.pictures() == before


def commands(shown: Page) -> list[list[str]]:
    """The words of the commands that the page copies, without the notes between them."""
    shown.press("copy")
    shown.until(lambda: "command is copied" in shown.text("said"))
    lines = [line for line in pasted(shown).split("\n") if not line.startswith("#")]
    assert lines == [line for line in shown.text("command").split("\n") if not line.startswith("#")]
    return [shlex.split(line) for line in lines]


def ran(folder: Path, words: list[str]) -> tuple[nnspec.RunSpec, np.ndarray]:
    """The spec that a command of the page filed, and which of its networks are solved."""
    assert words[:2] == ["python", "run.py"]
    subprocess.run([sys.executable, str(RUN), *words[2:]], cwd=folder, check=True, capture_output=True)
    uri = f"sqlite:///{folder}/mlflow.db"
    filed = nnspec.export("last", "spec", folder / "spec.yaml", uri=uri)
    return nnspec.load_spec(filed), nnspec.table("last", uri=uri)["solved"].to_numpy()


@pytest.mark.slow
def test_the_commands_that_are_copied_train_what_the_page_shows(shown: Page, downloads: Path) -> None:
    words = ["activation=tanh", "optimizer=sgd", "optimizer.lr=0.5", "optimizer.momentum=0.9", "data=moons"]
    words += ["data.noise=0.3", "data.rows=40", "model.hidden=[3,2]", "train.epochs=100", "seed=6"]
    shown.open(*words, "replicates=12")
    shown.run()
    same, more = commands(shown)
    spec, solved = ran(downloads, same)
    assert spec == nnspec.spec([*words, "replicates=12"])
    assert shown.text("rate").startswith(f"{solved.sum()} of 12 solved")
    assert nnspec.spec(more[2:]) == nnspec.spec([*words[:-1], "seed=18", "replicates=1000"])


@pytest.mark.slow
def test_a_comparison_has_a_command_for_each_recipe(shown: Page, downloads: Path) -> None:
    shown.open("replicates=5")
    shown.press("compare")
    shown.until(lambda: shown.painted() == 10)
    shown.choose("Recipe B.activation", "tanh")
    shown.until(lambda: "activation=tanh" in shown.text("command"))
    first, _, second, _ = commands(shown)
    assert nnspec.spec(first[2:]) == nnspec.spec(["replicates=5"])
    assert nnspec.spec(second[2:]) == nnspec.spec(["replicates=5", "activation=tanh"])


@pytest.mark.slow
def test_points_drawn_by_hand_are_trained_by_the_command(
    shown: Page, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.open("replicates=20", "train.epochs=200", "model.hidden=[2]")
    shown.choose("Recipe.data", "(drawn)")
    shown.until(lambda: "points.csv" in shown.text("command"))
    shown.press("points")
    shown.until((downloads / "points.csv").exists)
    shown.run()
    monkeypatch.chdir(downloads)  # the spec's file is beside it
    spec, solved = ran(downloads, commands(shown)[0])
    assert spec.data["path"] == "points.csv"
    assert shown.text("rate").startswith(f"{solved.sum()} of 20 solved")
