"""A network that somebody wrote by hand against nnspec's own: outputs, gradients, updates, and why they part."""

from nnspec.verifying.network import verify as verify
from nnspec.verifying.report import VerifyReport as VerifyReport
