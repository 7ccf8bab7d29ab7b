"""How long the page of ``nnspec play`` is busy at a time, in headless Chromium: networks train in workers, and the
page's own thread must answer within 50 ms at 10,000 of them.

    python benchmarks/play.py [networks [epochs [tasks]]]

For each stage it prints how long it took and the longest tasks of the page's own thread, in milliseconds of the
processor, so that other work of the machine does not count; of so many ``tasks`` also what they did.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nnspec
from nnspec.play.page import page

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1400,1100"]
SOLVED = "return document.querySelectorAll('.verdict').length > 0"
LEAST = 2000  # microseconds of a task that is looked at
STAGES = [  # what is done (the first opens the page), and what holds when it is over
    ("open", None, "return !!document.querySelector('.tile[aria-label]')"),
    ("start", "document.getElementById('start').click()", SOLVED),
    ("choose a network", "document.querySelector('.tile').click()", "return !!document.querySelector('#why strong')"),
    (
        "rewind",
        "document.getElementById('rewind').click()",
        "return document.getElementById('status').textContent.startsWith('update 0')",
    ),
    (
        "compare",
        "document.getElementById('compare').click()",
        "return document.querySelectorAll('.wall').length === 2 && !!document.querySelectorAll('.wall')[1]"
        ".querySelector('.tile[aria-label]')",
    ),
    ("start both", "document.getElementById('start').click()", SOLVED),
    (
        "save weights",
        "document.getElementById('export').click()",
        "return true",
    ),
]


def main(networks: int, epochs: int, shown: int) -> None:
    """Print a line a stage, and what the longest ``shown`` tasks of each did."""
    from selenium.webdriver.support.ui import WebDriverWait

    words = [f"replicates={networks}", f"train.epochs={epochs}"]
    with tempfile.TemporaryDirectory() as folder, browser(traced=True) as driver:
        address = written(Path(folder), words)
        wait = WebDriverWait(driver, 600, 0.5)
        stages = []
        for name, act, done in STAGES:
            begun = time.perf_counter()
            driver.get(address) if act is None else driver.execute_script(act)
            wait.until(lambda _, done=done: driver.execute_script(done))
            time.sleep(0.5)
            stages.append((name, time.perf_counter() - begun, events_of(driver.get_log("performance"))))
            driver.get_log("performance")  # the driver ends the tracing at one look and begins it at the next
    # workers have threads of their own; the page's is the one that lays out, and the first page of a browser is another
    own = {thread(e) for _, _, events in stages[1:] for e in events if e["name"] == "UpdateLayoutTree"}
    for name, seconds, events in stages:
        tasks = sorted(tasks_of([e for e in events if thread(e) in own]), key=lambda task: -task[0])
        lengths = " ".join(f"{length:.0f}" for length, _ in tasks[:8])
        print(f"{name:18s} {seconds:5.1f} s  longest tasks {lengths} ms")
        for length, parts in tasks[:shown]:
            print(f"    {length:.0f} ms:", ", ".join(f"{part} {ms:.0f}" for part, ms in parts.most_common(7)))


def browser(traced: bool = False) -> Any:
    """A headless Chromium, which notes what its threads do if it is ``traced``."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    if traced:
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        events = {"enableNetwork": False, "enablePage": False, "traceCategories": "toplevel,devtools.timeline"}
        options.add_experimental_option("perfLoggingPrefs", events)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def written(folder: Path, words: list[str]) -> str:
    """The address of the page that begins with what the words say."""
    file = folder / "play.html"
    file.write_text(page(nnspec.spec(words), words), encoding="utf-8")
    return file.as_uri()


def events_of(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that have a length."""
    messages = [json.loads(entry["message"])["message"] for entry in log]
    return [m["params"] for m in messages if m["method"] == "Tracing.dataCollected" and m["params"]["ph"] == "X"]


def thread(event: dict[str, Any]) -> tuple[int, int]:
    """Where an event happened."""
    return event["pid"], event["tid"]


def tasks_of(events: list[dict[str, Any]]) -> list[tuple[float, Counter[str]]]:
    """Each task: milliseconds of the processor, in all and of what happened in it."""
    found = []
    for task in events:
        if not task["name"].endswith("RunTask") or task.get("tdur", 0) < LEAST:
            continue
        parts: Counter[str] = Counter()
        for event in events:
            within = task["ts"] <= event["ts"] < task["ts"] + task["dur"]
            if within and not event["name"].endswith("RunTask"):
                parts[label(event)] += event.get("tdur", 0) / 1000
        found.append((task["tdur"] / 1000, parts))
    return found


def label(event: dict[str, Any]) -> str:
    """The name of an event, of a function its own."""
    return event.get("args", {}).get("data", {}).get("functionName") or event["name"]


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(10_000, 1000, 0)[len(given) :])
