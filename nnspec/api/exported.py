"""Filed runs as files, from Python."""

from __future__ import annotations

from pathlib import Path

from nnspec.exporting import export_run
from nnspec.tracking import find_run, opened


def export(
    run: str, format: str, out: str | Path | None = None, *, replicate: int | None = None, uri: str | None = None
) -> str | Path:
    """A filed run in a format: 'experiment', 'spec', 'script' (plain PyTorch), 'pt2' (a graph for torch), 'onnx' or
    'safetensors' (weights). Written to ``out``, its path is returned; a text without ``out`` is returned itself.

    ``replicate`` picks one of several networks (unsaid: the solved one with the lowest final loss).

    Raises:
        TrackingError: there is no such run, or it has no results or weights.
        NnspecError: there is no such format, it cannot say this run, or holds no text and no ``out`` is given.
        PathError: ``out`` cannot be written.
    """
    with opened(uri) as store:
        text = export_run(store, find_run(store, run), format, out, replicate)
    return text if out is None else Path(out)
