"""Mathematics as MathML, made when the site is built: browsers show it without script, fonts or requests."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def mathml(tex: str, display: str) -> str:
    """A formula in TeX as a MathML element.

    Raises:
        ExtensionError: it cannot be read.
    """
    try:
        return convert(tex, display=display)
    except Exception as error:
        raise ExtensionError(f"the formula {tex!r} cannot be read: {type(error).__name__} {error}") from error


def visit_math(translator: Any, node: nodes.math) -> None:
    """A formula within a line."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_math_block(translator: Any, node: nodes.math_block) -> None:
    """A formula on lines of its own, with its number where it has one."""
    translator.body.append('<div class="math">')  # its name is the id of what wraps it
    if node.get("number"):
        translator.body.append(f'<span class="eqno">({node["number"]})</span>')
    translator.body.append(mathml(node.astext(), "block"))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
