"""The page of ``nnspec play`` on filed runs: it shows their networks as they ended, in a real Chromium."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chromium as pages
import numpy as np
import pytest
import safetensors.numpy

import nnspec
from nnspec.cli.main import main
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.play.filed import filed_page
from nnspec.readback import read_cell
from nnspec.report.run_reporting import filed_report
from nnspec.results.table import outcome_rows
from nnspec.settings import Tracking
from nnspec.tracking import Store, open_store
from nnspec.tracking.finding import find_run

WAIT = 60  # seconds that something may take on a busy machine
WORDS = ["loss=mse", "init=normal", "init.std=0.5,1e25", "replicates=12", "seed=5", "train.epochs=200"]
BOTH = pytest.mark.parametrize("cell", [0, 1])


def in_browser(test: Any) -> Any:
    """Marks of a test that needs a browser; a quick one is no slow test where there is one."""
    for mark in pages.MARKS:
        test = test if mark.name == "slow" else mark(test)
    return test


@dataclass(frozen=True)
class Filed:
    """A store with two sweeps: one whose cells are packed, and one that the page cannot show."""

    uri: str
    packed: str
    other: str


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Filed:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    packed = nnspec.sweep([*WORDS, "train.snapshot_every=100", "tracking.cells=none"], tracking=uri, workers=1)
    other = nnspec.sweep(["init=orthogonal,zeros", "train.epochs=5", "sweep.report=false"], tracking=uri, workers=1)
    return Filed(uri, str(packed.run_id), str(other.run_id))


@pytest.fixture(scope="module")
def store(filed: Filed) -> Iterator[Store]:
    store = open_store(Tracking(uri=filed.uri))
    yield store
    store.close()


class Shown:
    """The page as a person sees it."""

    def __init__(self, driver: Any, folder: Path):
        self.driver, self.folder = driver, folder

    def until(self, holds: Callable[[], Any]) -> None:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, WAIT, 0.05, [StaleElementReferenceException]).until(lambda _: holds())

    def open(self, page: str) -> None:
        (self.folder / "play.html").write_text(page, encoding="utf-8")
        self.driver.get((self.folder / "play.html").as_uri())

    def text(self, element: str) -> str:
        return self.driver.find_element("id", element).text

    def press(self, element: str) -> None:
        self.driver.find_element("id", element).click()

    def counts(self) -> dict[str, int]:
        rows = [row.text.split("\n") for row in self.driver.find_elements("css selector", ".verdict")]
        return {name.replace(" ", "_"): int(count) for name, count in rows}

    def weights(self) -> dict[str, np.ndarray]:
        """What the page exports."""
        self.press("export")
        file = self.folder / "nnspec-play.safetensors"
        self.until(file.exists)
        found = safetensors.numpy.load(file.read_bytes())
        file.unlink()
        return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("shown")
    with pages.driven(tmp_path_factory.mktemp("profile"), 1400, {"browser": "ALL"}) as driver:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        yield Shown(driver, folder)
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def same_bits(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
    return found.keys() == wanted.keys() and all(found[name].tobytes() == wanted[name].tobytes() for name in wanted)


@in_browser
@BOTH
def test_it_is_shown_as_it_ended(filed: Filed, store: Store, shown: Shown, cell: int) -> None:
    run_id = find_run(store, f"{filed.packed}/{cell}")
    result = read_cell(store, run_id).result
    shown.open(filed_page(store, run_id))
    shown.until(shown.counts)
    assert shown.text("status") == "update 200 of 200"
    assert shown.counts() == Counter(result.verdict.tolist())
    assert same_bits(shown.weights(), result.final)
    pages.keep(shown.driver, f"play-filed-{cell}")
    shown.press("rewind")
    shown.until(lambda: shown.text("status") == "update 0 of 200")
    assert same_bits(shown.weights(), result.initial)
    shown.press("start")
    shown.until(shown.counts)
    shown.driver.find_element("css selector", 'select[name="Recipe.init"]').send_keys("xavier_normal")
    shown.until(lambda: shown.text("status") == "update 0 of 200" and "xavier_normal" in shown.driver.current_url)
    assert not same_bits(shown.weights(), result.initial)  # another recipe draws its own
    shown.press("filed")
    shown.until(lambda: shown.text("status") == "update 200 of 200")
    shown.until(shown.counts)
    assert same_bits(shown.weights(), result.final)


@in_browser
@BOTH
def test_a_network_tells_what_nnspec_tells(filed: Filed, store: Store, shown: Shown, cell: int) -> None:
    run_id = find_run(store, f"{filed.packed}/{cell}")
    result = read_cell(store, run_id).result
    shown.open(filed_page(store, run_id))
    shown.until(shown.counts)
    network = int(np.flatnonzero(result.verdict == ("dead_units", "diverged")[cell])[0])
    shown.driver.find_elements("css selector", ".tile")[network].click()
    shown.until(lambda: shown.text("network").startswith(f"Network of seed {5 + network}\n"))
    numbers = {name: values[network] for name, values in outcome_rows(result).items()}
    verdict = str(result.verdict[network])
    sentence = VERDICT_ENTRIES[verdict].said(numbers, result.spec)
    shown.until(lambda: shown.text("why").startswith(f"{verdict.replace('_', ' ')}: {sentence}"))


@pytest.mark.parametrize("drawn", ["with the sweep", "later"])
def test_the_report_of_a_sweep_has_the_command(filed: Filed, store: Store, tmp_path: Path, drawn: str) -> None:
    """As it stands it writes the page of a cell."""
    files = filed_report(store, filed.packed) if drawn == "later" else {}
    report = (files.get("report.html") or store.artifact(filed.packed, "report/report.html")).decode()
    (data,) = re.findall(r'<script type="application/json" class="cells">(.*?)</script>', report)
    command = json.loads(data)["play"]
    assert f"<p>{html.escape(command.replace('{}', 'CELL'))} shows the networks of a cell" in report
    words = shlex.split(command.replace("{}", "1"))
    assert words[:2] == ["nnspec", "play"]
    assert main([*words[1:], "--out", str(tmp_path / "cell.html"), "--no-open"]) == 0
    wanted = filed_page(store, find_run(store, f"{filed.packed}/1"))
    assert (tmp_path / "cell.html").read_text("utf-8") == wanted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{packed}", "--uri", "{uri}"], "must be a single run or a cell, but got the sweep"),
        (["{packed}/7", "--uri", "{uri}"], "must be one that is filed, but got 7"),
        (["{other}/0", "--uri", "{uri}"], "init must have a form for the browser"),
        (["{packed}/0", "activation=tanh", "--uri", "{uri}"], "must be a run by itself"),
        (["activation=tanh", "--uri", "{uri}"], "--uri must be given with a run"),
    ],
    ids=["sweep", "no-cell", "no-form", "both", "no-run"],
)
def test_what_it_cannot_open_is_refused_in_a_line(
    filed: Filed, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(packed=filed.packed, other=filed.other, uri=filed.uri) for word in words]
    assert main(["play", *given, "--out", str(tmp_path / "page.html"), "--no-open"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
