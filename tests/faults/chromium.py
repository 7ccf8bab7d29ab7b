"""A real Chromium without a window, for the tests that look at pages. Screenshots lie in the folder NNSPEC_SCREENSHOTS,
if set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no browser here: apt-get install chromium chromium-driver; CI has them"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Selenium's sockets to a driver that has ended
]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


@contextmanager
def driven(profile: Path, width: int, logs: dict[str, str] | None = None) -> Iterator[Any]:
    """A browser that has seen nothing yet, in a window so many points wide; ``logs`` are what it writes down."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS.split(), f"--window-size={width},1100", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if logs:
        options.set_capability("goog:loggingPrefs", logs)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def keep(driver: Any, name: str) -> None:
    """Keep a screenshot, where a folder is named for them."""
    folder = os.environ.get("NNSPEC_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(f"{folder}/{name}.png")
