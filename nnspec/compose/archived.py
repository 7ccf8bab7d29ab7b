"""``spec=FILE``: an archived spec stands for the overrides that compose it, and what else is said goes on top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from nnspec.catalog import MODELS
from nnspec.check import checked_mapping
from nnspec.errors import Fault, SpecError
from nnspec.files import read_yaml
from nnspec.specs import MEMBERS, RunSpec, text

KEY = "spec="
WHERE = "sweep.where="
_QUOTES = ("'", '"')


def load_spec(path: str | Path) -> RunSpec:
    """The checked spec of a YAML file.

    Raises:
        SpecError: the file cannot be read, is no mapping, or states a spec with faults.
    """
    try:
        mapping = read_yaml(path)
    except OSError as error:
        raise SpecError(
            [Fault("spec", f"must be a readable file ({error.strerror})", f"'{path}'", "check the path")]
        ) from None
    except ValueError as error:
        raise SpecError(
            [Fault("spec", f"must be a YAML file ({error})", f"'{path}'", "give the spec.yaml of a run")]
        ) from None
    if not isinstance(mapping, Mapping):
        raise SpecError(
            [Fault("spec", "must hold a mapping of a spec's fields", text(mapping), "give the spec.yaml of a run")]
        )
    return checked_mapping({str(key): value for key, value in mapping.items()})


def with_archived(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with ``spec=FILE`` replaced by the overrides that state its spec.

    They come first, so that the others go on top: ``spec=spec.yaml seed=5`` is that spec with another seed. Choosing
    another member (``activation=gelu``) drops the archived member whole, parameters included.
    """
    given = [a for a in arguments if a.startswith(KEY) and a not in ("spec=null", "spec=")]
    if not given:
        return list(arguments)
    if len(given) > 1:
        raise SpecError([Fault("spec", "must be given once", ", ".join(given), "keep one of them")])
    path = _unquoted(given[0].removeprefix(KEY))
    others = [a for a in arguments if a != given[0]]
    chosen = {a.split("=", 1)[0] for a in others} | set(where_keys(others))
    others.append(f"{KEY}{grammar(path)}")  # which says that the spec is a file's
    flags = [a for a in others if a.startswith("-")]
    return [*flags, *_overrides(load_spec(path), chosen), *(a for a in others if not a.startswith("-"))]


def where_keys(overrides: Sequence[str]) -> list[str]:
    """The keys that ``sweep.where`` names among overrides, which other overrides may need for a key of theirs."""
    keys: list[str] = []
    for line in overrides:
        if line.startswith(WHERE):
            with suppress(HydraException):  # whoever composes it says what is wrong
                items = OverridesParser.create().parse_override(line).value()
                listed = items if isinstance(items, list) else []
                keys += [str(key) for item in listed if isinstance(item, Mapping) for key in item]
    return keys


def _overrides(spec: RunSpec, chosen: set[str]) -> Iterator[str]:
    one_activation = MODELS[spec.model.name].between is None  # said once, so that another one on top replaces it
    for key, value in spec.to_mapping().items():
        if not isinstance(value, dict):
            if key not in chosen:
                yield f"{key}={grammar(value)}"
            continue
        if key in MEMBERS:
            if key in chosen or (key == "activation" and one_activation and "model.output" in chosen):
                continue
            yield f"{key}={value['name']}"
        left_out = ["name", "output"] if key == "model" and one_activation else ["name"]
        if chosen & {"model.depth", "model.width"}:
            left_out.append("hidden")  # which they say anew
        kept = {name: item for name, item in value.items() if name not in left_out and f"{key}.{name}" not in chosen}
        yield from (f"{key}.{name}={grammar(item)}" for name, item in kept.items())


def grammar(value: object) -> str:
    """A plain value in Hydra's override grammar, strings quoted so that they come back as they are."""
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(grammar(item) for item in value) + "]"
    return text(value)


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES else value
