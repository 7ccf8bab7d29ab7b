"""A browser with the page of ``nnspec play``, which the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import chromium as pages
import pytest
from playing import WAIT, Page, foreign, write


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser that has the page open."""
    logs = {"browser": "ALL", "performance": "ALL"}
    with pages.driven(tmp_path_factory.mktemp("profile"), 1400, logs) as driver:
        driver.set_script_timeout(WAIT)
        driver.get(write(tmp_path_factory.mktemp("page")))
        yield driver
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert foreign(driver.get_log("performance")) == []


@pytest.fixture(scope="module")
def shown(driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(driver, tmp_path_factory.mktemp("shown"))
