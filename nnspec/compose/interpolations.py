"""What interpolations a config may hold: a few lines of them can stand for gigabytes, as aliases of YAML can."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from nnspec.errors import Fault

RESOLVERS = ("now", "hydra", "python_version", "oc.env", "oc.select", "oc.deprecated", "oc.dict.keys", "oc.dict.values")
VALUES, CHARACTERS = 200_000, 2**24  # that a config has at most when all is resolved
_NAME = re.compile(r"\$\{\s*([\w.\[\]-]*)\s*([:}]?)")  # ${key} or ${resolver:...}
_FROM_ENVIRONMENT = re.compile(r"\$\{oc\.decode:\$\{oc\.env:")  # a number or a list of the environment


def interpolation_faults(node: object) -> Iterator[Fault]:
    """The faults of a config as it is written.

    N interpolations make it larger by a factor of exp(N/e) at most: that is N = k d of them in d levels, k in each,
    with k = e.
    """
    texts = dict(_leaves(node, ""))
    count = sum(text.count("${") for text in texts.values())
    growth = math.exp(min(count, 100) / math.e)
    if count and (len(texts) * growth > VALUES or sum(map(len, texts.values())) * growth > CHARACTERS):
        yield Fault("the config", "must hold fewer interpolations", f"{count} times ${{...}}", "write the values out")
        return
    for where, text in texts.items():
        for name, end in _NAME.findall(_FROM_ENVIRONMENT.sub("${oc.env:", text)):
            if not end:
                yield Fault(where, "must interpolate keys that are written out", text, "write the inner one out")
            elif end == ":" and name not in RESOLVERS:
                yield Fault(
                    where, "must use one of Hydra's resolvers of data", text, f"use one of {', '.join(RESOLVERS)}"
                )


def _leaves(node: object, where: str) -> Iterator[tuple[str, str]]:
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else None
    if items is None:
        yield where, str(node) if isinstance(node, str) else ""
    for key, value in items or ():
        yield from _leaves(value, f"{where}.{key}" if where else str(key))
