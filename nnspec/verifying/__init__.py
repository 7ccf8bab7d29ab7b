"""A network that somebody wrote by hand against nnspec's own: outputs, gradients, updates, and why they part."""

from nnspec.verifying.report import Finding as Finding
from nnspec.verifying.report import VerifyReport as VerifyReport
from nnspec.verifying.verify import verify as verify
