"""What would help a network that fails, measured: a few changes to its spec, trained on the same seeds."""

from nnspec.remedies.changes import Change as Change
from nnspec.remedies.changes import changes as changes
from nnspec.remedies.filed import commonest as commonest
from nnspec.remedies.filed import failure_of as failure_of
from nnspec.remedies.found import ANOTHER_SEED as ANOTHER_SEED
from nnspec.remedies.found import Measured as Measured
from nnspec.remedies.found import Remedies as Remedies
from nnspec.remedies.measuring import remedies as remedies
from nnspec.remedies.seeds import affordable as affordable
from nnspec.remedies.seeds import fitting as fitting
from nnspec.remedies.worth import Worth as Worth
from nnspec.remedies.worth import worth as worth
