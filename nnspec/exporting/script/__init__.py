"""A trained network as one readable file of plain PyTorch, which builds and trains it again without nnspec."""

from nnspec.exporting.script.file import script as script
