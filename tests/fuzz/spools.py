"""Real spools, one of them tampered with: the others are filed, once, and it is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import spec_files
import stores
import values
from oracle import faults
from sandbox import Said, Sandbox

UNFILED = "nnspec-unfiled"
MANIFEST = "spool.json"
# so many points that they do not fit between the rows of empty tables
LONG = ("run", "replicates=2", "train.epochs=300", "train.log_every=1", "train.snapshot_every=100", "train.workers=1")
RUNS = (stores.SWEEP, (*LONG, "seed=7"), (*LONG, "seed=8"))


def made(sandbox: Sandbox) -> Path:
    """The template: a store without finished runs, a folder with a sweep's cells and one with each single run."""
    sandbox.empty()
    for words in RUNS:
        said = sandbox.run(*words, call="calls:starved")
        assert said.status == 1, said
        assert folders(sandbox.work), said
        if words == stores.SWEEP:
            join(folders(sandbox.work))
    assert [len(manifest_of(folder)["runs"]) for folder in folders(sandbox.work)][1:] == [1, 1]
    return sandbox.keep("spools")


def join(several: list[Path]) -> None:
    """Make one folder of several: how many a sweep leaves depends on how its batches fell."""
    manifest = manifest_of(several[0])
    found = [
        (home, run) for folder in several for home, run in zip(homes(folder), manifest_of(folder)["runs"], strict=True)
    ]
    found.sort(
        key=lambda one: (
            one[1]["start"]["params"].get("activation.name", ""),
            one[1]["start"]["params"].get("seed", ""),
        )
    )
    target = several[0].parent / "spool-of-a-sweep"
    (target / "runs").mkdir(parents=True)
    for number, (home, _) in enumerate(found):
        home.rename(target / "runs" / str(number))
    (target / MANIFEST).write_text(json.dumps({**manifest, "runs": [run for _, run in found]}))
    for folder in several:
        shutil.rmtree(folder)


def homes(folder: Path) -> list[Path]:
    """The folders of the runs, in their order."""
    return sorted((folder / "runs").iterdir(), key=lambda path: int(path.name))


def folders(work: Path) -> list[Path]:
    """The spooled folders, that of the sweep first."""
    found = [manifest.parent for manifest in (work / UNFILED).glob(f"*/{MANIFEST}")]
    return sorted(
        found, key=lambda folder: (-len(manifest_of(folder)["runs"]), manifest_of(folder)["runs"][0]["start"]["name"])
    )


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text())


def case(seed: int, sandbox: Sandbox, template: Path) -> Iterator[tuple[Said, list[str]]]:
    """Tamper with one folder, file all of them twice; what was said and what was wrong with it."""
    chance = Random(f"spool {seed}")
    sandbox.empty(template)
    several = folders(sandbox.work)
    victim = chance.choice(several[:2])
    intact = {folder: manifest_of(folder) for folder in several if folder != victim}
    for _ in range(chance.choice((1, 1, 2))):
        chance.choice(TAMPERINGS)(chance, victim)
    for _ in range(2):
        said = sandbox.run("file", UNFILED)
        yield said, [*faults(said), *misfiled(sandbox, intact), *unnamed(victim, said), *unsound(sandbox.work)]


def misfiled(sandbox: Sandbox, intact: dict[Path, dict[str, Any]]) -> Iterator[str]:
    """Runs of the intact folders that are not in the store exactly once."""
    for folder, manifest in intact.items():
        there = filed(sandbox.work, manifest["spool_id"])
        wanted = [(str(number), "FINISHED") for number in range(len(manifest["runs"]))]
        if there != wanted:
            yield f"of {folder.name}, which is intact, the store has {there} in place of {wanted}"


def filed(work: Path, spool_id: str) -> list[tuple[str, str]]:
    """Number and status of every run in the store that came out of a folder."""
    query = """SELECT item.value, status FROM runs JOIN tags spool USING (run_uuid) JOIN tags item USING (run_uuid)
        WHERE spool.key = 'nnspec.spool_id' AND spool.value = ? AND item.key = 'nnspec.spool_item'
        AND lifecycle_stage = 'active'
        ORDER BY CAST(item.value AS INTEGER)"""
    with closing(sqlite3.connect(work / stores.DATABASE)) as database:
        return database.execute(query, (spool_id,)).fetchall()


def unnamed(victim: Path, said: Said) -> Iterator[str]:
    """A folder that could not be filed is named, and the command fails; one without a manifest is no folder of ours."""
    if (
        (victim / MANIFEST).is_file()
        and not (victim / "filed").exists()
        and (said.status == 0 or victim.name not in said.err)
    ):
        yield f"{victim.name} is not filed, but exit status {said.status} and stderr do not say so"


# What nnspec never files, whatever a spool says: each query finds what is wrong in the store.
UNSOUND = {
    "a run without times as numbers": """SELECT name FROM runs WHERE typeof(start_time) != 'integer'
        OR start_time < 0 OR typeof(end_time) NOT IN ('integer', 'null')""",
    "a run without a name": "SELECT run_uuid FROM runs WHERE typeof(name) != 'text' OR name = ''",
    "a cell without a sweep": """SELECT value FROM tags JOIN runs USING (run_uuid) WHERE key = 'mlflow.parentRunId'
        AND lifecycle_stage = 'active' AND value NOT IN (SELECT run_uuid FROM runs)""",
    "a tag that is no text": "SELECT key FROM tags WHERE typeof(value) != 'text' OR typeof(key) != 'text'",
    "a param that is no text": "SELECT key FROM params WHERE typeof(value) != 'text' OR typeof(key) != 'text'",
    "a metric that is no number": """SELECT key FROM metrics WHERE typeof(value) NOT IN ('real', 'integer')
        OR typeof(step) != 'integer' OR typeof(timestamp) != 'integer'""",
    "an experiment without a name": "SELECT experiment_id FROM experiments WHERE typeof(name) != 'text' OR name = ''",
}


def unsound(work: Path) -> Iterator[str]:
    """What was filed that no store should hold."""
    with closing(sqlite3.connect(work / stores.DATABASE)) as database:
        for what, query in UNSOUND.items():
            for (name,) in database.execute(f"{query} LIMIT 1"):
                yield f"the store has {what}: {name!r:.100}"


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest; one that is broken already stays so."""
    try:
        if not stores.plain(folder / MANIFEST):
            return
        manifest = manifest_of(folder)
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError):
        return


def change_field(chance: Random, folder: Path) -> None:
    """A field anywhere in the manifest is gone, odd, or there twice."""

    def change(manifest: dict[str, Any]) -> None:
        node: Any = manifest if chance.random() < 0.2 else chance.choice(manifest["runs"])
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = chance.choice(keys)
            if isinstance(node[key], (dict, list)) and node[key] and chance.random() < 0.7:
                node = node[key]
                continue
            break
        kind = chance.randrange(4)
        if kind == 0:
            del node[key]
        elif kind == 1 and isinstance(node, dict):
            node[chance.choice(values.TEXTS)] = node[key]
        else:
            node[key] = chance.choice((values.odd(chance), chance.choice(values.TEXTS), chance.choice(values.PLAIN)))

    rewritten(folder, change)


def change_known(chance: Random, folder: Path) -> None:
    """A field that filing depends on says something plausible and wrong."""
    name = chance.choice(
        (
            "start_time",
            "end_time",
            "last_step",
            "parent",
            "run_id",
            "name",
            "status",
            "begun",
            "dataset",
            "params",
            "tags",
            "metrics",
        )
    )
    odd: dict[str, tuple[Any, ...]] = {
        "start_time": ("abc", "5", 1.5, -1, 10**30, None, True, [], "\x1b[2J"),
        "parent": ("nosuch", "", "0" * 32, 5, "../..", "\x1b[31mx", [], {}),
        "run_id": ("", "../..", None, 5, "x" * 5000, "0" * 32),
        "name": ("", None, "../..", "\x1b[2Jred", "x" * 5000, 5, "a\nb"),
        "status": ("RUNNING", "KILLED", "DONE", None, 5),
        "begun": (True, "yes", None, 5),
        "dataset": ({}, "xor", {"name": "x"}, {"name": None, "digest": 5, "schema": [], "profile": {}}, None),
        "params": ({"a": 5}, {"": ""}, {"x" * 500: "y" * 9000}, [], None, {"\x1b[2J": "\x1b[2J"}),
        "tags": (
            {},
            {"mlflow.parentRunId": "nosuch"},
            {"a": None},
            [["a", "b"]],
            {"mlflow.runName": "\x1b[2J"},
            {"x" * 500: "y" * 9000},
        ),
        "metrics": (
            {"a": "nan"},
            {"a": 5},
            {"a": "0x1p99999"},
            {"a/../b": "0x1p0"},
            {"": "0x1p0"},
            {"loss": "zz"},
            None,
        ),
    }

    def change(manifest: dict[str, Any]) -> None:
        runs = [chance.choice(manifest["runs"])] if chance.random() < 0.7 else manifest["runs"]
        for run in runs:
            for part in (run["start"], run["end"], run):
                if name in part:
                    part[name] = chance.choice(odd.get(name, odd["start_time"]))

    rewritten(folder, change)


def change_whole(chance: Random, folder: Path) -> None:
    """The manifest as a whole: other runs, another experiment, another shape."""

    def change(manifest: dict[str, Any]) -> None:
        runs = manifest["runs"]
        odd = ("", "../../x", "\x1b[2J", "x" * 5000, None, 5, "a/b", ".", "é☃")
        chance.choice(
            (
                lambda: manifest.update(experiment=chance.choice(odd)),
                lambda: manifest.update(spool_id=chance.choice((*odd, "0" * 32))),
                lambda: manifest.update(format=chance.choice((0, 2, "1", None, 1.0, True))),
                lambda: runs.append(runs[0]),
                lambda: runs.reverse(),
                lambda: runs.pop(),
                lambda: runs.clear(),
                lambda: [run["start"].update(parent=run["end"]["run_id"]) for run in runs],
                lambda: [run["end"].update(run_id=runs[0]["end"]["run_id"]) for run in runs],
            )
        )()

    rewritten(folder, change)


def change_text(chance: Random, folder: Path) -> None:
    """The manifest's text: cut off, deep, binary, or no plain file."""
    file = folder / MANIFEST
    if not stores.plain(file):
        return
    content = file.read_bytes()
    deep = b'{"format": 1, "spool_id": "a", "experiment": "b", "runs": ' + b"[" * 100_000
    stores.replace_file(
        chance,
        file,
        [content[: len(content) // 2], deep, b"\xff\xfe" + content, b"[]", b"null", b"NaN", content * 2, b"9" * 9999],
    )


def change_file(chance: Random, folder: Path) -> None:
    """A file of a run is spoiled, with its right checksum in the manifest or not."""
    file = chance.choice(sorted(path for path in (folder / "runs").glob("*/**/*") if stores.plain(path)))
    if file.name == "spec.yaml" and chance.random() < 0.5:
        file.write_bytes(spec_files.spoiled(chance, file.read_bytes()))
    else:
        content = file.read_bytes()
        stores.replace_file(chance, file, [content[: len(content) // 2], content[:-1] + b"\0", b"\x80\x04N."])
    if stores.plain(file):
        claim(folder, file)


def claim(folder: Path, file: Path, path: str = "") -> None:
    """Write a file's right checksum into the manifest, as a forger would."""
    number, _, inside = str(file.relative_to(folder / "runs")).partition("/")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    rewritten(folder, lambda manifest: manifest["runs"][int(number)]["files"].update({path or inside: digest}))


def plant(chance: Random, folder: Path) -> None:
    """A file that a spool does not hold: a pickle, a path that leads outside, a name with an escape."""
    home = folder / "runs" / "0"
    name = chance.choice(
        ("artifacts/x.pkl", "artifacts/x.txt", "artifacts/model.pt", "artifacts/\x1b[2J.txt", "artifacts/.hidden.csv")
    )
    (home / "artifacts").mkdir(parents=True, exist_ok=True)
    (home / name).write_bytes(chance.choice((b"\x80\x04N.", b"text", b"", b"\x1b[2J")))
    claim(
        folder,
        home / name,
        chance.choice(
            ("", "", "../../../stolen.txt", "/tmp/stolen.txt", "artifacts/../x.txt", "artifacts//x.txt", "C:\\x")
        ),
    )


def remove(chance: Random, folder: Path) -> None:
    """A run's folder is gone, or leads elsewhere."""
    home = folder / "runs" / "0"
    shutil.rmtree(home)
    if chance.random() < 0.5:
        home.symlink_to(chance.choice(("/etc", "..", "0", str(folder))))


TAMPERINGS = (
    change_field,
    change_field,
    change_field,
    change_known,
    change_known,
    change_known,
    change_whole,
    change_text,
    change_file,
    plant,
    remove,
)
