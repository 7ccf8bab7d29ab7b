"""What a store takes is imported before the clock of a command starts, and nothing that it does not take."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from nnspec.settings import Tracking
from nnspec.tracking.opening import load
load(Tracking(uri={uri!r}))
print([name for name in ("sqlalchemy", "nnspec.tracking.database.store", "mlflow") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("uri", "loaded"),
    [
        ("sqlite:///mlflow.db", ["sqlalchemy", "nnspec.tracking.database.store"]),
        ("http://127.0.0.1:9", []),
        ("nothing://known", []),  # which is refused as it is opened
    ],
)
def test_what_is_loaded(uri: str, loaded: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", CODE.format(uri=uri)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
