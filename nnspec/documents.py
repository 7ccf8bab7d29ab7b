"""What commands print for programs: one JSON document, with null where there is no number."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np


def document(value: object) -> str:
    """``value`` as an indented JSON document.

    A data frame is a list of objects, one a row; an array is a list; a dataclass is an object of its fields. What is
    not finite (no p-value, an open bound) is null, for JSON has no such numbers. Keys keep their order.

    Raises:
        TypeError: something in it has no form in JSON.
    """
    # escaped here, for what terminals do not print is escaped on its way there, in a form that JSON does not have
    return json.dumps(plain(value), indent=2, allow_nan=False).replace("\x7f", "\\u007f")


def plain(value: Any) -> Any:
    """``value`` in lists, dictionaries with text as keys, text, numbers, booleans and None."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame
        return [plain(row) for row in value.to_dict("records")]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):  # of pandas, which need not be there
        return None
    raise TypeError(f"{type(value).__name__} has no form in JSON")
