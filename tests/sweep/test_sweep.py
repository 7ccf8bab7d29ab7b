"""Expansion against Hydra's own composition, exactly and cell by cell; what it adds to the product; how fast it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nnspec.catalog import ACTIVATIONS, INITS
from nnspec.check import checked_mapping
from nnspec.compose import Composer
from nnspec.compose.composer import COMPOSE_ERRORS
from nnspec.compose.loader import loader
from nnspec.errors import SpecError
from nnspec.settings import Settings, Sweep, split
from nnspec.sweep import plan
from nnspec.sweep.axes import Statement, read
from nnspec.sweep.layout import layout
from nnspec.sweep.product import NotPlain, Product

FILES = {
    "config": """
defaults:
  - db: mysql
  - shape: round
  - server@backup: small
  - _self_
  - extra: null
name: ${db.kind}-${shape.name}
depth: {a: 1, b: {c: 2, d: [1, 2, 3]}}
plain: 7
nothing: null
""",
    "db/mysql": "kind: mysql\nport: 3306\nlogin: {user: me, limits: [1, 2]}\n",
    "db/postgres": "kind: postgres\nport: 5432\nlogin: {user: you, limits: [3]}\nschema: public\n",
    "db/nested": "defaults:\n  - login@login: guest\n  - _self_\nkind: nested\nport: 1\n",
    "db/login/guest": "user: guest\nlimits: []\n",
    "shape/round": "name: round\nradius: 2\narea: ${.radius}\n",
    "shape/square": "name: square\nside: ${plain}\n",
    "shape/flat": "name: flat\n",
    "server/small": "size: 1\n",
    "server/large": "size: 100\nnote: 'off'\n",
    "extra/loud": "# @package _global_\ndb:\n  port: 99\nplain: 8\n",
    "extra/other": "# @package _global_\ndefaults:\n  - override /shape: flat\nplain: 9\n",
}
AXES = (
    "db=mysql,postgres",
    "db=mysql,nested",
    "db=glob(*)",
    "shape=round,square",
    "shape=glob(*,exclude=flat)",
    "server@backup=small,large",
    "+extra=loud,other",
    "extra=loud,other",
    "plain=1,2.5,true,null,text,'quo ted',1e-3",
    "plain=range(0,3)",
    "plain=range(0,1,0.25)",
    "plain=sort(3,1,2)",
    "plain=tag(t,choice(1,2))",
    "db.port=1,2",
    "db.login.user=a,b",
    "db.login.limits=[],[1],[4,5]",
    "db.login={user:x},{limits:[9]}",
    "db.login.limits.0=7,8",
    "db.login=x,y",
    "db.login=[1],[2]",
    "depth.b=null,3",
    "depth.b.c=3,4",
    "depth.b.d=[1],[2,3]",
    "depth.a=${plain},5",
    "shape.name=x,${db.kind}",
    "shape.radius=1,2",
    "++depth.new=1,2",
    "+fresh=1,2",
    "nothing=[1],[a,b],x",
    "name=fixed,${db.port}",
)
FIXED = (
    "plain=3",
    "db.port=7",
    "depth.b.c=0",
    "shape=square",
    "db=postgres",
    "++more=1",
    "~nothing",
    "depth={a:4}",
    "extra=loud",
    "name=n",
)


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    folder: Path = tmp_path_factory.mktemp("conf")
    for name, content in FILES.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Composer(loader(str(folder)))


@pytest.fixture(scope="module")
def own() -> Composer:
    return Composer()


def lines_of_hydra(composer: Composer, overrides: list[str]) -> list[list[str]]:
    """The overrides of each job as Hydra's basic sweeper makes them."""
    return BasicSweeper.split_arguments(composer.parser.parse_overrides(overrides), None)[0]


def compared(composer: Composer, overrides: list[str], picks: list[int]) -> tuple[object, object]:
    """The configs of some rows of a multirun: composed by Hydra, and put together by us; or that they were refused."""
    statement = read(composer, overrides)
    lines = lines_of_hydra(composer, overrides)
    rows = list(itertools.product(*(range(len(axis.texts)) for axis in statement.axes)))
    assert len(rows) == len(lines)
    places = sorted({pick % len(rows) for pick in picks})
    ours = attempt(lambda: configs(composer, statement, [rows[i] for i in places]))
    return attempt(lambda: [composer.mapping(lines[i]) for i in places]), ours


def configs(composer: Composer, statement: Statement, rows: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """The config of each row as a sweep makes it: put together, or composed where that cannot be exact."""
    try:
        product = Product(composer, statement)
        return [product.config(row) for row in rows]
    except NotPlain:
        return [composer.mapping(statement.lines(dict(enumerate(row)))) for row in rows]


def attempt(work: Callable[[], list[dict[str, Any]]]) -> object:
    try:
        return work()
    except (SpecError, *COMPOSE_ERRORS):
        return "refused"


@pytest.mark.slow
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    axes=st.lists(st.sampled_from(AXES), min_size=1, max_size=3, unique_by=lambda axis: axis.split("=")[0]),
    fixed=st.lists(st.sampled_from(FIXED), max_size=2),
    picks=st.lists(st.integers(0, 500), min_size=1, max_size=3),
)
def test_configs_equal_hydras_own(composer: Composer, axes: list[str], fixed: list[str], picks: list[int]) -> None:
    expected, got = compared(composer, [*fixed, *axes], picks)
    assert got == expected


@pytest.mark.sampled(2)
@pytest.mark.parametrize("axis", AXES)
def test_each_axis_alone_equals_hydra(composer: Composer, axis: str) -> None:
    expected, got = compared(composer, [axis], list(range(7)))
    assert got == expected
    assert (got == "refused") == (
        axis in ("+extra=loud,other", "db.login=[1],[2]")
    )  # extra is there; lists do not merge into mappings


ENTANGLED = [
    ["extra=loud", "db=mysql,postgres"],
    ["db=mysql,postgres", "db.port=1,2", "extra=loud"],
    ["extra=loud,other", "shape=round,square"],
    ["depth={a:4}", "depth.b.c=1,2"],
    ["depth.b.c=1,2", "depth.b={c:9}"],
    ["db.port=7", "db=mysql,postgres,nested"],
    ["~depth", "shape=round,square", "plain=1,2"],
    ["server@backup=small,large", "backup.size=3"],
    ["shape.name=n", "shape=round,square", "db=mysql,postgres", "db.login.user=a,b"],
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("overrides", ENTANGLED, ids=" ".join)
def test_what_is_written_twice_equals_hydra(composer: Composer, overrides: list[str]) -> None:
    expected, got = compared(composer, overrides, list(range(8)))
    assert got == expected != "refused"


def test_types_survive(composer: Composer) -> None:
    statement = read(composer, ["plain=1,1.0,true,'1',null"])
    values = [config["plain"] for config in configs(composer, statement, [(i,) for i in range(5)])]
    assert [(type(v), v) for v in values] == [(int, 1), (float, 1.0), (bool, True), (str, "1"), (type(None), None)]


def test_leaves_spare_compositions(own: Composer) -> None:
    """The product of groups is not composed combination by combination: that is what makes large sweeps quick."""
    product = Product(own, read(own, ["activation=glob(*)", "init=glob(*)", "optimizer=adam,sgd"]))
    assert len(product.composed) == 1
    assert len(ACTIVATIONS) * len(INITS) * 2 > 500


def test_entangled_groups_are_left_to_hydra(composer: Composer) -> None:
    """extra/loud writes into db: the groups cannot be exchanged one by one."""
    product = Product(composer, read(composer, ["extra=loud,other", "db=mysql,postgres"]))
    assert len(product.composed) == 4


def test_interpolation_of_hydras_own_node_needs_hydra(composer: Composer) -> None:
    with pytest.raises(NotPlain):
        Product(composer, read(composer, ["plain=${hydra:job.name},1"]))


SPEC_AXES = (
    "activation=relu,gelu,leaky_relu",
    "activation=glob(*,exclude=heaviside)",
    "init=zeros,orthogonal,torch_default",
    "optimizer=adam,sgd,rmsprop",
    "optimizer.lr=0.01,0.03,1",
    "model.hidden=[2],[4],[8,8]",
    "model=mlp,perceptron",
    "loss=bce,mse,cross_entropy",
    "data=xor,and,parity",
    "seed=range(0,4)",
    "replicates=1,2,5",
    "train.epochs=10,20",
    "train.log_every=${train.epochs},1",
    "solved.tolerance=0.1,0.4",
    "dtype=float32,float64",
)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    axes=st.lists(st.sampled_from(SPEC_AXES), min_size=1, max_size=3, unique_by=lambda axis: axis.split("=")[0]),
    picks=st.lists(st.integers(0, 1000), min_size=1, max_size=3),
)
def test_cells_equal_specs_of_hydras_configs(own: Composer, axes: list[str], picks: list[int]) -> None:
    """Each sampled job of Hydra states the spec of the cell in its place, or one whose fault the whole sweep
    reports."""
    lines = lines_of_hydra(own, axes)
    jobs = {
        i: attempt(lambda i=i: checked_mapping(split(own.mapping(lines[i]))[0]))
        for i in {pick % len(lines) for pick in picks}
    }
    try:
        got, _ = plan(axes, own)
    except SpecError:
        assume("refused" in jobs.values())
        return
    specs = {cell.spec for cell in got.cells}
    assert set(jobs.values()) <= specs
    if not got.duplicates:
        assert {i: got.cells[i].spec for i in jobs} == jobs


def test_choices_lead_back_to_the_cell(own: Composer) -> None:
    got, _ = plan(["activation=relu,leaky_relu", "model.hidden=[4],[8,8]", "optimizer.lr=0.1,1e-3"], own)
    assert got.axes == ("activation", "model.hidden", "optimizer.lr")
    for cell in got.cells:
        assert checked_mapping(split(own.mapping([f"{k}={v}" for k, v in cell.choices]))[0]) == cell.spec


def test_zip_moves_axes_together(own: Composer) -> None:
    got, _ = plan(
        ["optimizer=adam,sgd", "seed=1,2", "optimizer.lr=0.1,0.5", "sweep.zip=[[optimizer,optimizer.lr]]"], own
    )
    assert [(c.spec.optimizer.name, c.spec.seed, c.spec.optimizer["lr"]) for c in got.cells] == [
        ("adam", 1, 0.1),
        ("adam", 2, 0.1),
        ("sgd", 1, 0.5),
        ("sgd", 2, 0.5),
    ]


def test_exclude_leaves_out_what_matches_all_items(own: Composer) -> None:
    got, _ = plan(
        ["activation=relu,tanh", "model.hidden=[4],[8]", "sweep.exclude=[{activation:relu,model.hidden:[8]}]"], own
    )
    assert [(c.spec.activation.name, c.spec.model["hidden"]) for c in got.cells] == [
        ("relu", (4,)),
        ("tanh", (4,)),
        ("tanh", (8,)),
    ]


def test_include_adds_cells(own: Composer) -> None:
    added = "sweep.include=[{activation:sine,optimizer.lr:0.01},{model:perceptron,activation:sigmoid}]"
    got, _ = plan(["activation=relu,tanh", "seed=3,4", added], own)
    assert len(got.cells) == 6
    assert got.cells[4].spec.activation.name == "sine"
    assert got.cells[4].choices == (("activation", "sine"), ("seed", "3"))
    assert got.cells[4].spec.optimizer["lr"] == 0.01
    assert got.cells[5].spec.model.name == "perceptron"


def test_the_activations_of_a_perceptron_are_different_cells(own: Composer) -> None:
    got, _ = plan(["model=perceptron", "activation=auto,tanh,leaky_relu", "loss=mse"], own)
    assert [cell.spec.model["output"] for cell in got.cells] == ["sigmoid", "tanh", "leaky_relu"]
    with pytest.raises(
        SpecError, match=r"activation.name must be sigmoid with loss=bce, but got 'tanh'; .* \(1 of 4 cells\)"
    ):
        plan(["model=mlp,perceptron", "activation=sigmoid,tanh"], own)


def test_duplicates_run_once_and_are_counted(own: Composer) -> None:
    got, _ = plan(["seed=1,2,1", "optimizer.lr=1,1.0"], own)
    assert (len(got.cells), got.duplicates) == (2, 4)


def test_shards_share_the_cells(own: Composer) -> None:
    axes = ["activation=relu,tanh", "seed=range(0,5)"]
    whole = plan(axes, own)[0].cells
    parts = [plan([*axes, f"shard={i}/3"], own)[0].cells for i in range(3)]
    assert [len(part) for part in parts] == [4, 3, 3]
    assert {c for part in parts for c in part} == set(whole)
    assert parts[1] == whole[1::3]


def test_fixed_overrides_are_no_axes(own: Composer) -> None:
    got, _ = plan(["activation=leaky_relu", "activation.negative_slope=0.3", "seed=1,2"], own)
    assert got.axes == ("seed",)
    assert {c.spec.activation["negative_slope"] for c in got.cells} == {0.3}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["activation=relu,tanhh", "seed=1,2"], "'tanhh'; did you mean 'tanh'"),
        (["seed=-1,-2,3"], r"seed must be .*but got -1, -2; .*\(2 of 3 cells\)"),
        (
            ["activation=relu,leaky_relu", "activation.negative_slope=0.1,0.2"],
            r"negative_slope is not a known key.*\(2 of 4 cells\)",
        ),
        (
            ["seed=4294967290,7", "replicates=3,20"],
            r"replicates must be at most 4294967296, but got 4294967290 \+ 20; .*\(1 of 4 cells\)",
        ),
        (
            ["seed=-1,2", "activation=relu,leaky_relu", "activation.negative_slope=0.1,0.2"],
            r"(?s)negative_slope is not .*\(4 of 8 cells\).*seed must be .*\(4 of 8 cells\)",
        ),
        (["seed=interval(0,1)"], "an interval has no end of values"),
        (["seed=range(0,10,0)"], "seed must be a list of values .*zero"),
        (["seed=range(0,2000000)"], "seed must have 1 to 1000000 values, but got range"),
        (
            ["seed=range(0,2000)", "replicates=range(1,2000)"],
            "the sweep must have at most 1000000 cells, but got 3998000",
        ),
        (["activation=glob(*)", "activation@x=glob(*)"], "activation"),
        (["seed=range(0,3),7"], "seed must not have a range or a choice inside its list"),
        (["seed=range(3,3)"], "seed must have 1 to 1000000 values"),
        (["replicates=auto,3"], "replicates must be the same in all cells"),
        (["train.workers=1,2"], "train.workers must be the same in all cells"),
        (["tracking=off,mlflow"], "tracking.enabled must be the same in all cells"),
        (["hydra.verbose=true,false"], "cannot be swept: it is Hydra's own"),
        (["seed=1,2", "sweep.zip=[[seed,activation]]"], "sweep.zip must name axes of the sweep, but got 'activation'"),
        (
            ["seed=1,2", "activation=relu,elu,tanh", "sweep.zip=[[seed,activation]]"],
            "equally many values, but got seed has 2, activation has 3",
        ),
        (
            ["seed=1,2", "sweep.exclude=[{sed:1}]"],
            "sweep.exclude must name axes of the sweep, but got 'sed'; did you mean 'seed'",
        ),
        (["seed=1,2", "sweep.exclude=[{seed:3}]"], "must name values of the axis seed, but got 3; available: 1, 2"),
        (["seed=1,2", "sweep.exclude=[{seed:1},{seed:2}]"], "must leave a cell"),
        (["seed=1,2", "sweep.include=[{activation:siine}]"], "'siine'; did you mean 'sine'"),
        (["seed=1,2", "sweep.zip=3"], "sweep.zip must be a list"),
        (["seed=1,2", "shard=2/2"], "shard must be i/K with 0 <= i < K, but got 2/2"),
        (
            ["loss=bce,cross_entropy", "model.output=sigmoid", "seed=range(0,9)"],
            r"softmax with loss=cross_entropy.*\(9 of 18 cells\)",
        ),
    ],
)
def test_faults_of_sweeps(own: Composer, overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan(overrides, own)


def test_all_faults_of_all_cells_at_once(own: Composer) -> None:
    bad = [
        "activation=relu,tanhh",
        "optimizer.lr=0.1,nan",
        "seed=range(-1,300)",
        "model.hiden=[3]",
        "===",
        "train.epochs=0",
    ]
    with pytest.raises(SpecError) as refused:
        plan(bad, own)
    said = str(refused.value)
    for part in ("tanhh", "optimizer.lr", "seed must", "model.hiden", "'==='", "train.epochs"):
        assert part in said
    assert len(said.splitlines()) == 6


def test_layout_without_axes_is_one_row() -> None:
    assert layout(Statement((), (), (), ()), Sweep()) == ([()], [])


def test_ten_thousand_cells_are_as_many_specs(own: Composer) -> None:
    """How long they take to expand is for ``benchmarks/sweep.py`` to say."""
    axes = [
        "activation=relu,gelu,tanh,sigmoid,leaky_relu",
        "init=kaiming_uniform,xavier_uniform,zeros,orthogonal",
        "seed=range(0,500)",
    ]
    got, _ = plan(axes, own)
    assert len({cell.spec for cell in got.cells}) == 10_000


def test_who_watches_an_expansion_is_told_how_many_cells_there_are_before_the_first_is_made() -> None:
    from nnspec.sweep import expand

    told: list[object] = []

    def watch(cells: Any, total: int) -> Any:
        told.append(total)
        for number, cell in enumerate(cells):
            told.append(number)
            yield cell

    found = expand(["seed=range(0,5)", "activation=relu,tanh"], Settings(), Composer(), watch)
    assert len(found.cells) == 10
    assert told == [10, *range(10)]
