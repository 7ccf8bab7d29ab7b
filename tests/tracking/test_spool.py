"""What could not be filed: kept, filed later, once; and nothing but what nnspec itself wrote."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnspec.errors import TrackingError
from nnspec.results.arrays import Results
from nnspec.settings import Tracking
from nnspec.tracking import RunQuery, Store, open_store
from nnspec.tracking.artifacts import weights_file
from nnspec.tracking.records import RunEnd, RunStart, Series
from nnspec.tracking.spool import FILED, MANIFEST, Unfiled, kept_message, read_runs, spool
from nnspec.tracking.unspool import FiledSpool, file_spool

Make = Callable[..., Any]


@pytest.fixture
def cells(cell: Make) -> list[Results]:
    return [cell(seed=seed) for seed in range(3)]


@pytest.fixture
def unfiled(cells: Sequence[Results], started: Make, ended: Make) -> list[Unfiled]:
    """A sweep that never reached its store: a parent and three cells that know it by a local name, children first."""
    odd = {"odd": Series(np.array([0, 3]), np.array([math.nan, -math.inf]))}
    kids = [Unfiled(started(cell, "local-sweep", 10 + n), ended(cell, f"local-{n}")) for n, cell in enumerate(cells)]
    kids[1] = replace(
        kids[1],
        end=replace(kids[1].end, history={**kids[1].end.history, **odd}, metrics={"third": 1 / 3, "nan": math.nan}),
    )
    parent = RunStart("sweep", {}, {"nnspec.sweep": "abc"}, start_time=5)
    return [*kids, Unfiled(parent, RunEnd("local-sweep", artifacts={"table.csv": b"a,b\n1,2\n"}, end_time=99))]


def same(one: Unfiled, other: Unfiled) -> bool:
    """Equality down to NaN and the sign of zero."""

    def plain(run: Unfiled) -> str:
        series = {
            key: (line.steps.tolist(), [value.hex() for value in line.values.tolist()])
            for key, line in run.end.history.items()
        }
        metrics = {key: value.hex() for key, value in run.end.metrics.items()}
        return repr(
            (
                run.start,
                sorted(series.items()),
                metrics,
                sorted(run.end.artifacts.items()),
                run.end.tags,
                run.end.last_step,
                run.begun,
            )
        )

    return plain(one) == plain(other)


def test_a_spool_holds_everything(folder: Path, unfiled: list[Unfiled]) -> None:
    made = spool(folder / "unfiled", "nnspec-xor", unfiled)
    manifest, runs, refused = read_runs(made)
    assert refused == {}
    assert manifest["experiment"] == "nnspec-xor"
    assert len(runs) == 4
    assert all(same(one, other) for one, other in zip(runs.values(), unfiled, strict=True))
    assert [path.name for path in (folder / "unfiled").iterdir()] == [made.name]
    said = "4 runs could not be filed (disk full); kept in a 'b c', file later with: nnspec file a 'b c'"
    assert kept_message("4 runs", [Path("a"), Path("b c"), Path("a")], "disk full") == said


@pytest.mark.parametrize("writer", ["sql", "client"])
def test_it_is_filed_once(folder: Path, unfiled: list[Unfiled], cells: list[Results], writer: str) -> None:
    made = spool(folder, "nnspec-xor", unfiled)
    store = open_store(Tracking(writer=writer))
    ids = file_spool(made, store).ids
    assert file_spool(made, store) == FiledSpool(ids, before=4)
    children = store.find_children(ids[3])
    assert [(child.run_id, child.fingerprint, child.status) for child in children] == [
        (run_id, cell.spec.fingerprint, "FINISHED") for run_id, cell in zip(ids, cells, strict=False)
    ]
    facts = store.get(ids[1])
    assert facts.metrics["third"] == 1 / 3
    assert math.isnan(facts.metrics["nan"])
    assert facts.metrics["odd"] == -1.7976931348623157e308
    assert store.artifact(ids[0], "weights/final.safetensors") == unfiled[0].end.artifacts["weights/final.safetensors"]
    assert store.artifact(ids[3], "table.csv") == b"a,b\n1,2\n"
    assert (made / "filed").exists()
    store.close()


class Dying:
    """A store that dies at the n-th call of start or finish, before or after the call was done."""

    def __init__(self, store: Store, calls: int, after: bool):
        self._store, self._left, self._after = store, calls, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _die(self, work: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left == 0:
            if self._after:
                work()
            raise KeyboardInterrupt
        return work()

    def start(self, *arguments: Any) -> Any:
        return self._die(lambda: self._store.start(*arguments))

    def finish(self, *arguments: Any) -> Any:
        return self._die(lambda: self._store.finish(*arguments))


def test_it_is_filed_once_wherever_filing_is_cut_off(folder: Path, unfiled: list[Unfiled]) -> None:
    store = open_store(Tracking())
    for calls in range(1, 5):
        for after in (False, True):
            made = spool(folder, f"cut-{calls}-{after}", unfiled)
            with pytest.raises(KeyboardInterrupt):
                file_spool(made, Dying(store, calls, after))  # type: ignore[arg-type]
            ids = file_spool(made, store).ids
            spool_id = json.loads((made / MANIFEST).read_text())["spool_id"]
            found = store.search(RunQuery(store.experiment(f"cut-{calls}-{after}"), tags={"nnspec.spool_id": spool_id}))
            assert {facts.run_id for facts in found} == set(ids)
            assert len(found) == 4
            assert {facts.status for facts in found} == {"FINISHED"}
            assert len(store.find_children(ids[3])) == 3


def test_a_run_that_had_begun_is_completed_not_doubled(
    folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    store = open_store(Tracking())
    experiment_id = store.experiment("nnspec-xor")
    run_id = store.start([started(cells[0])], experiment_id)[0]
    store.progress([(run_id, {"loss": Series(np.array([0]), np.array([0.5]))})])
    made = spool(folder, "nnspec-xor", [Unfiled(started(cells[0]), ended(cells[0], run_id), begun=True)])
    assert file_spool(made, store) == FiledSpool([run_id], before=0)
    assert file_spool(made, store) == FiledSpool([run_id], before=1)
    assert store.get(run_id).status == "FINISHED"
    assert list(store.finished(experiment_id, [cells[0].spec.fingerprint]).values()) == [run_id]
    other = open_store(Tracking(uri="sqlite:///other.db"))
    with pytest.raises(TrackingError, match=f"must exist, but got '{run_id}'"):
        file_spool(
            spool(folder, "nnspec-xor", [Unfiled(started(cells[0]), ended(cells[0], run_id), begun=True)]), other
        )


def test_two_runs_of_one_id_are_refused(folder: Path, unfiled: list[Unfiled]) -> None:
    with pytest.raises(TrackingError, match="must have ids of their own"):
        spool(folder, "one", [unfiled[0], unfiled[0]])
    assert list(folder.iterdir()) == []


def test_a_bad_artifact_path_spools_nothing(folder: Path, unfiled: list[Unfiled]) -> None:
    bad = replace(unfiled[0], end=replace(unfiled[0].end, artifacts={"../../x.txt": b""}))
    with pytest.raises(TrackingError, match="must be a plain relative path"):
        spool(folder, "one", [bad])
    assert not list(folder.rglob("x.txt"))


def rewrite(made: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((made / MANIFEST).read_text())
    change(manifest)
    (made / MANIFEST).write_text(json.dumps(manifest))


def plant(made: Path, path: str, content: bytes) -> None:
    """Put a file into the first run as a forger would: with its right checksum in the manifest."""
    target = made / "runs" / "0" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    rewrite(made, lambda manifest: manifest["runs"][0]["files"].update({path: hashlib.sha256(content).hexdigest()}))


def zipped() -> bytes:
    import zipfile

    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("data.pkl", pickle.dumps([1]))
    return file.getvalue()


FORGERIES = {
    "a path that leads outside": (
        lambda made: plant(made, "../../../stolen.txt", b"a"),
        "must be a plain relative path",
    ),
    "an absolute path": (lambda made: plant(made, "/tmp/nnspec-stolen.txt", b"a"), "must be a plain relative path"),
    "a pickle": (
        lambda made: plant(made, "artifacts/weights.pkl", pickle.dumps([1])),
        r"must be one of .*, but got .pkl; spool the runs again",
    ),
    "a pickle called a text": (
        lambda made: plant(made, "artifacts/a.txt", pickle.dumps([1])),
        "must be a folder that nnspec spooled|must be a text",
    ),
    "a pickle called weights": (
        lambda made: plant(made, "artifacts/a.safetensors", pickle.dumps([1])),
        "must be a safetensors file",
    ),
    "a pickle called a table": (
        lambda made: plant(made, "artifacts/a.parquet", pickle.dumps([1])),
        "must be a parquet file",
    ),
    "torch weights called a picture": (lambda made: plant(made, "artifacts/a.png", zipped()), "must be a png file"),
    "a protocol 0 pickle": (lambda made: plant(made, "artifacts/pickle", pickle.dumps([1], 0)), "but got no suffix"),
    "another fingerprint": (
        lambda made: rewrite(
            made, lambda manifest: manifest["runs"][0]["start"]["tags"].update({"nnspec.fingerprint": "0" * 16})
        ),
        r"must have the fingerprint of its spec \(.*\), but got 0000000000000000",
    ),
    "no spec behind the fingerprint": (
        lambda made: rewrite(made, lambda manifest: manifest["runs"][0]["files"].pop("artifacts/spec.yaml")),
        "must hold the spec.yaml of the fingerprint that it claims",
    ),
    "a spec that names code": (
        lambda made: plant(made, "artifacts/spec.yaml", b"model: {_target_: os.system}\n"),
        "must be a spec, but got",
    ),
    "YAML that makes objects": (
        lambda made: plant(made, "artifacts/spec.yaml", b"!!python/object/apply:os.getcwd []\n"),
        "must be a spec",
    ),
    "a changed file": (
        lambda made: (made / "runs/0/artifacts/spec.yaml").write_text("a: b"),
        "must be as it was spooled",
    ),
    "a missing file": (
        lambda made: (made / "runs/0/artifacts/spec.yaml").unlink(),
        "must be a folder that nnspec spooled",
    ),
    "another format": (
        lambda made: rewrite(made, lambda manifest: manifest.update(format=2)),
        "must be a folder that nnspec spooled",
    ),
    "no manifest": (lambda made: (made / MANIFEST).unlink(), "must be a folder that nnspec spooled"),
    "a status of its own": (
        lambda made: rewrite(made, lambda manifest: manifest["runs"][0]["end"].update(status="DONE")),
        "end.status must be one of FINISHED, FAILED, KILLED, but got 'DONE'",  # it names the field now
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_runs_are_refused_and_the_others_filed(
    folder: Path, cells: list[Results], unfiled: list[Unfiled], name: str
) -> None:
    forge, text = FORGERIES[name]
    made = spool(folder / "deep" / "er", "one", unfiled)
    forge(made)
    store = open_store(Tracking())
    with pytest.raises(TrackingError, match=text) as caught:
        file_spool(made, store)
    assert len(str(caught.value).splitlines()) == 1
    sweep = store.latest_sweep(store.experiment("one"))
    if name in ("another format", "no manifest"):
        assert sweep is None
    else:  # the other runs do not suffer: only the forged one is missing
        assert sweep is not None
        assert [child.fingerprint for child in store.find_children(sweep)] == [
            cell.spec.fingerprint for cell in cells[1:]
        ]
    assert not (made / FILED).exists()


FIELDS = [
    (
        ("start", "start_time"),
        "abc",
        "start.start_time must be a whole number at least 0 and at most .*, but got 'abc'",
    ),
    (("start", "start_time"), -1, "start.start_time must be a whole number"),
    (("start", "start_time"), 10**30, "start.start_time must be a whole number"),
    (("start", "start_time"), True, "start.start_time must be a whole number"),
    (("start", "name"), 5, "start.name must be a text"),
    (("start", "name"), "", "start.name must be a text"),
    (("start", "name"), "a\x1b[31m", "start.name must be a text"),
    (("start", "params"), [], "start.params must be a mapping of names to texts, but got"),
    (("start", "params"), {"lr": 0.1}, "start.params must be a mapping of names to texts"),
    (("start", "params"), {"../lr": "0.1"}, "start.params must have names of at most 250"),
    (("start", "tags"), {"nnspec.fingerprint": None}, "start.tags must be a mapping of names to texts"),
    (("start", "tags"), {"mlflow.parentRunId": "x"}, "start.tags must not have mlflow.parentRunId"),
    (("start", "parent"), 7, "start.parent must be a text"),
    (("start", "parent"), "f" * 32, "start.parent: a run in .* must exist, but got 'f*'"),
    (("start", "parent"), "local-0", "start.parent: a run in .* must exist, but got 'local-0'"),  # itself
    (("start", "dataset"), "xor", "start.dataset must be a mapping"),
    (("start", "dataset", "digest"), "d" * 37, "start.dataset.digest must be a text of 1 to 36"),
    (("start", "extra"), 1, "start.extra is not a field"),
    (("end", "status"), "RUNNING", "end.status must be one of FINISHED, FAILED, KILLED"),
    (("end", "status"), ["FINISHED"], "end.status must be one of"),
    (("end", "metrics"), {"loss": 0.5}, "end.metrics must be a mapping of names to numbers as float.hex"),
    (("end", "metrics"), {"loss": "half"}, "end.metrics must have numbers as float.hex writes them: loss has 'half'"),
    (("end", "metrics"), {"a\nb": "0x0p0"}, "end.metrics must have names"),
    (("end", "end_time"), None, "end.end_time must be a whole number"),
    (("end", "last_step"), 2**63, "end.last_step must be a whole number"),
    (("end", "last_step"), 1.5, "end.last_step must be a whole number"),
    (("end", "run_id"), "local-1", "must have an id of its own, but got local-1"),
    (("end",), [], "end must be a mapping"),
    (("begun",), "yes", "begun must be true or false"),
    (("files",), {"artifacts/spec.yaml": 5}, "files must be a mapping of paths to SHA-256 sums"),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("place", "value", "text"), FIELDS, ids=lambda v: ".".join(v) if isinstance(v, tuple) else str(v)[:20]
)
def test_every_field_is_checked_and_the_other_runs_are_filed(
    folder: Path, cells: list[Results], unfiled: list[Unfiled], place: tuple[str, ...], value: object, text: str
) -> None:
    made = spool(folder, "one", unfiled)
    number = 2 if value == "local-1" else 0  # an id that an earlier run has

    def forge(manifest: dict[str, Any]) -> None:
        node = manifest["runs"][number]
        for part in place[:-1]:
            node = node[part]
        node[place[-1]] = value

    rewrite(made, forge)
    store = open_store(Tracking())
    with pytest.raises(TrackingError, match=f"runs/{number}.*{text}") as caught:
        file_spool(made, store)
    assert len(str(caught.value).splitlines()) == 1
    experiment_id = store.experiment("one")
    sweep = store.latest_sweep(experiment_id)
    assert sweep is not None
    kept = [cell.spec.fingerprint for place_, cell in enumerate(cells) if place_ != number]
    assert [child.fingerprint for child in store.find_children(sweep)] == kept
    assert store.search(RunQuery(experiment_id, tags={"nnspec.fingerprint": cells[number].spec.fingerprint})) == []


@pytest.mark.parametrize(
    ("steps", "values", "text"),
    [
        (np.array([0.5, 1.5]), np.array([1.0, 2.0]), "must have steps that are whole numbers from 0, rising"),
        (np.array([3, 1]), np.array([1.0, 2.0]), "must have steps that are whole numbers from 0, rising"),
        (np.array([-1, 1]), np.array([1.0, 2.0]), "must have steps that are whole numbers from 0, rising"),
        (np.array([0, 1]), np.array([1, 2]), "must have one number a step"),
        (np.array([0, 1]), np.array([1.0]), "must have one number a step"),
    ],
)
def test_a_history_is_checked(
    folder: Path, unfiled: list[Unfiled], steps: np.ndarray, values: np.ndarray, text: str
) -> None:
    made = spool(folder, "one", unfiled)
    plant(made, "history.safetensors", weights_file({"steps/loss": steps, "values/loss": values}, {}))
    (error,) = read_runs(made)[2].values()
    assert f"runs/0: history.safetensors: loss {text}" in str(error)


def test_a_link_out_of_the_folder_is_refused(folder: Path, unfiled: list[Unfiled]) -> None:
    made = spool(folder, "one", unfiled)
    (folder / "secret.txt").write_bytes(b"secret")
    (made / "runs/0/artifacts/a.txt").symlink_to(folder / "secret.txt")
    digest = hashlib.sha256(b"secret").hexdigest()
    rewrite(made, lambda manifest: manifest["runs"][0]["files"].update({"artifacts/a.txt": digest}))
    (error,) = read_runs(made)[2].values()
    assert "must be a file inside its folder, but got a link" in str(error)
