"""How much memory training may hold."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 4  # of what is free, a quarter: the store, the report and the user's other programs need some too


def allowance(mebibytes: float | None) -> float:
    """Bytes that training may hold at a time: as said in MiB, else a quarter of what is free."""
    return mebibytes * 2**20 if mebibytes is not None else free() / SHARE


def free() -> float:
    """Bytes of memory that are free; 2 GiB where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 2.0 * 2**30
