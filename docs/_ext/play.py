"""The page of ``nnspec play`` in the site, beside its other pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import nnspec
from nnspec.play.page import page

NAME = "play.html"


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the page, as it begins without overrides, into the site that was built."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / NAME).write_text(page(nnspec.spec(), []), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
