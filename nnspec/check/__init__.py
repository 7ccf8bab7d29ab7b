"""Every rule about a spec: all faults at once, and its canonical form. No torch."""

from __future__ import annotations

from nnspec.check.spec import archived_spec as archived_spec
from nnspec.check.spec import checked as checked
from nnspec.check.spec import checked_mapping as checked_mapping
from nnspec.check.spec import examine as examine
from nnspec.check.spec import seed_faults as seed_faults
from nnspec.check.weights import most_bytes as most_bytes
