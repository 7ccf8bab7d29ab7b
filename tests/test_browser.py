"""The MLflow UI in a real Chromium: what nnspec files is what a user sees. Screenshots lie in the folder
NNSPEC_SCREENSHOTS, if set."""

from __future__ import annotations

import io
import os
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

import chromium
import pytest

from nnspec import runner
from nnspec.check import checked_mapping
from nnspec.runner import Outcome
from nnspec.settings import Settings, Tracking
from nnspec.sweep import Cell
from nnspec.tracking.locate import LOCAL_UI

pytestmark = chromium.MARKS
START_SECONDS, WAIT_SECONDS = 120, 90
SEARCH = "//input[@placeholder='Search metric charts']"
FILE = "<img src=x onerror=document.title='hit'>|@me_*`b`~~s~~ [x](javascript:alert(1)) :smile: www.evil.com ünï.csv"
COMMAND = "run <script>document.title='hit'</script> ``` </code></pre><img src=x onerror=document.title='hit'>"
PLOT = "//*[contains(@class, 'js-plotly-plot')]"
TABLE = "//table[.//th[normalize-space(translate(., '\u2002', ' '))='{}']]"  # columns end in an en space
CELL_LINK = "//a[contains(@href, '/runs/{}')]"


@dataclass(frozen=True)
class Filed:
    """A sweep and a single run with snapshots, in one store, and the link that each printed."""

    folder: Path
    sweep: Outcome
    run: str
    experiment: str
    links: tuple[str, str]
    strange: str  # the page of a sweep over files whose names are markup


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
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        files = [with_file(mapping_of, name, kind) for name in (FILE, "plain.csv") for kind in ("relu", "tanh")]
        strange = runner.run(files, settings, ("data.path", "activation"), True, COMMAND, quiet=True).parent
    from nnspec.tracking import open_store

    store = open_store(tracking)
    experiment = store.get(str(sweep.parent)).experiment_id
    of_sweep, of_run = [word for word in printed.getvalue().split() if word.startswith("http")]
    page_of_strange = f"/experiments/{store.get(str(strange)).experiment_id}/runs/{strange}"
    return Filed(folder, sweep, single.run_ids[0], experiment, (of_sweep, of_run), page_of_strange)


def with_file(mapping_of: Callable[..., dict[str, Any]], name: str, activation: str) -> Cell:
    """A cell that learns XOR from a file of this name, made in the working folder."""
    Path(name).write_text("x,y,kind\n0,0,a\n0,1,b\n1,0,b\n1,1,a\n")
    data = {"name": "csv", "path": name, "target": "kind"}
    mapping = mapping_of(activation=activation, replicates=2, train={"epochs": 20}, data=data)
    return Cell(checked_mapping(mapping), (("data.path", name), ("activation", activation)))


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
        chromium.keep(self.driver, name)


@contextmanager
def browser(server: str, profile: Path) -> Iterator[Page]:
    """A browser that has seen nothing yet: the UI remembers the last workflow in the profile."""
    with chromium.driven(profile, 1500) as driver:
        yield Page(driver, server)


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


def table_of(page: Page, table: Any) -> list[dict[str, str]]:
    """The rows of a table by their headings."""
    texts = "return [...arguments[0].rows].map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    head, *rows = page.driver.execute_script(texts, table)
    return [dict(zip(head, row, strict=True)) for row in rows]


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
    page.wait("//p[contains(., 'Networks trained by nnspec.')]")  # of the experiment's note
    page.keep("runs")
    for cell in filed.sweep.run_ids.values():
        assert not page.all(CELL_LINK.format(cell)), "a cell must not show before its sweep is opened"
    page.click("//button[contains(@data-component-id, 'runnamecellrenderer')]")
    for cell in filed.sweep.run_ids.values():
        page.wait(CELL_LINK.format(cell))
    page.keep("nested")


def test_the_sweeps_link_answers_and_leads_to_its_cells_and_its_report(page: Page, filed: Filed) -> None:
    page.follow(filed.links[0])
    table = page.wait(TABLE.format("activation \\ init"))
    rates = {row["activation \\ init"]: row for row in table_of(page, table)}
    for index, rows in filed.sweep.outcomes.items():
        spec = filed.sweep.specs[index]
        assert rates[spec.activation.name][spec.init.name].startswith(f"{100 * rows['solved'].mean():.0f}% [")
    page.keep("description")
    report, cells = (page.wait(f"//a[normalize-space()='{name}']") for name in ("report", "runs of the cells"))
    to_report, to_cells = (str(one.get_attribute("href")).partition("#")[2] for one in (report, cells))
    page.open(to_cells)
    for cell in filed.sweep.run_ids.values():
        page.wait(CELL_LINK.format(cell))
    page.wait("//*[normalize-space()='4 matching runs']")
    page.wait("//*[contains(text(), 'Sort: solve_rate')]")
    page.keep("cells")
    page.open(to_report)
    page.wait("//iframe")


def test_names_of_any_kind_are_text_in_the_description(page: Page, filed: Filed) -> None:
    page.open(filed.strange)
    table = page.wait(TABLE.format("data.path \\ activation"))
    page.click("//*[normalize-space(text())='Show more']")
    first, second = table_of(page, table)
    assert set(first) == {"data.path \\ activation", "relu", "tanh"}
    assert all(value.endswith("]") for row in (first, second) for name, value in row.items() if "path" not in name)
    shown, _, cut = first["data.path \\ activation"].partition("... [")
    assert FILE.startswith(shown)
    assert cut == f"cut: {len(FILE)} characters]"
    assert page.wait("//pre//code").get_attribute("textContent").strip() == COMMAND
    around = page.wait("//pre//code/ancestor::*[.//table][1]")
    for inner in (".//script", ".//img", ".//a[not(starts-with(@href, '#/experiments/'))]", ".//del", ".//em"):
        assert not around.find_elements("xpath", inner)
    assert page.driver.title != "hit"
    page.keep("description-escaped")


def test_the_charts_have_sections(page: Page, filed: Filed) -> None:
    page.open(f"/experiments/{filed.experiment}/runs/{filed.run}/model-metrics")
    for section in ("at_start", "gradient", "units", "verdict", "weight_norm", "Model metrics"):
        page.wait(f"//*[normalize-space(text())='{section}']")
    page.wait(f"{PLOT}//*[contains(@class, 'bars')]")
    page.keep("sections")
    page.search("^solve_rate$")
    wait_for(lambda: len(page.all(PLOT)) == 1, WAIT_SECONDS, "one chart that is left")
    page.wait(f"{PLOT}//*[contains(@class, 'bars')]")  # and no line of one dot


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
        page.click("//th//button[contains(., 'final loss')]")
        page.wait("//th[@aria-sort='ascending'][contains(., 'final loss')]")
        page.wait("//input[@type='search']").send_keys("zeros")
        page.wait("//*[@role='status'][contains(., '2 of 4 cells')]")
        page.keep("report_cells")
    finally:
        page.driver.switch_to.default_content()
    assert page.wait("//iframe").get_attribute("sandbox") == "allow-scripts"
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
