"""The script of MLflow's tables: made by MLflow, kept, and made again where what is kept is not whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nnspec.files import read_bytes
from nnspec.tracking.database.template import SCRIPT_BYTES, make_script, schema_script

SCRIPT = "CREATE TABLE a (b);\nCREATE INDEX c ON a (b);\n"


class Maker:
    """Makes the script, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        return SCRIPT


def kept(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_it_is_made_once(tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "deep" / "er"
    assert [schema_script(folder, make) for _ in range(3)] == [SCRIPT] * 3
    assert make.made == 1
    assert kept(folder).name.startswith("mlflow-")
    assert kept(folder).read_text().endswith(SCRIPT)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"DROP TABLE a;\n")


def too_large(file: Path) -> None:
    os.truncate(file, SCRIPT_BYTES + 1)


def replaced(file: Path, make: Callable[[Path], object]) -> None:
    file.unlink()
    make(file)


SPOILT: dict[str, Callable[[Path], object]] = {
    "cut off": cut,
    "longer": longer,
    "too large": too_large,
    "empty": lambda file: file.write_bytes(b""),
    "no text": lambda file: file.write_bytes(b"\xff" * 100),
    "without its first line": lambda file: file.write_text(SCRIPT),
    "a pipe": lambda file: replaced(file, os.mkfifo),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_is_not_whole_is_made_again(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    make = Maker()
    schema_script(tmp_path, make)
    whole = read_bytes(kept(tmp_path), SCRIPT_BYTES)
    spoil(kept(tmp_path))
    assert schema_script(tmp_path, make) == SCRIPT
    assert make.made == 2
    assert read_bytes(kept(tmp_path), SCRIPT_BYTES) == whole


def test_where_nothing_can_be_kept_it_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    (tmp_path / "file").touch()
    assert schema_script(tmp_path / "file", make) == SCRIPT  # as a folder that may not be written, also for root
    assert schema_script(tmp_path / "file" / "deeper", make) == SCRIPT
    kept_by_name = tmp_path / "folder"
    schema_script(kept_by_name, make)
    replaced(kept(kept_by_name), Path.mkdir)
    assert schema_script(kept_by_name, make) == SCRIPT
    assert kept(kept_by_name).is_dir()  # and nothing half written beside it
    monkeypatch.chdir(tmp_path)
    assert schema_script(Path("~/.cache"), make) == SCRIPT
    assert not (tmp_path / "~").exists()


def test_first_uses_at_the_same_time(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=60)

    def make() -> str:
        together.wait()
        return SCRIPT

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: schema_script(tmp_path, make), range(4))) == [SCRIPT] * 4
    assert schema_script(tmp_path, Maker()) == SCRIPT
    assert kept(tmp_path).is_file()


def test_without_an_answer_nothing_is_kept(tmp_path: Path) -> None:
    assert schema_script(tmp_path / "new", lambda: None) is None
    assert not (tmp_path / "new").exists()


def test_the_cache_folder_is_the_users(cache_folder: Path) -> None:
    script = schema_script()
    assert script is not None
    assert kept(cache_folder / "nnspec").read_text().endswith(script)


@pytest.mark.slow
def test_mlflow_is_the_one_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a file of that name in the working folder, which may be a stranger's."""
    (tmp_path / "mlflow.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    script = make_script()
    assert script is not None
    assert 'CREATE TABLE "runs"' in script
    assert not (tmp_path / "ran").exists()
