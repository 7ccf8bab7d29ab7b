"""How a run is named, and what happens where none is meant."""

from __future__ import annotations

import pytest

from nnspec.cli.filed import find_run
from nnspec.settings import Tracking
from nnspec.tracking import NamingError, open_store

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, on its first import


@pytest.fixture(params=["sql", "client"])
def store(request, filed):
    opened = open_store(Tracking(uri=filed.uri, writer=request.param))
    yield opened
    opened.close()


def test_a_run_by_id_prefix_and_name(store, filed):
    name = store.get(filed.sweep.parent).name
    assert find_run(store, filed.sweep.parent) == filed.sweep.parent
    assert find_run(store, filed.sweep.parent[:20]) == filed.sweep.parent
    assert find_run(store, name) == filed.sweep.parent


def test_last_is_the_youngest_that_is_no_cell(store, filed):
    assert find_run(store, "last") == filed.single


def test_an_ambiguous_name_lists_the_runs(store, filed):
    name = store.get(filed.sweep.run_ids[0]).name  # the longer sweep has a cell of the same name
    with pytest.raises(
        NamingError, match=f"must be named so that no other is meant, but got '{name}', which may be .*; give an id"
    ):
        find_run(store, name)


@pytest.mark.parametrize("words", ["nosuch", "f00", "it's", "%", ""])
def test_a_run_that_is_not_there(store, words):
    with pytest.raises(
        NamingError, match=r"must be named by a run id, .* or 'last', but got '.*', which none has; look it up"
    ):
        find_run(store, words)


def test_a_store_that_is_not_there_is_not_made(tmp_path, nnspec):
    status, _, err = nnspec("table", "last", "--uri", f"sqlite:///{tmp_path}/none.db")
    assert status == 2
    assert err.count("\n") == 1
    assert "the store must be there to be read, but got" in err
    assert not list(tmp_path.iterdir())


def test_last_of_nothing(tmp_path, nnspec):
    uri = f"sqlite:///{tmp_path}/empty.db"
    open_store(Tracking(uri=uri)).close()
    status, _, err = nnspec("report", "last", "--uri", uri)
    assert status == 2
    assert "'last' needs a run in" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("table",), "the following arguments are required: run"),
        (("compare", "last", "--confidence", "2"), "must be between 0 and 1, but got '2'; try 0.95"),
        (("table", "last", "--rows", "x"), "must be a whole number from 0, but got 'x'; try 40"),
        (("diff", "last"), "the following arguments are required: b"),
        (("report", "last", "--nosuch"), "unrecognized arguments: --nosuch"),
    ],
)
def test_arguments_are_refused_in_one_line(nnspec, words, says):
    status, out, err = nnspec(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("nnspec: ")
    assert says in err
