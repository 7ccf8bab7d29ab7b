"""What the README's command and a sweep must have left in MLflow, read back with its public client."""

import sys

import mlflow
from mlflow import MlflowClient


def runs(database: str) -> tuple[MlflowClient, list]:
    client = MlflowClient(f"sqlite:///{database}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client, list(client.search_runs(experiments, max_results=1000))


def main() -> None:
    single, sweep = sys.argv[1:]
    client, found = runs(single)
    (run,) = found
    assert run.info.status == "FINISHED", run.info.status
    assert run.data.params["activation.name"] == "gelu", run.data.params
    history = client.get_metric_history(run.info.run_id, "loss")
    assert len(history) == 101, len(history)
    assert history[0].value > history[-1].value
    files = {item.path for folder in ("", "weights") for item in client.list_artifacts(run.info.run_id, folder)}
    assert {"spec.yaml", "weights/final.safetensors", "history.parquet", "results.parquet"} <= files, files

    _, found = runs(sweep)
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    assert len(found) == 121, len(found)
    assert len(children) == 120, len(children)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len({run.data.tags["nnspec.fingerprint"] for run in children}) == 120
    assert all("nnspec.verdict" in run.data.tags for run in children)
    print(f"MLflow {mlflow.__version__}: a run with 101 losses, a sweep with 120 children")


if __name__ == "__main__":
    main()
