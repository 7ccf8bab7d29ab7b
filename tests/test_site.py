"""The site in docs/: it builds without a warning, asks for nothing from elsewhere, and its formulas and links hold."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import sympy
from scipy.special import expit
from scipy.stats import norm

import nnspec
from nnspec.catalog import ACTIVATIONS, REGISTRIES
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics import metric_names
from nnspec.tracking.cell_records import final_metrics, history_series

ROOT = Path(nnspec.__file__).parents[1]
DOCS = ROOT / "docs"
LEAST = 25  # pages
TIMEOUT = 1500  # seconds of a build, on a busy machine


def extension(name: str) -> ModuleType:
    """A module of ``docs/_ext``."""
    place = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "_ext" / f"{name}.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def formulas() -> ModuleType:
    return extension("formulas")


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_a_formula_on_the_page_is_what_nnspec_computes(formulas: ModuleType, name: str) -> None:
    """The textbook's formula with numbers put in, against the entry, at its defaults."""
    entry, z = ACTIVATIONS[name], np.linspace(-4.03, 4.05, 57)  # not at a kink
    value = entry.bind({}).value(NumpyMaths(), z)
    slope = entry.bind({}).slope(NumpyMaths(), z, value)
    known = {"sigma": expit, "Phi": norm.cdf, "phi": norm.pdf}
    for text, ours in zip(formulas.ACTIVATIONS[name], (value, slope), strict=True):
        formula = formulas.expression(text).subs(sympy.Symbol("s", real=True), formulas.expression(formulas.S))
        defaults = {param.name: param.default for param in entry.params if isinstance(param.default, float)}
        given = {each: defaults[str(each)] for each in formula.free_symbols if str(each) != "z"}
        function = sympy.lambdify(sympy.Symbol("z", real=True), formula.subs(given), modules=[known, "scipy", "numpy"])
        # selu's constants have five digits on the page
        np.testing.assert_allclose(np.broadcast_to(function(z), z.shape), ours, rtol=5e-5, atol=1e-12)


def test_every_entry_has_its_formula(formulas: ModuleType) -> None:
    missing = [name for name in ACTIVATIONS.names() if name not in formulas.ACTIVATIONS]
    for kind, known in formulas.TEX.items():
        stored = ("from_file",) if kind == "init" else ()
        missing += [f"{kind} {name}" for name in REGISTRIES[kind].names() if name not in (*known, *stored)]
    assert missing == []


def test_every_work_that_a_summary_names_is_in_the_list_of_sources() -> None:
    sources = extension("sources")
    missing = [
        work
        for registry in REGISTRIES.values()
        for entry in registry
        for work in re.findall(r"\(([A-Z][^()]*? (?:19|20)\d\d)\b[^()]*\)", entry.summary)
        if work not in sources.WORKS
    ]
    assert missing == []


def test_every_metric_is_on_its_page() -> None:
    """Metrics of runs with a test part and several networks, and all columns of a table."""
    words = ["data=moons", "data.rows=40", "data.test_fraction=0.3", "replicates=3", "train.epochs=50"]
    trained = nnspec.train(nnspec.spec(words))
    result, text = trained.result, (DOCS / "reference" / "metrics.md").read_text("utf-8")
    names = {*history_series(result), *final_metrics(result), *metric_names().values(), *trained.table.columns}
    plain = {re.sub(r"^(init_(?!loss)|at_start/)|_q\d\d$|[./]\d+$", "", name) for name in names}
    said = {"cell", "seed", "solved", "verdict", "epochs"}  # what a row is of, and words that need no line
    missing = [
        name
        for name in sorted(plain - said)
        if not re.search(rf"[`/]{re.escape(name)}(`|[./]LAYER)|[`/]{re.escape(name.rpartition('/')[2])}`", text)
    ]
    assert missing == []


class Page(HTMLParser):
    """What a page links to, what it loads, and what it has that can be linked to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {key: value or "" for key, value in attrs}
        self.names |= {said[key] for key in ("id", "name") if key in said}
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        loaded = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
        if loaded.get(tag) in said:
            self.loads.append(said[loaded[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    pytest.importorskip("myst_nb", reason="pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site") / "html"
    before = listed(DOCS)
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(out)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr[-4000:]
    assert listed(DOCS) == before, "the build writes into its sources"
    return out


def listed(folder: Path) -> set[Path]:
    """The files of a folder but Python's own."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


@pytest.mark.slow
def test_a_page_asks_for_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) >= LEAST
    foreign = [(path.name, each) for path, page in pages.items() for each in page.loads if elsewhere(each)]
    styles = [
        path.name for path in site.rglob("*.css") if re.search(r"(@import|url\()\s*['\"]?(https?:)?//", text_of(path))
    ]
    scripts = [
        path.name for path in site.rglob("*.js") if re.search(r"(fetch|importScripts)\(['\"]https?:", text_of(path))
    ]
    assert (foreign, styles, scripts) == ([], [], [])


def text_of(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")


def elsewhere(address: str) -> bool:
    """Whether an address is on another machine."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https")


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = sorted({(str(path.relative_to(site)), each) for path, each in dangling(pages)})
    assert broken == []


def dangling(pages: dict[Path, Page]) -> Iterator[tuple[Path, str]]:
    """Links and pictures of pages that there is no file or no place for."""
    for path, page in pages.items():
        for each in (*page.links, *page.loads):
            parts = urlsplit(each)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].names if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in known):
                yield path, each


@pytest.mark.slow
def test_mathematics_is_mathml(site: Path) -> None:
    text = (site / "reference" / "activations.html").read_text("utf-8")
    assert text.count("<math") > 2 * len(ACTIVATIONS)
    assert "MathJax" not in text
