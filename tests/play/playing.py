"""The page of ``nnspec play`` as a person and as a script use it, for the tests that look at it in a Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nnspec
from nnspec.play.page import page

WAIT = 60  # seconds that something may take on a busy machine


def write(folder: Path, *words: str) -> str:
    """The page that begins with what the words say; its address."""
    (folder / "play.html").write_text(page(nnspec.spec(words), words), encoding="utf-8")
    return (folder / "play.html").as_uri()


def foreign(log: list[dict[str, Any]]) -> list[str]:
    """The addresses that were asked for and are neither the page nor made by it."""
    events = [json.loads(entry["message"])["message"] for entry in log]
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    urls = [each["request"]["url"] for each in asked if not each["documentURL"].startswith("chrome:")]  # an empty tab's
    assert any(url.startswith("file:") for url in urls)
    return [url for url in urls if not url.startswith(("file:", "blob:", "data:"))]


def train(driver: Any, order: dict[str, Any]) -> Any:
    """What the page's trainer gives; a text where it refuses."""
    script = "const done = arguments[1]; window.nnspec.train(arguments[0]).then(done, error => done(String(error)))"
    return driver.execute_async_script(script, order)


class Page:
    """The page as a person sees it."""

    def __init__(self, driver: Any, folder: Path):
        self.driver, self.folder = driver, folder

    def open(self, *words: str) -> Page:
        # a new page, not the same with another hash
        self.driver.get("about:blank")
        self.driver.get(write(self.folder, *words))
        return self.ready()

    def ready(self) -> Page:
        self.until(lambda: self.text("rate") and self.painted())
        return self

    def painted(self) -> int:
        """How many networks the wall has, all of them drawn."""
        tiles = self.tiles()
        return len(tiles) * all(tile.get_attribute("aria-label") for tile in tiles)

    def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds; what it looks at may be redrawn meanwhile."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, WAIT, 0.05, [StaleElementReferenceException]).until(lambda _: holds())

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def tiles(self) -> list[Any]:
        return self.driver.find_elements("css selector", ".tile")

    def text(self, element: str) -> str:
        return self.find(f"#{element}").text

    def press(self, element: str) -> None:
        self.find(f"#{element}").click()

    def choose(self, name: str, value: str) -> None:
        """Choose in a list of the form; its name begins with that of the recipe."""
        from selenium.webdriver.support.ui import Select

        Select(self.find(f'select[name="{name}"]')).select_by_value(value)

    def run(self) -> None:
        """Press start and wait for the verdicts."""
        self.press("start")
        self.until(lambda: self.driver.find_elements("css selector", ".verdict"))

    def pictures(self) -> list[str]:
        """The surfaces of the wall."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('.tile canvas')].map(canvas => canvas.toDataURL())"
        )
