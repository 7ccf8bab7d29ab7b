"""The layers of a network that a spec lists, as ``torch.nn.Sequential`` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec.catalog.activations import ACTIVATIONS
from nnspec.params import Integer, Kind, Real, Refused, Schema, Value

LINEAR, LAYER_NORM, BATCH_NORM, DROPOUT = "linear", "layer_norm", "batch_norm", "dropout"
UNITS = Integer(1, 65536)  # of a layer
SHARE = Real(0, 1, open_high=True)  # of numbers that dropout sets to zero
PLAIN = (LAYER_NORM, BATCH_NORM)  # layers that take nothing


@dataclass(frozen=True)
class Listed:
    """One layer: ``linear`` of so many ``size`` units (None: as many as the network has outputs), ``dropout`` with a
    ``share``, a norm, or an activation with its ``params``."""

    kind: str
    size: int | None = None
    share: float = 0.0
    params: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Layers:
    """A list of layers: ``[{linear: 256}, {relu: {}}, {linear: 10}]``. Canonical is a list a layer: its name, and what
    it takes: ``[[linear, 256], [relu], [linear, 10]]``."""

    def parse(self, value: object) -> tuple[Value, ...]:
        if not isinstance(value, (list, tuple)) or not value:
            raise Refused(self.rule())
        layers = tuple(_layer(item) for item in value)
        if layers[-1][0] != LINEAR:
            raise Refused(f"must end with a {LINEAR} layer, whose outputs are the network's")
        if any(layer == (LINEAR,) for layer in layers[:-1]):
            raise Refused(f"must say how many units each {LINEAR} layer has, but for the last")
        return layers

    def rule(self) -> str:
        return "must be a list of layers, as [{linear: 8}, {relu: {}}, {linear: null}]"

    def schema(self) -> Schema:
        return {"type": "array", "minItems": 1, "items": {"type": ["object", "array", "string"]}}


def _layer(item: object) -> tuple[Value, ...]:
    """The canonical form of a layer: {relu: {}}, [relu] and relu are the same."""
    if isinstance(item, Mapping) and len(item) == 1:
        name, given = next(iter(item.items()))
    elif isinstance(item, (list, tuple)) and 1 <= len(item) <= 2:
        name, given = item[0], item[1] if len(item) == 2 else None
    else:
        name, given = item, None
    if not isinstance(name, str):
        raise Refused("must be a list in which each layer has a name")
    if name == LINEAR:
        return (LINEAR,) if given is None else (LINEAR, _number(UNITS, name, given))
    if name == DROPOUT:
        return (DROPOUT, _number(SHARE, name, 0.5 if given in (None, {}, ()) else given))
    if name in PLAIN and given in (None, {}, ()):
        return (name,)
    name = ACTIVATIONS.named(name)
    if name not in ACTIVATIONS or not ACTIVATIONS[name].trainable:
        known = ", ".join([LINEAR, *PLAIN, DROPOUT])
        raise Refused(f"must be a list of layers that are {known} or an activation, and '{name}' is none")
    params = _params(name, given)
    return (name, params) if params else (name,)


def _number(kind: Kind, name: str, given: object) -> Value:
    try:
        return kind.parse(given)
    except Refused as refused:
        raise Refused(f"must be a list of layers in which the number of a {name} layer {refused}") from None


def _params(name: str, given: object) -> tuple[Value, ...]:
    """The parameters of an activation that are not at their defaults, [key, value] each."""
    pairs: Any = given.items() if isinstance(given, Mapping) else given or ()
    if isinstance(pairs, (list, tuple)) and len(pairs) == 2 and isinstance(pairs[0], str):
        pairs = [pairs]  # as a spec keeps a mapping of one key
    known = {param.name: param for param in ACTIVATIONS[name].params}
    found = []
    for pair in pairs if not isinstance(pairs, (str, int, float)) else [None]:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or pair[0] not in known:
            raise Refused(f"must be a list of layers in which {name} takes {', '.join(known) or 'no parameters'}")
        value = known[pair[0]].kind.parse(pair[1])
        if value != known[pair[0]].default:
            found.append((str(pair[0]), value))
    return tuple(sorted(found))


def listed(value: Value) -> Iterator[Listed]:
    """The layers of a canonical list."""
    assert isinstance(value, tuple)
    for item in value:
        assert isinstance(item, tuple)
        name, given = str(item[0]), item[1] if len(item) == 2 else None
        if name == LINEAR:
            yield Listed(name, None if given is None else int(str(given)))
        elif name == DROPOUT:
            yield Listed(name, share=float(str(given)))
        elif name in PLAIN:
            yield Listed(name)
        else:
            pairs: Any = given or ()
            said = dict(pairs)
            full = {param.name: said.get(param.name, param.default) for param in ACTIVATIONS[name].params}
            yield Listed(name, params=tuple(sorted(full.items())))
