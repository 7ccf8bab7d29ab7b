"""The import rule of DESIGN.md, read from the source: left never imports right, and same rank never imports same
rank."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import nnspec
from nnspec.catalog import INITS, LOSSES, OPTIMIZERS, OUTPUTS

ROOT = Path(nnspec.__file__).parent
RANKS = [
    "terminal processes documents release",
    "errors",
    "params files",
    "registry yaml_text intervals",
    "specs formula",
    "study",
    "settings",
    "catalog",
    "torch_maths",
    "modules parts",
    "architecture",
    "duration",
    "problem",
    "results check effects schema",
    "initial",
    "builder reference training diagnostics tracking",
    "compose",
    "sweep analysis",
    "readback claims",
    "execute explaining exporting verifying play",
    "search",
    "report",
    "journal",
    "runner",
    "remedies contracts promotion maps",
    "api",
    "cli",
    "_plugins __init__",
]
RANK = {unit: rank for rank, units in enumerate(RANKS) for unit in units.split()}
TORCH_FREE = ("analysis", "specs", "sweep", "catalog")
# where omegaconf and hydra may be imported
HYDRA = ("compose", "sweep", "search", "execute", "journal", "report", "runner", "cli", "_plugins", "__init__")

FILES = sorted(path for path in ROOT.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The module or package directly below nnspec that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def typing_only(tree: ast.AST) -> set[ast.AST]:
    """Everything below ``if TYPE_CHECKING:``, which never runs."""
    guarded = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"
    ]
    return {inner for node in guarded for statement in node.body for inner in ast.walk(statement)}


@cache
def imports(path: Path, top_level: bool = False) -> Sequence[str]:
    """The modules that a file imports, anywhere or at its top level, absolute; ``from a import b`` is a.b if that is a
    module."""
    return list(names_imported(parsed(path), top_level))


def names_imported(tree: ast.Module, top_level: bool) -> Iterator[str]:
    """Of a file's tree."""
    unseen = typing_only(tree)
    for node in tree.body if top_level else ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "import absolutely"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def inner_unit(module: str) -> str | None:
    """The unit of nnspec that a module belongs to, or None for a foreign one."""
    parts = module.split(".")
    if parts[0] != "nnspec":
        return None
    return parts[1] if len(parts) > 1 else "__init__"


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_file_has_a_rank() -> None:
    assert {unit_of(path) for path in FILES} <= RANK.keys()


def test_left_never_imports_right() -> None:
    wrong = [
        f"{short(path)} imports {module}, which stands beside or above it"
        for path in FILES
        for module in imports(path)
        if (other := inner_unit(module)) not in (None, unit_of(path)) and RANK[other] >= RANK[unit_of(path)]
    ]
    assert wrong == []


def test_no_cycle_among_modules() -> None:
    """Imports within functions count as well: they only put off what does not work."""
    edges = {name: sorted({m for m in imports(path) if m in MODULES} - {name}) for name, path in MODULES.items()}
    TopologicalSorter(edges).prepare()  # its error names the modules of a cycle


def importers(paths: Iterable[Path], *packages: str) -> list[str]:
    """Those of the files that import one of the packages, anywhere."""
    return [short(path) for path in paths if {module.split(".")[0] for module in imports(path)} & {*packages}]


def test_torch_free() -> None:
    free = [path for path in FILES if unit_of(path) in TORCH_FREE]
    assert importers(free, "torch", "functorch") == []
    # nor by way of a module of ours, when it is loaded
    seen, front = set[str](), {name_of(path) for path in free}
    while front:
        name = front.pop()
        seen.add(name)
        for module in imports(MODULES[name], top_level=True):
            assert module.split(".")[0] != "torch", f"one of {', '.join(TORCH_FREE)} reaches torch through {name}"
            front |= {module} & MODULES.keys() - seen


def test_no_omegaconf_below_compose() -> None:
    assert importers([path for path in FILES if unit_of(path) not in HYDRA], "omegaconf", "hydra") == []


def strings(node: ast.expr) -> Iterator[str]:
    """The string literals of one side of a comparison, those of a tuple, list or set of them too."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for item in node.elts:
            yield from strings(item)


def compared(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each string literal that a comparison or a ``case`` names."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Compare) and all(
            isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops
        ):
            for side in (node.left, *node.comparators):
                yield from ((node.lineno, text) for text in strings(side))
        elif isinstance(node, ast.MatchValue):
            yield from ((node.value.lineno, text) for text in strings(node.value))


def test_only_the_catalog_knows_member_names() -> None:
    members = {entry.name for registry in (OUTPUTS, INITS, OPTIMIZERS, LOSSES) for entry in registry}
    found = [
        f"{short(path)}:{line}: ask the entry instead of comparing its name: {text}"
        for path in FILES
        if unit_of(path) != "catalog"
        for line, text in compared(path)
        if text in members
    ]
    assert found == []


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    imported = "import nnspec.cli\nfrom nnspec import check\ndef f(name):\n    from torch import nn\n"
    bad.write_text(imported + "    return name == 'relu' or name in ('gelu',)\n")
    assert imports(bad) == ["nnspec.cli", "nnspec.check", "torch"]
    assert imports(bad, top_level=True) == ["nnspec.cli", "nnspec.check"]
    assert [text for _, text in compared(bad)] == ["relu", "gelu"]
    with pytest.raises(CycleError, match=r"'a', 'd', 'c', 'a'"):
        TopologicalSorter({"a": ["b", "c"], "b": [], "c": ["d"], "d": ["a"]}).prepare()


TESTS = Path(__file__).parent
TEST_FILES = sorted(TESTS.rglob("*.py"))
# what tests may set or name all the same: file, name, and why no parameter would do
EXCEPTIONS = {
    ("diagnostics/test_large.py", "EXACT_WORK"): "where exact numbers end: what is beyond it takes too long for a test",
    ("diagnostics/test_large.py", "PIECE"): "what a piece of the rows takes: several pieces take too long for a test",
    ("faults/sweeps.py", "PATIENCE_SECONDS"): "of a whole command, for which it is no setting",
    ("fuzz/forking.py", "PATIENCE_SECONDS"): "of a whole command, for which it is no setting",
    ("training/test_compiled.py", "OUTPUTS"): "the catalog is closed: a formula that cannot be compiled is put into it",
}


@cache
def private_names() -> frozenset[str]:
    """The names with a leading underscore that nnspec defines: functions, classes, constants, attributes of self."""
    found = set()
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    return frozenset(name for name in found if is_private(name))


def is_private(name: str) -> bool:
    """Whether the name is nobody else's; those of protocols, as ``__init__`` and ``_repr_html_``, are everyone's."""
    return name.startswith("_") and not name.endswith("_")


def set_names(node: ast.AST) -> Iterator[str]:
    """The attributes that a statement sets on something else than self, by assignment or by ``setattr``."""
    if isinstance(node, ast.Assign):
        yield from (target.attr for target in node.targets if isinstance(target, ast.Attribute) and foreign(target))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
        texts = [argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant)]
        yield from (str(text).rpartition(".")[2] for text in texts[:1])


def foreign(node: ast.Attribute) -> bool:
    """Whether an attribute is that of another object than self."""
    return not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))


def trespasses(path: Path, private: frozenset[str] | None = None) -> Iterator[str]:
    """The private names of nnspec that a test names, and the constants and private names that it sets."""
    tree = parsed(path)
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and not foreign(node)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    theirs = (private_names() if private is None else private) - own
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("nnspec"):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and foreign(node) and node.attr in theirs:
            yield node.attr
        yield from (name for name in set_names(node) if name.isupper() or is_private(name) or name == "__defaults__")


def test_tests_use_parameters_and_public_names() -> None:
    """What is found and no exception is to be a parameter or public."""
    found = {(path.relative_to(TESTS).as_posix(), name) for path in TEST_FILES for name in trespasses(path)}
    assert found == EXCEPTIONS.keys()


def test_the_rule_for_tests_sees_what_it_forbids(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from nnspec.builder import _secret\n"
        "module.LIMIT = 3\n"
        "monkeypatch.setattr('nnspec.builder.MOST', 1)\n"
        "monkeypatch.setattr(builder, '_own', 1)\n"
        "monkeypatch.setattr('nnspec.builder.f.__defaults__', (1,))\n"
        "print(store._held, path._replace, shown._repr_html_())\n"
    )
    expected = {"_secret", "LIMIT", "MOST", "_own", "__defaults__", "_held"}
    assert set(trespasses(bad, frozenset({"_held"}))) == expected
