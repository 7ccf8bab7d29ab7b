"""A filed run in one of the forms that others can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.errors import Fault
from nnspec.exporting.specs import experiment, spec
from nnspec.exporting.trained import ExportError, Trained, read_trained
from nnspec.files import writable
from nnspec.terminal import complain

if TYPE_CHECKING:
    from nnspec.tracking import Store


@dataclass(frozen=True)
class Exported:
    """The content of a file; ``beside`` is that of the file of tensors that it reads, if it needs one."""

    content: bytes
    beside: bytes = b""


@dataclass(frozen=True)
class Format:
    """A form of a run: ``text`` says that a person can read it; ``of_run`` makes it of a run, ``of_network`` of a
    trained network, given the name of the file beside it (empty: there can be none)."""

    about: str
    text: bool = True
    of_run: Callable[[Store, str], str] | None = None
    of_network: Callable[[Trained, str], Exported] | None = None


def _script(trained: Trained, beside: str) -> Exported:
    from safetensors.numpy import save

    from nnspec.exporting.script import script

    made = script(trained, beside)
    return Exported(made.text.encode(), save(dict(made.tensors)) if made.tensors else b"")


def _pt2(trained: Trained, beside: str) -> Exported:
    from nnspec.exporting.graphs import pt2

    return Exported(pt2(trained))


def _onnx(trained: Trained, beside: str) -> Exported:
    from nnspec.exporting.graphs import onnx

    return Exported(onnx(trained))


def _safetensors(trained: Trained, beside: str) -> Exported:
    from nnspec.tracking.artifacts import weights_file, weights_metadata

    about = {"nnspec.run": trained.run_id, "nnspec.seed": str(trained.seed)}
    return Exported(weights_file(trained.final, weights_metadata(trained.spec) | about))


FORMATS = {
    "experiment": Format("the file of a named sweep that trains the same cells (experiment=FILE)", of_run=experiment),
    "spec": Format("the spec of a single run or of a cell (spec=FILE)", of_run=spec),
    "script": Format("plain PyTorch that builds and trains the network again without nnspec", of_network=_script),
    "pt2": Format("the trained network for torch.export.load(FILE).module()", False, of_network=_pt2),
    "onnx": Format("the trained network for ONNX runtimes (needs nnspec[onnx])", False, of_network=_onnx),
    "safetensors": Format("the trained weights by their names in the module", False, of_network=_safetensors),
}


def export_run(
    store: Store, run_id: str, format: str, out: str | Path | None = None, replicate: int | None = None
) -> str:
    """The file of a run in a format, written to ``out``; the text of one that a person can read is returned.

    ``replicate`` is the network of formats that hold one: unsaid, the best, which is then said on stderr.

    Raises:
        ExportError: there is no such format, it cannot say this run, or what is asked for does not go together.
        TrackingError: the run lacks what is needed.
        PathError: ``out`` cannot be written.
    """
    chosen = FORMATS.get(format)
    if chosen is None:
        raise ExportError(Fault("format", f"must be one of {', '.join(FORMATS)}", f"'{format}'", "choose one of them"))
    if not chosen.text and out is None:
        rule, remedy = "must be written to a file", f"add --out FILE, as --out net.{format}"
        raise ExportError(Fault(f"--format {format}", rule, "no --out", remedy))
    if chosen.of_run is not None and replicate is not None:
        rule = "must be left out of a format that holds no single network"
        raise ExportError(Fault("--replicate", rule, f"--format {format}", "leave it out"))
    beside = Path(out).parent / f"{Path(out).stem}_data.safetensors" if out is not None else None
    made = _made(chosen, store, run_id, format, replicate, beside.name if beside is not None else "")
    if out is not None:
        _write(Path(out), made, beside)
    return made.content.decode() if chosen.text else ""


def _made(chosen: Format, store: Store, run_id: str, format: str, replicate: int | None, beside: str) -> Exported:
    if chosen.of_run is not None:
        return Exported(chosen.of_run(store, run_id).encode())
    assert chosen.of_network is not None
    trained = read_trained(store, run_id, replicate, format)
    if replicate is None and trained.spec.replicates > 1:
        best = "which has the lowest final loss" + (" of those solved" if trained.solved else "; none is solved")
        number = f"network {trained.replicate} of {trained.spec.replicates}, from 0 (seed {trained.seed})"
        complain(f"{number}, {best}; --replicate takes another")
    return chosen.of_network(trained, beside)


def _write(path: Path, made: Exported, beside: Path | None) -> None:
    if made.beside and beside is not None:
        with writable("--out", beside) as target:
            target.write_bytes(made.beside)
        complain(f"its data are in {beside}")
    with writable("--out", path) as target:
        target.write_bytes(made.content)
