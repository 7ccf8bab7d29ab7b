"""``sweep.where``: the union of blocks, each cell as Hydra's own composition of it states it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

import nnspec
from nnspec.check import checked_mapping
from nnspec.cli.run import opened
from nnspec.compose import Composer, load_spec
from nnspec.errors import SpecError
from nnspec.settings import split
from nnspec.specs import RunSpec
from nnspec.sweep import SweepPlan, plan
from nnspec.yaml_text import yaml_text

RATES = "sweep.where=[{optimizer: sgd, optimizer.lr: [0.1, 1]}, {optimizer: adam, optimizer.lr: [0.001, 0.01]}]"


@pytest.fixture(scope="module")
def own() -> Composer:
    return Composer()


def hydras(composer: Composer, overrides: list[str]) -> list[RunSpec]:
    """The spec of each job that Hydra's basic sweeper makes of overrides, in its order."""
    jobs = BasicSweeper.split_arguments(composer.parser.parse_overrides(overrides), None)[0]
    return [checked_mapping(split(composer.mapping(job))[0]) for job in jobs]


def specs(found: SweepPlan) -> list[RunSpec]:
    return [cell.spec for cell in found.cells]


# the overrides beside sweep.where, its text, and each block as overrides
UNIONS = {
    "own rates": (
        ["activation=relu,tanh", "seed=range(0,3)"],
        RATES,
        [["optimizer=sgd", "optimizer.lr=0.1,1"], ["optimizer=adam", "optimizer.lr=0.001,0.01"]],
    ),
    "parameters of members": (
        ["init=zeros,orthogonal"],
        "sweep.where=[{optimizer: sgd, optimizer.momentum: [0, 0.5], optimizer.nesterov: false}, "
        "{optimizer: adam, optimizer.betas: [[0.9, 0.99], [0.8, 0.9]]}, {optimizer: rprop}]",
        [
            ["optimizer=sgd", "optimizer.momentum=0,0.5", "optimizer.nesterov=false"],
            ["optimizer=adam", "optimizer.betas=[0.9,0.99],[0.8,0.9]"],
            ["optimizer=rprop"],
        ],
    ),
    "all of the grammar": (
        ["optimizer.lr=0.3"],
        "sweep.where=[{activation: 'relu,tanh', seed: 'range(0,4,2)'}, {seed: 'choice(7,9)', init: 'glob(x*)'}, "
        "{model.hidden: [[3],[8,8]], train.log_every: null}]",
        [
            ["activation=relu,tanh", "seed=range(0,4,2)"],
            ["seed=choice(7,9)", "init=glob(x*)"],
            ["model.hidden=[3],[8,8]", "train.log_every=null"],
        ],
    ),
    "an aliased name, and what all share": (
        ["model.depth=2", "dtype=float64"],
        "sweep.where=[{init: he_uniform, loss: [bce, mse]}, {init: zeros, loss: mse}]",
        [["init=kaiming_uniform", "loss=bce,mse"], ["init=zeros", "loss=mse"]],
    ),
}


SLOW_UNIONS = {"own rates", "parameters of members"}  # what the others have too


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_UNIONS else name for name in UNIONS]
)
def test_the_cells_are_those_of_hydra_block_after_block(own: Composer, name: str) -> None:
    beside, where, blocks = UNIONS[name]
    found, _ = plan([*beside, where], own)
    assert specs(found) == [spec for block in blocks for spec in hydras(own, [*beside, *block])]
    assert found.duplicates == 0


def test_a_cell_names_the_axes_that_its_block_has(own: Composer) -> None:
    where = "sweep.where=[{optimizer: sgd, optimizer.momentum: [0, 0.5]}, {seed: [1, 2]}]"
    found, _ = plan(["activation=relu,tanh", where], own)
    assert found.axes == ("activation", "optimizer", "optimizer.momentum", "seed")
    choices = [dict(cell.choices) for cell in found.cells]
    assert choices[0] == {"activation": "relu", "optimizer": "sgd", "optimizer.momentum": "0"}
    assert choices[-1] == {"activation": "tanh", "optimizer": "adam", "seed": "2"}  # which is that of the config


def test_what_all_blocks_share_is_no_axis(own: Composer) -> None:
    found, _ = plan(["sweep.where=[{optimizer: sgd, seed: 1}, {optimizer: sgd, seed: 2}]"], own)
    assert found.axes == ("seed",)
    assert [spec.optimizer.name for spec in specs(found)] == ["sgd", "sgd"]


def test_cells_of_several_blocks_run_once(own: Composer) -> None:
    found, _ = plan(["sweep.where=[{seed: [1, 2, 2]}, {seed: [2, 3]}]"], own)
    assert ([spec.seed for spec in specs(found)], found.duplicates) == ([1, 2, 3], 2)


def test_exclude_reaches_into_blocks(own: Composer) -> None:
    found, _ = plan(["activation=relu,tanh", RATES, "sweep.exclude=[{optimizer: sgd, activation: relu}]"], own)
    names = [(spec.optimizer.name, spec.activation.name) for spec in specs(found)]
    assert names == [("sgd", "tanh")] * 2 + [("adam", "relu"), ("adam", "relu"), ("adam", "tanh"), ("adam", "tanh")]


def test_zip_joins_the_axes_that_a_block_has(own: Composer) -> None:
    where = "sweep.where=[{optimizer: sgd, optimizer.lr: [0.1, 1]}, {optimizer: adam}]"
    found, _ = plan(["activation=relu,tanh", where, "sweep.zip=[[optimizer.lr, activation]]"], own)
    assert [(s.optimizer.name, s.activation.name, s.optimizer["lr"]) for s in specs(found)] == [
        ("sgd", "relu", 0.1),
        ("sgd", "tanh", 1.0),
        ("adam", "relu", 0.1),
        ("adam", "tanh", 0.1),
    ]


def test_an_included_cell_is_in_the_first_block_or_its_own(own: Composer) -> None:
    where = "sweep.where=[{optimizer: sgd, optimizer.momentum: [0.5, 0.9]}, {optimizer: adam}]"
    added = "sweep.include=[{activation: sine}, {optimizer: adamw}]"
    found, _ = plan(["activation=relu,tanh", where, added], own)
    sine, adamw = specs(found)[-2:]
    assert (sine.optimizer.name, sine.optimizer["momentum"]) == ("sgd", 0.5)
    assert (adamw.activation.name, adamw.optimizer.name) == ("relu", "adamw")


def test_a_named_experiment_has_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/rates.yaml").write_text(
        "sweep:\n  where:\n    - {optimizer: sgd, optimizer.lr: [0.1, 1]}\n    - optimizer: adam\n"
        '      optimizer.lr: "0.001,0.01"\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: range(0,2)\n'
    )
    found, _ = plan(["experiment=rates"])
    assert specs(found) == specs(plan([RATES, "seed=0,1"])[0])


def test_an_archived_spec_lends_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml_text(nnspec.spec(["optimizer=rmsprop", "optimizer.lr=0.5", "seed=7"]).to_mapping()))
    found, _ = plan([f"spec={path}", RATES])
    assert [(spec.seed, spec.optimizer["lr"]) for spec in specs(found)] == [(7, 0.1), (7, 1.0), (7, 0.001), (7, 0.01)]
    assert load_spec(path).optimizer.name == "rmsprop"


def test_a_parameter_of_a_member_that_only_blocks_choose_waits_for_them(own: Composer) -> None:
    words = ["sweep.where=[{optimizer: sgd, seed: 1}, {optimizer: sgd, seed: 2}]", "optimizer.momentum=0.3"]
    assert opened(words, multirun=True)[1] == "optimizer.momentum=choice(0.3)"
    assert [spec.optimizer["momentum"] for spec in specs(plan(words, own)[0])] == [0.3, 0.3]


def test_a_sweep_from_python() -> None:
    result = nnspec.sweep([RATES, "train.epochs=2", "replicates=2"], tracking=False)
    solved = result.table.groupby(["optimizer.name", "optimizer.lr"]).size()
    assert solved.to_dict() == {("adam", 0.001): 2, ("adam", 0.01): 2, ("sgd", 0.1): 2, ("sgd", 1.0): 2}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sweep.where=[{optimiser: sgd}]"], "fields of a run, but got 'optimiser'; did you mean 'optimizer'"),
        (["sweep.where=[{optimizer: sgdd}]"], "'sgdd'; did you mean 'sgd'"),
        (["sweep.where=[{optimizer: sgd, optimizer.lrr: [1, 2]}]"], "lrr is not a known key; did you mean"),
        ([RATES, "optimizer.lr=0.1,0.2"], "must not name what is also said beside it, but got 'optimizer.lr'"),
        ([RATES, "optimizer=adam"], "must not name what is also said beside it, but got 'optimizer'"),
        (["sweep.where=[{}]"], "sweep.where must be a list of mappings"),
        (["sweep.where=3"], "sweep.where must be a list of mappings"),
        (["sweep.where=[{seed: []}]"], "sweep.where must give seed a value, a list of values or a range, but got"),
        (["sweep.where=[{seed: {a: 1}}]"], "sweep.where must give seed a value, a list of values or a range"),
        (["sweep.where=[{seed: 'a b,(['}]"], "sweep.where must give seed a value, a list of values or a range"),
        (["sweep.where=[{seed: range(0,3)}]"], "unless it is quoted, .*; put it in quotes, as in 'range"),
        (["sweep.where=[{seed: 'range(0,2000000)'}]"], "seed must have 1 to 1000000 values"),
        (
            ["seed=range(0,2000)", "sweep.where=[{replicates: 'range(1,301)'}, {replicates: 'range(1,301)'}]"],
            "1000000 cells, but got 1200000",
        ),
        (["sweep.where=[{train.workers: 2}]"], "fields of a run, not of the command, but got 'train.workers'; say"),
        (["sweep.where=[{replicates: auto}]"], "must give replicates values of a run, but got auto; say"),
        ([RATES, "sweep.exclude=[{optimizer: rprop}]"], "values of the axis optimizer, but got rprop; available: sgd"),
        ([RATES, "sweep.zip=[[optimizer, optimizer.lr]]"], "optimizer has 1, optimizer.lr has 2"),
        (["sweep.where=[{model.hidden: [[4]]}, {model.hidden: [[-1]]}]"], "model.hidden must .*; 1 of 2 cells"),
    ],
)
def test_faults_of_blocks(own: Composer, overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        plan(overrides, own)
    assert len(str(refused.value).splitlines()) == 1
