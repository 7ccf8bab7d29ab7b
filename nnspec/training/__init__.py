"""Stacked training: the networks of many cells as one set of arrays, each exactly as if it had trained alone."""

from nnspec.training.memory import Room as Room
from nnspec.training.plan import Chunk as Chunk
from nnspec.training.plan import plan as plan
