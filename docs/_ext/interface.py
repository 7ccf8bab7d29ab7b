"""Pages of what a user types: configuration keys, commands, the Python interface, verdicts with their thresholds."""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

from entries import image, parameter_table, table
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.ext.napoleon import Config, GoogleDocstring

import nnspec
from nnspec.analysis import methods
from nnspec.cli.main import COMMANDS, main
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.diagnostics.thresholds import THRESHOLDS, reason
from nnspec.params import Param
from nnspec.schema import SOLVING, TRAINING, param_schema
from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING
from nnspec.specs import SCALARS, SOLVED, TRAIN

WIDTH = 100  # of the help of commands
SECTIONS: tuple[tuple[str, str, tuple[Param, ...]], ...] = (
    ("", "the whole run", SCALARS),
    ("train", TRAINING, TRAIN),
    ("train", "how training uses the machine; no result depends on it", RUNTIME),
    ("solved", SOLVING, SOLVED),
    ("tracking", "where runs are filed", TRACKING),
    ("require", "what must hold of each cell, or the exit status is 1", REQUIRE),
    ("sweep", "how a sweep is laid out and shown", SWEEP),
    ("", "what one command does", COMMAND),
)


def keys(app: Sphinx, docname: str) -> str:
    """The keys of a command that belong to no entry, section by section."""
    return "\n\n".join(part for section in SECTIONS for part in _section(*section))


def _section(name: str, doc: str, params: Sequence[Param]) -> Iterator[str]:
    prefix = f"{name}." if name else ""
    yield f"## {doc[0].upper()}{doc[1:]}"
    yield parameter_table(
        [
            {
                "key": f"{prefix}{param.name}",
                "default": param.default,
                "doc": param.doc,
                "schema": param_schema(f"{prefix}{param.name}", param),
            }
            for param in params
        ]
    )


def commands(app: Sphinx, docname: str) -> str:
    """Every command with its own help."""
    os.environ["COLUMNS"] = str(WIDTH)
    parts = []
    for name, (_, line) in COMMANDS.items():
        said = io.StringIO()
        with redirect_stdout(said):
            status = main([name, "--help"])
        if status:
            raise ExtensionError(f"nnspec {name} --help ended with {status}")
        parts.append(
            f"(command-{name})=\n## nnspec {name}\n\n{line[0].upper()}{line[1:]}\n\n```text\n{said.getvalue()}```"
        )
    return "\n\n".join(parts)


def python(app: Sphinx, docname: str) -> str:
    """Every name of the package, with its signature and docstring."""
    rooms: list[tuple[str, Any]] = [(f"nnspec.{name}", getattr(nnspec, name)) for name in nnspec.__all__]
    parts = [documented(name, getattr(value, "__wrapped__", value)) for name, value in rooms]
    for room in ("analysis", "reference"):
        module = getattr(nnspec, room)
        doc = inspect.cleandoc(module.__doc__ or "").split("\n\n")[0]
        parts.append(f"nnspec.{room}\n{'-' * (len(room) + 7)}\n\n{doc}\n")
        parts += [documented(f"nnspec.{room}.{name}", value) for name, value in public(module)]
    return "```{eval-rst}\n" + "\n".join(parts) + "\n```"


def public(module: ModuleType) -> list[tuple[str, Any]]:
    """The functions and classes that a module is there for: those of its own package."""
    package = module.__name__
    return [
        (name, value)
        for name, value in sorted(vars(module).items())
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith(package)
    ]


def documented(name: str, value: Any) -> str:
    """A function or a class as reStructuredText: signature, docstring, of a class its public methods."""
    kind = "exception" if inspect.isclass(value) and issubclass(value, Exception) else "class"
    if not inspect.isclass(value):
        return directive("function", f"{name}{signature(value)}", value)
    head = "" if kind == "exception" else signature(value)
    inner = [
        directive(*described, indent="   ")
        for method, member in vars(value).items()
        if not method.startswith("_") and (described := _member(method, member))
    ]
    return "\n".join([directive(kind, f"{name}{head}", value), *(inner if kind == "class" else [])])


def _member(name: str, member: Any) -> tuple[str, str, Any] | None:
    """A method or a property of a class; None of what has no docstring, as the fields of a dataclass."""
    if isinstance(member, property):
        return ("property", name, member.fget) if inspect.getdoc(member) else None
    found = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
    if hasattr(found, "func"):  # a cached property
        return ("property", name, found.func)
    if not inspect.isfunction(found) or not inspect.getdoc(found):
        return None
    kind = "classmethod" if isinstance(member, classmethod) else "method"
    return (kind, f"{name}{signature(found, bound=not isinstance(member, staticmethod))}", found)


def signature(value: Any, bound: bool = False) -> str:
    """How it is called, without types: those are in the docstrings where they matter."""
    try:
        found = inspect.signature(value)
    except ValueError:
        return "()"
    kept = list(found.parameters.values())[1 if bound else 0 :]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in kept]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def directive(kind: str, head: str, value: Any, indent: str = "") -> str:
    """A description in Sphinx's Python domain."""
    doc = str(GoogleDocstring(inspect.getdoc(value) or "", Config(napoleon_use_rtype=False))).replace("|", r"\|")
    body = [f".. py:{kind}:: {head}", "", *(f"   {line}" for line in doc.splitlines()), ""]
    return "\n".join(f"{indent}{line}".rstrip() for line in body)


def statistics(app: Sphinx, docname: str) -> str:
    """How the statistics are done, a sentence a method."""
    return "\n".join(f"- {sentence}" for sentence in methods.statistics(looks=True, race=True))


def verdicts(app: Sphinx, docname: str) -> str:
    """Every verdict: meaning, condition, thresholds with their reasons, what may help, source, picture."""
    from nnspec.analysis.figures.draw import png
    from nnspec.explaining.pictures import verdict_figure

    parts = []
    for name, entry in VERDICT_ENTRIES.items():
        picture = image(app, docname, f"verdict-{name}.png", png(verdict_figure(name)), f"a network that is {name}")
        rows = [[f"`{each}`", f"{getattr(THRESHOLDS, each):g}", reason(each)] for each in entry.thresholds]
        parts += [
            f"(verdict-{name})=\n## {name}",
            f"*{entry.summary[0].upper()}{entry.summary[1:]}.*",
            entry.meaning,
            f"**Condition.** {entry.condition}",
            table(["threshold", "value", "reason"], rows) if rows else "",
            f"**What may help**, to be measured by `nnspec remedy`: {', '.join(entry.remedies)}."
            if entry.remedies
            else "",
            picture,
            f"Source: {entry.source}.",
        ]
    return "\n\n".join(filter(None, parts))
