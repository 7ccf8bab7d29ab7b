"""``nnspec schema``: the JSON Schema of a spec file or of a sweep file, for editors."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.cli.flags import Flags
from nnspec.documents import document
from nnspec.schema import spec_schema, sweep_schema

SCHEMAS = {"spec": spec_schema, "sweep": sweep_schema}


def schema(arguments: Sequence[str]) -> int:
    """Print the schema."""
    parser = Flags("schema", "Prints a JSON Schema (draft 2020-12) that editors check files by; see docs/schema.md.")
    parser.add_argument(
        "file",
        nargs="?",
        choices=SCHEMAS,
        default="spec",
        help="of a spec.yaml (default), or of a sweep in experiments/",
    )
    parser.parts()
    asked = parser.parsed(arguments)
    print(document(SCHEMAS[asked.file]()))
    return 0
