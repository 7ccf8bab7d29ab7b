"""Made-up spec files: valid ones, which must replay, and ones that are not, as text or in what they say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import values
import yaml
from oracle import faults
from sandbox import Said, Sandbox

from nnspec.catalog import REGISTRIES, parameters
from nnspec.check import checked_mapping
from nnspec.errors import SpecError
from nnspec.specs import RunSpec

FILE = "made.yaml"
CHEAP = ("train.epochs=2", "train.workers=1")
TAGS = (
    "!!python/object/apply:os.system ['touch ran-yaml']",
    "!!python/name:nnspec_canary.run",
    "!!python/module:nnspec_canary",
    "!!binary x",
)
LINES = (
    "<<: *x",
    "<<: {seed: 1}",
    "? [a]",
    "%YAML 9.9",
    "---",
    "...",
    "\t",
    "seed: 2",
    "model: {name: mlp}",
    "&x",
    "*x",
    "_target_: os.system",
)


NAMING_LAYERS = ("per_layer", "lr_per_layer", "frozen")  # whose values fit few networks


def valid(chance: Random) -> RunSpec:
    """A spec that passes its check and trains within moments, from whatever the registries have."""
    while True:
        mapping: dict[str, Any] = {group: member(chance, group) for group in REGISTRIES}
        mapping["train"] = {
            "epochs": chance.randint(1, 4),
            "log_every": chance.randint(1, 3),
            "snapshot_every": chance.choice((0, 0, 1, 2)),
        }
        mapping |= {"seed": chance.choice((0, 3, 2**32 - 4)), "replicates": chance.randint(1, 3)}
        mapping["dtype"] = chance.choice(("float32", "float64"))
        mapping["solved"] = {"tolerance": chance.choice((0.4, 0.1, 1e-9, 1.0))}
        try:
            return checked_mapping(mapping)
        except SpecError:
            continue


def member(chance: Random, group: str) -> dict[str, Any]:
    """A member with some of its parameters said; nothing that takes long."""
    entry = chance.choice([entry for entry in REGISTRIES[group] if not getattr(entry, "stored", False)])
    said = {param.name: values.accepted(chance, param.kind) for param in parameters(entry) if chance.random() < 0.4}
    for name in NAMING_LAYERS:
        said.pop(name, None)
    small = {
        "hidden": [chance.choice((1, 2, 3, 7)) for _ in range(chance.choice((1, 1, 2, 4)))],
        "bits": chance.choice((2, 3, 5)),
    }
    return {"name": entry.name, **said, **{key: value for key, value in small.items() if key in said}}


def case(seed: int, sandbox: Sandbox) -> Iterator[tuple[Said, list[str]]]:
    """A spec file, shown, loaded and run; what was said and what was wrong with it."""
    chance = Random(f"spec file {seed}")
    sandbox.empty()
    spec = valid(chance)
    content = yaml.safe_dump(spec.to_mapping(), sort_keys=chance.random() < 0.5).encode()
    if seed % 3 == 0:
        (sandbox.work / FILE).write_bytes(content)
        yield from replayed(sandbox, spec)
        return
    (sandbox.work / FILE).write_bytes(spoiled(chance, content))
    for words in (
        ["show", f"spec={FILE}"],
        ["run", f"spec={FILE}", *CHEAP],
        ["run", f"spec={FILE}", "tracking=off", *CHEAP],
    ):
        costly = ["--plan"] if words[0] == "run" and chance.random() < 0.5 else SMALL if words[0] == "run" else []
        said = sandbox.run(*words, *costly)
        yield said, list(faults(said))
    said = sandbox.run(FILE, call="calls:load_spec")
    yield said, list(faults(said))


SMALL = ["replicates=2", "model=mlp", "data=xor"]  # whatever the file says, it trains within moments


def replayed(sandbox: Sandbox, spec: RunSpec) -> Iterator[tuple[Said, list[str]]]:
    """A valid spec is the same wherever it is read, and what it trains is filed as it."""
    shown = sandbox.run("show", f"spec={FILE}")
    yield (
        shown,
        [*faults(shown), *other_than(spec, shown, shown.out.splitlines()[:1] == [f"# spec {spec.fingerprint}"])],
    )
    loaded = sandbox.run(FILE, call="calls:load_spec")
    yield loaded, [*faults(loaded), *other_than(spec, loaded, loaded.out == f"{spec.fingerprint}\n")]
    run = sandbox.run("run", f"spec={FILE}", "train.workers=1")
    filed = [
        checked_mapping(yaml.safe_load(file.read_text()))
        for file in sandbox.work.glob("mlartifacts/*/*/artifacts/spec.yaml")
    ]
    diverged = run.status == 1 and "failed" in run.err  # which its parameters may well make it do
    yield run, [*faults(run), *([] if diverged else other_than(spec, run, filed == [spec]))]


def other_than(spec: RunSpec, said: Said, same: bool) -> list[str]:
    return (
        []
        if said.status == 0 and same
        else [f"spec {spec.fingerprint} is not what came back, exit status {said.status}"]
    )


def spoiled(chance: Random, content: bytes) -> bytes:
    """The file with something wrong in what it says or in how."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        if chance.random() < 0.5 or len(content) > 100_000:  # which PyYAML reads for seconds
            content = respelled(chance, content)
        else:
            with suppress(yaml.YAMLError, ValueError, RecursionError):  # what is broken already can only be respelled
                again = yaml.safe_dump(restated(chance, yaml.safe_load(content)), allow_unicode=chance.random() < 0.5)
                content = again.encode("utf-8", "surrogatepass")
    return content


def restated(chance: Random, mapping: Any) -> Any:
    """Another mapping: a key gone, added or renamed, a value of another kind, a piece used twice."""
    if not isinstance(mapping, dict) or not mapping:
        return values.odd(chance)
    key = chance.choice(list(mapping))
    inside = mapping[key]
    if isinstance(inside, dict) and inside and chance.random() < 0.6:
        return {**mapping, key: restated(chance, inside)}
    others = {name: value for name, value in mapping.items() if name != key}
    name = chance.choice(("nosuch", "", "_target_", "auto", "\x1b[2J", "name", 1, None, 1.5, True, "x" * 3000))
    return chance.choice(
        (
            others,
            {**others, name: inside},
            {**mapping, name: values.odd(chance)},
            {**mapping, key: values.odd(chance)},
            {**mapping, key: values.odd(chance)},
            {**mapping, key: mapping[chance.choice(list(mapping))]},
            {**mapping, key: {"_target_": "nnspec_canary.run"}},
            {**mapping, key: [inside] * 3},
            {**mapping, key: nested(100, inside)},
        )
    )


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def respelled(chance: Random, content: bytes) -> bytes:
    """The same file with something wrong in its text."""
    lines = content.splitlines(keepends=True) or [b"\n"]
    at = chance.randrange(len(lines))
    word = chance.choice((*LINES, *values.TEXTS)).encode("utf-8", "surrogatepass")
    key = lines[at].partition(b":")[0]
    changes = (
        lambda: content[: chance.randrange(len(content) + 1)],
        lambda: b"".join([*lines[:at], word + b"\n", *lines[at:]]),
        lambda: b"".join([*lines[:at], key + b": " + chance.choice(TAGS).encode() + b"\n", *lines[at + 1 :]]),
        lambda: b"".join([*lines[:at], key + b": " + word + b"\n", *lines[at + 1 :]]),
        lambda: b"".join([*lines[:at], lines[at] * 2, *lines[at + 1 :]]),
        lambda: b"".join([*lines[:at], b"x: &x " + lines[at], b"y: *x\n"]),
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.decode("utf-8", "replace").encode("utf-16"),
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: content[:at] + chance.choice((b"\0", b"\xff", b"\x1b", b"\x85", b"\xc3")) + content[at:],
        lambda: content + b"seed: " + chance.choice((b"[", b"{a: ", b"- ", b"!!set {")) * chance.choice((100, 5000)),
        lambda: content + b"x: '" + b"y" * 3_000_000 + b"'\n",
        lambda: values.laughs().encode() + content,
        lambda: values.mangled(chance, content.decode("utf-8", "replace")).encode("utf-8", "surrogatepass"),
        lambda: content + b"seed: " + b"9" * 5000 + b"\n",
        lambda: content + b"seed: 1:59:59\nreplicates: 0o7\n",
        lambda: b"",
    )
    return chance.choice(changes)()
