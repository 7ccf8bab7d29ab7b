"""Whether a module does something else in training than in evaluation."""

from __future__ import annotations

import torch


def has_modes(module: torch.nn.Module) -> bool:
    """Whether a pass in training may give other outputs than one in evaluation: a part's ``forward`` asks for its
    ``training``, as those of dropout and of batch normalisation do."""
    codes = (getattr(type(part).forward, "__code__", None) for part in module.modules())
    return any(code is None or "training" in code.co_names for code in codes)
