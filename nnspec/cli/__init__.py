"""The command ``nnspec``."""

from nnspec.cli.main import main as main
