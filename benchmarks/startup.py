"""A default run from start to exit, its database there, beside importing what it stands on.

    python benchmarks/startup.py [--repeat 5]

To reach: at most 1.5 times as long as ``python -c "import torch, mlflow, hydra"``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = Path(__file__).resolve().parents[1] / "run.py"


def seconds(folder: str, *command: str | Path) -> float:
    """Time of one process from start to exit."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds(folder, RUN)  # makes the database
        run = min(seconds(folder, RUN) for _ in range(options.repeat))
        imports = min(seconds(folder, "-c", "import torch, mlflow, hydra") for _ in range(options.repeat))
    print(f"default run {run:.2f} s, imports {imports:.2f} s: {run / imports:.2f} x")


if __name__ == "__main__":
    main()
