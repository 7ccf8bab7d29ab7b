"""The contract of ``Store``, over both writers and every kind of database, read back through MLflow's public client."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import servers

from nnspec.errors import TrackingError
from nnspec.results.arrays import Results
from nnspec.settings import Tracking
from nnspec.tracking import RunQuery, Store, open_store
from nnspec.tracking.records import RunEnd, RunStart, Series

WRITERS = ("sql", "client")
ODD = {"inf": math.inf, "low": -math.inf, "nan": math.nan, "tiny": 5e-324, "third": 1 / 3}

Make = Callable[..., Any]
Database = Callable[[Path, str], str]


class Filed(NamedTuple):
    """One store with the same runs in it, whichever writer filed them."""

    store: Store
    client: Any
    folder: Path
    experiment_id: str
    sweep: str
    cells: list[Results]
    ids: list[str]


def file_everything(uri: str, writer: str, folder: Path, make_cell: Make, make_start: Make, make_end: Make) -> Filed:
    """A sweep of three cells (finished, with history filed on the way; failed with odd numbers; running) and a single
    run."""
    from mlflow import MlflowClient

    store = open_store(Tracking(uri=uri, writer=writer))
    experiment_id = store.experiment("nnspec-xor")
    sweep = store.start([RunStart("sweep", {}, {"nnspec.sweep": "abc"}, start_time=500)], experiment_id)[0]
    cells = [make_cell(seed=seed, steps=steps) for seed, steps in enumerate((5, 400, 2, 3))]
    starts = [make_start(cell, sweep if index < 3 else None, 1_000 + index) for index, cell in enumerate(cells)]
    starts[1] = replace(starts[1], params={**starts[1].params, "long": "x" * 7000})
    ids = store.start(starts, experiment_id)
    ends = [make_end(cell, run_id) for cell, run_id in zip(cells, ids, strict=True)]
    first = {key: Series(series.steps[:2], series.values[:2]) for key, series in ends[0].history.items()}
    store.progress([(ids[0], first), (ids[2], {"loss": Series(np.array([0]), np.array([math.nan]))})])
    store.progress([(ids[0], first)])  # filed before: nothing happens
    odd = {key: Series(np.array([0, 5]), np.array([1.0, value])) for key, value in ODD.items()}
    store.finish(
        [ends[0], replace(ends[1], status="FAILED", history={**ends[1].history, **odd}, tags={"mlflow.user": "eve"})]
    )
    store.finish([ends[3]])
    store.finish([ends[3]])  # a second try after a lost answer
    return Filed(store, MlflowClient(tracking_uri=store.location.absolute), folder, experiment_id, sweep, cells, ids)


@pytest.fixture(scope="module")
def both(
    database: Database, tmp_path_factory: pytest.TempPathFactory, cell: Make, started: Make, ended: Make
) -> Iterator[dict[str, Filed]]:
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for module in ("nnspec.tracking.database.store", "nnspec.tracking.client.store"):
            patch.setattr(f"{module}.now_ms", lambda: 1_500)
        for name in WRITERS:
            folder = tmp_path_factory.mktemp(name)
            patch.chdir(folder)  # where the artifacts go that have no file of a database to lie beside
            made[name] = file_everything(database(folder, name), name, folder, cell, started, ended)
    yield made
    for filed in made.values():
        filed.store.close()


@pytest.fixture(params=WRITERS)
def filed(request: pytest.FixtureRequest, both: dict[str, Filed]) -> Filed:
    return both[request.param]


def rows(filed: Filed) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of MLflow's tables, with what is drawn at random put as what it stands for."""

    def query(statement: str) -> list[tuple[Any, ...]]:
        return servers.query(filed.store.location.absolute, statement)

    names = dict(query("SELECT run_uuid, name FROM runs"))
    names |= {one: f"data {name}" for one, name in query("SELECT dataset_uuid, name FROM datasets")}
    names |= {one: f"input of {names[run]}" for one, run in query("SELECT input_uuid, destination_id FROM inputs")}

    def plain(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        value = value.replace(str(filed.folder), "FOLDER")
        return next((value.replace(one, name) for one, name in names.items() if one in value), value)

    found = {}
    for table in servers.TABLES:
        skip = "name, artifact_location, lifecycle_stage, workspace" if table == "experiments" else "*"
        where = " WHERE experiment_id <> 0" if table == "experiments" else ""
        found[table] = sorted((tuple(map(plain, row)) for row in query(f"SELECT {skip} FROM {table}{where}")), key=repr)
    return found


@pytest.mark.parametrize("table", servers.TABLES)
def test_both_writers_leave_the_same_rows(both: dict[str, Filed], table: str) -> None:
    sql, client = rows(both["sql"])[table], rows(both["client"])[table]
    assert sql == client
    assert sql


def test_the_run_itself(filed: Filed) -> None:
    info = filed.client.get_run(filed.ids[0]).info
    assert (info.run_name, info.status, info.start_time, info.end_time) == (
        "mlp-4-gelu-kaiming_uniform-adam-s0",
        "FINISHED",
        1_000,
        2_000,
    )
    assert (info.user_id, info.lifecycle_stage, info.experiment_id) == ("ada", "active", filed.experiment_id)
    assert info.artifact_uri == f"{filed.folder}/mlartifacts/nnspec-xor/{filed.ids[0]}/artifacts"
    assert filed.client.get_run(filed.ids[1]).info.status == "FAILED"
    running = filed.client.get_run(filed.ids[2]).info
    assert running.status == "RUNNING"
    assert running.end_time is None


def test_params_and_tags(filed: Filed) -> None:
    first, second = (filed.client.get_run(run_id).data for run_id in filed.ids[:2])
    assert first.params == filed.cells[0].spec.flat()
    assert first.tags["mlflow.parentRunId"] == filed.sweep
    assert first.tags["mlflow.runName"] == "mlp-4-gelu-kaiming_uniform-adam-s0"
    assert first.tags["nnspec.fingerprint"] == filed.cells[0].spec.fingerprint
    assert first.tags["verdict"] == "solved"
    assert second.tags["mlflow.user"] == "eve"
    assert len(second.params["long"]) == 6000
    assert second.params["long"].endswith("x... [cut: 7000 characters]")
    assert "mlflow.parentRunId" not in filed.client.get_run(filed.ids[3]).data.tags


def test_history_is_whole_and_filed_once(filed: Filed) -> None:
    for index in (0, 1, 3):
        cell = filed.cells[index]
        points = filed.client.get_metric_history(filed.ids[index], "weight_norm/2")
        assert [(point.step, point.value) for point in points] == list(
            zip(cell.steps, cell.weight_norm["2"][0], strict=True)
        )
    stamps = [point.timestamp for point in filed.client.get_metric_history(filed.ids[0], "loss")]
    assert stamps == [1_500, 1_500, 2_000, 2_000, 2_000]


def test_latest_metrics_are_what_search_shows(filed: Filed) -> None:
    runs = filed.client.search_runs([filed.experiment_id], "metrics.final_loss < 2")
    assert {run.info.run_id for run in runs} == {filed.ids[index] for index in (0, 1, 3)}
    for index in (0, 1, 3):
        cell = filed.cells[index]
        metrics = filed.client.get_run(filed.ids[index]).data.metrics
        assert metrics["loss"] == metrics["final_loss"] == cell.loss[0, -1]
        assert metrics["solve_rate"] == 0
        assert "solved_at" not in metrics


def test_numbers_that_are_none(filed: Filed) -> None:
    biggest = 1.7976931348623157e308
    metrics = filed.client.get_run(filed.ids[1]).data.metrics
    assert metrics["inf"] == biggest
    assert metrics["low"] == -biggest
    assert math.isnan(metrics["nan"])
    assert metrics["tiny"] == 5e-324
    assert metrics["third"] == 1 / 3
    history = [point.value for point in filed.client.get_metric_history(filed.ids[1], "nan")]
    assert history[0] == 1
    assert math.isnan(history[1])
    assert math.isnan(filed.client.get_run(filed.ids[2]).data.metrics["loss"])


def test_the_data_set_is_an_input(filed: Filed) -> None:
    inputs = filed.client.get_run(filed.ids[0]).inputs.dataset_inputs
    assert [(one.dataset.name, [(tag.key, tag.value) for tag in one.tags]) for one in inputs] == [
        ("xor", [("mlflow.data.context", "training")])
    ]
    assert filed.client.get_run(filed.sweep).inputs.dataset_inputs == []


def test_artifacts_come_back(filed: Filed, ended: Make, tmp_path: Path) -> None:
    wanted = dict(ended(filed.cells[0], "x").artifacts)
    got = Path(filed.client.download_artifacts(filed.ids[0], "", str(tmp_path)))
    assert {path.relative_to(got).as_posix(): path.read_bytes() for path in got.rglob("*") if path.is_file()} == wanted
    assert filed.store.artifact(filed.ids[0], "spec.yaml") == wanted["spec.yaml"]
    with pytest.raises(TrackingError, match=r"artifact none.txt of run .* must be readable"):
        filed.store.artifact(filed.ids[0], "none.txt")
    with pytest.raises(TrackingError, match="must be a plain relative path"):
        filed.store.artifact(filed.ids[0], "../../../mlflow.db")


def test_search_filters_and_orders(filed: Filed) -> None:
    def search(query: str, *order: str) -> list[str]:
        return [run.info.run_id for run in filed.client.search_runs([filed.experiment_id], query, order_by=list(order))]

    assert search(f"tags.`mlflow.parentRunId` = '{filed.sweep}'", "attributes.start_time ASC") == filed.ids[:3]
    assert search("params.seed = '1'") == [filed.ids[1]]
    assert search("attributes.status = 'FINISHED'", "params.seed DESC") == [filed.ids[3], filed.ids[0]]
    assert search("dataset.name = 'xor' and attributes.run_name LIKE 'mlp%-s2'") == [filed.ids[2]]
    losses = sorted((float(filed.cells[index].loss[0, -1]), filed.ids[index]) for index in (0, 1, 3))
    assert search("metrics.final_loss >= 0", "metrics.final_loss ASC") == [run_id for _, run_id in losses]


def test_finding_runs(filed: Filed) -> None:
    marks = [cell.spec.fingerprint for cell in filed.cells]
    children = filed.store.find_children(filed.sweep)
    assert [(child.run_id, child.fingerprint, child.status) for child in children] == list(
        zip(filed.ids[:3], marks[:3], ("FINISHED", "FAILED", "RUNNING"), strict=True)
    )
    assert filed.store.latest_sweep(filed.experiment_id) == filed.sweep
    assert filed.store.latest_sweep(filed.experiment_id, {"nnspec.sweep": "abc"}) == filed.sweep
    assert filed.store.latest_sweep(filed.experiment_id, {"nnspec.sweep": "other"}) is None
    assert filed.store.finished(filed.experiment_id, [*marks, "none"]) == {
        marks[0]: filed.ids[0],
        marks[3]: filed.ids[3],
    }
    params = [dict(child.params) for child in filed.store.find_children(filed.sweep, ("seed", "init.name", "none"))]
    assert params == [{"seed": str(seed), "init.name": "kaiming_uniform"} for seed in range(3)]
    assert [dict(child.params) for child in children] == [{}] * 3
    many = [f"{number:016x}" for number in range(30)]
    assert filed.store.finished(filed.experiment_id, [*marks, *many]) == {
        marks[0]: filed.ids[0],
        marks[3]: filed.ids[3],
    }
    assert [
        facts.run_id for facts in filed.store.search(RunQuery(filed.experiment_id, tags={"verdict": "solved"}))
    ] == [
        filed.ids[0],
        filed.ids[3],
    ]


@pytest.mark.parametrize("inside", [True, False])
def test_searching_runs(filed: Filed, inside: bool) -> None:
    """In their experiment, and in all of them."""
    store, ids = filed.store, filed.ids

    def found(newest_first: bool = False, limit: int | None = None, **query: Any) -> list[str]:
        asked = RunQuery(filed.experiment_id if inside else None, **query)
        return [run.run_id for run in store.search(asked, newest_first, limit)]

    assert found() == [filed.sweep, *ids]
    assert found(newest_first=True, limit=2) == [ids[3], ids[2]]
    assert found(without_tags=("mlflow.parentRunId",)) == [filed.sweep, ids[3]]
    assert found(without_tags=("mlflow.parentRunId", "nnspec.sweep")) == [ids[3]]
    assert found(with_tags=("mlflow.parentRunId", "verdict")) == [ids[0]]
    assert found(tags={"verdict": "solved"}) == [ids[0], ids[3]]
    assert found(tags={"verdict": "solved", "mlflow.parentRunId": filed.sweep}) == [ids[0]]
    assert found(name="mlp-4-gelu-kaiming_uniform-adam-s2") == [ids[2]]
    assert found(name="mlp") == found(name="it's") == found(name="%") == []
    assert found(id_prefix=ids[1][:31]) == [ids[1]]
    assert found(id_prefix="f" * 8) == []
    assert store.search(RunQuery("12345")) == []
    (first,) = store.search(RunQuery(tags={"mlflow.runName": "mlp-4-gelu-kaiming_uniform-adam-s0"}))
    run = filed.client.get_run(ids[0])
    assert (first.run_id, first.name, first.status, first.start_time, dict(first.tags)) == (
        ids[0],
        "mlp-4-gelu-kaiming_uniform-adam-s0",
        "FINISHED",
        1_000,
        {key: run.data.tags[key] for key in ("mlflow.parentRunId", "nnspec.fingerprint")},
    )


def test_facts_are_those_of_the_client(filed: Filed) -> None:
    for run_id in filed.ids:
        facts, run = filed.store.get(run_id), filed.client.get_run(run_id)
        assert (facts.run_id, facts.experiment_id, facts.name) == (run_id, filed.experiment_id, run.info.run_name)
        assert (facts.status, facts.start_time, facts.end_time) == (
            run.info.status,
            run.info.start_time,
            run.info.end_time,
        )
        assert dict(facts.tags) == run.data.tags
        assert dict(facts.params) == run.data.params
        assert facts.metrics == pytest.approx(run.data.metrics, rel=0, abs=0, nan_ok=True)
    with pytest.raises(TrackingError, match="must exist, but got 'missing'; look its id up"):
        filed.store.get("missing")
    with pytest.raises(TrackingError, match="must exist, but got 'missing'"):
        filed.store.find_children("missing")
    with pytest.raises(TrackingError, match=r"missing"):
        filed.store.finish([RunEnd("missing", artifacts={"a.txt": b"a"})])


@pytest.fixture(params=WRITERS)
def fresh(request: pytest.FixtureRequest, database: Database, folder: Path) -> Iterator[Store]:
    """A store of its own."""
    store = open_store(Tracking(uri=database(folder, "fresh"), writer=request.param))
    yield store
    store.close()


def test_taking_up_and_deleting(fresh: Store) -> None:
    experiment_id = fresh.experiment("one")
    assert fresh.experiment("one") == experiment_id != fresh.experiment("two")
    first, second = fresh.start(
        [RunStart(name, {}, {"nnspec.sweep": name}, start_time=7) for name in "ab"], experiment_id
    )
    fresh.set_status([first, second], "KILLED", 9)
    assert (fresh.get(first).status, fresh.get(first).end_time) == ("KILLED", 9)
    fresh.set_status([first], "RUNNING")
    fresh.set_tags(first, {"nnspec.sweep": "c", "new": "d"})
    assert fresh.get(first).status == "RUNNING"
    assert fresh.get(first).tags == {"mlflow.runName": "a", "nnspec.sweep": "c", "new": "d"}
    fresh.delete([first])
    assert fresh.latest_sweep(experiment_id) == second
    fresh.delete([second])
    assert fresh.latest_sweep(experiment_id) is None


def test_what_is_deleted_is_not_found(fresh: Store) -> None:
    one, two = fresh.experiment("one"), fresh.experiment("two")
    (first,) = fresh.start([RunStart("a", {}, {}, start_time=1)], one)
    (second,) = fresh.start([RunStart("a", {}, {}, start_time=2)], two)
    assert [run.run_id for run in fresh.search(RunQuery(name="a"))] == [first, second]
    fresh.delete([first])
    assert [run.run_id for run in fresh.search(RunQuery(name="a"))] == [second]
    servers.query(fresh.location.uri, "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'two'")
    assert fresh.search(RunQuery(name="a")) == []


def test_artifacts_are_added_to_a_run(fresh: Store, tmp_path: Path) -> None:
    (run_id,) = fresh.start([RunStart("a", {}, {})], fresh.experiment("one"))
    fresh.add_artifacts(run_id, {"a.txt": b"first", "deep/b.txt": b"b"})
    fresh.add_artifacts(run_id, {"a.txt": b"second"})
    assert [fresh.artifact(run_id, path) for path in ("a.txt", "deep/b.txt")] == [b"second", b"b"]
    assert fresh.get(run_id).status == "RUNNING"
    (folder,) = (path.parent for path in tmp_path.rglob("a.txt"))
    (folder / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(TrackingError, match=r"the artifact elsewhere/c.txt must lie below the folder of its run"):
        fresh.add_artifacts(run_id, {"elsewhere/c.txt": b"c"})
    assert not (tmp_path / "c.txt").exists()
    with pytest.raises(TrackingError, match="must exist, but got 'missing'"):
        fresh.add_artifacts("missing", {"a.txt": b""})


def test_another_process_files_only_the_rest(fresh: Store) -> None:
    run_id = fresh.start([RunStart("a", {}, {}, start_time=1)], fresh.experiment("one"))[0]
    fresh.progress([(run_id, {"loss": Series(np.arange(3), np.ones(3))})])
    other = open_store(
        Tracking(uri=fresh.location.uri, writer="sql" if type(fresh.runs).__name__ == "SqlStore" else "client")
    )
    other.finish([RunEnd(run_id, "FINISHED", {"loss": Series(np.arange(5), np.full(5, 2.0))}, end_time=2)])
    other.close()
    uri = fresh.location.uri
    assert servers.query(uri, "SELECT step, value FROM metrics ORDER BY step") == [
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 2),
    ]
    assert servers.query(uri, "SELECT step, value FROM latest_metrics") == [(4, 2)]


def test_bad_names_are_refused_before_anything_is_filed(fresh: Store) -> None:
    experiment_id = fresh.experiment("one")
    with pytest.raises(
        TrackingError, match=r"the name of a param, metric or tag must have at most 250 .* 'a/../b'; rename it"
    ):
        fresh.start([RunStart("a", {"a/../b": "1"}, {})], experiment_id)
    run_id = fresh.start([RunStart("a", {}, {})], experiment_id)[0]
    with pytest.raises(
        TrackingError, match=r"an artifact must be a plain relative path inside the artifact folder, but got '../../x'"
    ):
        fresh.finish([RunEnd(run_id, artifacts={"fine.txt": b"a", "../../x": b"b"})])
    assert fresh.get(run_id).status == "RUNNING"
    assert not list(Path().rglob("fine.txt"))
    for name in ("", " ", "a\nb", "a\x1b[31m", "x" * 257):
        with pytest.raises(TrackingError, match=r"tracking.experiment must have 1 to 256 characters"):
            fresh.experiment(name)


def test_a_deleted_experiment_is_refused(fresh: Store) -> None:
    fresh.experiment("one")
    servers.query(fresh.location.uri, "UPDATE experiments SET lifecycle_stage = 'deleted'")
    with pytest.raises(
        TrackingError, match=r"tracking.experiment must not be deleted, but got 'one'; restore it or name another"
    ):
        fresh.experiment("one")


def test_an_experiment_shows_runs_and_says_what_is_in_it(fresh: Store) -> None:
    """A new one, one that an earlier version made; a kind and a note that a user has set stay."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=fresh.location.absolute)
    fresh.experiment("new")
    client.create_experiment("older")
    theirs = {"mlflow.experimentKind": "genai_development", "team": "a"}
    client.create_experiment("theirs", tags=theirs)
    noted = {"mlflow.note.content": "mine"}
    client.create_experiment("noted", tags=noted)
    names = ("new", "older", "theirs", "noted")
    for name in names:
        assert fresh.experiment(name) == fresh.experiment(name)
    new, *others = (client.get_experiment_by_name(name).tags for name in names)
    assert new.keys() == {"mlflow.experimentKind", "mlflow.note.content"}
    assert new["mlflow.experimentKind"] == "custom_model_development"
    assert new["mlflow.note.content"].startswith("Networks trained by nnspec")
    assert others == [new, new | theirs, new | noted]


@pytest.mark.parametrize("writer", WRITERS)
def test_odd_folder_names(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a URI would take apart: the artifacts must still be found from another working folder."""
    from mlflow import MlflowClient

    odd = tmp_path / "a b#c%20d"
    odd.mkdir()
    monkeypatch.chdir(odd)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = open_store(Tracking(writer=writer))
    run_id = store.start([RunStart("a", {}, {})], store.experiment("../up/and away"))[0]
    store.finish([RunEnd(run_id, artifacts={"deep/er/a.txt": b"found"})])
    assert store.artifact(run_id, "deep/er/a.txt") == b"found"
    monkeypatch.chdir(tmp_path)
    client = MlflowClient(tracking_uri=store.location.absolute)
    assert Path(client.download_artifacts(run_id, "deep/er/a.txt")).read_bytes() == b"found"
    assert [path.relative_to(odd).parts[0] for path in tmp_path.rglob("a.txt")] == ["mlartifacts"]
    store.close()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_store_in_the_folder_above(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runs come back; and an experiment whose artifacts an older version put there by way of this folder goes
    on."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    store = open_store(Tracking(uri="sqlite:///../mlflow.db", writer=writer))
    experiment_id = store.experiment("one")
    (run_id,) = store.start([RunStart("a", {}, {})], experiment_id)
    store.finish([RunEnd(run_id, artifacts={"a.txt": b"found"})])
    assert store.artifact(run_id, "a.txt") == b"found"
    crooked = f"{tmp_path}/here/../mlartifacts/one"
    servers.query(f"sqlite:///{tmp_path}/mlflow.db", f"UPDATE experiments SET artifact_location = '{crooked}'")
    (run_id,) = store.start([RunStart("b", {}, {})], experiment_id)
    store.finish([RunEnd(run_id, artifacts={"b.txt": b"b"})])
    assert store.get(run_id).status == "FINISHED"
    assert len(list(tmp_path.glob("mlartifacts/one/*/artifacts/b.txt"))) == 1
    with pytest.raises(TrackingError, match=r"must be a folder without '\.\.'"):
        store.add_artifacts(run_id, {"c.txt": b"c"})
    store.close()
