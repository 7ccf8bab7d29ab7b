"""Every statement of SECURITY.md: a stranger's config, spec, spool or store is data. It runs no code, writes nowhere
else, never hangs."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

import nnspec
from nnspec.cli import main
from nnspec.compose import Composer, spec
from nnspec.compose.interpolations import RESOLVERS
from nnspec.errors import SpecError

RAN = "ran"  # a file that an attack makes if it gets to run
JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
MKDIR = "{_target_: os.mkdir, path: @/ran}"
GLOBAL = "# @package _global_\n"
HANDLER = "{version: 1, root: {handlers: [x]}, handlers: {x: {class: os.mkdir, path: @/ran}}}"
FACTORY = "{version: 1, root: {handlers: [x]}, handlers: {x: {'()': os.mkdir, path: @/ran}}}"


LAUGHS = "".join(f"a{i}: '" + f"${{a{i - 1}}}" * 10 + "'\n" for i in range(1, 8))
LISTS = "".join(f"a{i}: [" + f"'${{a{i - 1}}}', " * 10 + "]\n" for i in range(1, 8))


class Opens:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple[str, str]]:
        return open, (self.path, "w")


@dataclass(frozen=True)
class Attack:
    """A command line with the files it finds, ``@`` being their folder; ``experiment`` is cd/experiment/evil.yaml
    without its header."""

    words: tuple[str, ...] = ("--config-dir=@/cd", "experiment=evil")
    experiment: str = ""
    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def made(self, folder: Path) -> list[str]:
        """The words, when the files are there."""
        put = {**self.files, **({"cd/experiment/evil.yaml": GLOBAL + self.experiment} if self.experiment else {})}
        put["evilpkg/__init__.py"] = f"open({str(folder / RAN)!r}, 'w')\n"
        for name, content in put.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content.replace("@/", f"{folder}/"))
        (folder / "evil.pickle").write_bytes(pickle.dumps(Opens(str(folder / RAN))))
        return [word.replace("@/", f"{folder}/") for word in self.words]


PICKLED = "{_target_: pandas.read_pickle, filepath_or_buffer: @/evil.pickle}"
ATTACKS = {
    # the flags
    "abbreviated rerun": Attack(("--exp=@/evil.pickle",)),
    "abbreviated rerun, two words": Attack(("--experimental-reru", "@/evil.pickle")),
    "rerun": Attack(("--experimental-rerun", "@/evil.pickle")),
    "rerun behind overrides": Attack(("seed=1", "--experimental-rerun=@/evil.pickle")),
    # the command line
    "callback": Attack(("+hydra.callbacks.x=" + PICKLED,)),
    "callback by interpolation": Attack(("tracking=off", "+foo=" + PICKLED, "+hydra.callbacks.x=${foo}")),
    "callbacks by interpolation": Attack(("+foo={x: " + MKDIR + "}", "hydra.callbacks=${foo}")),
    "hydra itself by interpolation": Attack(("+foo={callbacks: {x: " + MKDIR + "}}", "++hydra=${foo}")),
    "hydra itself": Attack(("++hydra={callbacks: {x: " + MKDIR + "}}",)),
    "callback by the environment": Attack(
        ("+hydra.callbacks.x='${oc.create:${oc.decode:${oc.env:EVIL}}}'",), environment={"EVIL": MKDIR}
    ),
    "sweeper": Attack(("-m", "seed=1,2", "++hydra.sweeper={_target_: os.mkdir, path: @/ran}")),
    "sweeper's class": Attack(("-m", "seed=1,2", "hydra.sweeper._target_=pathlib.Path")),
    "launcher by interpolation": Attack(
        ("-m", "seed=1,2", "hydra/sweeper=basic", "+foo=" + MKDIR, "hydra.launcher=${foo}")
    ),
    "launcher's class by interpolation": Attack(
        ("-m", "seed=1,2", "hydra/sweeper=basic", "+foo=os.mkdir", "hydra.launcher._target_=${foo}")
    ),
    "launcher that is another plugin, which imports": Attack(
        (
            "-m",
            "seed=1,2",
            "hydra/sweeper=basic",
            "+foo={_target_: hydra._internal.core_plugins.structured_config_source.StructuredConfigSource, "
            "provider: x, path: 'structured://evilpkg'}",
            "hydra.launcher=${foo}",
        )
    ),
    "inside a launcher": Attack(("-m", "seed=1,2", "hydra/launcher=joblib", "+hydra.launcher.x=" + MKDIR)),
    "inside a launcher by interpolation": Attack(
        ("-m", "seed=1,2", "hydra/launcher=joblib", "+foo=" + MKDIR, "+hydra.launcher.x=${foo}"),
    ),
    "inside a launcher by a resolver": Attack(
        ("-m", "seed=1,2", "hydra/launcher=joblib", "+hydra.launcher.x='${oc.create:${oc.decode:${oc.env:EVIL}}}'"),
        environment={"EVIL": MKDIR},
    ),
    "inside a sweeper": Attack(("-m", "seed=1,2", "+hydra.sweeper.params.x=" + MKDIR)),
    "logging": Attack(("++hydra.job_logging=" + HANDLER,)),
    "hydra's logging": Attack(("++hydra.hydra_logging=" + HANDLER,)),
    "logging, to show hydra's help": Attack(("--hydra-help", "++hydra.hydra_logging=" + HANDLER)),
    "environment of the job": Attack(("+hydra.job.env_set.PATH=@/evilpkg",)),
    "environment that is copied": Attack(("hydra.job.env_copy=[PATH]",)),
    "package on the search path": Attack(("hydra.searchpath=[pkg://evilpkg]",)),
    "module on the search path": Attack(("hydra.searchpath=[structured://evilpkg]",)),
    "package on the search path, to show": Attack(("--info", "searchpath", "hydra.searchpath=[pkg://evilpkg]")),
    "package on the search path, to complete": Attack(
        ("--shell-completion", "query=bash"),
        environment={"COMP_LINE": "run.py hydra.searchpath=[pkg://evilpkg] mod", "COMP_POINT": "99"},
    ),
    "package as the place of configs": Attack(("--config-path=pkg://evilpkg",)),
    "package as the folder of configs": Attack(("--config-dir=pkg://evilpkg",)),
    "main module": Attack(("--config-path=.",), environment={"HYDRA_MAIN_MODULE": "evilpkg.x"}),
    # files
    "callback in an experiment": Attack(experiment="hydra:\n  callbacks:\n    x: " + PICKLED),
    "callbacks by interpolation in an experiment": Attack(
        experiment="foo: {x: " + MKDIR + "}\nhydra:\n  callbacks: ${foo}\n"
    ),
    "callback in a sweep's experiment": Attack(
        experiment="hydra:\n  mode: MULTIRUN\n  sweeper: {params: {seed: '1,2'}}\n  callbacks:\n    x: " + MKDIR
    ),
    "callback, only shown": Attack(
        ("--config-dir=@/cd", "--info", "config", "experiment=evil"),
        experiment="hydra: {callbacks: {x: " + MKDIR + "}}",
    ),
    "callback, shown by nnspec show": Attack(
        ("--cfg=hydra", "--config-dir=@/cd", "experiment=evil"), "hydra: {callbacks: {x: " + MKDIR + "}}"
    ),
    "group of callbacks": Attack(
        ("--config-dir=@/cd", "hydra/callbacks=evil"), files={"cd/hydra/callbacks/evil.yaml": "x: " + MKDIR}
    ),
    "group of callbacks in an experiment": Attack(
        experiment="defaults:\n  - override /hydra/callbacks: evil\n",
        files={"cd/hydra/callbacks/evil.yaml": "x: " + MKDIR},
    ),
    "sweeper in a file": Attack(
        ("-m", "--config-dir=@/cd", "hydra/sweeper=evil", "seed=1,2"),
        files={"cd/hydra/sweeper/evil.yaml": "_target_: os.mkdir\npath: @/ran"},
    ),
    "launcher in a file": Attack(
        ("-m", "--config-dir=@/cd", "hydra/sweeper=basic", "hydra/launcher=evil", "seed=1,2"),
        files={"cd/hydra/launcher/evil.yaml": f"_target_: {JOBLIB}\nx: {MKDIR}"},
    ),
    "logging in a file": Attack(
        ("--config-dir=@/cd", "hydra/job_logging=evil"), files={"cd/hydra/job_logging/evil.yaml": FACTORY}
    ),
    "logging in an experiment": Attack(experiment="hydra:\n  job_logging: " + FACTORY),
    "a class in logging": Attack(
        experiment="hydra:\n  job_logging: "
        "{version: 1, handlers: {x: {class: os.mkdir, path: @/ran}}, root: {handlers: [x]}}"
    ),
    "a package below hydra": Attack(
        ("--config-dir=@/cd", "+experiment@hydra.callbacks.x=evil"),
        files={"cd/experiment/evil.yaml": MKDIR[1:-1].replace(", ", "\n")},
    ),
    "a header below hydra": Attack(
        ("--config-dir=@/cd", "+evil=evil"),
        files={"cd/evil/evil.yaml": "# @package hydra.callbacks.x\n" + MKDIR[1:-1].replace(", ", "\n")},
    ),
    "a group that is called hydra": Attack(
        ("--config-dir=@/cd", "+hydra=evil"),
        files={"cd/hydra/evil.yaml": f"callbacks: {{x: {MKDIR}}}\nrun: {{dir: @/ran}}\n"},
    ),
    "a primary config": Attack(
        ("--config-dir=@/cd", "--config-name=evil"),
        files={"cd/evil.yaml": "defaults: [config, _self_]\nhydra: {callbacks: {x: " + MKDIR + "}}"},
    ),
    "a primary config elsewhere": Attack(
        ("--config-path=@/cd", "--config-name=evil"), files={"cd/evil.yaml": "hydra: {callbacks: {x: " + MKDIR + "}}"}
    ),
    "a primary config's search path": Attack(
        ("--config-path=@/cd", "--config-name=evil"), files={"cd/evil.yaml": "hydra: {searchpath: ['pkg://evilpkg']}"}
    ),
    "overrides that nobody typed": Attack(
        experiment="hydra: {overrides: {hydra: ['hydra.run.dir=@/ran']}, run: {dir: @/ran}}"
    ),
    "environment in an experiment": Attack(experiment="hydra: {job: {env_set: {LD_PRELOAD: @/evil.so}}}"),
    "a callback in a cell": Attack(
        experiment=(
            "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2', '+hydra.callbacks.x': '{_target_: os.mkdir, "
            "path: @/ran}'}}}"
        )
    ),
    "a folder in a cell": Attack(
        experiment="defaults: [override /hydra/sweeper: basic]\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2', hydra.run.dir: @/ran}}}"
    ),
    "a package in a cell": Attack(
        experiment="hydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2', '+experiment@hydra.callbacks.x': code}}}",
        files={"cd/experiment/code.yaml": MKDIR[1:-1].replace(", ", "\n")},
    ),
    # where a file must not write
    "a folder to run in": Attack(experiment="hydra: {run: {dir: @/ran}}"),
    "a folder to sweep in": Attack(
        experiment="hydra: {mode: MULTIRUN, sweep: {dir: @/ran}, sweeper: {params: {seed: '1,2'}}}"
    ),
    "a folder of a job": Attack(experiment="hydra: {sweep: {subdir: '../../../ran'}}"),
    "a folder for Hydra's files": Attack(experiment="hydra: {output_subdir: '../../../../ran'}"),
    "a folder by interpolation": Attack(experiment="foo: {dir: @/ran}\nhydra: {run: '${foo}'}"),
    "a folder by a group": Attack(
        ("--config-dir=@/cd", "hydra/output=evil"),
        files={"cd/hydra/output/evil.yaml": GLOBAL + "hydra: {run: {dir: @/ran}}"},
    ),
    "the name of a log file": Attack(
        ("--config-dir=@/cd", "experiment=evil", "hydra/job_logging=default"),
        experiment="hydra: {job: {name: ../../../ran}}",
    ),
    "another working folder": Attack(experiment="hydra: {job: {chdir: true}}"),
    "a launcher's folder": Attack(
        ("-m", "--config-dir=@/cd", "experiment=evil", "seed=1,2"),
        experiment="defaults: [override /hydra/launcher: joblib]\nhydra: {launcher: {temp_folder: @/ran}}",
    ),
    "a table anywhere": Attack(
        ("-m", "--config-dir=@/cd", "experiment=evil", "seed=1,2"), experiment="sweep: {csv: @/ran}"
    ),
    # names that leave their folder
    "a name above": Attack(
        ("experiment=../../../../../../../../../../..@/other/evil",), files={"other/evil.yaml": "seed: 5"}
    ),
    "a name of another group": Attack(("model=../data/xor",)),
    "an absolute name": Attack(("experiment=@/other/evil",), files={"other/evil.yaml": "seed: 5"}),
    "a name above, added": Attack(("+model@extra=../data/xor",)),
    "a name above in a sweep": Attack(("-m", "model=mlp,../data/xor")),
    "a primary name above": Attack(
        ("--config-dir=@/cd", "--config-name=../other/evil"), files={"other/evil.yaml": "seed: 5", "cd/x.yaml": ""}
    ),
    "an absolute primary name": Attack(("--config-name=@/other/evil",), files={"other/evil.yaml": "seed: 5"}),
    "a default above": Attack(experiment="defaults:\n  - ../../other/evil\n", files={"other/evil.yaml": "seed: 5"}),
    "an absolute default": Attack(experiment="defaults:\n  - /@/other/evil\n", files={"other/evil.yaml": "seed: 5"}),
    "a default of a group above": Attack(experiment="defaults:\n  - override /model: ../data/xor\n"),
    "a default by interpolation": Attack(experiment="defaults:\n  - override /model: ../data/${data}\n"),
    # data that are more than they look like
    "a class in a spec": Attack(("spec=@/spec.yaml",), files={"spec.yaml": "model: " + MKDIR}),
    "an object in a spec": Attack(
        ("spec=@/spec.yaml",), files={"spec.yaml": "!!python/object/apply:os.mkdir ['@/ran']"}
    ),
    "an object in an experiment": Attack(experiment="seed: !!python/object/apply:os.mkdir ['@/ran']"),
    "a path in an experiment": Attack(experiment="seed: !!python/object/apply:pathlib.Path ['@/ran']"),
    "aliases in an experiment": Attack(experiment="a: &a [1, 2]\nb: [*a, *a]\n"),
    "a text that is YAML again": Attack(files={"cd/experiment/evil.yaml": "|\n  a: &a [1]\n  b: *a\n"}),
    "a deep experiment": Attack(experiment="seed: " + "[" * 10_000),
    "a long number in an experiment": Attack(experiment="seed: " + "1" * 100_000),
    "a large experiment": Attack(experiment="seed: '" + "1" * 1_000_000 + "'"),
    "laughs by interpolation": Attack(experiment="a0: '" + "x" * 1000 + "'\n" + LAUGHS),
    "lists by interpolation": Attack(experiment="a0: [1, 1]\n" + LISTS),
    "laughs by a resolver": Attack(experiment="a: ${oc.create:'a&colon; &a [1]'}"),
    "a resolver by interpolation": Attack(experiment="a: ${oc.${b}:x}\nb: create"),
    "hydra by interpolation in an experiment": Attack(experiment="foo: {callbacks: {x: " + MKDIR + "}}\nhydra: ${foo}"),
    "no verbosity": Attack(("hydra.verbose=3",)),
    "what Hydra writes": Attack(("hydra.runtime.output_dir=@/ran",)),
    "a long number": Attack(("seed=" + "1" * 100_000,)),
    "a long name": Attack(("activation=" + "x" * 100_000,)),
    "a deep value": Attack(("+seed2=" + "[" * 1000 + "]" * 1000,)),
    "many faults": Attack(tuple(f"nonsense{i}=1" for i in range(40))),
    "auto": Attack(("auto=true",)),
    "auto, added": Attack(("+auto=true",)),
    "auto in an experiment": Attack(experiment="auto: true"),
}
MANY_LINES = (  # one for each fault
    "many faults",
    "a class in a spec",
    "hydra itself by interpolation",
    "environment that is copied",
    "a group that is called hydra",
)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What would have trained; the command runs in a folder below that of the attack's files, which is on Python's
    path."""
    got: list[Any] = []

    def run(cells: Any, *args: Any, **rest: Any) -> SimpleNamespace:
        got.extend(cells)
        return SimpleNamespace(exit_status=0, objective=None)

    monkeypatch.setattr("nnspec.runner.run", run)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b/c")
    return got


def require_refused(name: str, status: int, out: str, text: str, folder: Path) -> None:
    assert status in (1, 2), text
    assert "Traceback" not in out + text
    assert not out.strip() or "--info" in ATTACKS[name].words  # which prints a heading first
    lines = text.strip().splitlines()
    assert all(line.startswith("nnspec: ") and len(line) < 1600 for line in lines), text
    assert len(lines) == 1 or (name in MANY_LINES and len(lines) <= 25), text
    assert "unexpected" not in text
    assert not (folder / RAN).exists()
    assert {path.name for path in (folder / "a/b/c").iterdir()} <= {"outputs", "multirun"}, "something was written"
    assert [path.name for name in ("a", "a/b") for path in (folder / name).iterdir()] == ["b", "c"], (
        "something was written"
    )


@pytest.mark.usefixtures("logging_put_back")
@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name: str, runs: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    words = ATTACKS[name].made(tmp_path)
    for key, value in ATTACKS[name].environment.items():
        monkeypatch.setenv(key, value.replace("@/", f"{tmp_path}/"))
    status = main(["run", *words])
    said = capfd.readouterr()
    require_refused(name, status, said.out, said.err, tmp_path)
    assert runs == []
    assert "evilpkg" not in sys.modules


# A process has its own streams and status, and nothing in it is replaced. That is the same for all attacks, so these
# are some of each kind, and all that come with the environment: Python and what it imports may read it as they begin.
IN_A_PROCESS = [name for number, name in enumerate(ATTACKS) if number % 5 == 0 or ATTACKS[name].environment]


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_A_PROCESS)
def test_attacks_on_a_real_process(name: str, tmp_path: Path) -> None:
    words = ATTACKS[name].made(tmp_path)
    (tmp_path / "a/b/c").mkdir(parents=True)
    given = {key: value.replace("@/", f"{tmp_path}/") for key, value in ATTACKS[name].environment.items()}
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), **given}
    command = [sys.executable, "-c", "import sys; from nnspec.cli import main; sys.exit(main())", "run", *words]
    done = subprocess.run(
        command, cwd=tmp_path / "a/b/c", env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    require_refused(name, done.returncode, done.stdout, done.stderr, tmp_path)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_composes_nothing_that_could_be_attacked(flag: str, runs: list[Any], tmp_path: Path, capfd: Any) -> None:
    words = Attack((flag, "++hydra.hydra_logging=" + HANDLER, "hydra.searchpath=[pkg://evilpkg]")).made(tmp_path)
    assert main(["run", *words]) == 0
    assert capfd.readouterr().out.startswith("usage: nnspec run")
    assert runs == []
    assert not (tmp_path / RAN).exists()
    assert list((tmp_path / "a/b/c").iterdir()) == []
    assert "evilpkg" not in sys.modules


# what stays possible


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.run.dir=elsewhere/run", "hydra.output_subdir=null", "seed=1"],
        ["hydra/job_logging=stdout", "hydra.verbose=[nnspec]", "seed=1"],
        ["hydra.searchpath=[@/cd]", "experiment=mine"],
        ["--config-dir=@/cd", "experiment=mine", "hydra.sweep.dir=elsewhere"],
        ["--config-dir=@/cd", "--config-name=primary"],
        [
            "-m",
            "seed=1,2",
            "hydra/sweeper=basic",
            "hydra.sweep.subdir=job${hydra.job.num}",
            "hydra.sweeper.max_batch_size=1",
        ],
        ["-m", "seed=1,2", "hydra.sweep.subdir=job${hydra.job.num}", "sweep.csv=@/table.csv"],
        ["train.workers='${oc.decode:${oc.env:WORKERS}}'", "seed=${replicates}"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("logging_put_back")
def test_what_is_allowed(words: list[str], runs: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "2")
    mine = GLOBAL + "seed: ${replicates}\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2'}}}"
    files = {"cd/experiment/mine.yaml": mine, "cd/primary.yaml": "defaults: [config, _self_]\nseed: 3"}
    assert main(["run", *Attack(tuple(words), files=files).made(tmp_path)]) == 0
    assert {cell.spec.seed for cell in runs} <= {1, 2, 3}
    assert runs


def test_a_launchers_settings_are_taken_from_the_command_line_only() -> None:
    lines = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    launcher = Composer().config(lines).hydra.launcher
    assert (launcher._target_, launcher.n_jobs) == (JOBLIB, 2)


@pytest.mark.parametrize(
    "line", ["+hydra.callbacks.x=" + MKDIR, "hydra.sweeper._target_=os.mkdir", "hydra.searchpath=['pkg://evilpkg']"]
)
def test_python_is_no_way_around(line: str) -> None:
    with pytest.raises(SpecError, match="hydra"):
        spec([line])


def test_a_class_in_a_config_stays_a_word() -> None:
    with pytest.raises(SpecError, match=r"activation\.deep\._target_ is not allowed"):
        spec(["+activation.deep={_target_: os.mkdir}"])


def test_no_resolver_runs_code() -> None:
    """The resolvers of data, each of which is there, and whatever an installed package has registered beside them is
    refused."""
    assert all(OmegaConf.has_resolver(name) for name in RESOLVERS)
    OmegaConf.register_new_resolver("evil", lambda: Path(RAN).mkdir())
    try:
        with pytest.raises(SpecError, match="must use one of Hydra's resolvers of data"):
            spec(["seed=${evil:}"])
    finally:
        OmegaConf.clear_resolver("evil")


PICKLES = {
    "pickle.load",
    "pickle.loads",
    "torch.load",
    "np.load",
    "numpy.load",
    "joblib.load",
    "pd.read_pickle",
    "marshal.loads",
}
LOADERS = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.safe_load", "OmegaConf.load", "eval", "exec"}
SOURCE = Path(nnspec.__file__).parent


def test_no_pickle_is_read_and_yaml_in_one_place() -> None:
    trees = {path: ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}
    calls = {
        (path.name, ast.unparse(node.func))
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    assert {(path, name) for path, name in calls if name in PICKLES | LOADERS} == {
        ("files.py", "yaml.load"),
        ("asserts.py", "exec"),  # of Hydra's own installed source, under python -O
        ("pool.py", "pickle.loads"),  # from the pipe to a process of our own
        ("on_ray.py", "pickle.loads"),  # what a task of our own on Ray answered; Ray itself hands over pickles
        ("shards.py", "pickle.load"),  # from a folder that only jobs of our own, started a moment ago, may write to
    }


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["run", "--mult", "seed=1,2"], "--multirun"),
        (["run", "seed=1", "--config-d=x"], "--config-dir"),
        (["run", "--config"], "--config-path or --config-name or --config-dir"),
        (["run", "--pl"], "--plan"),
        (["table", "--ur=sqlite:///x.db", "last"], "--uri"),
        (["compare", "last", "--b", "seed"], "--by"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_are_written_whole(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert f"write the flag whole: {meant}\n" in capsys.readouterr().err
