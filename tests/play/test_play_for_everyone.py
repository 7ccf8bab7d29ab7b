"""The page can be read in light and dark, by screen readers, and by who wants nothing to move."""

from __future__ import annotations

from collections.abc import Iterator

import chromium as pages
import pytest
from playing import Page

pytestmark = pages.MARKS
# contrast as the Web Content Accessibility Guidelines 2.2 define it, of every text with what is behind it
FAINT = """
const light = colour => colour.slice(0, 3).map(part => part / 255)
  .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, n) => sum + [0.2126, 0.7152, 0.0722][n] * part, 0);
const parts = text => text.match(/[\\d.]+/g).map(Number);
const behind = element => {
  for (let each = element; each; each = each.parentElement) {
    const colour = parts(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return light(colour);
  }
};
const written = element => element.offsetParent
  && [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
return [...document.querySelectorAll('main *')].filter(written).flatMap(element => {
  const [one, other] = [light(parts(getComputedStyle(element).color)), behind(element)].sort((a, b) => a - b);
  return (other + 0.05) / (one + 0.05) < 4.5 && !element.disabled ? [element.outerHTML.slice(0, 100)] : [];
});
"""


@pytest.fixture
def media(shown: Page) -> Iterator[object]:
    """Says what the person's system prefers."""

    def prefer(name: str, value: str) -> None:
        feature = {"name": f"prefers-{name}", "value": value}
        shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    yield prefer
    shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(shown: Page, media, scheme: str) -> None:
    media("color-scheme", scheme)
    shown.open("replicates=20", "train.epochs=100")
    shown.run()
    shown.tiles()[0].click()
    shown.until(lambda: shown.driver.find_elements("css selector", "#why strong"))
    assert shown.driver.execute_script(FAINT) == []
    pages.keep(shown.driver, f"play-{scheme}")


def test_nothing_moves_for_who_wants_no_motion(shown: Page, media) -> None:
    painted = (
        "window.painted = 0; const own = CanvasRenderingContext2D.prototype.putImageData;"
        "CanvasRenderingContext2D.prototype.putImageData = function (...args) { painted++; own.apply(this, args); }"
    )
    media("reduced-motion", "reduce")
    shown.open("replicates=20", "train.epochs=5000")
    shown.driver.execute_script(painted)
    shown.run()
    shown.until(shown.painted)
    assert shown.driver.execute_script("return window.painted") == 20  # at the end, each once


def test_the_rate_is_read_out_when_training_ends(shown: Page) -> None:
    shown.open("replicates=20", "train.epochs=300")
    changes = (
        "window.live = []; const rate = document.getElementById('rate');"
        "const start = document.getElementById('start');"
        "new MutationObserver(() => live.push([rate.getAttribute('aria-live'), start.textContent]))"
        ".observe(rate, {childList: true})"
    )
    shown.driver.execute_script(changes)
    shown.run()
    found = shown.driver.execute_script("return window.live")
    assert ["off", "Pause"] in found
    assert found[-1] == ["polite", "Start"]
    assert all((live == "off") == (button == "Pause") for live, button in found)


def test_rows_of_data_that_are_no_plane_are_a_table(shown: Page) -> None:
    shown.open("data=parity", "model.hidden=[8]", "replicates=10", "train.epochs=200")
    shown.run()
    shown.tiles()[0].click()
    shown.until(lambda: shown.driver.find_elements("css selector", "#why strong"))
    assert "a cell each" in shown.find(".large").get_attribute("aria-label")
    shown.find(".rows summary").click()
    lines = [line.text.split() for line in shown.driver.find_elements("css selector", ".rows tr")][1:]
    assert [line[:4] for line in lines] == [
        [*bits, str(sum(map(int, bits)) % 2)] for bits in (f"{number:03b}" for number in range(8))
    ]
    solved = "solved" in shown.tiles()[0].get_attribute("aria-label")
    assert all(abs(float(line[4]) - float(line[3])) < 0.4 for line in lines) == solved
