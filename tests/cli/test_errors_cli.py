"""Bad input gives clear lines and an exit status, never a traceback, and nothing trains: known cases, and made-up
ones."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nnspec.cli import main

CASES = [
    ["activation=gleu"],
    ["init=kaimingg"],
    ["model.hiden=[4]"],
    ["model.hidden=[-4]"],
    ["model.hidden=[0]"],
    ["model.hidden=four"],
    ["optimizer.lr=nan"],
    ["optimizer.lr=-1"],
    ["train.epochs=0"],
    ["train.epochs=ten"],
    ["loss=cross_entropy", "model.output=sigmoid"],
    ["replicates=0"],
    ["seed=-1"],
    ["dtype=float8"],
    ["+model._target_=torch.load"],
    ["+activation._target_=os.system"],
    ["hydra.sweeper._target_=os.system"],
    ["init=from_file", "init.path=missing.safetensors"],
    ["init=from_file"],
    ["activation=leaky_relu", "activation.negative_slope=steep"],
    ["train.log_every=0"],
    ["model.output=softmax", "loss=bce"],
    ["spec=missing.yaml"],
    ["activation=heaviside"],
    ["==="],
    [""],
    ["model"],
    ["model=mlp", "model=perceptron,mlp"],
    ["-m", "activation=relu,tanhh", "seed=range(0,10)"],
    ["-m", "seed=interval(0,1)"],
    ["-m", "hydra.verbose=true,false"],
    ["-m", "tracking=off,mlflow"],
    ["-m", "experiment=depth", "seed=-1"],
    ["experiment=dept"],
    ["--config-dir", "nowhere"],
    ["--config-name", "nowhere"],
    ["~model"],
    ["hydra.run.dir=null"],
    ["shard=1"],
    ["resume=3"],
]


pytestmark = pytest.mark.usefixtures("logging_put_back")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What reached the runner, which here trains nothing."""
    got: list[Any] = []

    def run(cells: Any, *args: Any, **rest: Any) -> SimpleNamespace:
        got.extend(cells)
        return SimpleNamespace(exit_status=0, objective=None)

    monkeypatch.setattr("nnspec.runner.run", run)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.chdir(tmp_path)
    return got


def said(words: list[str]) -> tuple[int, str]:
    """The exit status of a command, and all that it prints. Any exception is the test's."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(["run", *words])
    return status, out.getvalue()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_known_bad_input(words: list[str], trained: list[Any]) -> None:
    status, text = said(words)
    assert status in (1, 2)
    assert text.strip()
    assert len(text) < 4000
    assert "Traceback" not in text
    assert "unexpected" not in text
    assert "Error executing job" not in text
    assert all(len(line) < 700 and line.startswith("nnspec: ") for line in text.splitlines())
    assert trained == []


@pytest.mark.parametrize(
    ("words", "key"),
    [([], "hydra.run.dir"), (["-m"], "hydra.sweep.dir"), (["-m", "hydra/sweeper=basic"], "hydra.sweep.dir")],
)
def test_a_working_folder_that_cannot_be_written_is_told_with_the_remedy(
    words: list[str], key: str, tmp_path: Path, trained: list[Any]
) -> None:
    for name in ("outputs", "multirun"):
        (tmp_path / name).touch()  # a file in the way: root may write every folder
    status, text = said([*words, "seed=1", "tracking=off"])
    assert status == 2
    (line,) = text.splitlines()
    assert line.startswith(f"nnspec: {key} must be a folder that can be written, but got '")
    assert line.endswith(f"or name one with {key}=FOLDER")
    elsewhere = [*words, "seed=1", "tracking=off", f"{key}={tmp_path}/elsewhere"]
    assert said(elsewhere)[0] == 0


KEYS = st.sampled_from(
    [
        "model",
        "activation",
        "init",
        "optimizer",
        "loss",
        "data",
        "tracking",
        "seed",
        "replicates",
        "dtype",
        "device",
        "train.epochs",
        "train.log_every",
        "train.workers",
        "model.hidden",
        "model.output",
        "activation.negative_slope",
        "optimizer.lr",
        "optimizer.betas",
        "init.bias",
        "init.path",
        "solved.tolerance",
        "sweep.zip",
        "sweep.exclude",
        "sweep.include",
        "sweep.table",
        "shard",
        "resume",
        "spec",
        "experiment",
        "hydra.mode",
        "hydra.verbose",
        "hydra/sweeper",
        "data.bits",
        "nonsense",
        "model.nonsense",
        "model.hidden.0",
        "_target_",
        "model._target_",
        "train",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "relu",
            "gelu,tanh",
            "mlp",
            "perceptron",
            "[4]",
            "[4],[8,8]",
            "[]",
            "{}",
            "{a:1}",
            "[[1]]",
            "0",
            "1",
            "-1",
            "1e400",
            "nan",
            "inf",
            "0.1",
            "true",
            "null",
            "off",
            "mlflow",
            "adam,sgd",
            "range(0,3)",
            "range(3)",
            "range(0,1,0)",
            "interval(0,1)",
            "choice(1,2)",
            "choice()",
            "glob(*)",
            "glob(",
            "sort(2,1)",
            "shuffle(1,2)",
            "tag(a,1)",
            "${seed}",
            "${nowhere}",
            "${oc.env:HOME}",
            "${",
            "???",
            "''",
            "'a",
            "b'",
            "\\",
            "a,b,,",
            "=x",
            "[seed]",
            "[[seed,optimizer.lr]]",
            "[{seed:1}]",
            "depth",
            "os.system",
            "99999999999999999999",
            "basic",
            "nnspec",
            "MULTIRUN",
        ]
    ),
    st.text(max_size=6),
    st.integers().map(str),
    st.floats().map(str),
)
WORDS = st.builds(
    lambda sign, key, equals, value: f"{sign}{key}{equals}{value}",
    st.sampled_from(["", "", "", "+", "++", "~"]),
    KEYS,
    st.sampled_from(["=", "=", "=", ""]),
    VALUES,
)


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(words=st.lists(WORDS | st.text(max_size=5), min_size=1, max_size=3), multirun=st.booleans())
@example(words=["replicates=100000000", "model.hidden=[65536,65536]"], multirun=False)
@example(words=["seed=glob(*)"], multirun=True)
@example(words=["seed=range(0,3),1"], multirun=True)
@example(words=["seed=range(0,1,0)"], multirun=True)
@example(words=["model.hidden=${model.hidden}"], multirun=False)
@example(words=["optimizer.lr=1e400"], multirun=False)
def test_made_up_input_never_gives_a_traceback(words: list[str], multirun: bool, trained: list[Any]) -> None:
    words = [word for word in words if not word.startswith("-") and "\x00" not in word]
    trained.clear()
    status, text = said([*(["-m"] if multirun else []), *words])
    assert status in (0, 1, 2)
    assert "Traceback" not in text
    assert "unexpected" not in text
    assert (status == 0) == bool(trained)
    if status:
        assert text.strip()
