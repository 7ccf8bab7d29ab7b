"""MLflow's entities made of records and read as facts, and the language of its search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.errors import Fault, TrackingError
from nnspec.tracking.records import IDENTITY_TAGS, DatasetInfo
from nnspec.tracking.store import FoundRun, RunFacts, RunQuery

if TYPE_CHECKING:
    from mlflow.entities import Run


def dataset_input(info: DatasetInfo) -> Any:
    """A data set, as what a run was trained on."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(info.name, info.digest, info.source_type, info.source, info.schema, info.profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def found_run(run: Run, params: Sequence[str]) -> FoundRun:
    """A run as a search gives it, with those of its params."""
    info, data = run.info, run.data
    tags = {key: value for key, value in data.tags.items() if key in IDENTITY_TAGS}
    some = {key: value for key, value in data.params.items() if key in params}
    return FoundRun(info.run_id, info.run_name, info.status, info.start_time, tags, some)


def facts_of(run: Run) -> RunFacts:
    """All that is filed of a run, its artifacts aside."""
    info, data = run.info, run.data
    return RunFacts(
        run_id=info.run_id,
        experiment_id=info.experiment_id,
        name=info.run_name,
        status=info.status,
        tags=data.tags,
        params=data.params,
        metrics=data.metrics,
        start_time=info.start_time,
        end_time=info.end_time,
        deleted=info.lifecycle_stage == "deleted",
    )


def filter_of(query: RunQuery) -> str:
    """The query in the language of MLflow's search."""
    clauses = [tag_is(key, value) for key, value in query.tags.items()]
    clauses += [f"tags.`{key}` LIKE '%'" for key in query.with_tags]
    clauses += [f"tags.`{key}` IS NULL" for key in query.without_tags]
    if query.id_prefix is not None:
        clauses.append(f"attributes.run_id LIKE {quoted(query.id_prefix + '%')}")
    if query.name is not None:
        clauses.append(f"attributes.run_name = {quoted(query.name)}")
    return " and ".join(clauses)


def tag_is(key: str, value: str) -> str:
    """A query: the tag has the value."""
    return f"tags.`{key}` = {quoted(value)}"


def quoted(value: str) -> str:
    """A text as MLflow's search reads it: its grammar has no escapes, only two kinds of quotes."""
    quote = "'" if "'" not in value else '"'
    if quote in value:
        raise TrackingError(
            Fault("a text to search for", "must not have both kinds of quotes", value, "rename the run")
        )
    return f"{quote}{value}{quote}"
