"""docs/verify.md: every example runs as it stands, in its order, and prints what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import nnspec

PAGE = Path(nnspec.__file__).parents[1] / "docs" / "verify.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
PRINTED = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_run_and_print_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "docs"}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    assert (len(BLOCKS), len(PRINTED)) == (3, 1)
    assert PRINTED[0] in capsys.readouterr().out
    assert names["right"].agreed == ("dtype", "outputs", "gradients", "updates")
