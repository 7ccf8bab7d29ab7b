"""The cells of a sweep's report in a real Chromium, in a frame as MLflow shows it: sorted, filtered, brushed, opened,
by pointer and by keys, without any request. Screenshots lie in the folder NNSPEC_SCREENSHOTS, if set."""

from __future__ import annotations

import html
import json
from itertools import product

import chromium as pages
import pytest

from nnspec.report.collected.sampling import Sampler
from nnspec.report.material import Material
from nnspec.report.pages.sweep import sweep_report
from nnspec.results.table import outcome_rows, sweep_table

pytestmark = pages.MARKS
EVIL = "</script><img src=x onerror=document.title='run'>\"'&\U0001f600"
AXES = ["activation.name", "init.name"]


@pytest.fixture(scope="module")
def report(tmp_path_factory, spec_of, trained_cells):
    """A frame around the report of 120 networks in 120 cells, in which 'gelu' has a name that would like to run."""
    choices = product(("relu", "tanh", "gelu"), ("kaiming_uniform", "zeros"), range(20))
    specs = [spec_of(activation=a, init=i, seed=s, train={"epochs": 300}) for a, i, s in choices]
    cells, sampler = trained_cells(specs), Sampler(specs)
    for cell in cells:
        sampler.add(cell)
    table = sweep_table(specs, {cell.index: outcome_rows(cell.result) for cell in cells})
    table[AXES[0]] = table[AXES[0]].replace("gelu", EVIL)
    material = Material(table, AXES, title=EVIL, samples=sampler.samples(), play="nnspec play 0a1b/{} --uri 'a b'")
    page = sweep_report(material).files()["report.html"].decode()
    frame = f'<iframe sandbox="allow-scripts" width="1240" height="800" srcdoc="{html.escape(page)}"></iframe>'
    folder = tmp_path_factory.mktemp("page")
    (folder / "frame.html").write_text(f"<!doctype html><title>around</title>{frame}", encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder, table


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    logs = {"browser": "ALL", "performance": "ALL"}
    with pages.driven(tmp_path_factory.mktemp("profile"), 1300, logs) as driver:
        yield driver


class Cells:
    """The cells as a user sees them."""

    def __init__(self, driver):
        self.driver = driver

    def all(self, selector):
        return self.driver.find_elements("css selector", f".explorer {selector}")

    def one(self, selector):
        return self.all(selector)[0]

    def shown(self, selector):
        found = self.one(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def column(self, name):
        place = [head.text for head in self.all("thead th")].index(name)
        return [row.find_elements("css selector", "td")[place].text for row in self.all("tbody tr:not(.detail)")]

    def head(self, name):
        (found,) = [head for head in self.all("thead th") if head.text == name]
        return found

    def sort(self, name):
        self.head(name).find_element("css selector", "button").click()

    def filter(self, words):
        self.one("#filter").send_keys("\ue009a\ue000", words or "\ue003")  # control-a

    @property
    def status(self):
        return self.one(".status").text

    def until(self, holds):
        """Wait until it holds: the frame has a process of its own, which takes what the pointer does when it can."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60).until(lambda _: holds())

    def keep(self, name):
        self.driver.execute_script("arguments[0].scrollIntoView()", self.one(".status"))
        pages.keep(self.driver, name)


@pytest.fixture
def cells(report, chromium):
    """The page anew, in its frame."""
    chromium.get("about:blank")
    chromium.get_log("performance")  # of the start page
    chromium.get(f"file://{report[0]}/frame.html")
    chromium.switch_to.frame(chromium.find_element("css selector", "iframe"))
    yield Cells(chromium)
    chromium.switch_to.default_content()
    assert chromium.title == "around"
    assert [line for line in chromium.get_log("browser") if line["level"] == "SEVERE"] == []
    events = [json.loads(line["message"])["message"] for line in chromium.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    asked = [url for url in asked if not url.startswith(("data:", "about:"))]
    assert asked == [f"file://{report[0]}/frame.html"]


def test_a_click_on_a_head_sorts(cells, report):
    table = report[1]
    assert cells.column("cell") == [str(number) for number in range(50)]
    assert cells.head("cell").get_attribute("aria-sort") == "ascending"
    cells.sort("final loss")
    losses = [float(text) for text in cells.column("final loss")]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(table["final_loss"].min(), rel=1e-2)
    cells.sort("final loss")
    assert cells.head("final loss").get_attribute("aria-sort") == "descending"
    assert float(cells.column("final loss")[0]) == pytest.approx(table["final_loss"].max(), rel=1e-2)
    assert cells.head("cell").get_attribute("aria-sort") == "none"
    cells.sort("updates to solve")
    times = [float(text.replace("never", "inf")) for text in cells.column("updates to solve")]
    assert times == sorted(times)


def test_the_filter_and_the_lists_choose_cells(cells, report):
    table = report[1]
    zeros = table[(table[AXES[1]] == "zeros") & (table[AXES[0]] == "relu")]
    cells.filter("relu zeros")
    assert cells.status.startswith("20 of 120 cells; 0 of their 20 networks solved")
    assert set(cells.column("verdict")) == set(zeros["verdict"])
    cells.keep("filtered")
    cells.filter("solved>50% final_loss<=0.01")
    wanted = int((table["solved"] & (table["final_loss"] <= 0.01)).sum())
    assert cells.status.startswith(f"{wanted} of 120 cells")
    cells.filter("")
    (choice,) = [one for one in cells.all("select") if one.get_attribute("aria-label").endswith("activation")]
    choice.send_keys("tanh")
    assert set(cells.column("activation")) == {"tanh"}
    assert cells.status.startswith("40 of 120 cells")
    cells.one(".chips button").click()  # show all
    assert cells.status.startswith("120 of 120 cells")


def test_a_part_of_an_axis_chooses_cells_and_a_click_on_it_all(cells, report):
    from selenium.webdriver import ActionChains

    canvas = cells.shown("canvas.lines")
    middle, bottom = canvas.size["width"] / 2, canvas.size["height"] / 2 - 10
    left = 20 - middle  # where the first axis is
    pointer = ActionChains(cells.driver)
    pointer.move_to_element_with_offset(canvas, left, bottom).click_and_hold()
    pointer.move_to_element_with_offset(canvas, left, bottom - 60).release().perform()
    wanted = sorted({"relu", "tanh", EVIL})[0]
    cells.until(lambda: [one.text for one in cells.all(".chips button")][:1] == [f"activation: {wanted} \u2715"])
    assert set(cells.column("activation")) == {wanted}
    cells.keep("brushed")
    ActionChains(cells.driver).move_to_element_with_offset(canvas, left, bottom - 20).click().perform()
    cells.until(lambda: cells.status.startswith("120 of 120 cells"))
    ActionChains(cells.driver).move_to_element_with_offset(canvas, left + 40, bottom - 10).perform()
    cells.until(lambda: cells.one(".tip").text.startswith("cell "))


def test_a_cell_tells_its_interval_and_opens_its_curve_and_surface(cells, report):
    from selenium.webdriver import ActionChains

    row = cells.shown("tbody tr:nth-child(2)")
    ActionChains(cells.driver).move_to_element(row).perform()
    verdict = report[1]["verdict"][1]
    said = "1 of 1 solved = 100% [21-100]" if verdict == "solved" else "0 of 1 solved = 0% [0-79]"
    cells.until(lambda: cells.one(".tip").text == f"cell 1: {said}; {verdict}")
    row.click()
    cells.until(lambda: cells.all("tr.detail"))
    detail = cells.one("tr.detail")
    assert said in detail.text
    loss = detail.find_element("css selector", "svg")
    assert f"seed 1, {verdict}: " in loss.get_attribute("aria-label")
    assert loss.find_element("css selector", "path").get_attribute("d").count("L") > 20
    surface = detail.find_element("css selector", "canvas")
    shades = cells.driver.execute_script(
        "const c = arguments[0]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return new Set(Array.from({length: d.length / 4}, (_, i) => d[4 * i])).size;",
        surface,
    )
    assert shades > 10
    cells.keep("opened")
    cells.all("tbody tr")[1].click()
    cells.until(lambda: not cells.all("tr.detail"))


def test_the_command_that_opens_a_cell_is_copied(cells):
    cells.sort("cell")  # from the last one down
    cells.shown("tbody tr:nth-child(3)").click()
    cells.until(lambda: cells.all(".play button"))
    assert cells.one(".play code").text == "nnspec play 0a1b/117 --uri 'a b'"
    cells.shown(".play button").click()
    cells.until(lambda: "copied" in cells.one(".play").text)
    cells.one("#filter").send_keys("\ue009v\ue000")  # control-v
    assert cells.one("#filter").get_attribute("value") == "nnspec play 0a1b/117 --uri 'a b'"
    cells.keep("play-command")


def test_keys_do_what_the_pointer_does(cells):
    enter, tab = "\ue007", "\ue004"
    button = cells.one("tbody button")
    cells.driver.execute_script("arguments[0].focus()", button)
    assert cells.one(".tip").text.startswith("cell 0: ")
    button.send_keys(enter)
    focused = cells.driver.switch_to.active_element
    assert (focused.text, focused.get_attribute("aria-expanded")) == ("0", "true")
    assert len(cells.all("tr.detail")) == 1
    head = cells.head("init").find_element("css selector", "button")
    head.send_keys(enter)
    assert set(cells.column("init")) == {"kaiming_uniform"}
    head.send_keys(enter)
    assert set(cells.column("init")) == {"zeros"}
    head.send_keys(tab)
    assert cells.driver.switch_to.active_element.text == "seed"


def test_pages_of_the_table_turn(cells):
    previous, following = cells.all(".pager button")
    assert not previous.is_enabled()
    following.click()
    assert cells.column("cell")[0] == "50"
    assert "page 2 of 3" in cells.one(".pager").text


def test_names_are_text(cells, report):
    cells.sort("activation")
    assert EVIL in set(cells.column("activation")) | {option.text for option in cells.all("select option")}
    assert cells.driver.find_elements("css selector", "img[src=x]") == []
    assert cells.driver.find_element("css selector", "h1").text == EVIL


def test_the_static_table_gives_way_to_the_script_only_where_it_runs(report, chromium):
    def displayed():
        return [chromium.find_element("css selector", one).is_displayed() for one in (".still > div", ".explorer")]

    chromium.get(f"file://{report[0]}/report.html")
    assert displayed() == [False, True]
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get(f"file://{report[0]}/report.html")
        assert displayed() == [True, False]
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_script_that_is_not_the_pages_does_not_run(report, chromium):
    folder = report[0]
    page = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "other.html").write_text(page.replace("</main>", "</main><script>document.title='run'</script>"))
    chromium.get(f"file://{folder}/other.html")
    assert chromium.title == EVIL
