"""From a spec back to the command line: the few overrides that state it."""

from __future__ import annotations

from nnspec.compose.stating import default, stated, typed
from nnspec.specs import RunSpec

DIGESTS = ("init.digest", "data.digest")  # of files that are at hand, from which a check fills them in


def words(spec: RunSpec) -> list[str]:
    """Overrides that compose to the checked ``spec``: what it has by default, or by another field, is not said."""
    (said,) = stated([spec])
    return [
        f"{key}={typed(value)}" for key, value in said.items() if key not in DIGESTS and value != default(key, said)
    ]
