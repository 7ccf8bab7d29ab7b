"""What nnspec asks of a part, tried on the parts of a file: for those who write some."""

from nnspec.contracts.checks import check_parts as check_parts
