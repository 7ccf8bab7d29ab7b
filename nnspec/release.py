"""Which nnspec this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version as installed, which only pyproject.toml says; 'unknown' in a clone that is not installed."""
    try:
        return metadata.version("nnspec")
    except metadata.PackageNotFoundError:
        return "unknown"
