"""Plain mappings as YAML that any YAML 1.1 or 1.2 reader takes back exactly.

Written by hand because PyYAML takes longer for this than everything else a cell files.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

# Words that YAML 1.1 reads as something else than a text, in any case.
_RESERVED = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def yaml_text(mapping: Mapping[str, object]) -> str:
    """A mapping of values, or of mappings of values, a line each."""
    lines = []
    for key, value in mapping.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines.extend(f"  {name}: {yaml_value(item)}" for name, item in value.items())
        else:
            lines.append(f"{key}: {yaml_value(value)}")
    return "\n".join(lines) + "\n"


def yaml_value(value: object) -> str:
    """A null, boolean, number, text or list of these as YAML on one line."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml_value(item) for item in value) + "]"
    if isinstance(value, float):
        return _yaml_float(value)
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and value.lower() not in _RESERVED
        return value if bare else '"' + "".join(map(_yaml_character, value)) + '"'
    return json.dumps(value, default=str)  # no checked spec has anything else, and an unchecked one can be printed too


def _yaml_character(character: str) -> str:
    # JSON's escapes will not do: YAML reads the two halves of an emoji as two characters.
    plain = " " <= character <= "~" and character not in '"\\'
    return character if plain else f"\\U{ord(character):08x}"


def _yaml_float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    digits, mark, exponent = repr(value).partition("e")
    if not mark:
        return digits
    # YAML 1.1 reads 1e-05 as a text: it wants a dot and a signed exponent.
    return f"{digits if '.' in digits else digits + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"
