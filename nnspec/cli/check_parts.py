"""``nnspec check-parts``: whether parts of one's own do what nnspec asks of them."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.cli.flags import Flags
from nnspec.documents import document


def check_parts(arguments: Sequence[str]) -> int:
    """Print what was tried of the parts of a file; the exit status is 1 if something does not hold."""
    parser = Flags("check-parts", "Tries the parts that a Python file declares: formulas, spread, training.")
    parser.add_argument("file", help="a Python file with parts, which is run")
    parser.json()
    asked = parser.parsed(arguments)

    from nnspec.contracts.checks import check_parts as tried

    report = tried(asked.file)
    checks = [{"part": check.part, "what": check.what, "problem": check.problem or None} for check in report.checks]
    print(document({"ok": report.ok, "checks": checks}) if asked.json else report)
    return 0 if report.ok else 1
