"""Which nnspec this is."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

NUMERIC = ("torch", "numpy", "llvmlite")  # the packages on which the last bit of a weight depends


def version(package: str = "nnspec") -> str:
    """The version as installed, which only pyproject.toml says; 'unknown' in a clone that is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


@cache
def code() -> str:
    """What two processes must agree on to give the same bits: nnspec's version and the fingerprint of its files, the
    versions of the packages that compute."""
    packages = ", ".join(f"{name} {version(name)}" for name in NUMERIC)
    return f"nnspec {version()} (code {fingerprint(Path(__file__).parent)}, {packages})"


def fingerprint(folder: Path) -> str:
    """Twelve digits of the SHA-256 of all Python files below a folder, their names included."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:12]
