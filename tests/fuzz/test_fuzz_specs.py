"""Made-up specs as YAML: they come back as they were, and fit the schema."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import spec_files
import yaml
from jsonschema import Draft202012Validator

from nnspec.cli import main
from nnspec.compose import load_spec
from nnspec.schema import spec_schema

SCHEMA = Draft202012Validator(spec_schema())


@pytest.mark.sampled(2)
@pytest.mark.parametrize("seed", range(60))
def test_yaml_comes_back_and_fits_the_schema(tmp_path: Path, seed: int) -> None:
    spec = spec_files.valid(Random(f"yaml {seed}"))
    file = tmp_path / "s.yaml"
    file.write_text(spec.yaml())
    back = load_spec(file)
    assert (back, back.fingerprint) == (spec, spec.fingerprint)
    assert list(SCHEMA.iter_errors(yaml.safe_load(spec.yaml()))) == []


@pytest.mark.parametrize("seed", range(6))
def test_show_prints_what_spec_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    spec = spec_files.valid(Random(f"show {seed}"))
    file = tmp_path / "s.yaml"
    file.write_text(spec.yaml())
    assert main(["show", f"spec={file}", "--yaml"]) == 0
    assert capsys.readouterr() == (spec.yaml(), "")
