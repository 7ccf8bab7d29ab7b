"""What a command shows: the page, the terminal, the notebook."""

from __future__ import annotations

FOLDER = "nnspec-report"  # reports are written below it, unless another one is named
