"""Stacked training: the networks of many cells as one set of arrays, each exactly as if it had trained alone."""

from nnspec.fused.memory import Room as Room
from nnspec.fused.plan import Chunk as Chunk
from nnspec.fused.plan import Plan as Plan
from nnspec.fused.plan import Share as Share
from nnspec.fused.plan import Stack as Stack
from nnspec.fused.plan import plan as plan
