"""Citations: what they say is what is filed, and how the statistics are done is what the commands do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nnspec import runner
from nnspec.analysis import methods
from nnspec.cli import main
from nnspec.report.citing import YEAR, Citation, citation, general_citation
from nnspec.runner import Outcome
from nnspec.settings import Settings, Sweep, Tracking
from nnspec.sweep import Cell
from nnspec.tracking import Store, open_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filed(tmp_path_factory, mapping_of) -> tuple[Store, Outcome, str]:
    """A sweep of two cells of 3 networks that share their seeds, and a single run."""
    tracking = Tracking(uri=f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")
    settings = Settings(tracking=tracking, sweep=Sweep(report=False))

    def cell(name: str) -> Cell:
        spec = mapping_of(activation=name, replicates=3, train={"epochs": 20})
        from nnspec.check import checked_mapping

        return Cell(checked_mapping(spec), (("activation", name),))

    sweep = runner.run([cell("relu"), cell("tanh")], settings, ("activation",), True, "nnspec run -m", quiet=True)
    single = runner.run([cell("gelu")], settings, command="nnspec run", quiet=True)
    return open_store(tracking), sweep, single.run_ids[0]


def test_a_sweep_is_cited_by_what_is_filed(filed):
    store, sweep, _ = filed
    found = citation(store, str(sweep.parent))
    tags = store.get(str(sweep.parent)).tags
    assert (found.version, found.commit) == (tags["nnspec.version"], tags.get("nnspec.git_commit", ""))
    assert (found.cells, found.seeds, found.networks) == (2, 3, 6)
    assert set(found.fingerprints) == {spec.fingerprint for spec in sweep.specs}
    assert "has 2 cells over activation (2), 3 seeds, 6 networks." in found.text
    assert all(spec.fingerprint in found.text for spec in sweep.specs)
    assert methods.CLUSTERS in found.text
    assert methods.PAIRS in found.text
    assert methods.MEANS not in found.text  # there is no test part


def test_a_single_run_has_nothing_to_compare(filed):
    store, _, single = filed
    found = citation(store, single)
    assert found.fingerprints == (store.get(single).fingerprint,)
    assert f"Its spec has the fingerprint {found.fingerprints[0]}." in found.text
    assert "3 seeds, 3 networks" in found.text
    assert methods.CLUSTERS not in found.text
    assert methods.PAIRS not in found.text


def test_many_cells_are_cited_by_the_digest_of_their_set():
    found = Citation("1.0", "", None, (), "id", "sweep", "d" * 16, tuple(map(str, range(9))), "9 cells", 9, 1, 9)
    assert f"9 fingerprints, whose set has the digest {'d' * 16}." in found.text


@pytest.mark.parametrize(("dirty", "says"), [(True, "with changes that were not committed"), (False, "commit abcdef.")])
def test_what_was_not_committed_is_said(dirty, says):
    assert says in Citation("1.0", "abcdef", dirty, ()).text


def test_a_strangers_tags_stay_text():
    found = Citation("1.0}, evil = {\x1b[2J", "a\nb", None, ())
    assert "\x1b" not in found.text
    assert "\n" not in found.text
    assert "  version = {1.0evil2J}," in found.bibtex


def test_an_unknown_version_is_not_made_up():
    found = Citation("", "", None, ())
    assert "nnspec of a version that was not recorded." in found.text
    assert "version =" not in found.bibtex


def test_the_entry_has_no_invented_people():
    entry = general_citation().bibtex
    assert "author  = {{nnspec developers}}" in entry
    assert entry.count("{") == entry.count("}")
    assert f"year    = {{{YEAR}}}" in entry


def test_the_year_is_that_of_the_newest_release():
    released = re.findall(r"^## \[?[\d.]+\]? - (\d{4})-\d\d-\d\d", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert not released or max(map(int, released)) == YEAR


@pytest.mark.parametrize("words", [(), ("-m", "activation=relu,tanh")])
def test_auto_replicates_have_a_sentence_of_their_own(folder, said, capsys, words):
    """Told by the interval that is filed, which is not Wilson's then, however the command asked for it."""
    short = ("train.epochs=1", "train.workers=1", *(("sweep.report=false",) if words else ()))
    for replicates, told in ((("replicates=auto", "train.precision=0.2"), True), (("replicates=5",), False)):
        said("run", *words, *replicates, *short)
        assert (methods.LOOKS in said("cite", "last")) is told


@pytest.fixture
def said(capsys) -> Callable[..., str]:
    def call(*words: str) -> str:
        assert main(words) == 0
        return str(capsys.readouterr().out)

    return call


def test_the_command_and_its_document(filed, said):
    store, sweep, _ = filed
    words = ("cite", str(sweep.parent), "--uri", store.location.uri)
    found = citation(store, str(sweep.parent))
    assert said(*words) == f"{found.text}\n\n{found.bibtex}\n"
    document = json.loads(said(*words, "--json"))
    assert set(document) == {
        *("run", "name", "version", "commit", "dirty", "fingerprint", "fingerprints", "cells", "seeds", "networks"),
        *("statistics", "text", "bibtex"),
    }
    assert (document["run"], document["cells"]) == (sweep.parent, 2)
    assert " ".join(document["statistics"]) in document["text"]


def test_without_a_run_there_is_the_general_part(said, folder):
    document = json.loads(said("cite", "--json"))
    assert document["run"] is document["cells"] is None
    assert document["statistics"] == methods.statistics()
    assert said("cite") == f"{document['text']}\n\n{document['bibtex']}\n"
