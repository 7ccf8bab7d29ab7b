"""Named sweeps of the user's own: found in the working folder, with a header or without, extending one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.cli import main
from nnspec.compose import Composer, conf_dir, loader
from nnspec.errors import SpecError

MINE = """# does it matter?
replicates: 3
train: {epochs: 2}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      activation: relu,tanh
      init: kaiming_uniform,orthogonal
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty folder for named sweeps."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments" / "sub").mkdir(parents=True)
    return tmp_path


def said(name: str) -> tuple[int, dict[str, str]]:
    """The replicates and the axes that a named sweep says."""
    config = Composer().config([f"experiment={name}"])
    return config.replicates, dict(config.hydra.sweeper.params)


@pytest.mark.parametrize("header", ["", "# @package _global_\n"], ids=["without a header", "with a header"])
def test_a_file_of_the_working_folder_is_a_named_sweep(
    header: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "experiments/mine.yaml").write_text(header + MINE)
    assert main(["run", "experiment=mine", "tracking=off", "train.workers=1"]) == 0
    assert "4 cells: 12 networks" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["sub/mine", "sub/mine.yaml", "experiments/sub/mine.yaml", "./here.yaml", "here.yaml"])
def test_paths_within_the_working_folder_name_it_too(name: str, folder: Path) -> None:
    for path in ("experiments/sub/mine.yaml", "here.yaml"):
        (folder / path).write_text(MINE)
    assert said(name) == (3, {"activation": "relu,tanh", "init": "kaiming_uniform,orthogonal"})


def test_what_is_new_is_found_by_a_process_that_has_composed_before(folder: Path) -> None:
    import nnspec

    (folder / "experiments/one.yaml").write_text("replicates: 4\n")
    assert nnspec.spec(["experiment=one"]).replicates == 4
    (folder / "experiments/one.yaml").write_text("replicates: 55\n")
    (folder / "experiments/two.yaml").write_text("replicates: 6\n")
    assert [nnspec.spec([f"experiment={name}"]).replicates for name in ("one", "two")] == [55, 6]


def test_a_named_sweep_extends_another_and_what_it_says_wins(folder: Path) -> None:
    (folder / "experiments/mine.yaml").write_text(MINE)
    (folder / "experiments/wider.yaml").write_text(
        "defaults: [mine]\nreplicates: 9\nhydra: {sweeper: {params: {init: zeros, loss: 'bce,mse'}}}\n"
    )
    (folder / "experiments/shipped.yaml").write_text("defaults: [zero_init]\nreplicates: 2\n")
    assert said("wider") == (9, {"activation": "relu,tanh", "init": "zeros", "loss": "bce,mse"})
    assert said("shipped") == (2, {"init": "zeros,constant,mirror,kaiming_uniform", "activation": "relu,tanh,sigmoid"})


def test_a_circle_is_one_clear_error(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "b")):
        (folder / f"experiments/{name}.yaml").write_text(f"defaults: [{base}]\n")
    assert main(["run", "experiment=a"]) == 2
    assert capfd.readouterr().err == (
        "nnspec: experiment=a must not extend itself, but got b -> c -> b; take one of them out of a file's defaults\n"
    )


def test_an_own_one_wins_over_a_shipped_one_and_says_so(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "experiments/width.yaml").write_text("replicates: 5\n")
    assert said("width") == (5, {})
    assert "experiment=width is experiments/width.yaml here" in capfd.readouterr().err


def test_they_are_listed_beside_the_shipped_ones(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "experiments/mine.yaml").write_text(MINE)
    assert main(["list", "experiments"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert any("mine" in line and "does it matter? (experiments/mine.yaml)" in line for line in lines)
    assert any(line.startswith("  zero_init") and "experiments/" not in line for line in lines)


def test_in_a_clone_they_are_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(conf_dir() / "experiment")
    assert main(["list", "experiments"]) == 0
    assert "experiments/" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("hydra: {callbacks: {x: {_target_: os.system}}}", "cannot name code"),
        ("hydra: {sweeper: {_target_: os.system}}", "cannot name code"),
        ("hydra: {sweep: {dir: /tmp}}", "may be changed on the command line only"),
        ("a: &x 1", "anchor"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("[1]", "holds no mapping"),
    ],
)
def test_such_a_file_stays_data(content: str, rule: str, folder: Path) -> None:
    (folder / "experiments/bad.yaml").write_text(content)
    with pytest.raises(SpecError, match=rule):
        Composer().config(["experiment=bad"])


@pytest.mark.parametrize("name", ["../out", "../out.yaml", "sub/../../../out.yaml", "linked", "linked.yaml"])
def test_names_and_links_do_not_lead_out_of_the_working_folder(
    name: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "out.yaml"
    outside.write_text("replicates: 5\n")
    (folder / "experiments/linked.yaml").symlink_to(outside)
    (folder / "linked.yaml").symlink_to(outside)
    with pytest.raises(SpecError, match=r"must be in the working folder|that of a file in its group's folder"):
        Composer().config([f"experiment={name}"])


def test_nothing_else_is_read_from_the_working_folder(folder: Path) -> None:
    (folder / "config.yaml").write_text("seed: 99\n")
    (folder / "model").mkdir()
    (folder / "model/mlp.yaml").write_text("name: perceptron\n")
    config = Composer(loader()).config([])
    assert (config.seed, config.model.name) == (0, "mlp")
