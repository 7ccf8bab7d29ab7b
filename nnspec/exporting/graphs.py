"""A trained network as a graph of operations, which torch or an ONNX runtime runs without nnspec."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec

import torch

from nnspec.architecture import architecture
from nnspec.builder import with_weights
from nnspec.errors import Fault, first_line
from nnspec.exporting.trained import ExportError, Trained

ROWS = 3  # of the example that is traced: torch takes 0 and 1 for constants
INPUTS, OUTPUTS = "inputs", "outputs"  # the names of both in ONNX
ONNX_DTYPE = "float32"


def evaluating(trained: Trained) -> torch.nn.Module:
    """The network with its trained weights, as it is asked and not trained."""
    net: torch.nn.Module = with_weights(trained.spec, trained.final).eval()
    for name, module in net.named_children():
        if isinstance(module, torch.nn.RReLU):  # what it is in evaluation; its own operation no other runtime has
            setattr(net, name, torch.nn.LeakyReLU((module.lower + module.upper) / 2))
    return net


def graph(trained: Trained, dtype: str) -> torch.export.ExportedProgram:
    """The network as torch traces it in a precision: inputs [n, i] to outputs [n, k], any n.

    Raises:
        ExportError: torch cannot trace it, as a user's module that asks for a number on its way.
    """
    kind = getattr(torch, dtype)
    example = torch.zeros(ROWS, architecture(trained.spec).inputs, dtype=kind)
    net = evaluating(trained).to(kind)
    try:
        with quiet("torch"):
            return torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    except Exception as error:  # a user's module may do and raise anything
        rule, remedy = "must be a module that torch.export can trace", "try --format safetensors"
        value = f"model={trained.spec.model.name} ({first_line(error)})"
        raise ExportError(Fault("the network", rule, value, remedy)) from error


def pt2(trained: Trained) -> bytes:
    """The file that ``torch.export.load(FILE).module()`` makes the network of. There is no pickle in it."""
    file, program = io.BytesIO(), graph(trained, trained.spec.dtype)
    program.example_inputs = None  # which torch would pickle
    with quiet("torch"):
        torch.export.save(program, file)
    return file.getvalue()


def onnx(trained: Trained) -> bytes:
    """An ONNX file with the input ``inputs`` and the output ``outputs``, in single precision: runtimes have few
    operations in double.

    Raises:
        ExportError: the packages that make it are not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        rule, remedy = "needs the extra nnspec[onnx]", "install it with: pip install 'nnspec[onnx]'"
        raise ExportError(Fault("--format onnx", rule, f"an environment without {' and '.join(missing)}", remedy))
    with quiet("torch"):
        program = torch.onnx.export(
            graph(trained, ONNX_DTYPE), dynamo=True, input_names=[INPUTS], output_names=[OUTPUTS], verbose=False
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Without what a library says on the way, which is not for whoever exports."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
