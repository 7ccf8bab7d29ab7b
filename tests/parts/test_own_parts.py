"""Parts of a user's own: what is refused before anything trains, what is lost when one fails later, what is kept."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnspec
from nnspec.catalog import Activation
from nnspec.catalog.origins import ORIGINS
from nnspec.check import checked_mapping
from nnspec.errors import SpecError, TrackingError
from nnspec.execute.elsewhere import Surroundings
from nnspec.execute.pool import Finished, Lost, train_chunks
from nnspec.journal.searching import best_command
from nnspec.parts import load
from nnspec.parts.loading import loaded
from nnspec.results.outcome import Outcome
from nnspec.search.objectives import Found
from nnspec.specs import RunSpec
from nnspec.tracking.artifacts import source_files
from nnspec.training.plan import Chunk, Share, stack_key

SpecOf = Callable[..., RunSpec]
Declare = Callable[[str], Path]
SWOOSH = '''
@nnspec.activation("swoosh", beta=1.5)
def swoosh(xp, z, p):
    """z sigmoid(beta z)"""
    return z * xp.sigmoid(p["beta"] * z)
'''
BROKEN = {
    "raises": ("raise RuntimeError('boom')", r"\(my_parts.py, line 5\) must not raise RuntimeError, but got boom"),
    "wrong shape": ("return xp.exp(z)[0]", r"\(my_parts.py, line 3\) must give real numbers of the shape"),
    "in place": ("z += 1; return z", r"\(my_parts.py, line 3\) must leave its input as it is"),
}
CHATTY = '''
@nnspec.optimizer("chatty", lr=0.5)
def chatty(w, g, state, p):
    """w - lr g"""
    print("hello")
    return w - p["lr"] * g, ()
'''
DIES = '''
@nnspec.optimizer("dies", lr=0.5)
def dies(w, g, state, p):
    """raises as it trains"""
    raise ValueError("bang")
'''


@pytest.mark.parametrize("how", BROKEN)
def test_a_formula_that_does_what_it_must_not_is_refused_with_its_line(
    how: str, declare: Declare, spec_of: SpecOf
) -> None:
    body, message = BROKEN[how]
    declare(f'@nnspec.activation("broken")\ndef broken(xp, z, p):\n    """broken"""\n    {body}\n')
    with pytest.raises(SpecError, match=rf"the activation 'broken' {message}"):
        spec_of(activation="broken")


def test_a_wrong_derivative_is_refused(declare: Declare, spec_of: SpecOf) -> None:
    declare(SWOOSH.replace("beta=1.5", "beta=1.5, slope=lambda xp, z, h, p: 1 + 0 * z"))
    with pytest.raises(SpecError, match=r"'swoosh' \(my_parts.py, line 4\) must have the derivative of its formula"):
        spec_of(activation="swoosh")


def test_a_part_that_is_declared_again_is_looked_at_again(declare: Declare, spec_of: SpecOf) -> None:
    declare("")
    bad = lambda xp, z, p: z[0]  # noqa: E731
    good = lambda xp, z, p: xp.tanh(z) * 2  # noqa: E731
    nnspec.activation("anew_")(bad)
    with pytest.raises(SpecError, match="shape of its input"):
        spec_of(activation="anew_")
    nnspec.activation("anew_")(good)
    nnspec.activation("other_")(good)
    assert spec_of(activation="anew_").activation.name == "anew_"


def test_the_module_and_the_network_by_hand_agree_on_a_formula_of_a_users(declare: Declare, spec_of: SpecOf) -> None:
    declare(SWOOSH)
    spec = spec_of(activation={"name": "swoosh", "beta": 2.0}, dtype="float64")
    network = nnspec.build(spec)
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    weights = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    hidden = x.numpy() @ weights[next(iter(weights))].T + weights[list(weights)[1]]
    last = hidden / (1 + np.exp(-2.0 * hidden)) @ weights[list(weights)[2]].T + weights[list(weights)[3]]
    np.testing.assert_allclose(network(x).detach().numpy(), 1 / (1 + np.exp(-last)), rtol=1e-12)


def test_a_name_of_nnspecs_is_taken(declare: Declare) -> None:
    with pytest.raises(SpecError, match=r"'relu', and nnspec has one; rename it"):
        declare(SWOOSH.replace('"swoosh"', '"relu"'))


def test_a_filed_spec_says_where_a_missing_part_came_from(declare: Declare, spec_of: SpecOf) -> None:
    path = declare(SWOOSH)
    mapping: dict[str, Any] = spec_of(activation="swoosh").to_mapping()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert mapping["activation"]["source"] == f"my_parts.py@{digest}"
    gone = {**mapping, "activation": {**mapping["activation"], "name": "swosh"}}
    with pytest.raises(SpecError, match=rf"a part of my_parts.py@{digest}: give that file with --parts my_parts.py"):
        checked_mapping(gone)


def test_a_filed_spec_is_refused_with_another_source(declare: Declare, spec_of: SpecOf) -> None:
    declare(SWOOSH)
    mapping: dict[str, Any] = spec_of(activation="swoosh").to_mapping()
    other = "my_parts.py@" + "0" * 16
    own = mapping["activation"]["source"]
    with pytest.raises(SpecError, match=rf"must be that of .* {own}, but got {other}"):
        checked_mapping({**mapping, "activation": {**mapping["activation"], "source": other}})


def test_the_archive_keeps_the_text_of_what_a_spec_names(declare: Declare, spec_of: SpecOf) -> None:
    path = declare(SWOOSH)
    (name, text), *others = source_files(spec_of(activation="swoosh")).items()
    assert others == []
    assert name.endswith("/my_parts.py.txt")
    assert text() == path.read_bytes()
    assert source_files(spec_of()) == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_part_that_fails_as_it_trains_loses_its_own_cells_only(
    workers: int, declare: Declare, spec_of: SpecOf
) -> None:
    declare(DIES)
    specs = [spec_of(optimizer=name, train={"epochs": 3}) for name in ("sgd", "dies", "adam")]
    chunks = [Chunk((Share(cell, 0, 1),)) for cell in range(3)]
    events = list(train_chunks(specs, chunks, workers, lambda specs, chunk, trained: None))
    assert sorted(event.chunk for event in events if isinstance(event, Finished)) == [0, 2]
    (lost,) = [event for event in events if isinstance(event, Lost)]
    assert lost.reason == (
        "the optimizer 'dies' (my_parts.py, line 6) must not raise ValueError, but got bang; mend my_parts.py"
    )


def test_cells_of_a_part_share_no_stack_with_others(declare: Declare, spec_of: SpecOf) -> None:
    declare(SWOOSH)
    assert stack_key(spec_of(activation="tanh")) == stack_key(spec_of(activation="relu"))
    assert stack_key(spec_of(activation="tanh")) != stack_key(spec_of(activation="swoosh"))


def test_what_a_part_prints_is_told_once_and_is_no_result(
    declare: Declare, spec_of: SpecOf, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(CHATTY)
    nnspec.train(spec_of(optimizer="chatty", train={"epochs": 3}))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("the optimizer 'chatty' (my_parts.py, line 4) prints") == 1


def test_a_job_of_a_launcher_takes_the_files_of_parts_along(declare: Declare) -> None:
    path = declare(SWOOSH)
    assert path in loaded()
    taken = Surroundings.here()
    assert [file for file, _ in taken.parts] == list(loaded())
    path.write_text("import nnspec\n")  # as on a machine that has another one
    with pytest.raises(SpecError, match=r"--parts must be the same file on every machine"):
        taken.enter()


def test_a_file_that_does_not_run_is_named_with_its_line(folder: Path) -> None:
    (folder / "bad.py").write_text("\n\n1 / 0\n")
    with pytest.raises(SpecError, match=r"bad.py, line 3, must run as a file of parts, but got ZeroDivisionError"):
        load([folder / "bad.py"])


def test_a_sweep_of_another_file_of_parts_is_not_resumed(declare: Declare) -> None:
    declare(SWOOSH)
    words = ["activation=swoosh,tanh", "train.epochs=3", "sweep.report=false"]
    swept = nnspec.sweep(words, tracking=True)
    assert nnspec.sweep([*words, f"resume={swept.run_id}"], tracking=True).run_id == swept.run_id
    kept = ORIGINS[Activation, "swoosh"]
    ORIGINS[Activation, "swoosh"] = replace(kept, digest="0" * 64)  # as of an edited file
    with pytest.raises(
        TrackingError, match=r"resume must be given the parts of the sweep, my_parts.py@\w+, but got my"
    ):
        nnspec.sweep([*words, f"resume={swept.run_id}"], tracking=True)


def test_the_command_of_a_searchs_best_cell_names_the_file(declare: Declare) -> None:
    path = declare(SWOOSH)
    outcome = Outcome([nnspec.spec(["activation=swoosh"])], ["activation"])
    command = f"nnspec run --parts {path} -m hydra/sweeper=nnspec_search activation=relu,swoosh sweep.trials=2"
    words = shlex.split(best_command(command, outcome, Found(("solve_rate",), {0: (1.0,)}, [0], 1, 0, "tpe")))
    assert words[:2] == ["nnspec", "run"]
    assert words[words.index(str(path)) - 1] == "--parts"
    assert "activation=swoosh" in words
