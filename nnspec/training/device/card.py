"""The graphics card: whether one is there, what is free of its memory, and how it is made to repeat itself."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nnspec.errors import Fault, SpecError, first_line
from nnspec.specs import CUDA

INSTALL = "install a torch with CUDA (https://pytorch.org/get-started/locally), or leave it out"
# how large cuBLAS's working memory is: said beforehand, its products are the same from run to run
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def missing() -> tuple[str, str]:
    """Why nothing can train on a card here, and what to do about it; empty where it can."""
    if not torch.backends.cuda.is_built():
        return f"this torch ({torch.__version__}) is built without CUDA", INSTALL
    os.environ.setdefault(*WORKSPACE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch warns of, it says again as an error
        try:
            torch.cuda.init()
            found = torch.cuda.device_count()
        except (RuntimeError, AssertionError) as error:
            return f"torch says: {first_line(error)}", "leave it out, or see what nvidia-smi says"
    return ("", "") if found else ("torch finds no CUDA device", "leave it out, or see what nvidia-smi says")


def found() -> torch.device:
    """The card that torch uses.

    Raises:
        SpecError: there is none that torch can use.
    """
    why, remedy = missing()
    if why:
        raise SpecError([Fault("device", f"must be cpu here: {why}", CUDA, remedy)])
    return torch.device(CUDA)


def free_bytes() -> int:
    """Bytes of the card's memory that are free.

    Raises:
        SpecError: there is no card that torch can use.
    """
    free, _ = torch.cuda.mem_get_info(found())
    return int(free)


@contextmanager
def repeatable() -> Iterator[None]:
    """Torch with operations only that give the same numbers from run to run; another one is an error."""
    os.environ.setdefault(*WORKSPACE)
    switches: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), switches.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    switches.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        switches.fill_uninitialized_memory = before[1]
