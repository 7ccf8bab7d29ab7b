"""What is said where an engine is not there or cannot be joined; tests/engines/ has the sweeps that it carries."""

from __future__ import annotations

import socket
import sys

import pytest

from nnspec.errors import SpecError, TrainingError
from nnspec.execute.engines import chosen
from nnspec.execute.engines.on_ray import reached
from nnspec.settings import Runtime


def test_processes_of_this_machine_need_nothing() -> None:
    assert chosen(Runtime(workers=3)) == (None, Runtime(workers=3))


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    wanted = r"train.engine=ray needs the extra nnspec\[ray\], .*; install it with: pip install 'nnspec\[ray\]'"
    with pytest.raises(SpecError, match=wanted):
        chosen(Runtime(engine="ray"))


@pytest.mark.parametrize("address", ["here", "here:", ":80", "here:port", "here:0", "here:65536", "ray://here"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(SpecError, match=r"train.address must be auto, host:port or ray://host:port, but got '"):
        reached(address, 1)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    wanted = rf"train.address={scheme}127.0.0.1:{port} must be a Ray that runs, but got Connection refused; start one"
    with pytest.raises(TrainingError, match=wanted):
        reached(f"{scheme}127.0.0.1:{port}", 60)


def test_an_address_where_something_else_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrainingError, match=r"must be a Ray that runs, but got no answer within 1 s"):
            reached(address, 1)
