"""nnspec from Python: train, load, table, and how little an import costs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import nnspec
from nnspec.errors import NnspecError, SpecError, TrackingError, TrainingError
from nnspec.intervals import wilson_interval
from nnspec.settings import Tracking
from nnspec.specs import Member, RunSpec
from nnspec.tracking import open_store
from nnspec.tracking.records import PARENT_TAG

SpecOf = Callable[..., RunSpec]
pytestmark = pytest.mark.usefixtures("folder")
URI = "sqlite:///mlflow.db"


def weights(net: torch.nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


def test_train_gives_arrays_and_a_table_and_writes_nothing(spec_of: SpecOf, folder: Path) -> None:
    spec = spec_of(activation="gelu", replicates=3, train={"epochs": 50})
    result = nnspec.train(spec, workers=1)
    assert list(folder.iterdir()) == []
    assert result.run_ids == ()
    assert result.result.loss.shape == (3, 6)
    assert result.table["seed"].tolist() == [0, 1, 2]
    assert result.verdicts[0].shape == (3,)
    for replicate in range(3):
        net = result.net(replicate)
        with torch.no_grad():
            outputs = net(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).numpy()
        np.testing.assert_allclose(
            outputs, result.result.outputs[replicate], rtol=1e-5, atol=1e-6
        )  # float32, sums in another order


def shown(result: nnspec.TrainResult) -> list[str]:
    return repr(result).splitlines()


def test_a_result_prints_as_what_became_of_its_networks(spec_of: SpecOf) -> None:
    result = nnspec.train(spec_of(activation="gelu", replicates=200, train={"epochs": 60}), workers=1)
    one = result.result
    solved = int(one.solved.sum())
    first, loss, rate, verdict = shown(result)
    assert first == "mlp 2-4-1 gelu, kaiming_uniform, adam lr 0.1, bce on xor, 60 epochs: 200 networks"
    assert loss.startswith(f"final loss  {np.median(one.final_loss):.4g} (median; 10% to 90%: ")
    low, high = (f"{limit:.1%}" for limit in wilson_interval(solved, 200))
    at = f"{np.median(one.solved_at[one.solved]):g}"
    assert (
        rate
        == f"solved      {solved} of 200 = {solved / 200:.1%} [{low}, {high}] (95% Wilson), from epoch {at} (median)"
    )
    assert all(f"{name} {(result.verdicts[0] == name).mean():.1%}" in verdict for name in np.unique(result.verdicts[0]))
    assert repr(one).splitlines() == ["200 networks of seed 0 on, 7 rows of history up to epoch 60", loss, rate]
    assert str(result) == repr(result)


def test_a_result_of_many_cells_says_what_its_numbers_count(spec_of: SpecOf) -> None:
    """Passes where every update is one, else updates; and when networks stopped, where they may."""
    train, solved = {"epochs": 60, "log_every": 1, "stop": "solved"}, {"at_least": 0.8}
    specs = [
        spec_of(data="iris", loss="cross_entropy", activation="tanh", seed=seed, solved=solved, train={**train, **own})
        for seed, own in enumerate(({}, {"batch_size": 40}))
    ]
    result = nnspec.train(specs, workers=1)
    ends = [int(one.stopped_at[0]) for one in result.results]
    assert result.table["stopped_at"].tolist() == ends
    assert shown(result)[2].endswith(f"from update {np.median(ends):g} (median)")
    assert shown(result)[3] == f"stopped     2 of 2, at update {np.median(ends):g} (median)"
    assert shown(nnspec.train([specs[0]] * 2, workers=1))[3] == f"stopped     2 of 2, at epoch {ends[0]} (median)"


def test_a_result_of_many_cells_prints_as_much_as_one_of_one(spec_of: SpecOf) -> None:
    result = nnspec.train(
        [spec_of(activation=a, seed=s, train={"epochs": 5}) for a in ("relu", "gelu") for s in range(30)], workers=1
    )
    assert shown(result)[0] == "60 cells: 60 networks"
    assert len(shown(result)) == 4


def test_one_network_prints_without_an_interval(spec_of: SpecOf) -> None:
    result = nnspec.train(spec_of(activation="tanh", train={"epochs": 300}), workers=1)
    assert shown(result)[2:] == [f"solved      yes, from epoch {result.result.solved_at[0]}", "verdict     solved"]


def test_a_notebook_shows_a_table_and_a_figure(spec_of: SpecOf) -> None:
    for several in (
        [spec_of(replicates=3)],
        [spec_of(activation=a, replicates=3, train={"epochs": 20}) for a in ("relu", "gelu")],
    ):
        html = nnspec.train(several, workers=1)._repr_html_()
        assert html.count("<table") == html.count('src="data:image/png;base64,') == 1


@pytest.mark.parametrize("several", [False, True])
def test_what_training_gives_is_what_is_filed_column_by_column(spec_of: SpecOf, several: bool) -> None:
    specs = [
        spec_of(activation=a, replicates=2, train={"epochs": 40}) for a in (("relu", "gelu") if several else ("relu",))
    ]
    result = nnspec.train(specs, tracking=URI, workers=1)
    store = open_store(Tracking(uri=URI))
    run_id = store.get(result.run_ids[0]).tags[PARENT_TAG] if several else result.run_ids[0]
    filed = nnspec.table(run_id, uri=URI)
    names = result.table.columns.tolist()
    measured = names[names.index("seed") :]
    assert filed.columns.tolist() == (names if several else ["cell", "run_id", *measured])
    assert {"init_dead_rows", "dead_units", "gradient_norm", "plateau_loss"} < set(measured)
    by = [name for name in ("activation.name", "seed") if name in names]  # cells are filed as they come
    alike = [table.sort_values(by, ignore_index=True)[measured] for table in (filed, result.table)]
    pd.testing.assert_frame_equal(*alike)
    if several:
        own = pd.read_parquet(io.BytesIO(store.artifact(run_id, "results.parquet")))
        pd.testing.assert_frame_equal(own, result.table.drop(columns="activation"))


def test_several_specs_come_back_in_their_order(spec_of: SpecOf) -> None:
    specs = [spec_of(loss=loss, seed=seed, train={"epochs": 5}) for loss, seed in (("mse", 3), ("bce", 4), ("mse", 5))]
    result = nnspec.train(specs, workers=1)
    assert [one.spec for one in result.results] == specs
    assert result.table["seed"].tolist() == [3, 4, 5]
    assert result.table["loss.name"].tolist() == ["mse", "bce", "mse"]
    with pytest.raises(NnspecError, match="3 were trained; use results"):
        result.result  # noqa: B018
    alone = nnspec.train(specs[2], workers=1)
    assert weights(result.net(cell=2)) == weights(alone.net())


def test_one_spec_in_a_list_is_one_spec(spec_of: SpecOf) -> None:
    assert nnspec.train([spec_of(train={"epochs": 2})], workers=1).result.spec.train.epochs == 2


def test_a_spec_with_faults_is_refused(spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match="must be a known activation"):
        nnspec.train(replace(spec_of(), activation=Member("geluu")))


def test_networks_that_could_not_train_are_an_error(spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch) -> None:
    import nnspec.execute.engine as training
    from nnspec.execute.pool import Lost

    monkeypatch.setattr(training, "train_chunks", lambda *_: (event for event in [Lost(0, "out of memory")]))
    with pytest.raises(TrainingError, match="spec 0 did not train: out of memory"):
        nnspec.train(spec_of(train={"epochs": 2}))


def test_what_is_loaded_is_what_was_trained_bit_by_bit(spec_of: SpecOf) -> None:
    spec = spec_of(activation="prelu", replicates=3, seed=4, train={"epochs": 40})
    result = nnspec.train(spec, tracking=URI, workers=1)
    (run_id,) = result.run_ids
    for replicate in range(3):
        assert weights(nnspec.load(run_id, replicate, uri=URI)) == weights(result.net(replicate))
        assert weights(nnspec.load(run_id, replicate, uri=URI, weights="initial")) == weights(
            nnspec.build(spec, 4 + replicate)
        )
    assert weights(nnspec.load(run_id, uri=URI)) == weights(result.net(0)) != weights(result.net(1))
    assert str(nnspec.load(run_id, uri=URI)) == str(nnspec.build(spec))


def test_a_single_network_is_loaded_too(spec_of: SpecOf) -> None:
    result = nnspec.train(spec_of(dtype="float64", train={"epochs": 3}), tracking=True, workers=1)
    net = nnspec.load(result.run_ids[0])  # the store is where the command line files
    assert weights(net) == weights(result.net())
    assert next(net.parameters()).dtype == torch.float64


@pytest.mark.parametrize(("replicates", "wrong"), [(1, 1), (3, 3), (3, -1)])
def test_a_replicate_that_is_not_there_is_refused(spec_of: SpecOf, replicates: int, wrong: int) -> None:
    (run_id,) = nnspec.train(spec_of(replicates=replicates, train={"epochs": 2}), tracking=URI, workers=1).run_ids
    with pytest.raises(NnspecError, match=f"replicate must be one of the run's {replicates}, from 0, but got {wrong}"):
        nnspec.load(run_id, wrong, uri=URI)


def test_what_cannot_be_loaded_is_refused(spec_of: SpecOf) -> None:
    result = nnspec.train(spec_of(train={"epochs": 2}), tracking=URI, workers=1)
    with pytest.raises(NnspecError, match="weights must be 'final' or 'initial', but got 'best'"):
        nnspec.load(result.run_ids[0], uri=URI, weights="best")
    with pytest.raises(TrackingError, match="must exist"):
        nnspec.load("f" * 32, uri=URI)


def test_the_table_of_a_run_and_of_a_sweep(spec_of: SpecOf) -> None:
    specs = [spec_of(activation=a, replicates=2, train={"epochs": 100}) for a in ("relu", "gelu")]
    result = nnspec.train(specs, tracking=URI, workers=1)
    one = nnspec.table(result.run_ids[1], uri=URI)
    assert one["final_loss"].tolist() == result.results[1].final_loss.tolist()
    parent = open_store(Tracking(uri=URI)).get(result.run_ids[0]).tags[PARENT_TAG]
    both = nnspec.table(parent, uri=URI).sort_values(["activation.name", "seed"])
    expected = result.table.sort_values(["activation.name", "seed"])
    for column in ("seed", "final_loss", "solved", "verdict"):
        assert both[column].tolist() == expected[column].tolist()


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "mlflow", "hydra", "pandas", "matplotlib", "sqlalchemy", "numpy")
    code = f"import sys, nnspec; print([name for name in {heavy} if name in sys.modules])"
    root = Path(nnspec.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(root), "PATH": ""},
    )
    assert done.stdout.strip() == "[]"


def test_what_is_promised_is_there() -> None:
    import nnspec.builder
    import nnspec.specs  # whatever is imported first, these are the functions: a submodule of that name would hide them

    for name in nnspec.__all__:
        assert callable(getattr(nnspec, name)), name
    with pytest.raises(AttributeError, match="module 'nnspec' has no attribute 'trian'"):
        nnspec.trian  # noqa: B018


def test_what_is_no_spec_is_named(spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match=r"specs must be specs, but got 'activation=relu'"):
        nnspec.train(["activation=relu"])  # type: ignore[list-item]
    with pytest.raises(SpecError, match="overrides must be a list of texts"):
        nnspec.spec("activation=relu")
    with pytest.raises(SpecError, match="overrides must be a list of texts"):
        nnspec.sweep(spec_of())


def test_a_network_that_is_not_there_is_named(spec_of: SpecOf) -> None:
    result = nnspec.train(spec_of(replicates=2, train={"epochs": 1}))
    for place in ({"replicate": 2}, {"replicate": -1}, {"cell": 1}):
        with pytest.raises(NnspecError, match=r"must be one of [12], from 0, but got (2|-1|1)"):
            result.net(**place)
