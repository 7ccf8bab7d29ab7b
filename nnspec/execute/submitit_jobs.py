"""Jobs of submitit, each taken by itself: Hydra's launcher asks for one result after the other, and the first job that
failed ends its loop while others still train (facebookincubator/submitit#1628)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnspec.errors import first_line
from nnspec.execute.shards import Died

_RULE = "----------------------"  # above and below the traceback in submitit's message


@contextmanager
def each_by_itself(launcher: Any) -> Iterator[None]:
    """While it is entered, a job of submitit that did not come to its end gives ``Died``, and the launcher goes on to
    the next one. Nothing with another launcher."""
    if "submitit" not in type(launcher).__module__:
        yield
        return
    from submitit.core.core import Job

    results = Job.results

    def told(job: Any) -> list[Any]:
        try:
            return results(job)
        except Exception as error:
            return [Died(said(error))]

    Job.results = told
    try:
        yield
    finally:
        Job.results = results


def said(error: Exception) -> str:
    """What submitit says of a job in one line: the last one of a traceback, if it has one."""
    parts = str(error).split(_RULE)
    return parts[1].strip().splitlines()[-1] if len(parts) > 1 and parts[1].strip() else first_line(error)
