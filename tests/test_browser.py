"""The MLflow UI in a real Chromium: what nnspec files is what a user sees. Screenshots lie in the folder
NNSPEC_SCREENSHOTS, if set."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nnspec import runner
from nnspec.check import checked_mapping
from nnspec.runner import Outcome
from nnspec.settings import Settings, Tracking
from nnspec.sweep import Cell
from nnspec.tracking.locate import LOCAL_UI

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no browser here: apt-get install chromium chromium-driver; CI has them"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Selenium's sockets to a driver that has ended
]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1500,1100"
)
START_SECONDS, WAIT_SECONDS = 120, 90
SEARCH = "//input[@placeholder='Search metric charts']"
PLOT = "//*[contains(@class, 'js-plotly-plot')]"
CELL_LINK = "//a[contains(@href, '/runs/{}')]"


@dataclass(frozen=True)
class Filed:
    """A sweep and a single run with snapshots, in one store, and the link that each printed."""

    folder: Path
    sweep: Outcome
    run: str
    experiment: str
    links: tuple[str, str]


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory, mapping_of: Callable[..., dict[str, Any]]) -> Filed:
    folder = tmp_path_factory.mktemp("store")
    tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db")
    settings = Settings(tracking=tracking)

    def cell(activation: str, init: str, **fields: Any) -> Cell:
        choices = (("activation", activation), ("init", init))
        return Cell(checked_mapping(mapping_of(activation=activation, init=init, replicates=8, **fields)), choices)

    cells = [cell(a, i, train={"epochs": 300}) for a in ("relu", "tanh") for i in ("kaiming_uniform", "zeros")]
    one = cell("tanh", "kaiming_uniform", train={"epochs": 300, "snapshot_every": 100})
    with redirect_stdout(io.StringIO()) as printed:
        sweep = runner.run(cells, settings, ("activation", "init"), True, "python run.py -m ...")
        single = runner.run([one], settings, command="python run.py")
    from nnspec.tracking import open_store

    experiment = open_store(tracking).get(str(sweep.parent)).experiment_id
    of_sweep, of_run = [word for word in printed.getvalue().split() if word.startswith("http")]
    return Filed(folder, sweep, single.run_ids[0], experiment, (of_sweep, of_run))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(filed: Filed) -> Iterator[str]:
    """The address of ``mlflow ui`` on a loopback port."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        f"sqlite:///{filed.folder}/mlflow.db",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (filed.folder / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1"], cwd=filed.folder, stdout=log, stderr=log, env=environment
        )
        try:
            wait_for(lambda: answers(f"{address}/health"), START_SECONDS, "mlflow ui to answer")
            yield address
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise TimeoutError(f"waited {seconds} s for {what}")


class Page:
    """The browser: open an address, wait for what must appear, keep a screenshot."""

    def __init__(self, driver: Any, server: str):
        self.driver, self.server = driver, server

    def open(self, path: str) -> None:
        self.driver.get("about:blank")  # the UI is one page: only its fragment changes
        self.driver.get(f"{self.server}/#{path}")

    def follow(self, link: str) -> None:
        """Open a printed link, on the port that this server has."""
        assert link.startswith(LOCAL_UI)
        self.open(link.partition("#")[2])

    def all(self, xpath: str) -> list[Any]:
        return list(self.driver.find_elements("xpath", xpath))

    def wait(self, xpath: str) -> Any:
        return wait_for(lambda: self.all(xpath), WAIT_SECONDS, f"{xpath} at {self.driver.current_url}")[0]

    def click(self, xpath: str) -> None:
        self.driver.execute_script("arguments[0].click()", self.wait(xpath))  # whatever may lie over it

    def search(self, words: str) -> None:
        """Leave the charts of these metrics; the UI remembers what was looked for before."""
        self.wait(SEARCH).send_keys("\ue009a\ue000", words)  # control-a

    def keep(self, name: str) -> None:
        folder = os.environ.get("NNSPEC_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(f"{folder}/{name}.png")


@contextmanager
def browser(server: str, profile: Path) -> Iterator[Page]:
    """A browser that has seen nothing yet: the UI remembers the last workflow in the profile."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    try:
        yield Page(driver, server)
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def page(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(server, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def loaded(page: Page, xpath: str) -> list[Any]:
    """The images found, once all of them have pixels."""

    def ready() -> list[Any]:
        images = page.all(xpath)
        return (
            images
            if images and all(page.driver.execute_script("return arguments[0].naturalWidth", one) > 0 for one in images)
            else []
        )

    return list(wait_for(ready, WAIT_SECONDS, f"images {xpath}"))


SIDE_BAR = "//nav//*[normalize-space(text())='{}']"


@pytest.mark.parametrize("which", [0, 1], ids=["sweep", "run"])
def test_a_printed_link_opens_the_runs_page_among_the_runs(
    server: str, filed: Filed, tmp_path: Path, which: int
) -> None:
    from nnspec.tracking import open_store

    facts = open_store(Tracking(uri=f"sqlite:///{filed.folder}/mlflow.db")).get(
        (str(filed.sweep.parent), filed.run)[which]
    )
    with browser(server, tmp_path) as page:
        page.follow(filed.links[which])
        for word in (facts.name, "solve_rate", facts.params["optimizer.lr"], "Finished"):
            page.wait(f"//*[normalize-space(text())='{word}']")
        page.wait(SIDE_BAR.format("Model registry"))
        page.keep(f"link-{which}")
        assert not page.all(SIDE_BAR.format("Judges")), "this is the GenAI workflow"


def test_without_its_parameter_the_link_would_open_the_genai_workflow(
    server: str, filed: Filed, tmp_path: Path
) -> None:
    """Why it is there; once this fails, MLflow has another default and the parameter may go."""
    with browser(server, tmp_path) as page:
        page.follow(filed.links[1].partition("?")[0])
        page.wait(SIDE_BAR.format("Judges"))


def test_the_cells_are_nested_below_their_sweep(page: Page, filed: Filed) -> None:
    page.open(f"/experiments/{filed.experiment}/runs")
    page.wait("//*[contains(text(), 'sweep-activation2-x-init2')]")
    page.keep("runs")
    for cell in filed.sweep.run_ids.values():
        assert not page.all(CELL_LINK.format(cell)), "a cell must not show before its sweep is opened"
    page.click("//button[contains(@data-component-id, 'runnamecellrenderer')]")
    for cell in filed.sweep.run_ids.values():
        page.wait(CELL_LINK.format(cell))
    page.keep("nested")


def test_the_loss_chart_draws(page: Page, filed: Filed) -> None:
    page.open(f"/experiments/{filed.experiment}/runs/{filed.run}/model-metrics")
    page.search("^loss$")
    wait_for(lambda: len(page.all(PLOT)) == 1, WAIT_SECONDS, "one chart that is left")
    page.wait(f"{PLOT}//*[contains(@class, 'js-line')]")
    assert len(page.all(f"{PLOT}//*[contains(@class, 'points')]/*")) == 31  # the start and each of 30 logged steps
    page.keep("loss")


def test_the_report_opens_inline(page: Page, filed: Filed) -> None:
    page.open(f"/experiments/{filed.experiment}/runs/{filed.sweep.parent}/artifacts/report/report.html")
    frame = page.wait("//iframe")
    page.driver.switch_to.frame(frame)
    try:
        assert "networks in 4 cells over activation (2), init (2)" in page.wait("//main").text
        assert len(loaded(page, "//img")) >= 5
    finally:
        page.driver.switch_to.default_content()
    page.keep("report")


def test_a_picture_of_the_report_shows(page: Page, filed: Filed) -> None:
    page.open(f"/experiments/{filed.experiment}/runs/{filed.sweep.parent}/artifacts/report/heatmap.png")
    assert loaded(page, "//img[contains(@src, 'blob:') or contains(@src, 'heatmap')]")
    page.keep("heatmap")


def test_images_step_through_the_snapshots(page: Page, filed: Filed) -> None:
    page.open(f"/experiments/{filed.experiment}/runs/{filed.run}/model-metrics")
    page.search("^surface$")
    (start,) = loaded(page, "//img[contains(@src, 'surface')]")
    assert "step%2B0%2B" in start.get_attribute("src")
    page.wait("//*[@role='slider']").send_keys("\ue014")  # arrow to the right
    (next_one,) = loaded(page, "//img[contains(@src, 'surface') and contains(@src, 'step%2B100%2B')]")
    page.driver.execute_script("arguments[0].scrollIntoView()", next_one)
    page.keep("images")
