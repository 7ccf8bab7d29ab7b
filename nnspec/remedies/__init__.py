"""What would help a network that fails, measured: a few changes to its spec, trained on the same seeds."""

from nnspec.remedies.filed import commonest as commonest
from nnspec.remedies.filed import failure_of as failure_of
from nnspec.remedies.found import Remedies as Remedies
from nnspec.remedies.measuring import remedies as remedies
