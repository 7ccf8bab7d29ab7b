"""Whatever is typed and whatever files hold: a clear line and an exit status; nothing runs, hangs, or is lost.

``pytest -m slow tests/fuzz -k command_line-0017`` runs one case again, and
``python tests/fuzz/cases.py command_line 17`` shows it.
"""

from __future__ import annotations

import pytest
from cases import CASES, Cases

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "seed"),
    [pytest.param(kind, seed, id=f"{kind}-{seed:04}") for kind, number in CASES.items() for seed in range(number)],
)
def test_nothing_goes_wrong(cases: Cases, kind: str, seed: int) -> None:
    wrong = [
        f"{' '.join(map(repr, said.words))}: {fault}" for said, faults in cases.run(kind, seed) for fault in faults
    ]
    assert not wrong, "\n".join(wrong)
