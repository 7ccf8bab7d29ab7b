"""Make the pictures of the README anew: ``python docs/pictures.py`` (Chromium and chromedriver for the second)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PICTURES = Path(__file__).parent / "_static"
MAP = [
    *["activation=tanh", "loss=mse", "optimizer=sgd", "model.hidden=[8]", "model.output=identity", "train.epochs=100"],
    *["train.log_every=1", "sweep.map=[[optimizer.lr,0.1,2,log,512],[init.gain,0.1,10,log,512]]"],
]
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,1480"]


def nnspec(folder: str, *words: str) -> None:
    """A command, in a folder."""
    subprocess.run([Path(sys.executable).with_name("nnspec"), *words], cwd=folder, check=True)


def boundary() -> bytes:
    """Where training converges."""
    with tempfile.TemporaryDirectory() as folder:
        nnspec(folder, "run", *MAP)
        (picture,) = Path(folder).rglob("map/convergence.png")
        return picture.read_bytes()


def play() -> bytes:
    """The page of ``nnspec play``, trained."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for word in CHROMIUM:
        options.add_argument(word)
    driver = Service(shutil.which("chromedriver"))  # unsaid, selenium looks for one elsewhere
    with tempfile.TemporaryDirectory() as folder, webdriver.Chrome(options=options, service=driver) as browser:
        nnspec(folder, "play", "activation=relu", "--out", "play.html", "--no-open")
        browser.get((Path(folder) / "play.html").as_uri())
        next(button for button in browser.find_elements(By.TAG_NAME, "button") if button.text == "Start").click()
        page = browser.find_element(By.TAG_NAME, "body")
        WebDriverWait(browser, 60).until(lambda _: "update 1000 of 1000" in page.text)
        return browser.get_screenshot_as_png()


if __name__ == "__main__":
    (PICTURES / "boundary.png").write_bytes(boundary())
    (PICTURES / "play.png").write_bytes(play())
