"""``nnspec run`` with ``sweep.map``: one run, its flags, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nnspec
from nnspec.cli import main
from nnspec.tracking import RunQuery, opened

LR, GAIN = "[optimizer.lr,0.01,1000,log,4]", "[init.gain,0.1,10,log,3]"
MAP = f"sweep.map=[{LR},{GAIN}]"
SHORT = ["optimizer=sgd", "train.epochs=5", "train.workers=1"]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["run", "optimizer=sgd", "tracking=off", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.strip().split("\n")
    return line.removeprefix("nnspec: ")


def axes(x: str, y: str = GAIN) -> str:
    return f"sweep.map=[{x},{y}]"


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([axes("[model.hidden,1,9,linear,4]")], "sweep.map must have continuous axes, of real-valued parameters"),
        ([axes("[train.epochs,1,9,linear,4]"), "train.epochs=5"], "but got 'train.epochs', which is a whole number"),
        ([axes("[activation,1,9,linear,4]")], "but got 'activation', which is no number; try "),
        ([axes("[optimizer.nesterov,0,1,linear,4]")], "but got 'optimizer.nesterov', which is no number"),
        ([axes("[optimizer.rate,1,9,linear,4]")], "must have axes that are parameters of the spec"),
        ([axes("[optimizer.lr,1,9,log,1]")], "must say how many values optimizer.lr has, which must be a whole number"),
        (
            [axes("[optimizer.lr,1,9,log,2.5]")],
            "must say how many values optimizer.lr has, which must be a whole number",
        ),
        ([axes("[optimizer.lr,9,1,log,4]")], "must run from the lower to the higher end over optimizer.lr"),
        ([axes("[optimizer.lr,1,1,log,4]")], "must run from the lower to the higher end over optimizer.lr"),
        ([axes("[optimizer.lr,0,1,log,4]")], "must begin above 0 over optimizer.lr, which is logarithmic"),
        ([axes("[optimizer.lr,a,1,log,4]")], "must run from a number to a number over optimizer.lr"),
        ([axes("[optimizer.lr,1,inf,log,4]")], "must run from a number to a number over optimizer.lr"),
        (
            [axes("[optimizer.lr,1,9,cubic,4]")],
            "must say of optimizer.lr how it is spaced, which must be one of log, lin",
        ),
        ([axes(GAIN)], "must have two axes that differ"),
        ([axes("[optimizer.lr,1,9,log]")], "must have axes of five parts"),
        (["sweep.map=[[optimizer.lr,1,9,log,4]]"], "must be two axes, each [key, low, high, log or linear, count]"),
        (
            [axes("[optimizer.lr,-1,1,linear,4]")],
            "must keep to what optimizer.lr can be, which must be a finite number",
        ),
        ([axes("[optimizer.lr,1e-50,1,log,4]")], "optimizer.lr must be of a size that dtype=float32 holds"),
        ([MAP, "-m"], "has no effect on a sweep: a map is one run; leave -m or the experiment out"),
        ([MAP, "-m", "seed=0,1"], "has no effect on a sweep: a map is one run; leave -m or the experiment out"),
        ([MAP, "optimizer.lr=3"], "optimizer.lr=3 has no effect on a map over it; leave it out"),
        ([MAP, "sweep.csv=a.csv"], "sweep.csv=a.csv has no effect on a map"),
        ([MAP, "sweep.table=[seed]"], "sweep.table=[seed] has no effect on a map"),
        ([MAP, "shard=0/2"], "shard=0/2 has no effect on a map"),
        ([MAP, "remedy=true"], "remedy=true has no effect on a map"),
        ([MAP, "require.final_loss=1"], "require.final_loss=1 has no effect on a map"),
        ([MAP, "train.snapshot_every=1"], "train.snapshot_every=1 has no effect on a map"),
        ([MAP, "replicates=auto"], "replicates=auto has no effect as auto on a map"),
        (["--zoom", "1:2,1:2"], "sweep.zoom=[[1.0,2.0],[1.0,2.0]] has no effect without sweep.map"),
        ([MAP, "--zoom", "1:2"], "argument --zoom: must be X0:X1,Y0:Y1 in numbers, but got '1:2'"),
        ([MAP, "--zoom", "1:2000,1:2"], "sweep.zoom must be a part low:high of optimizer.lr"),
        ([MAP, "--zoom", "2:1,1:2"], "sweep.zoom must be a part low:high of optimizer.lr"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert why in refused(capsys, *words)


def test_a_map_is_filed_and_commands_on_networks_say_that_it_is_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *SHORT, MAP, "--zoom", "0.1:1,0.5:5"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("map         optimizer.lr 0.1 to 1 (log, 4) by init.gain 0.5 to 5 (log, 3): 12 pixels\n")
    with opened(None) as store:
        (run,) = store.search(RunQuery())
    for command in ("table", "report", "explain", "remedy", "compare", "cite", "export --format spec"):
        assert main([command.split()[0], "last", *command.split()[1:]]) == 1
        (line,) = capsys.readouterr().err.strip().split("\n")
        rule = f"the run {run.run_id} must be one whose networks were kept, but got a map"
        assert line == f"nnspec: {rule}, which kept its arrays and pictures; nnspec.load_map reads it in Python"
    with pytest.raises(nnspec.TrackingError, match="must be one whose networks were kept"):
        nnspec.load("last")
    assert main(["run", "-m", *SHORT, "seed=0,1", f"resume={run.run_id}"]) == 1
    assert f"but {run.run_id} is none" in capsys.readouterr().err
    assert main(["delete", "last", "--yes"]) == 0
    with opened(None) as store:
        assert store.search(RunQuery()) == []


def test_the_document_and_the_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *SHORT, MAP, "tracking=off", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["kind"], info["pixels"], info["pixels_trained"], info["run_id"]) == ("map", 12, 12, None)
    assert info["axes"] == [["optimizer.lr", 0.01, 1000, "log", 4], ["init.gain", 0.1, 10, "log", 3]]
    assert sum(info["verdicts"].values()) == 12
    assert main(["run", *SHORT, MAP, "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 12
    assert main(["run", *SHORT, MAP, "--plan", "--quiet"]) == 0
    assert "12 networks in 1 piece on 1 process" in capsys.readouterr().out
    assert not Path("mlflow.db").exists()


def test_python_gives_the_map_of_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SHORT, MAP]
    assert main(["run", *words]) == 0
    printed = capsys.readouterr().out
    found = nnspec.map(words)
    assert printed.startswith(f"{found!r}\nrun ")
    assert all(
        array.tobytes() == nnspec.load_map("last").arrays[name].tobytes() for name, array in found.arrays.items()
    )
    assert found.verdict.shape == found.final_loss.shape == (3, 4)
    assert found._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(nnspec.SpecError, match=r"sweep.map must be said in nnspec.map"):
        nnspec.map(SHORT)
    with pytest.raises(nnspec.SpecError, match=r"sweep.map must be left out of nnspec.plan"):
        nnspec.plan(words)
    with pytest.raises(nnspec.SpecError, match="a map is one run"):
        nnspec.sweep(words)
    with pytest.raises(nnspec.NnspecError, match="of must be one of convergence, final_loss"):
        found.figure("colours")
