"""Data sets: all rows at once, made from their definition or read from a file, and cut into training and test part."""

from nnspec.catalog.data.bundled import BUNDLED
from nnspec.catalog.data.curves import CURVES
from nnspec.catalog.data.gates import GATES
from nnspec.catalog.data.sets import DataEntry as DataEntry
from nnspec.catalog.data.sets import DataSet as DataSet
from nnspec.catalog.data.sets import Size as Size
from nnspec.catalog.data.shapes import SHAPES
from nnspec.catalog.data.split import Parts as Parts
from nnspec.catalog.data.split import class_faults as class_faults
from nnspec.catalog.data.split import parts as parts
from nnspec.catalog.data.split import test_rows as test_rows
from nnspec.catalog.data.user import USERS
from nnspec.registry import Registry

DATA: Registry[DataEntry] = Registry("data", (*GATES, *SHAPES, *CURVES, *BUNDLED, *USERS))
