"""Artifact paths that lead nowhere else, and files that are never half there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnspec.errors import TrackingError
from nnspec.tracking.files import checked_path, local_path, write_files

BAD = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "a/../../b",
    "a//b",
    "a/",
    "C:\\x",
    "c:x",
    "a\\..\\b",
    "a\nb",
    "a\0b",
    " a",
    "a/ b",
    "%2e%2e/b",
    "x" * 251,
]


@pytest.mark.parametrize("path", BAD)
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(TrackingError, match="an artifact must be a plain relative path inside the artifact folder"):
        checked_path(path)


@given(st.text(max_size=30))
def test_a_path_that_passes_stays_inside(path: str) -> None:
    root = Path("/somewhere/deep")
    try:
        passed = checked_path(path)
    except TrackingError:
        return
    assert (root / passed).resolve().is_relative_to(root)
    assert (root / passed) != root


def test_nothing_is_written_if_one_path_is_bad(tmp_path: Path) -> None:
    with pytest.raises(TrackingError):
        write_files(tmp_path, {"good.txt": b"a", "../bad.txt": b"b"})
    assert list(tmp_path.rglob("*")) == []


def test_files_are_replaced_and_leave_nothing_behind(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/b.txt": b"one"})
    write_files(tmp_path, {"a/b.txt": b"two", "a/c.txt": b""})
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.txt")} == {"b.txt": b"two", "c.txt": b""}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    root = tmp_path / "run" / "artifacts"
    root.mkdir(parents=True)
    (root / "note.md").write_text("the user's own")
    write_files(root, {"a/b.txt": b"one", "c.txt": b"two"})
    found = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert found == {"artifacts/note.md", "artifacts/a/b.txt", "artifacts/c.txt"}


def test_a_disk_that_refuses_gets_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def full(file: int, content: bytes) -> int:
        if bytes(content) == b"last":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, content)

    monkeypatch.setattr("nnspec.tracking.files.os.write", full)
    with pytest.raises(
        TrackingError,
        match=r"artifacts in .*/run must be written, but got No space left on device; make room on the disk",
    ):
        write_files(tmp_path / "run", {"a/b.txt": b"one", "c.txt": b"last"})
    assert list(tmp_path.rglob("*")) == []


def test_a_write_that_stops_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr("nnspec.tracking.files.os.write", lambda file, content: real(file, content[:3]))
    write_files(tmp_path / "run", {"a.txt": b"0123456789"})
    assert (tmp_path / "run" / "a.txt").read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/b c", "/a/b c"),
        ("file:///a/b%20c", "/a/b c"),
        ("file:/a", "/a"),
        ("s3://bucket/a", None),
        ("mlflow-artifacts:/1/a", None),
        ("file://elsewhere/a", None),
    ],
)
def test_local_path(uri: str, path: str | None) -> None:
    assert local_path(uri) == (None if path is None else Path(path))
