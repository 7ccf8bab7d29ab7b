"""Filed runs in forms that others can use: specs that train them again, and trained networks that need no nnspec."""

from nnspec.exporting.filed import FORMATS as FORMATS
from nnspec.exporting.filed import export_run as export_run
