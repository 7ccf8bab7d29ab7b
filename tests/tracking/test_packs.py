"""Packed cells: found and read like the runs that they are not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nnspec
from nnspec.cli import main
from nnspec.errors import NnspecError, TrackingError
from nnspec.readback import read_cell
from nnspec.tracking import CellStore, NamingError, find_run, opened
from nnspec.tracking.artifacts import FINAL, HISTORY, INITIAL, RESULTS, SNAPSHOTS, SPEC
from nnspec.tracking.records import CELL_TAG, FINGERPRINT_TAG, PACKS_TAG

# Cells of several kinds: two widths, networks that stop early beside others, replicates, snapshots.
SWEEP = [
    "-m",
    "activation=relu,tanh",
    "model.hidden=[3],[2,2]",
    "train.stop=never,solved",
    "seed=0,7",
    "replicates=3",
    "train.epochs=60",
    "train.snapshot_every=30",
    "sweep.report=false",
    "--quiet",
]
CELLS = 16


def trained(folder: Path, *words: str, sweep: list[str] = SWEEP) -> str:
    """The address of a store with the sweep in it."""
    folder.mkdir(exist_ok=True)
    uri = f"sqlite:///{folder}/mlflow.db"
    assert main(["run", *sweep, f"tracking.uri={uri}", *words]) == 0
    return uri


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same sweep, its cells as runs and packed."""
    folder = tmp_path_factory.mktemp("stores")
    return {cells: trained(folder / cells, f"tracking.cells={cells}") for cells in ("all", "chosen", "none")}


@pytest.fixture
def none(stores: dict[str, str], tmp_path: Path) -> str:
    """A store of one's own with packed cells."""
    source = Path(stores["none"].removeprefix("sqlite:///")).parent
    target = tmp_path / "own"
    shutil.copytree(source, target)
    database = target / "mlflow.db"
    with sqlite3.connect(database) as connection:  # artifacts lie where the experiment says
        connection.execute(
            "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", (str(source), str(target))
        )
        connection.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (str(source), str(target)))
    connection.close()
    return f"sqlite:///{database}"


def cells_of(store: CellStore) -> dict[str, Any]:
    """The cells of the only sweep by fingerprint."""
    return {cell.fingerprint: cell for cell in store.find_children(find_run(store, "last"))}


def test_a_packed_cell_has_the_files_of_a_run(stores: dict[str, str]) -> None:
    with opened(stores["all"]) as runs, opened(stores["none"]) as packs:
        theirs, ours = cells_of(runs), cells_of(packs)
        assert set(ours) == set(theirs)
        assert len(ours) == CELLS
        assert not packs.runs_below(find_run(packs, "last"))
        for mark, packed in ours.items():
            for path in (SPEC, RESULTS, HISTORY, INITIAL, FINAL, SNAPSHOTS):
                assert packs.artifact(packed.run_id, path) == runs.artifact(theirs[mark].run_id, path), path


def test_a_packed_cell_has_the_facts_of_a_run(stores: dict[str, str]) -> None:
    with opened(stores["all"]) as runs, opened(stores["none"]) as packs:
        theirs = cells_of(runs)
        for mark, packed in cells_of(packs).items():
            ours, run = packs.get(packed.run_id), runs.get(theirs[mark].run_id)
            assert (ours.name, ours.status, ours.params) == (run.name, run.status, run.params)
            for tag in (CELL_TAG, FINGERPRINT_TAG, "nnspec.verdict", "nnspec.version"):
                assert ours.tags[tag] == run.tags[tag]
            assert ours.metrics.items() <= run.metrics.items()
            assert ours.metrics["solve_rate"] == run.metrics["solve_rate"]


@pytest.mark.parametrize("cells", ["chosen", "none"])
def test_whatever_is_asked_of_a_sweep_is_the_same(stores: dict[str, str], cells: str) -> None:
    pd.testing.assert_frame_equal(nnspec.table("last", uri=stores[cells]), nnspec.table("last", uri=stores["all"]))
    for of in (stores[cells], stores["all"]):
        with opened(of) as store:
            store.set_status([find_run(store, "last")], "RUNNING")  # then the table is put together from the cells
    joined, whole = (nnspec.table("last", uri=of).drop(columns="run_id") for of in (stores[cells], stores["all"]))
    pd.testing.assert_frame_equal(
        joined.sort_values(["cell", "seed"], ignore_index=True), whole.sort_values(["cell", "seed"], ignore_index=True)
    )
    for of in (stores[cells], stores["all"]):
        with opened(of) as store:
            store.set_status([find_run(store, "last")], "FINISHED")


def test_a_cell_by_its_number(stores: dict[str, str]) -> None:
    table = nnspec.table("last", uri=stores["none"])
    for cell in (0, 5, CELLS - 1):
        nets = [nnspec.load("last", cell=cell, replicate=2, uri=uri).state_dict() for uri in stores.values()]
        assert all(np.array_equal(nets[0][name], net[name]) for net in nets[1:] for name in nets[0])
        assert nnspec.load(f"last/{cell}", 2, uri=stores["none"]).state_dict().keys() == nets[0].keys()
        with opened(stores["none"]) as store:
            result = read_cell(store, find_run(store, f"last/{cell}")).result
        assert table.query("cell == @cell")["seed"].tolist() == result.seeds.tolist()
    with pytest.raises(NamingError, match="must be one that is filed, but got 16"):
        nnspec.load("last", cell=CELLS, uri=stores["none"])
    with pytest.raises(NnspecError, match="a sweep; say which of its cells, as in cell=17"):
        nnspec.load("last", uri=stores["none"])
    with opened(stores["all"]) as store, pytest.raises(NamingError, match="the run of cell 3 must be a sweep"):
        find_run(store, f"{next(iter(cells_of(store).values())).run_id}/3")


def test_the_cells_worth_opening_have_runs(stores: dict[str, str]) -> None:
    with opened(stores["chosen"]) as store:
        runs = store.runs_below(find_run(store, "last"))
        assert 0 < len(runs) <= CELLS
        assert all(run.status == "FINISHED" for run in runs)
        assert len({run.tags[CELL_TAG] for run in runs}) == len(runs)
        assert len(store.find_children(find_run(store, "last"))) == CELLS


def test_the_tables_of_a_pack_are_anyones_to_read(none: str) -> None:
    """Without nnspec: a row a network, a row a logged step, tensors by name."""
    from safetensors.numpy import load_file

    packs = sorted(Path(none.removeprefix("sqlite:///")).parent.glob("mlartifacts/*/*/artifacts/cells/*"))
    assert len(packs) == 4  # two widths, with and without an early stop
    rows = pd.concat([pd.read_parquet(pack / "results.parquet") for pack in packs])
    table = nnspec.table("last", uri=none)
    assert len(rows) == len(table) == 3 * CELLS
    loss = (
        pd.concat([pd.read_parquet(pack / "history.parquet") for pack in packs])
        .groupby(["cell", "seed"])["loss"]
        .last()
    )
    np.testing.assert_array_equal(loss, table.sort_values(["cell", "seed"])["final_loss"])
    assert all(len(array) == 12 for pack in packs for array in load_file(pack / "weights.safetensors").values())


@pytest.mark.parametrize("cells", ["none", "all"])
def test_resumed_with_packs(none: str, capsys: pytest.CaptureFixture[str], cells: str) -> None:
    """Finished cells are found in packs, and the table is the same whoever trained them."""
    before = nnspec.table("last", uri=none)
    more = [*SWEEP[:-1], f"tracking.uri={none}", f"tracking.cells={cells}"]
    assert main(["run", *more, "resume=last"]) == 0
    assert f"{CELLS} of {CELLS} cells already done" in capsys.readouterr().err
    pd.testing.assert_frame_equal(nnspec.table("last", uri=none), before)


def test_a_pack_that_is_not_counted_is_written_over(none: str) -> None:
    """What a process left that was killed before it counted its pack: nobody sees its cells, and they train again."""
    before = nnspec.table("last", uri=none)
    with opened(none) as store:
        sweep = find_run(store, "last")
        store.set_tags(sweep, {PACKS_TAG: "2"})
    with opened(none) as store:
        assert len(store.find_children(sweep)) == CELLS // 2
    assert main(["run", *SWEEP, f"tracking.uri={none}", "tracking.cells=none", "resume=last"]) == 0
    pd.testing.assert_frame_equal(nnspec.table("last", uri=none), before)
    with opened(none) as store:
        cells = [cell.tags[CELL_TAG] for cell in store.find_children(sweep)]
        assert sorted(cells, key=int) == [str(number) for number in range(CELLS)]
        assert store.get(sweep).tags[PACKS_TAG] == "4"


@pytest.mark.slow
def test_packed_cells_keep_their_numbers_in_another_order(none: str) -> None:
    before = nnspec.table("last", uri=none)
    with opened(none) as store:
        store.set_tags(find_run(store, "last"), {PACKS_TAG: "2"})
    other = ["-m", "seed=7,0", "train.stop=solved,never", "model.hidden=[2,2],[3]", "activation=tanh,relu", *SWEEP[5:]]
    assert main(["run", *other, f"tracking.uri={none}", "tracking.cells=none", "resume=last"]) == 0
    after = nnspec.table("last", uri=none)
    with opened(none) as store:
        sweep = find_run(store, "last")
        cells = store.find_children(sweep)
        assert len({cell.fingerprint for cell in cells}) == CELLS
        numbers = {cell.fingerprint: int(cell.tags[CELL_TAG]) for cell in cells}
        assert sorted(numbers.values()) == list(range(CELLS))
        for cell in cells:
            loss = read_cell(store, cell.run_id).result.final_loss
            rows = after[after["cell"] == numbers[cell.fingerprint]]
            np.testing.assert_array_equal(rows["final_loss"], loss)
    assert set(after["final_loss"]) == set(before["final_loss"])


def test_reused_from_packs(none: str, capsys: pytest.CaptureFixture[str]) -> None:
    fewer = [word for word in SWEEP[:-1] if not word.startswith("activation")] + ["activation=tanh"]
    assert main(["run", *fewer, f"tracking.uri={none}", "reuse=true"]) == 0
    assert f"{CELLS // 2} of {CELLS // 2} cells taken from earlier runs" in capsys.readouterr().err
    assert len(nnspec.table("last", uri=none)) == 3 * CELLS // 2
    assert nnspec.load("last", cell=3, uri=none) is not None


def damaged(uri: str, name: str, change: Callable[[bytes], bytes]) -> None:
    for path in Path(uri.removeprefix("sqlite:///")).parent.glob(f"mlartifacts/*/*/artifacts/cells/*/{name}"):
        path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("name", ["index.parquet", "results.parquet", "history.parquet", "weights.safetensors"])
@pytest.mark.parametrize("change", [lambda content: b"", lambda content: content[: len(content) // 2]])
def test_a_broken_pack_is_one_clear_error(none: str, name: str, change: Callable[[bytes], bytes]) -> None:
    damaged(none, name, change)
    with opened(none) as store, pytest.raises(NnspecError, match=r"must be|must have"):
        read_cell(store, find_run(store, "last/3"))


def test_a_pack_of_another_sweep_is_refused(none: str) -> None:
    """Its numbers do not fit: a fingerprint that is not the spec's, rows that are another cell's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def reseeded(content: bytes) -> bytes:
        table = pq.read_table(pa.BufferReader(content))
        place = table.column_names.index("seed")
        table = table.set_column(place, "seed", pa.array([seed + 1 for seed in table["seed"].to_pylist()]))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        return bytes(sink.getvalue())

    damaged(none, "index.parquet", reseeded)
    with opened(none) as store, pytest.raises(TrackingError, match="must have the fingerprint"):
        read_cell(store, find_run(store, "last/3"))


def test_what_a_packed_cell_cannot_take(none: str) -> None:
    with opened(none) as store:
        cell = find_run(store, "last/3")
        with pytest.raises(TrackingError, match=r"cell 3 of sweep \w+ must have a run .* nnspec promote \w+ 3"):
            store.set_tags(cell, {"a": "b"})
        with pytest.raises(TrackingError, match=r"must be one that cells have, but got 'model\.pt'"):
            store.artifact(cell, "model.pt")
        store.delete([cell])
        assert store.get(cell).status == "FINISHED"
        store.set_tags(find_run(store, "last"), {PACKS_TAG: "many"})
    with opened(none) as store, pytest.raises(TrackingError, match="must be a whole number from 0, but got 'many'"):
        store.find_children(find_run(store, "last"))
