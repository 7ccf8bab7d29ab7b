"""The command line: what reaches the runner, what is printed, and the exit status. The runner itself is a stand-in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnspec.catalog import REGISTRIES
from nnspec.cli import main
from nnspec.errors import TrackingError

CLONE = Path(__file__).resolve().parents[2]
CONFIG_DIR = "# @package _global_\nseed: 5\n"


pytestmark = pytest.mark.usefixtures("logging_put_back")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The calls that the runner gets; the command runs in an empty folder."""
    got: list[dict[str, Any]] = []

    def run(cells: Any, settings: Any, **rest: Any) -> SimpleNamespace:
        got.append({"cells": cells, "settings": settings, **rest})
        return SimpleNamespace(exit_status=0, objective=0.25)

    monkeypatch.setattr("nnspec.runner.run", run)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.chdir(tmp_path)
    return got


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, calls: list) -> Callable[[BaseException], None]:
    """Makes the runner raise."""

    def fail(error: BaseException) -> None:
        def run(*args: Any, **rest: Any) -> None:
            raise error

        monkeypatch.setattr("nnspec.runner.run", run)

    return fail


def test_single_run_is_one_cell(calls: list) -> None:
    assert main(["run", "model=mlp", "activation=gelu", "tracking=off"]) == 0
    (call,) = calls
    (cell,) = call["cells"]
    assert (cell.spec.activation.name, cell.choices) == ("gelu", ())
    assert (call["sweep"], call["axes"], call["settings"].tracking.enabled) == (False, (), False)


def test_multirun_reaches_the_runner_once_with_all_cells(calls: list) -> None:
    assert main(["run", "-m", "activation=relu,tanh", "seed=0,1,2,0"]) == 0
    (call,) = calls
    assert [cell.choices[0][1] for cell in call["cells"]] == ["relu"] * 3 + ["tanh"] * 3
    assert (call["sweep"], call["axes"], call["duplicates"]) == (True, ("activation", "seed"), 2)
    assert call["expand_seconds"] > 0
    assert list(Path.cwd().glob("multirun/*/*/multirun.yaml"))


def test_multirun_of_a_key_that_the_default_member_does_not_have(calls: list) -> None:
    assert main(["run", "-m", "activation=leaky_relu,rrelu", "activation.upper=0.4"]) == 2
    assert main(["run", "-m", "optimizer=sgd,rmsprop", "optimizer.momentum=0.9"]) == 0
    assert [cell.spec.optimizer["momentum"] for cell in calls[0]["cells"]] == [0.9, 0.9]


def test_basic_sweeper_runs_cell_by_cell(calls: list) -> None:
    assert main(["run", "-m", "hydra/sweeper=basic", "seed=3,4"]) == 0
    assert [[cell.spec.seed for cell in call["cells"]] for call in calls] == [[3], [4]]
    assert not any(call["sweep"] for call in calls)


def test_flags_are_overrides(calls: list) -> None:
    assert main(["run", "--plan", "seed=3", "--timings", "-r"]) == 0
    assert calls[0]["cells"][0].spec.seed == 3
    stated = calls[0]["settings"]
    assert (stated.sweep.plan_only, stated.timings) == (True, True)


def test_experiment_is_a_sweep_that_the_command_line_can_change(calls: list) -> None:
    assert main(["run", "experiment=perceptron", "data=or,xor", "replicates=7"]) == 0
    (call,) = calls
    assert [(c.spec.data.name, c.spec.model.name, c.spec.replicates) for c in call["cells"]] == [
        ("or", "perceptron", 7),
        ("xor", "perceptron", 7),
    ]


def test_configs_of_ones_own(calls: list, tmp_path: Path) -> None:
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/five.yaml").write_text(CONFIG_DIR)
    assert main(["run", "--config-dir", "mine", "experiment=five"]) == 0
    assert calls[0]["cells"][0].spec.seed == 5
    assert main(["run", "--config-dir", "mine", "experiment=fife"]) == 2


def test_exit_status_is_the_runners(calls: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.runner.run", lambda *a, **k: SimpleNamespace(exit_status=1, objective=None))
    assert main(["run"]) == 1
    assert main(["run", "-m", "seed=1,2"]) == 1
    monkeypatch.setattr("nnspec.runner.run", lambda *a, **k: SimpleNamespace(exit_status=130, objective=None))
    assert main(["run", "-m", "seed=1,2"]) == 130


@pytest.mark.parametrize(
    "words", [["run"], ["run", "-m", "seed=1,2"], ["run", "-m", "hydra/sweeper=basic", "seed=1,2"]]
)
@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (TrackingError("the store is gone; try again"), 1, "nnspec: the store is gone; try again"),
        (
            ValueError("a bug\nof ours"),
            1,
            "nnspec: unexpected ValueError: a bug of ours; HYDRA_FULL_ERROR=1 shows where",
        ),
    ],
    ids=["interrupt", "user", "bug"],
)
def test_errors_of_the_runner(
    words: list[str], error: BaseException, status: int, said: str, failing: Callable, capfd: Any
) -> None:
    failing(error)
    assert main(words) == status
    out, err = capfd.readouterr()
    assert (out, err.strip()) == ("", said)


@pytest.mark.parametrize("words", [["run"], ["run", "-m", "seed=1,2"]])
def test_a_traceback_where_the_user_asks_for_it(
    words: list[str], failing: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(ValueError("a bug"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="a bug"):
        main(words)


def test_the_environment_is_put_back(calls: list, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    argv = list(sys.argv)
    main(["run", "activation=gleu"])
    assert "HYDRA_FULL_ERROR" not in os.environ
    assert sys.argv == argv


def test_hydras_flags_work(calls: list, capfd: Any) -> None:
    assert main(["run", "--cfg", "job", "activation=gelu"]) == 0
    assert "name: gelu" in capfd.readouterr().out
    assert main(["run", "--info", "defaults"]) == 0
    assert "activation/auto" in capfd.readouterr().out
    assert main(["run", "--help"]) == 0
    assert "kaiming_uniform" in capfd.readouterr().out
    assert calls == []


def test_pickles_are_refused(calls: list, capfd: Any) -> None:
    assert main(["run", "--experimental-rerun", "config.pickle"]) == 1
    assert "reads a pickle" in capfd.readouterr().err


def test_targets_for_hydra_itself_are_refused_before_hydra_calls_them(calls: list, tmp_path: Path, capfd: Any) -> None:
    for key in ("hydra.launcher._target_", "+hydra.callbacks.x._target_"):
        assert main(["run", f"{key}=nnspec.nowhere.call"]) == 2
    assert main(["run", "+hydra.callbacks.x={_target_:nnspec.nowhere.call}"]) == 2
    assert capfd.readouterr().err.count("is not allowed") == 3
    assert calls == []


@pytest.mark.parametrize("kind", ["activations", "inits", "models", "optimizers", "losses", "data"])
def test_list_names_every_entry_with_its_defaults(kind: str, capsys: Any) -> None:
    assert main(["list", kind]) == 0
    out = capsys.readouterr().out
    group = {
        "activations": "activation",
        "inits": "init",
        "models": "model",
        "optimizers": "optimizer",
        "losses": "loss",
        "data": "data",
    }[kind]
    for entry in REGISTRIES[group]:
        assert f"  {entry.name} " in out
        assert entry.summary in out
        assert all(f"{group}.{param.name}=" in out for param in entry.params)


def test_list_of_something_else(capsys: Any) -> None:
    assert main(["list", "activation"]) == 2
    assert "did you mean 'activations'" in capsys.readouterr().err


def test_list_waits_for_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys; from nnspec.cli import main; main(['list']); print([m for m in ('torch', 'mlflow', 'pandas') if "
        "m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CLONE, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert re.search(r"zero_init +What becomes of a network", done.stdout)


def test_show(capsys: Any) -> None:
    assert main(["show", "model=mlp", "activation=gelu", "model.hidden=[300]", "init=lecun_normal"]) == 0
    out = capsys.readouterr().out
    assert "1201 parameters in all, from 2 inputs to 1 output" in out
    promised, drawn = next(line.split()[1:3] for line in out.splitlines() if re.match(r"0 +0\.", line))
    assert promised == "0.7071"  # 1 / sqrt(2 inputs)
    assert abs(float(drawn) - 0.7071) < 0.01  # 600,000 draws: five standard errors are 0.003


def test_show_of_data(capsys: Any) -> None:
    assert main(["show", "data=breast_cancer", "data.test_fraction=0.3", "loss=cross_entropy"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["training", "inputs", "[398,", "30],", "targets", "[398,", "2]"] in [line[:7] for line in lines]
    assert ["malignant", "148", "64"] in lines  # 0.3 of 212 and 357 rows, 171 in all
    assert ["benign", "250", "107"] in lines
    assert main(["show", "data=abs", "data.rows=3", "loss=mse"]) == 0
    assert "0 to 1, mean 0.6667" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits", "loss=cross_entropy"],
        ["data=moons", "data.test_fraction=0.3"],
        ["data=wine", "loss=cross_entropy"],
        ["data=sine", "loss=mse", "model.output=identity"],
    ],
)
def test_show_draws_the_data(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["show", *words, "--plot", "data.png"]) == 0
    assert Path("data.png").read_bytes().startswith(b"\x89PNG")
    assert "data drawn into data.png" in capsys.readouterr().out


def test_a_picture_that_cannot_be_written_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("nowhere").touch()
    assert main(["show", "data=xor", "--plot", "nowhere/data.png"]) == 2
    assert "--plot must be a file that can be written, but got 'nowhere/data.png'" in capsys.readouterr().err
    for command in (["show", "data=xor"], ["explain", "saddle"]):
        assert main([*command, "--plot", "picture.pdf"]) == 2
        assert "--plot must be a PNG file, but got 'picture.pdf'" in capsys.readouterr().err
    assert not Path("picture.pdf").exists()


def test_show_of_a_bad_spec(capsys: Any) -> None:
    assert main(["show", "activation=gleu"]) == 2
    assert "did you mean 'gelu'" in capsys.readouterr().err


def test_unknown_command(capsys: Any) -> None:
    assert main(["rnu"]) == 2
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "there is no command 'rnu'; did you mean 'run'?" in capsys.readouterr().err


def test_run_py_is_nnspec_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, CLONE / "run.py", "activation=gleu"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("nnspec: activation must be a known activation, but got 'gleu'; did you mean 'gelu'?")
    assert len(done.stderr.splitlines()) == 1
