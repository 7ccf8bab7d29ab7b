"""The command that started this process, as a user would type it again."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def command_line(argv: Sequence[str] | None = None) -> str:
    """``python run.py ...`` or ``nnspec run ...``; ``sys.orig_argv`` keeps what Hydra's entry changes in
    ``sys.argv``."""
    words = list(sys.orig_argv if argv is None else argv)
    if words and Path(words[0]).name.startswith("python"):
        del words[0]
        if words and not words[0].startswith("-"):
            script = Path(words[0])
            words[:1] = ["python", words[0]] if script.suffix == ".py" else [script.name]
        else:
            words.insert(0, "python")
    return shlex.join(words)
