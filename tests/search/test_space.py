"""What a search may try: dimensions in Hydra's grammar, cells as Hydra composes them, and what is no space."""

from __future__ import annotations

import random
import re
from functools import cache

import pytest

from nnspec.cli.main import main
from nnspec.compose import Composer, spec
from nnspec.errors import SpecError
from nnspec.search.space import Names, Numbers, Space
from nnspec.search.training import refuse_unfit
from nnspec.settings import Runtime, Settings, Sweep

CONDITIONAL = (
    {"activation": "elu", "activation.alpha": "interval(0.1,3)"},
    {"activation": ["relu", "tanh"]},
    {"activation": "leaky_relu", "activation.negative_slope": "tag(log, interval(0.001,1))", "init.gain": [1, 2]},
)


@cache
def composer() -> Composer:
    """One for all: what it has composed it keeps."""
    return Composer()


def space_of(*overrides: str, where: tuple = ()) -> Space:
    return Space(overrides, Settings(sweep=Sweep(where=where)), composer())


@pytest.mark.parametrize(
    ("said", "domain"),
    [
        ("optimizer.lr=interval(0.1,2)", Numbers(0.1, 2.0)),
        ("optimizer.lr=interval(1,2)", Numbers(1.0, 2.0)),
        ("optimizer.lr=tag(log, interval(0.001,1))", Numbers(0.001, 1.0, log=True)),
        ("model.depth=int(interval(1,4))", Numbers(1, 4)),
        ("model.width=range(2,9)", Numbers(2, 8, 1)),
        ("model.width=range(2,9,3)", Numbers(2, 8, 3)),
        ("model.width=range(8,2,-3)", Numbers(5, 8, 3)),
        ("train.epochs=tag(log, range(1,1001))", Numbers(1, 1000, log=True)),
        ("optimizer.lr=range(0.5,1.6,0.5)", Numbers(0.5, 1.5, 0.5)),
        ("activation=choice(relu,tanh)", Names(("relu", "tanh"))),
        ("optimizer.lr=0.1,1", Names(("0.1", "1"))),
        ("model.hidden=[4],[4,4]", Names(("[4]", "[4,4]"))),
    ],
)
def test_the_grammar(said: str, domain: Numbers | Names) -> None:
    ((dimension,),) = space_of(said).blocks
    assert (dimension.name, dimension.domain) == (said.partition("=")[0], domain)


def test_how_many_combinations_there_are() -> None:
    assert space_of("activation=relu,tanh", "model.width=range(2,9,3)").count == 6
    assert space_of("activation=relu,tanh", "optimizer.lr=interval(0.1,1)").count == float("inf")
    assert (
        space_of("seed=3", where=({"activation": "elu", "init.gain": [1, 2]}, {"activation": ["relu", "tanh"]})).count
        == 4
    )


def drawn(space: Space, chance: random.Random) -> tuple[int, dict[str, float | int | str]]:
    """A trial at random."""
    block = chance.randrange(len(space.blocks))
    values: dict[str, float | int | str] = {}
    for dimension in space.blocks[block]:
        domain = dimension.domain
        if isinstance(domain, Names):
            values[dimension.name] = chance.choice(domain.values)
        elif isinstance(domain.low, int) and isinstance(domain.high, int):
            values[dimension.name] = chance.randint(domain.low, domain.high)
        else:
            values[dimension.name] = chance.uniform(domain.low, domain.high)
    return block, values


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        (["activation=relu,gelu", "optimizer=adam,sgd", "optimizer.lr=interval(0.01,1)", "model.width=range(2,9)"], ()),
        (["model.hidden=[4],[4,4]", "train.epochs=int(interval(5,9))", "replicates=3"], ()),
        (["optimizer.lr=tag(log,interval(0.01,1))"], CONDITIONAL),
        (["model.depth=range(1,4)", "solved.tolerance=${optimizer.lr}", "optimizer.lr=interval(0.1,0.3)"], ()),
    ],
    ids=["groups", "values", "where", "interpolated"],
)
def test_a_cell_is_what_hydra_composes(overrides: list[str], where: tuple) -> None:
    space, chance = space_of(*overrides, where=where), random.Random(5)
    fixed = [line for line in overrides if line == "replicates=3" or "${" in line]
    for _ in range(3):
        block, values = drawn(space, chance)
        cell, faults = space.cell(block, values)
        assert not faults
        assert cell is not None
        lines = [f"{name}={value}" for name, value in cell.choices]
        assert cell.spec == spec([*fixed, *lines])
        keys = {dimension.name.split(" ")[0]: dimension.name for dimension in space.blocks[block]}
        assert {key: str(values[name]) for key, name in keys.items()}.items() <= dict(cell.choices).items()


def test_a_dimension_says_its_block_where_blocks_differ() -> None:
    where = (
        {"optimizer": "sgd", "optimizer.lr": "interval(0.1,1)", "init.gain": "interval(1,2)"},
        {"optimizer": "adam", "optimizer.lr": "interval(0.01,0.1)", "init.gain": "interval(1,2)"},
    )
    space = space_of("replicates=2", where=where)
    assert space.labels == ["optimizer=sgd", "optimizer=adam"]
    names = [[dimension.name for dimension in block] for block in space.blocks]
    assert names == [
        ["optimizer.lr (optimizer=sgd)", "init.gain"],
        ["optimizer.lr (optimizer=adam)", "init.gain"],
    ]
    assert space.conditional
    assert space.listed == {
        "sweep.where": "optimizer=sgd; optimizer=adam",
        "optimizer.lr": "0.1 to 1.0 where optimizer=sgd; 0.01 to 0.1 where optimizer=adam",
        "init.gain": "1.0 to 2.0",
    }


def test_the_digest_names_the_space() -> None:
    said = ["optimizer.lr=interval(0.1,1)", "activation=relu,tanh"]
    own = space_of(*said).digest
    assert own == space_of(*said).digest
    others = [
        [*said, "replicates=2"],
        [*said, "train.epochs=7"],
        ["optimizer.lr=interval(0.1,2)", said[1]],
        ["optimizer.lr=tag(log,interval(0.1,1))", said[1]],
        [said[0], "activation=relu,tanh,gelu"],
    ]
    assert len({own, *(space_of(*other).digest for other in others)}) == 6


LR = "optimizer.lr=interval(0.1,1)"
NO_SPACE = [
    (["seed=3"], "a search must have something to search, but got no axis; add an axis"),
    (["optimizer.lr=interval(0.1)"], r"optimizer.lr must have two bounds, but got interval\(0.1\)"),
    (["optimizer.lr=interval(0.1,inf)"], "optimizer.lr must have two finite bounds"),
    (["optimizer.lr=interval(1,0.1)"], "optimizer.lr must have two finite bounds, the lower one first"),
    (["optimizer.lr=tag(log,interval(0,1))"], "optimizer.lr must be above 0 to be tagged log"),
    (["optimizer.lr=tag(odd,interval(0.1,1))"], "optimizer.lr must have no other tag than log"),
    (["activation=tag(log,choice(relu,tanh))"], "activation must be an interval or a range to be tagged"),
    (["train.epochs=tag(log,range(1,9,2))"], "train.epochs must be an interval, or a range of whole numbers by 1"),
    (["optimizer.lrr=interval(0.1,1)"], "optimizer.lrr is not a known key; did you mean 'optimizer.lr'"),
    ([LR, "activation=relu,tanhh"], "activation must be a known activation, but got 'tanhh'; did you mean 'tanh'"),
    (["seed=range(0,9)"], "seed cannot be searched: seeds are replicates; say replicates=200"),
    (["optimizer.lr=interval(-1,1)"], "optimizer.lr must be a finite number above 0, but got -1.0"),
    (["activation=relu,elu", "activation.alpha=interval(0.1,1)"], "activation.alpha is not a known key"),
    (["model.width=range(0,5)"], "model.hidden|model.width"),
]


@pytest.mark.parametrize(("said", "line"), NO_SPACE, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_what_is_no_space_is_one_line(said: list[str], line: str) -> None:
    with pytest.raises(SpecError, match=f"^{line}") as refused:
        space_of(*said)
    assert len(refused.value.faults) == 1


@pytest.mark.parametrize(
    ("said", "domain"),
    [
        ("model.width=interval(1,8)", Numbers(1, 8)),
        ("train.epochs=tag(log,interval(1,500))", Numbers(1, 500, log=True)),
    ],
)
def test_an_interval_of_what_is_counted_is_refused_with_a_remedy_that_works(said: str, domain: Numbers) -> None:
    with pytest.raises(SpecError, match="must be a whole number") as refused:
        space_of(said, "activation=relu,tanh")
    (fault,) = refused.value.faults
    _, quote, line = fault.remedy.partition("'")
    assert quote
    ((dimension,),) = space_of(line.rstrip("'")).blocks
    assert dimension.domain == domain
    block = {"activation": "elu", **dict([said.split("=", 1)])}
    with pytest.raises(SpecError, match=re.escape(fault.remedy)):
        space_of(where=(block, {"activation": "relu"}))


def test_a_range_of_whole_numbers_needs_none() -> None:
    with pytest.raises(SpecError, match=r"^model.width must be a whole number at least 1 and") as refused:
        space_of("model.width=range(0,5)")
    assert "int(" not in str(refused.value)


UNFIT = [
    (Sweep(), "sweep.trials must be said with a search, but got null; try sweep.trials=100"),
    (Sweep(trials=7), "sweep.trials must be at most the 6 combinations that the space has, but got 7; lower it"),
    (Sweep(trials=5, pruner="median"), "sweep.pruner must be none with replicates=1"),
    (Sweep(trials=5, objectives=("final_loss",) * 2), "sweep.objectives must name each objective once"),
]


@pytest.mark.parametrize(("sweep", "line"), UNFIT)
def test_what_does_not_fit_a_space_is_one_line(sweep: Sweep, line: str) -> None:
    space = space_of("activation=relu,tanh", "model.width=range(2,9,3)")
    with pytest.raises(SpecError, match=f"^{line}") as refused:
        refuse_unfit(space, Settings(sweep=sweep))
    assert len(refused.value.faults) == 1


def test_several_objectives_are_not_pruned_by_and_memory_is_asked_for_before() -> None:
    space = space_of(LR, "replicates=9")
    with pytest.raises(SpecError, match=r"^sweep.pruner must be none with several objectives"):
        refuse_unfit(space, Settings(sweep=Sweep(trials=5, pruner="median", objectives=("solve_rate", "final_loss"))))
    with pytest.raises(SpecError, match=r"^train.memory must be at least"):
        refuse_unfit(space, Settings(sweep=Sweep(trials=5), runtime=Runtime(memory=0.001)))


BAD = [
    ([LR, "sweep.trials=0"], "sweep.trials must be a whole number at least 1, but got 0"),
    (["optimizer.lr=interval(0.1)", "sweep.trials=5"], r"optimizer.lr must have two bounds, but got interval\(0.1\)"),
    ([LR, "sweep.trials=5", "sweep.pruner=medan"], "sweep.pruner must be one of .*; try sweep.pruner=median"),
    ([LR, "sweep.trials=5", "sweep.objectives=[test_accuracy]"], "sweep.objectives=.* has no effect on a cell without"),
    ([LR, "sweep.trials=5", "shard=0/2"], "shard=0/2 has no effect on a search"),
    ([LR, "sweep.trials=5", "replicates=auto"], "replicates=auto has no effect on a search"),
    ([LR, "sweep.trials=5", "resume=last"], "resume=last has no effect with tracking=off"),
    ([LR, "sweep.trials=5", "sweep.table=[optimizer.lr]"], "sweep.table=.* has no effect on a search"),
]


@pytest.mark.parametrize(("words", "line"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
@pytest.mark.usefixtures("folder")
def test_bad_input_is_one_line(words: list[str], line: str, capfd: pytest.CaptureFixture[str]) -> None:
    search = ["-m", "hydra/sweeper=nnspec_search", "tracking=off", "train.epochs=2", "train.log_every=1"]
    assert main(["run", *search, *words]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert re.match(f"nnspec: {line}", said)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-m", "optimizer.lr=interval(0.1,1)"], "an interval has no end of values, for hydra/sweeper=nnspec_search"),
        (["sweep.trials=4"], "sweep.trials=4 has no effect without a search; add -m hydra/sweeper=nnspec_search"),
        (["-m", "seed=1,2", "sweep.sampler=gp"], "sweep.sampler=gp has no effect without a search"),
        (["-m", "seed=1,2", "hydra/sweeper=basic", "sweep.batch=3"], "sweep.batch=3 has no effect without a search"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_search_must_be_asked_for(words: list[str], line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tracking=off", *words]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert line in said
