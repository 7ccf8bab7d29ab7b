"""Names that people type for an entry's: resolved wherever an entry is named, and never filed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import nnspec
from nnspec.catalog import REGISTRIES
from nnspec.cli import main
from nnspec.compose import Composer, load_spec, loader
from nnspec.sweep import plan

ALIASES = {
    group: [(group, alias, entry.name) for entry in REGISTRIES[group] for alias in entry.aliases]
    for group in REGISTRIES
}
ALL = [said for of_group in ALIASES.values() for said in of_group]
# one alias of each group that has so many: each is said once, in few compositions
TOGETHER = [[said for said in line if said] for line in itertools.zip_longest(*ALIASES.values())]


@pytest.mark.parametrize("said", TOGETHER, ids=lambda said: " ".join(f"{group}={alias}" for group, alias, _ in said))
def test_overrides_may_say_them(said: list[tuple[str, str, str]]) -> None:
    config = Composer().mapping([f"{group}={alias}" for group, alias, _ in said])
    assert config == Composer().mapping([f"{group}={name}" for group, _, name in said])
    assert {group: config[group]["name"] for group, _, _ in said} == {group: name for group, _, name in said}


def test_the_promised_ones_are_there() -> None:
    assert {
        ("init", "he_uniform", "kaiming_uniform"),
        ("init", "he_normal", "kaiming_normal"),
        ("init", "glorot_uniform", "xavier_uniform"),
        ("init", "glorot_normal", "xavier_normal"),
        ("activation", "swish", "silu"),
        ("activation", "lrelu", "leaky_relu"),
        ("loss", "binary_cross_entropy", "bce"),
    } <= set(ALL)


def test_a_spec_with_aliases_is_that_with_the_names(tmp_path: Path) -> None:
    plain = nnspec.spec(["init=xavier_normal", "init.bias=kaiming_uniform", "loss=mse", "model.output=sigmoid"])
    typed = nnspec.spec(
        ["init=glorot_normal", "init.bias=he_uniform", "loss=mean_squared_error", "model.output=logistic"]
    )
    assert typed == plain
    assert typed.fingerprint == plain.fingerprint
    (tmp_path / "s.yaml").write_text(plain.yaml().replace("xavier_normal", "glorot_normal"))
    assert load_spec(tmp_path / "s.yaml") == plain


def test_a_sweep_takes_them_as_values_exclusions_and_inclusions() -> None:
    aliases = ["init=he_uniform,glorot_normal,zeros", "activation=swish,relu"]
    names = ["init=kaiming_uniform,xavier_normal,zeros", "activation=silu,relu"]
    lists = (
        "sweep.exclude=[{{init: {0}, activation: {1}}}]",
        "sweep.include=[{{init: {0}, activation: {1}, seed: 5}}]",
    )
    (typed, _), (plain, _) = (
        plan([*words, *(line.format(*entry) for line in lists)])
        for words, entry in ((aliases, ("he_uniform", "swish")), (names, ("kaiming_uniform", "silu")))
    )
    assert typed == plain
    assert len(typed.cells) == 6


def test_a_named_sweep_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mine.yaml").write_text("defaults: [override /init: he_normal]\n")
    assert nnspec.spec(["experiment=mine"]).init.name == "kaiming_normal"


def test_the_list_shows_them(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses"]) == 0
    assert "; also binary_cross_entropy" in capfd.readouterr().out


def test_a_folder_of_configs_may_have_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation/swish.yaml").write_text("name: tanh\n")
    (tmp_path / "config.yaml").write_text("defaults: [{activation: swish}]\n")
    assert Composer(loader(str(tmp_path))).mapping([])["activation"] == {"name": "tanh", "per_layer": None}
