"""The page answers while it works, however many networks there are: what its own thread does at a time is bounded. How
long that takes is measured in ``benchmarks/play.py``."""

from __future__ import annotations

from typing import Any

import chromium as pages
import pytest
from playing import Page, train

pytestmark = pages.MARKS
# counts what is called until the thread has done something else: a message posted now is heard after this task
COUNT = """
const { port1, port2 } = new MessageChannel();
const counts = (window.counts = {});
let now = {};
port1.onmessage = () => {
  for (const [key, count] of Object.entries(now)) counts[key] = [...(counts[key] ?? []), count];
  now = {};
};
for (const name of ["putImageData", "lineTo"]) {
  const own = CanvasRenderingContext2D.prototype[name];
  CanvasRenderingContext2D.prototype[name] = function (...args) {
    if (!Object.keys(now).length) port2.postMessage(null);
    const key = `${name} ${this.canvas.className}`.trim();
    now[key] = (now[key] ?? 0) + 1;
    return own.apply(this, args);
  };
}
"""


def counted(shown: Page) -> dict[str, list[int]]:
    """How often each was called in each task, by its name and the class of the canvas."""
    shown.until(lambda: shown.driver.execute_script("return Object.keys(window.counts).length"))
    return shown.driver.execute_script("return window.counts")


def test_the_wall_is_painted_a_few_networks_at_a_time(shown: Page) -> None:
    shown.open("replicates=130", "train.epochs=5")
    shown.press("compare")
    shown.until(lambda: shown.painted() == 240)
    shown.driver.execute_script(COUNT)
    shown.run()
    shown.until(lambda: sum(counted(shown).get("putImageData", [])) >= 240)
    assert max(counted(shown)["putImageData"]) <= 30


@pytest.mark.parametrize(
    ("words", "most"),
    [
        # a step for each update at most, whatever the number of networks that are right after it
        (["replicates=3000", "train.epochs=60"], 2 * 60),
        # 60 networks, their median and four edges of bands, of 300 places each
        (["replicates=70", "train.epochs=6000"], 65 * 301),
    ],
    ids=["networks", "updates"],
)
def test_curves_have_no_more_places_than_can_be_seen(shown: Page, words: list[str], most: int) -> None:
    shown.open(*words)
    shown.driver.execute_script(COUNT)
    shown.run()
    found = counted(shown)["lineTo chart"]
    ticks = 20  # of both charts, two places each
    assert max(found) <= most + (65 * 7 if most == 2 * 60 else 0) + ticks


def test_losses_are_taken_from_workers_a_part_at_a_time(driver: Any) -> None:
    driver.execute_script(
        "window.asked = []; const own = Worker.prototype.postMessage;"
        "Worker.prototype.postMessage = function (message, ...rest) {"
        "  if (message.request.kind === 'advance') window.asked.push(message.request.updates);"
        "  return own.call(this, message, ...rest);"
        "}"
    )
    found = train(driver, {"spec": {"epochs": 300}, "networks": 5000})
    assert len(found["loss"]) == 5000
    assert max(driver.execute_script("return window.asked")) == 100_000 // 5000 * 10  # a row of losses in 10 updates
