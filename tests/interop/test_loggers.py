"""What loggers write is what the history holds, read back by the libraries themselves."""

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import ConfigurationError, Result, Search
from evometa.interop.loggers import Logger, MLflow, TensorBoard, WeightsAndBiases
from evometa.naming import load
from evometa.strategies import CMAES

Bowl = load(f"{Path(__file__).parents[1] / 'toys.py'}:Bowl")


class Kept(Logger):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.settings: list[dict[str, str]] = []
        self.values: dict[int, dict[str, float]] = {}
        self.results: list[dict[str, float]] = []

    def begin(self, settings: dict[str, str]) -> None:
        self.settings.append(settings)

    def log(self, generation: int, values: dict[str, float]) -> None:
        assert generation not in self.values
        self.values[generation] = values

    def finish(self, numbers: dict[str, float], result: Result) -> None:
        self.results.append(numbers)


def searched(callback: Any) -> Search:
    """Run a search of six generations in two parts, with a validation after every second."""
    search = Search(Bowl(2), CMAES(4), validate_every=2, callbacks=[callback], progress=False)
    search.run(generations=3)
    search.run(generations=6)
    return search


def test_ends_of_dispatches_and_validations_are_logged() -> None:
    kept = Kept()
    search = searched(kept)
    assert {2, 3, 4, 6} <= set(kept.values)
    for generation, values in kept.values.items():
        for name, value in values.items():
            assert value == search.history[name][generation - 1], name
    assert "center" in kept.values[2]
    assert kept.settings[0] == kept.settings[1]
    assert kept.settings[0]["strategy.population_size"] == "4"
    assert kept.settings[0]["problem"] == "Bowl"
    assert kept.results[1]["best_fitness"] == search.history["best_so_far"][-1]


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    search = searched(TensorBoard(tmp_path))
    logged: dict[int, float] = {}
    for path in tmp_path.glob("events*"):
        content = path.read_bytes()
        while content:  # records of TensorFlow: length, its checksum, an event, its checksum
            (length,) = struct.unpack_from("<Q", content)
            event = Event.FromString(content[12 : 12 + length])
            for value in event.summary.value:
                if value.tag == "best_so_far":
                    logged[event.step] = value.simple_value
            content = content[16 + length :]
    np.testing.assert_allclose(logged[6], search.history["best_so_far"][-1], rtol=1e-6)


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    searched(WeightsAndBiases(project="test", mode="offline", dir=str(tmp_path)))
    written = [path.read_bytes() for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb")]
    assert written
    assert all(b"best_so_far" in content for content in written)


@pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated")  # of MLflow's own
def test_mlflow(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    search = searched(MLflow(uri, "bowls"))
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("bowls").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["strategy.population_size"] == "4"
    logged = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "best_so_far")}
    assert logged[6] == search.history["best_so_far"][-1]


@pytest.mark.parametrize(
    ("name", "make"),
    [("tensorboardX", lambda: TensorBoard("a")), ("wandb", WeightsAndBiases), ("mlflow", MLflow)],
)
def test_a_missing_library_is_named(name: str, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=f"pip install {name}"):
        make()
