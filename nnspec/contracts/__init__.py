"""What nnspec asks of a part, tried on the parts of a file: for those who write some."""

from nnspec.contracts.checks import check_parts as check_parts
from nnspec.contracts.report import Check as Check
from nnspec.contracts.report import PartsReport as PartsReport
