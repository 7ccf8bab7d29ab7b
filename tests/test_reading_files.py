"""Files that a stranger may have made: what is no small file of plain data is refused in one line, and nothing waits
for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nnspec.cli import main
from nnspec.errors import SHOWN_FAULTS, Fault, NnspecError, SpecError, TrackingError
from nnspec.files import YAML_BYTES, load_yaml, open_note, read_bytes, read_yaml
from nnspec.specs import text
from nnspec.tracking.client.remote import download
from nnspec.tracking.spool import read_runs
from nnspec.tracking.unspool import file_spool

LAUGHS = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"
SIZE = 10**9  # of a file with a hole


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def endless(path: Path) -> None:
    path.symlink_to("/proc/self/pagemap")  # a regular file to the system


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SIZE)


def nothing(path: Path) -> None:
    """No file at all."""


MADE = [pipe, folder, device, endless, large, nothing]


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_what_is_no_small_file_is_refused_without_waiting(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(OSError) as refused:  # noqa: PT011  its text is the system's or ours
        read_bytes(tmp_path / "x", 1000)
    assert refused.value.strerror


def test_a_file_of_just_the_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1" * 1000)
    assert read_bytes(tmp_path / "x", 1000) == b"1" * 1000
    with pytest.raises(OSError, match="it has more than the 999 bytes"):
        read_bytes(tmp_path / "x", 999)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LAUGHS, "line 1 has an anchor or alias"),
        ("a: &a 1", "line 1 has an anchor or alias"),
        ("a: &a\n  b: *a", "line 1 has an anchor or alias"),  # it contains itself
        ("[" * 100_000, "nested deeper"),
        ("{a: " * 10_000, "nested deeper"),
        ("- " * 10_000, "nested deeper"),
        ("a: " + "1" * 100_000, "more than 2000 characters"),
        ("a: 0x" + "f" * 100_000, "more than 2000 characters"),
        ("a: '" + "x" * YAML_BYTES + "'", "256 KiB"),
        ("a: !!python/object/apply:os.system [id]", "has the tag"),
        ("a: !x 1", "has the tag"),
        ("a: !!binary aGk=", "has the tag"),
        ("%TAG ! tag:yaml.org,2002:python/\n---\na: !tuple [1]", "has the tag"),
        ("a: [", "parsing"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: 2001-13-45", "month"),
        ("[a]: 1", "unhashable"),
        ("a: =", "constructor"),
        (b"\xff\xfe\xff", "UTF-8"),
        ("a: \0", "special characters|control characters|not allowed"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_yaml_that_is_more_than_plain_data(content: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        load_yaml(content)
    assert "\n" not in str(refused.value)


def test_plain_yaml_is_what_pyyaml_reads(tmp_path: Path) -> None:
    data = {"a": [1, 2.5, None, True, "text", {"b": "1"}], "long": "x" * 10_000, "c": {}, "d": "&x *y !z"}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(data))
    assert read_yaml(tmp_path / "x.yaml") == data
    assert load_yaml("a: !!str 1\n") == {"a": "1"}


def refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line in which a command refuses its arguments."""
    status = main(words)
    said = capfd.readouterr()
    assert status in (1, 2)
    (line,) = said.err.splitlines()
    assert line.startswith("nnspec: ")
    assert len(line) < 1000
    assert "unexpected" not in line
    return line


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "words",
    [["run", "spec=@"], ["show", "spec=@"], ["run", "init=from_file", "init.path=@"], ["file", "@"]],
    ids=["spec", "shown spec", "weights", "spool"],
)
def test_commands_refuse_it_in_a_line(
    words: list[str], make: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    make(tmp_path / "x")
    refused([word.replace("@", str(tmp_path / "x")) for word in words], capfd)


@pytest.mark.parametrize("content", [LAUGHS, "[" * 10_000, "seed: " + "1" * 10_000], ids=["laughs", "deep", "long"])
def test_a_spec_file_that_is_no_plain_data(content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text(content)
    assert "spec must be a YAML file" in refused(["run", f"spec={tmp_path}/x.yaml"], capfd)


@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/zero", "/dev/tty", "/proc/self/mem", "/", "x" * 10_000])
def test_odd_paths(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "spec must be a readable file" in refused(["run", f"spec={path}"], capfd)


@pytest.mark.parametrize("make", [pipe, device, large])
def test_an_experiment_that_is_no_small_file(
    make: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cd/experiment").mkdir(parents=True)
    make(tmp_path / "cd/experiment/x.yaml")
    refused(["run", "--config-dir=cd", "experiment=x"], capfd)


@pytest.mark.parametrize("make", [pipe, folder, device, nothing], ids=lambda make: make.__name__)
def test_a_spools_list_that_is_no_file(make: Callable, tmp_path: Path) -> None:
    make(tmp_path / "spool.json")
    with pytest.raises(TrackingError, match="must be a folder that nnspec spooled"):
        read_runs(tmp_path)


@pytest.mark.parametrize("content", ["[" * 100_000, "1" * 10_000, "{", '{"format": 1}', "\udcff"])
def test_a_spools_list_that_is_no_list(content: str, tmp_path: Path) -> None:
    (tmp_path / "spool.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(TrackingError, match="must be a folder that nnspec spooled"):
        read_runs(tmp_path)


def test_a_spools_lock_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/spool.json").write_text('{"format": 1, "spool_id": "a", "experiment": "e", "runs": []}')
    (tmp_path / "spool/.filing").symlink_to(tmp_path / "mine")
    with pytest.raises(TrackingError):
        file_spool(tmp_path / "spool", None)  # type: ignore[arg-type]
    assert (tmp_path / "mine").read_text() == "kept"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe"), open_note(tmp_path / "pipe"):
        pass


def test_an_artifact_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spec.yaml")
    with pytest.raises(TrackingError, match="it is a pipe"):
        download(None, "run", "spec.yaml", str(tmp_path))  # type: ignore[arg-type]


def test_errors_fit_a_screen() -> None:
    long = Fault("w" * 10_000, "r" * 10_000, "v" * 10_000, "m" * 10_000)
    assert len(str(long)) < 1500
    assert "v...v" in str(long)
    lines = str(SpecError(Fault(f"key{i}", "is wrong") for i in range(1000))).splitlines()
    assert len(lines) == SHOWN_FAULTS + 1
    assert lines[-1] == f"and {1000 - SHOWN_FAULTS} more"
    assert len(str(NnspecError("x" * 1_000_000))) < 2000
    assert text(10**5000) == "a number of 16610 bits"
