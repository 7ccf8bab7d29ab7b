"""Graphs of trained networks give the outputs of the built module where nnspec is not."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from nnspec.builder import build, with_weights
from nnspec.catalog import ACTIVATIONS, MODELS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.exporting.graphs import onnx, pt2
from nnspec.exporting.trained import ExportError, Trained
from nnspec.params import Boolean, Param
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]
RUNNER = """
import sys, warnings
sys.modules["nnspec"] = None
warnings.simplefilter("ignore")
import pathlib, torch
from safetensors.torch import load_file, save_file
folder = pathlib.Path(sys.argv[1])
rows = load_file(folder / "rows.safetensors")
outputs = {}
for path in folder.glob("*.pt2"):
    net = torch.export.load(path).module()
    outputs |= {f"{path.stem}.{name}": net(x) for name, x in rows.items()}
save_file(outputs, folder / "outputs.safetensors")
"""


def untrained(spec: RunSpec) -> Trained:
    """The network of a spec before any update, as one that has trained: a graph is the same for both."""
    weights = {name: tensor.numpy() for name, tensor in build(spec).state_dict().items()}
    return Trained("0" * 32, spec, 0, weights, weights, 0.0, 0.0, False, "")


@pytest.fixture(scope="module")
def networks(spec_of: SpecOf) -> dict[str, Trained]:
    kinds = ("sine", "rrelu", "prelu", "gelu")
    fields: dict[str, dict[str, object]] = {name: {"activation": name, "dtype": "float64"} for name in kinds}
    rule = {"model": "perceptron", "activation": "heaviside", "optimizer": "perceptron_rule", "loss": "mse"}
    fields["heaviside"] = rule | {"data": "and", "dtype": "float64", "init": "normal"}
    fields["softmax"] = {"loss": "cross_entropy", "dtype": "float64"}
    return {name: untrained(spec_of(**given)) for name, given in fields.items()}


class Paths(torch.nn.Module):
    """A module as a user writes it; where it asks for a number on its way, torch cannot trace it."""

    def __init__(self, inputs: int, outputs: int, asks: bool):
        super().__init__()
        self.a, self.b, self.asks = torch.nn.Linear(inputs, outputs), torch.nn.Linear(inputs, outputs), asks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.asks and x.sum().item() > 0:
            return x
        return torch.tanh(self.a(x)) * self.b(x)


@pytest.fixture
def paths() -> Iterator[str]:
    """The name of a model that is such a module."""
    asks = Param("asks", False, Boolean(), "for a number")
    MODELS.add(Model("paths", "of a test", lambda p: (), None, (asks, OUTPUT), module=Paths))
    yield "paths"
    MODELS.remove("paths")


ROWS = {f"n{count}": torch.linspace(-2, 2, 2 * count, dtype=torch.float64).reshape(count, 2) for count in (1, 4, 9)}


def expected(network: Trained, rows: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(with_weights(network.spec, network.final)(rows))


def pickles(content: bytes) -> list[str]:
    """What in an archive is a pickle, or another archive, as torch's old files are."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [name for name in archive.namelist() if archive.read(name)[:2] in (b"PK", b"\x80\x02", b"\x80\x04")]


def test_pt2_gives_the_outputs(networks: dict[str, Trained]) -> None:
    for name in ("sine", "heaviside"):  # classes that torch does not have
        content = pt2(networks[name])
        assert pickles(content) == []
        net = torch.export.load(io.BytesIO(content)).module()
        for rows in ROWS.values():
            np.testing.assert_allclose(net(rows).detach(), expected(networks[name], rows), rtol=0, atol=1e-15)


def test_a_module_of_a_user_s(paths: str, spec_of: SpecOf) -> None:
    network = untrained(spec_of(model=paths, init="torch_default", dtype="float64"))
    net = torch.export.load(io.BytesIO(pt2(network))).module()
    np.testing.assert_allclose(net(ROWS["n4"]).detach(), expected(network, ROWS["n4"]), rtol=0, atol=1e-15)


def test_a_module_that_torch_cannot_trace(paths: str, spec_of: SpecOf, capfd: pytest.CaptureFixture[str]) -> None:
    network = untrained(spec_of(model={"name": paths, "asks": True}, init="torch_default"))
    with pytest.raises(ExportError, match=r"must be a module that torch\.export can trace, but got model=paths \("):
        pt2(network)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_pt2_without_nnspec(networks: dict[str, Trained], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file(ROWS, tmp_path / "rows.safetensors")
    for name, network in networks.items():
        (tmp_path / f"{name}.pt2").write_bytes(pt2(network))
    done = subprocess.run([sys.executable, "-c", RUNNER, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = load_file(tmp_path / "outputs.safetensors")
    for name, network in networks.items():
        for count, rows in ROWS.items():
            np.testing.assert_allclose(outputs[f"{name}.{count}"], expected(network, rows), rtol=0, atol=1e-15)


def assert_same_in_onnx(network: Trained) -> None:
    session = pytest.importorskip("onnxruntime").InferenceSession(onnx(network))
    for rows in ROWS.values():
        (outputs,) = session.run(["outputs"], {"inputs": rows.float().numpy()})
        whole = rows if network.spec.dtype == "float64" else rows.float()
        np.testing.assert_allclose(outputs, expected(network, whole), rtol=1e-5, atol=1e-6)


def test_onnx(networks: dict[str, Trained]) -> None:
    pytest.importorskip("onnxscript")
    assert_same_in_onnx(networks["rrelu"])


@pytest.mark.slow
def test_every_activation_as_onnx(networks: dict[str, Trained], spec_of: SpecOf) -> None:
    pytest.importorskip("onnxscript")
    others = [untrained(spec_of(activation=entry.name)) for entry in ACTIVATIONS if entry.trainable]
    for network in [networks["heaviside"], networks["softmax"], *others]:
        assert_same_in_onnx(network)


def test_onnx_names_what_is_missing(networks: dict[str, Trained], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ExportError, match=r"needs the extra nnspec\[onnx\], .*without onnx.*pip install 'nnspec\[onnx\]'"
    ):
        onnx(networks["sine"])
