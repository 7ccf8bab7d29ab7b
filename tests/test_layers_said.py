"""``model.depth`` and ``model.width``: another way to say ``model.hidden``, which is what a spec keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

import nnspec
from nnspec.cli import main
from nnspec.compose import load_spec
from nnspec.errors import SpecError
from nnspec.sweep import plan


@pytest.mark.parametrize(
    ("words", "hidden"),
    [
        ([], (4,)),
        (["model.depth=3"], (4, 4, 4)),
        (["model.width=7"], (7,)),
        (["model.depth=2", "model.width=5"], (5, 5)),
        (["model.hidden=[3,9]"], (3, 9)),
    ],
)
def test_a_spec_keeps_the_units_of_each_layer(words: list[str], hidden: tuple[int, ...]) -> None:
    said = nnspec.spec(words)
    assert said.model["hidden"] == hidden
    assert said.fingerprint == nnspec.spec([f"model.hidden={list(hidden)}"]).fingerprint
    assert set(said.model.keys()) == {"hidden", "output"}


@pytest.mark.parametrize("other", ["depth", "width"])
def test_saying_it_twice_is_an_error(other: str) -> None:
    with pytest.raises(SpecError, match=rf"model.hidden must not be said beside model.{other}, .* keep one of them"):
        nnspec.spec(["model.hidden=[4]", f"model.{other}=2"])


@pytest.mark.parametrize("word", ["model.depth=0", "model.width=0", "model.depth=1.5", "model.width=wide"])
def test_they_are_whole_numbers(word: str) -> None:
    with pytest.raises(SpecError, match=f"{word.partition('=')[0]} must be a whole number at least 1"):
        nnspec.spec([word])


def test_a_perceptron_has_no_layers_to_speak_of() -> None:
    with pytest.raises(SpecError, match=r"model.depth is not a known key"):
        nnspec.spec(["model=perceptron", "model.depth=2"])


def test_a_spec_file_may_say_them_too(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(nnspec.spec().yaml().replace("hidden: [4]", "depth: 2"))
    assert load_spec(file).model["hidden"] == (4, 4)
    file.write_text(nnspec.spec(["model.hidden=[3]"]).yaml())
    assert nnspec.spec([f"spec={file}", "model.depth=2", "model.width=6"]).model["hidden"] == (6, 6)


def test_they_are_axes() -> None:
    short, _ = plan(["model.depth=1,2", "model.width=3,5"])
    long, _ = plan(["model.hidden=[3],[5],[3,3],[5,5]"])
    assert [cell.spec for cell in short.cells] == [cell.spec for cell in long.cells]
    assert short.axes == ("model.depth", "model.width")


def test_their_table_has_the_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["model.depth=1,2", "model.width=2,3", "train.epochs=2", "tracking=off", "train.workers=1"]
    assert main(["run", "-m", *words, "sweep.table=[model.depth,model.width]"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("[")][:4] == ["[2]", "[3]", "[2, 2]", "[3, 3]"]
