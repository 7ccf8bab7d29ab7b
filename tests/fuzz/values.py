"""Values to say in a command line or a file: what a parameter accepts, and what nobody would."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from nnspec.catalog import REGISTRIES, parameters
from nnspec.compose.folders import conf_dir
from nnspec.params import Either, Many, Optional, Param, Refused
from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING
from nnspec.specs import SCALARS, SOLVED, TRAIN

PLAIN: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, 5, -1, 0.5, 0.1, 0.01, 0.9, 1.5, -0.5, 2**31, 2**32, 2**63, 10**30, 10**400),
    *(
        1e-300,
        5e-324,
        1e38,
        1e39,
        1e300,
        1e308,
        -1e308,
        math.inf,
        -math.inf,
        math.nan,
        "auto",
        "last",
        "zeros",
        "relu",
        "xor",
        "0/2",
    ),
)
LISTS: tuple[Any, ...] = ([], [{"activation": "relu"}], [["activation", "init"]])
# What a stranger's files and a tired user's hands produce. Control characters can stand in a command line too.
TEXTS = (
    *(
        "",
        " ",
        "null",
        "~",
        "true",
        "nan",
        ".nan",
        "inf",
        "-1",
        "0",
        "1_000",
        "0x10",
        "1e400",
        "é",
        "☃",
        "日本",
        "1/2",
        "9/5",
    ),
    *(
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "a\rb",
        "\u202eright",
        "\x7f",
        "\x9b2J",
        "\t",
        "a\nb",
        "a b",
        "'",
        '"',
        "\\",
        "`id`",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "[]",
        "{}",
        "[[[1]]]",
        "[1,",
        "{a: 1",
        "{a: {b: [1, {c: 2}]}}",
        "[relu,relu]",
        "[[seed,seed]]",
        "=",
        ":",
        "#",
    ),
    *(
        "${seed}",
        "${nope}",
        "${oc.env:HOME}",
        "${oc.env:NOPE}",
        "${now:%Y}",
        "${model}",
        "${hydra:job.name}",
        "${a.${b}}",
        "${",
        "$",
    ),
    *(
        "${oc.decode:'['}",
        "${oc.create:{a: 1}}",
        "???",
        "../../x",
        "..",
        ".",
        "/",
        "/nosuch/x",
        "x/../../y",
        "con:x",
        "%",
        "%2e%2e",
        "a;b",
    ),
    *(
        "9" * 400,
        "x" * 5000,
        "[" * 300,
        "{a: " * 100,
        "-" * 300,
        "nan,nan",
        "1,2",
        "relu,tanh",
        "-x",
        "--",
        "\udcff",
        "\ufeff",
        "\u2028",
    ),
)
FILES = (
    "fifo",
    "folder",
    "empty.yaml",
    "garbage.bin",
    "laughs.yaml",
    "loop.yaml",
    "deep.yaml",
    "huge.yaml",
    "zip.yaml",
    "spec.yaml",
)
WEIGHTS = (
    "weights.safetensors",
    "canary.pkl",
    "fifo",
    "folder",
    "garbage.bin",
    "/dev/zero",
    "/dev/stdin",
    "huge.yaml",
    "nosuch",
)
# Ways to run code from data, each of which leaves a file that begins with 'ran-' or calls the canary.
TARGETS = (
    "{_target_: nnspec_canary.run}",
    "{_target_: pandas.read_pickle, filepath_or_buffer: canary.pkl}",
    "{_target_: torch.load, f: canary.pkl, weights_only: false}",
    "{_target_: pathlib.Path.touch, self: {_target_: pathlib.Path, _args_: [ran-touch]}}",
    "{_target_: os.mkdir, path: ran-folder}",
    "{_target_: os.system, command: 'touch ran-system'}",
    "{_target_: builtins.open, file: ran-open, mode: w}",
    "{_target_: hydra.utils.get_method, path: nnspec_canary.run}",
    "{_partial_: true, _target_: nnspec_canary.run}",
    "[{a: {_target_: nnspec_canary.run}}]",
)
URIS = (
    *(
        "sqlite:///mlflow.db",
        "sqlite:///other.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////nosuch/d/m.db",
        "sqlite:///folder",
    ),
    *(
        "sqlite:///folder/m.db",
        "sqlite:///garbage.bin",
        "sqlite:///empty.yaml",
        "sqlite:///a/b/c.db",
        "sqlite:///mlflow.db?mode=ro",
    ),
    *(
        "sqlite:///file:mlflow.db?mode=ro&uri=true",
        "sqlite+pysqlcipher:///x.db",
        "sqlite+nosuch:///x.db",
        "sqlite:///\x1b[2Jx.db",
    ),
    *(
        "https://[::1",
        "http://127.0.0.1:1",
        "http://",
        "http://a b",
        "https://127.0.0.1:99999",
        "postgresql://127.0.0.1:1/x",
        "ftp://x/y",
    ),
    *(
        "postgresql://[/x",
        "mysql://u:p@127.0.0.1:1/x",
        "databricks",
        "./mlruns",
        "file:///nosuch",
        "mssql://x",
        "s3://x/y",
        "sqlite:///fifo",
    ),
)


def names(group: str) -> list[str]:
    """The options of a config group: its files."""
    return sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))


@cache
def groups() -> tuple[str, ...]:
    """All config groups, the nested ones too."""
    root = conf_dir()
    return tuple(
        sorted(
            {str(file.parent.relative_to(root)) for file in root.glob("*/*.yaml")} | {"hydra/sweeper", "hydra/launcher"}
        )
    )


@cache
def params() -> Mapping[str, tuple[Param, ...]]:
    """Every key that a config knows, with the parameters that it may be: several where members share a name."""
    known: dict[str, tuple[Param, ...]] = {}
    sections = {
        "train.": TRAIN + RUNTIME,
        "solved.": SOLVED,
        "": SCALARS + COMMAND,
        "tracking.": TRACKING,
        "sweep.": SWEEP,
        "require.": REQUIRE,
    }
    for prefix, several in sections.items():
        known |= {f"{prefix}{param.name}": (param,) for param in several}
    for group, registry in REGISTRIES.items():
        for entry in registry:
            for param in parameters(entry):
                key = f"{group}.{param.name}"
                known[key] = (*known.get(key, ()), param)
    return known


@cache
def keys() -> tuple[str, ...]:
    """All keys: of the parameters, and of the config files, should one be there that no parameter knows."""
    config = yaml.safe_load((conf_dir() / "config.yaml").read_text("utf-8"))
    config = {key: value for key, value in config.items() if key not in ("defaults", "hydra")}
    return tuple(sorted(set(params()) | set(leaves(config))))


def leaves(mapping: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of what is no mapping."""
    found: list[str] = []
    for key, value in mapping.items():
        found += leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"]
    return found


def accepted(chance: Random, kind: Any) -> Any:
    """A plain value that a kind accepts, extremes among them."""
    if isinstance(kind, Optional) and chance.random() < 0.2:
        return None
    if isinstance(kind, Either) and chance.random() < 0.3:
        return kind.word
    inner = getattr(kind, "kind", None)
    if isinstance(kind, Many):
        size = chance.randint(kind.least, max(kind.least, min(kind.most or 3, 3)))
        return [accepted(chance, inner) for _ in range(size)]
    if inner is not None:
        return accepted(chance, inner)
    bounds = [value for value in (getattr(kind, "low", None), getattr(kind, "high", None)) if value is not None]
    near = [value + step for value in bounds for step in (0, 1, -1, 0.25, -0.25)]
    layers = [["linear", 3], ["relu"], ["layer_norm"], ["linear"]]
    candidates = [
        *getattr(kind, "options", ()),
        *PLAIN,
        *LISTS,
        layers,
        *near,
        chance.uniform(0, 2),
        chance.randint(0, 9),
    ]
    return chance.choice([value for value in candidates if fits(kind, value)])


def fits(kind: Any, value: Any) -> bool:
    try:
        kind.parse(value)
    except Refused:
        return False
    return True


def odd(chance: Random, depth: int = 0) -> Any:
    """A plain value of any kind, nested or not, which may fit nothing."""
    kind = chance.randrange(5 if depth < 4 else 2)
    if kind == 0:
        return chance.choice(PLAIN)
    if kind == 1:
        return chance.choice(TEXTS)
    size = chance.choice((0, 1, 2, 3))
    if kind == 2:
        return {chance.choice((*TEXTS[:20], "name", "a", 1, None, True)): odd(chance, depth + 1) for _ in range(size)}
    return [odd(chance, depth + 1) for _ in range(size)]


def mangled(chance: Random, text: str) -> str:
    """``text`` with a character or a piece of it changed."""
    if not text:
        return chance.choice(TEXTS)
    at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    piece = chance.choice((*"'\"[]{}()=:,.$~+@#-\\ \t/|&*!?%", chance.choice(TEXTS)))
    changes: Sequence[str] = (
        text[:at] + piece + text[at:],
        text[:at] + piece + text[to:],
        text[:at] + text[at:to] * 2 + text[to:],
        text[:at],
        text[to:] + text[:to],
    )
    return chance.choice(changes)


def planted(folder: Path) -> None:
    """The files of ``FILES`` and ``WEIGHTS`` that a case may name, and what a stranger might have left beside them."""
    import os
    import pickle

    from safetensors.numpy import save_file

    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "empty.yaml").write_bytes(b"")
    (folder / "garbage.bin").write_bytes(bytes(range(256)) * 16)
    (folder / "laughs.yaml").write_text(laughs())
    (folder / "loop.yaml").write_text("&a\nmodel: *a\nseed: [*a]\n")
    (folder / "deep.yaml").write_text("model: " + "[" * 20_000)
    with (folder / "huge.yaml").open("wb") as file:
        file.truncate(5 * 2**30)  # sparse: it takes no room on a disk
    (folder / "zip.yaml").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    (folder / "spec.yaml").write_text(
        "".join(f"{group}: {{name: {name}}}\n" for group, name in TEXTBOOK.items()) + "train: {epochs: 3}\n"
    )
    (folder / "canary.pkl").write_bytes(pickle.dumps(Canary()))
    save_file(textbook_weights(), folder / "weights.safetensors")
    evil = folder / "confs" / "experiment"
    evil.mkdir(parents=True)
    (evil / "evil.yaml").write_text(f"# @package _global_\nhydra:\n  callbacks:\n    x: {TARGETS[0]}\n")
    (evil / "launch.yaml").write_text(f"# @package _global_\nhydra:\n  launcher: {TARGETS[0]}\n")
    (evil / "interpolated.yaml").write_text(
        f"# @package _global_\nfoo: {TARGETS[1]}\nhydra: {{callbacks: {{x: '${{foo}}'}}}}\n"
    )
    (folder / "confs" / "primary.yaml").write_text(f"hydra:\n  callbacks:\n    x: {TARGETS[3]}\n")


TEXTBOOK = {
    "model": "mlp",
    "activation": "relu",
    "init": "kaiming_uniform",
    "optimizer": "adam",
    "loss": "bce",
    "data": "xor",
}


class Canary:
    """Its pickle calls the canary wherever it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("__import__('nnspec_canary').run()",)


def laughs() -> str:
    """Nine levels of nine aliases each: a short file that stands for 387 million items."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines) + "\nmodel: {name: mlp, hidden: *a8}\n"


def textbook_weights() -> dict[str, Any]:
    import numpy as np

    shapes = {"0.weight": (4, 2), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)}
    return {name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()}
