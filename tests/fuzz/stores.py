"""A small real store, and tampered copies of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import values
from oracle import faults
from safetensors import SafetensorError
from sandbox import Said, Sandbox

DATABASE = "mlflow.db"
SWEEP = (
    "run",
    "-m",
    "activation=relu,tanh",
    "seed=0,1",
    "replicates=2",
    "train.epochs=4",
    "train.workers=1",
    "sweep.report=false",
)
SINGLE = ("run", "replicates=2", "train.epochs=4", "train.log_every=2", "train.snapshot_every=2", "train.workers=1")
ODD_SQL: tuple[Any, ...] = (
    *(
        None,
        "",
        "x" * 10_000,
        "../../x",
        "/nosuch",
        "\x1b[31mred",
        "a\nb",
        "é☃",
        b"\xff\x00",
        0,
        -1,
        2**62,
        1.5,
        "nan",
        "[1",
        "[" * 5000,
    ),
    *(
        "null",
        "{}",
        "[]",
        "[null]",
        '["nosuch"]',
        '["activation","activation"]',
        "RUNNING",
        "FINISHED",
        "deleted",
        "last",
        "0.5",
        "file:x",
    ),
)
TEXTS = ("runs", "params", "tags", "experiments", "latest_metrics", "metrics", "datasets", "alembic_version")


@dataclass(frozen=True)
class Ids:
    """The runs of the store: a sweep of 2 x 2 cells, its first cell, a single run, and the one of them to look at."""

    sweep: str
    cell: str
    single: str
    focus: str = ""

    def into(self, words: tuple[str, ...] | list[str]) -> list[str]:
        """The words with the ids in place of their names."""
        named = {"@SWEEP@": self.sweep, "@CELL@": self.cell, "@SINGLE@": self.single}
        return [_replaced(word, named) for word in words]


def _replaced(word: str, named: dict[str, str]) -> str:
    for name, run_id in named.items():
        word = word.replace(name, run_id)
    return word


def made(sandbox: Sandbox) -> Path:
    """The template of all stores."""
    sandbox.empty()
    for words in (SWEEP, SINGLE):
        said = sandbox.run(*words)
        assert said.status == 0, said
        assert not list(faults(said)), said
    return sandbox.keep("store")


def ids(folder: Path) -> Ids:
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        parents = "SELECT value FROM tags WHERE key = 'mlflow.parentRunId'"
        rows = database.execute(f"SELECT run_uuid, run_uuid IN ({parents}) FROM runs ORDER BY rowid").fetchall()
        cells = database.execute("SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' ORDER BY rowid").fetchall()
    sweep = next(run_id for run_id, is_parent in rows if is_parent)
    known = {sweep, *(run_id for (run_id,) in cells)}
    return Ids(sweep, cells[0][0], next(run_id for run_id, _ in rows if run_id not in known))


def case(seed: int, sandbox: Sandbox, template: Path) -> Iterator[tuple[Said, list[str]]]:
    """Tamper with a copy, then read it in every way; what was said and what was wrong with it."""
    chance = Random(f"store {seed}")
    sandbox.empty(template)
    known = ids(sandbox.work)
    focus = chance.choice(("@SWEEP@", "@SWEEP@", "@SINGLE@", "@SINGLE@", "@CELL@"))
    known = replace(known, focus=known.into([focus])[0])
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        with suppress(
            IndexError, OSError, ValueError, sqlite3.Error, SafetensorError
        ):  # what an earlier one left is no such file
            chance.choice(TAMPERINGS)(chance, sandbox.work, known)
    for words in readings(chance, focus):
        said = (
            sandbox.run(*known.into(words))
            if words[0] != "python"
            else sandbox.run(*known.into(words[2:]), call=f"calls:{words[1]}")
        )
        yield said, list(faults(said))


def readings(chance: Random, run: str) -> list[list[str]]:
    """Some commands that read the run, the one that deletes it last."""
    command = SINGLE if run == "@SINGLE@" else SWEEP
    commands = [
        ["table", run],
        ["table", "last"],
        ["explain", run],
        ["explain", "@SWEEP@", "--json"],
        ["table", run, "--csv", "t.csv", "--parquet", "t.parquet"],
        ["compare", run],
        ["compare", "@SWEEP@", "--by", chance.choice(("activation", "seed", "optimizer.lr", "nosuch"))],
        ["diff", run, "@SINGLE@"],
        ["diff", "@SWEEP@", run],
        [*SWEEP, f"resume={chance.choice(('last', '@SWEEP@', run))}"],
        [*command, "reuse=true"],
        ["python", "load", run],
        ["python", "table", run],
    ]
    chosen = chance.sample(commands, 5)
    if chance.random() < 0.15:
        chosen.append(["report", run])
    return [*chosen, ["delete", run, "--yes"]]


def columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Table and column of all that a reader may read, the tables that hold most of it three times."""
    found = []
    for table in TEXTS:
        times = 3 if table in ("runs", "tags", "params") else 1
        found += [(table, row[1]) for row in database.execute(f"PRAGMA table_info({table})")] * times
    return found


def plain(path: Path) -> bool:
    """Whether it can be read here: an earlier tampering may have left a pipe, a link or 20 GiB of nothing."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 10**7


def altered(work: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    """Change the database without what keeps it whole."""
    if not plain(work / DATABASE):
        return
    with closing(sqlite3.connect(work / DATABASE)) as database, database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("PRAGMA ignore_check_constraints = ON")
        change(database)


def set_value(chance: Random, work: Path, known: Ids) -> None:
    """One column of one row, or of all, holds something odd; NOT NULL does not hold here."""
    value = chance.choice(ODD_SQL)

    def change(database: sqlite3.Connection) -> None:
        table, column = chance.choice(columns(database))
        loosen(database, table)
        rows = [row for (row,) in database.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        chosen = rows if chance.random() < 0.3 else [chance.choice(rows)]
        for row in chosen:
            database.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (value, row))

    altered(work, change)


def loosen(database: sqlite3.Connection, table: str) -> None:
    """Take away the table's NOT NULL and types, as of a store that something else wrote."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    database.execute(f"ALTER TABLE {table} RENAME TO strict_{table}")
    database.execute(f"CREATE TABLE {table} ({', '.join(names)})")
    database.execute(f"INSERT INTO {table} SELECT * FROM strict_{table} ORDER BY rowid")
    database.execute(f"DROP TABLE strict_{table}")


def set_tag(chance: Random, work: Path, known: Ids) -> None:
    """A tag or a param that nnspec reads is odd, missing, or another run's."""
    table = chance.choice(("tags", "tags", "params"))

    def change(database: sqlite3.Connection) -> None:
        keys = [key for (key,) in database.execute(f"SELECT DISTINCT key FROM {table} ORDER BY key")]
        key = chance.choice(
            [key for key in keys if key.startswith(("nnspec.", "mlflow.parent"))] if table == "tags" else keys
        )
        if chance.random() < 0.2:
            database.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
        else:
            loosen(database, table)
            value = chance.choice((*ODD_SQL, known.sweep, known.single, known.cell))
            database.execute(f"UPDATE {table} SET value = ? WHERE key = ?", (value, key))

    altered(work, change)


def delete_rows(chance: Random, work: Path, known: Ids) -> None:
    def change(database: sqlite3.Connection) -> None:
        table = chance.choice(TEXTS)
        rows = [row for (row,) in database.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        for row in rows if chance.random() < 0.3 else chance.sample(rows, min(len(rows), chance.randint(1, 5))):
            database.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))

    altered(work, change)


def change_schema(chance: Random, work: Path, known: Ids) -> None:
    """Another version of MLflow's schema, a table that is missing, a column that is missing."""

    def change(database: sqlite3.Connection) -> None:
        table = chance.choice(TEXTS)
        kind = chance.randrange(3)
        if kind == 0:
            database.execute(
                "UPDATE alembic_version SET version_num = ?",
                (chance.choice(("", "0", "451aebb31d03", "\x1b[2J", "x" * 99)),),
            )
        elif kind == 1:
            database.execute(f"DROP TABLE {table}")
        else:
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            kept = [name for name in names if name != chance.choice(names)] or ["x"]
            database.execute(f"ALTER TABLE {table} RENAME TO whole_{table}")
            database.execute(
                f"CREATE TABLE {table} AS SELECT {', '.join(kept) if kept != ['x'] else '1 AS x'} FROM whole_{table}"
            )

    altered(work, change)


def spoil_database(chance: Random, work: Path, known: Ids) -> None:
    """The file itself: cut off, overwritten, replaced."""
    file = work / DATABASE
    if not plain(file):
        return
    content = file.read_bytes()
    replace_file(
        chance, file, [content[: chance.randrange(len(content))], content[:100] + b"\0" * 5000 + content[5100:]]
    )


def artifacts(work: Path, known: Ids, suffix: str = "") -> list[Path]:
    """The files of the run that the case is about, those that reading needs most three times; or all of a kind."""
    runs = [known.focus] if not suffix else [known.focus, known.sweep, known.cell, known.single]
    for run_id in runs:
        found = sorted(
            path for path in (work / "mlartifacts").glob(f"*/{run_id}/artifacts/**/*{suffix}") if plain(path)
        )
        if found:
            break
    return [file for file in found for _ in range(3 if file.name.startswith(("results", "spec", "final")) else 1)]


def spoil_artifact(chance: Random, work: Path, known: Ids) -> None:
    file = chance.choice(artifacts(work, known))
    content = file.read_bytes()
    middle = len(content) // 2
    other = chance.choice(artifacts(work, known)).read_bytes()
    replace_file(
        chance,
        file,
        [content[:middle], content[:middle] + b"\xff" * 8 + content[middle + 8 :], other, content + b"\0" * 8],
    )


def replace_file(chance: Random, file: Path, contents: list[bytes]) -> None:
    """Put another content, or no plain file at all, in the place of a file."""
    garbage = [
        b"",
        bytes(range(256)) * 64,
        b"PAR1" + b"\0" * 50 + b"PAR1",
        b"SQLite format 3\0" + b"\xff" * 500,
        values.laughs().encode(),
    ]
    file.unlink()
    kind = chance.randrange(10)
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        os.mkfifo(file)
    elif kind == 2:
        file.symlink_to(chance.choice(("/dev/zero", "/etc/passwd", "nosuch", file.name, "/dev/stdin")))
    elif kind == 3:
        with file.open("wb") as sparse:
            sparse.truncate(20 * 2**30)
    elif kind > 4:
        file.write_bytes(chance.choice((*contents, *garbage)))


def change_parquet(chance: Random, work: Path, known: Ids) -> None:
    """A results table or a history with columns or rows that do not belong there."""
    import pandas as pd

    file = chance.choice(artifacts(work, known, ".parquet"))
    frame = pd.read_parquet(file)
    column = chance.choice(list(frame.columns))
    odd: Any = chance.choice(
        (None, "x", "\x1b[2Jred", -1, 1e308, float("nan"), float("inf"), 2**40, True, b"\xff", [1, 2], {"a": 1})
    )
    changes: tuple[Callable[[], pd.DataFrame], ...] = (
        lambda: frame.drop(columns=column),
        lambda: frame.iloc[:0],
        lambda: frame.iloc[:1],
        lambda: frame.assign(**{column: [odd] * len(frame)}),
        lambda: (
            frame.assign(**{column: [odd, *frame[column].astype(object)[1:]]})
            if not isinstance(odd, (str, bytes, list, dict))
            else frame
        ),
        lambda: frame.rename(columns={column: chance.choice(("x", "", "\x1b[2J", "run_id", "cell"))}),
        lambda: frame.astype(str),
        lambda: pd.concat([frame] * 50, ignore_index=True),
        lambda: frame[list(reversed(frame.columns))],
        lambda: frame.set_index(column),
        lambda: frame.assign(**{"x" * 300: 1}),
    )
    chance.choice(changes)().to_parquet(file)


def change_weights(chance: Random, work: Path, known: Ids) -> None:
    """Weights of other shapes, types, names or values, or a header that lies."""
    import numpy as np
    from safetensors.numpy import load_file, save

    file = chance.choice(artifacts(work, known, ".safetensors"))
    tensors = load_file(file)
    name = chance.choice(sorted(tensors))
    header = json.dumps({name: {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}).encode()
    contents = (
        lambda: save({key: value for key, value in tensors.items() if key != name}),
        lambda: save({**tensors, name: tensors[name][..., None]}),
        lambda: save({**tensors, name: np.full(tensors[name].shape, np.nan, tensors[name].dtype)}),
        lambda: save({**tensors, name: tensors[name].astype(np.int8)}),
        lambda: save({**tensors, name: tensors[name].astype(np.float64)}),
        lambda: save({**tensors, "\x1b[2J/../x": tensors[name]}),
        lambda: len(header).to_bytes(8, "little") + header + b"\0" * 4,
        lambda: (2**60).to_bytes(8, "little") + header,
        lambda: save({}),
    )
    file.write_bytes(chance.choice(contents)())


def change_spec(chance: Random, work: Path, known: Ids) -> None:
    """A spec.yaml of a run that says something else."""
    import spec_files

    file = chance.choice(artifacts(work, known, "spec.yaml"))
    file.write_bytes(spec_files.spoiled(chance, file.read_bytes()))


def lose_folder(chance: Random, work: Path, known: Ids) -> None:
    """The artifacts of a run, or of all, are gone."""
    folder = chance.choice((*(path.parent for path in artifacts(work, known)), work / "mlartifacts"))
    shutil.rmtree(folder)


TAMPERINGS = (
    *(
        set_value,
        set_value,
        set_value,
        set_tag,
        set_tag,
        delete_rows,
        change_schema,
        spoil_database,
        spoil_artifact,
        spoil_artifact,
    ),
    *(change_parquet, change_parquet, change_parquet, change_weights, change_weights, change_spec, lose_folder),
)
