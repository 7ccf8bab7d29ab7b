"""Where the configs are. No Hydra here, so that listing them is quick."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """The folder of the configs: inside the package in a wheel, beside it in a clone.

    ``conf/experiment`` is a link to ``experiments/``, which git and the wheel carry on Linux and macOS; a clone on
    Windows needs ``git config core.symlinks true``, the wheel does not.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def own_experiments(folder: str | Path = ".") -> Path:
    """Where a user keeps named sweeps: ``experiments`` in a working folder."""
    return Path(folder, "experiments")


def is_shipped(file: Path) -> bool:
    """Whether a named sweep is one that nnspec comes with; in a clone these lie in the working folder too."""
    shipped = conf_dir() / "experiment" / file.name
    return shipped.is_file() and shipped.samefile(file)


def experiment_files() -> dict[str, Path]:
    """The named sweeps by name: the user's own, then those that nnspec comes with and no own one has the name of."""
    own = sorted(own_experiments().glob("*.yaml"))
    shipped = sorted((conf_dir() / "experiment").glob("*.yaml"))
    return {file.stem: file for file in [*shipped, *own] if file.is_file()}
