"""Callbacks that log a search to TensorBoard, Weights & Biases or MLflow; each needs the library that it is for.

All log the same: the settings of problem and strategy when the search begins; by the number of the generation, every
column of the history for the last generation of each dispatch (about one a second) and for every validation; and the
result when the search stops. A search that continues continues its log.
"""

import abc
import importlib
import math
import os
from typing import Any

import numpy as np

from evometa import naming
from evometa.errors import ConfigurationError
from evometa.naming.words import value_in_words
from evometa.search.callbacks import Callback, Report
from evometa.search.search import Search
from evometa.storage.result import Result

RESULTS = ("best_fitness", "center_fitness", "held_out", "selected_fitness", "selected_held_out", "seconds")
"""The numbers of a result that are logged."""


class Logger(Callback):
    """What all have in common: which numbers are logged, and when."""

    def start(self, search: Search) -> None:
        """Log the settings."""
        self.begin(settings_of(search))

    def dispatch(self, report: Report) -> None:
        """Log the last generation of a dispatch, and those with a validation."""
        generations = np.asarray(report.rows["generation"])
        for row in np.flatnonzero(np.isfinite(report.rows["center"]) | (generations == generations[-1:])):
            values = {name: float(column[row]) for name, column in report.rows.items() if name != "generation"}
            self.log(int(generations[row]), {name: value for name, value in values.items() if math.isfinite(value)})

    def end(self, search: Search, result: Result) -> None:
        """Log the result."""
        numbers = {name: float(getattr(result, name)) for name in RESULTS}
        self.finish({name: value for name, value in numbers.items() if math.isfinite(value)}, result)

    @abc.abstractmethod
    def begin(self, settings: dict[str, str]) -> None:
        """Begin a log, or continue it."""

    @abc.abstractmethod
    def log(self, generation: int, values: dict[str, float]) -> None:
        """Log numbers of a generation."""

    @abc.abstractmethod
    def finish(self, numbers: dict[str, float], result: Result) -> None:
        """Log the result and close the log."""


def settings_of(search: Search) -> dict[str, str]:
    """Return problem, strategy, their settings and the seed, as text by names such as ``strategy.sigma``."""
    settings = {"seed": f"{search.seed}"}
    for role, thing in (("problem", search.problem), ("strategy", search.strategy)):
        described = naming.describe(thing)
        settings[role] = described["type"].rpartition(":")[2]
        settings |= {f"{role}.{name}": value_in_words(value) for name, value in described["fields"].items()}
    return settings


class TensorBoard(Logger):
    """Log to TensorBoard's event files, by tensorboardX.

    Args:
        folder: where they are written; ``tensorboard --logdir FOLDER`` shows them.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._module, self._folder = _library("tensorboardX", "tensorboardX"), os.fspath(folder)
        self._writer: Any = None

    def begin(self, settings: dict[str, str]) -> None:
        """Write the settings as a table."""
        self._writer = self._module.SummaryWriter(self._folder)
        rows = "".join(f"\n| {name} | {value} |" for name, value in settings.items())
        self._writer.add_text("settings", f"| setting | value |\n|---|---|{rows}")

    def log(self, generation: int, values: dict[str, float]) -> None:
        """Write a scalar for each column."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, generation)

    def finish(self, numbers: dict[str, float], result: Result) -> None:
        """Write what was found as text, the numbers as scalars."""
        for name, value in numbers.items():
            self._writer.add_scalar(f"result/{name}", value, result.generations)
        self._writer.add_text("found", result.found or "nothing", result.generations)
        self._writer.close()


class WeightsAndBiases(Logger):
    """Log to a run of Weights & Biases.

    Args:
        options: arguments of ``wandb.init``, such as ``project="losses"`` or ``mode="offline"``.
    """

    def __init__(self, **options: Any) -> None:
        self._module, self._options = _library("wandb", "wandb"), options
        self._run: Any = None

    def begin(self, settings: dict[str, str]) -> None:
        """Begin the run with the settings as its config, or resume the one that this callback began."""
        again = {"id": self._run.id, "resume": "allow"} if self._run is not None else {}
        self._run = self._module.init(config=settings, **(self._options | again))

    def log(self, generation: int, values: dict[str, float]) -> None:
        """Log the columns of a generation as one step."""
        self._run.log(values, step=generation)

    def finish(self, numbers: dict[str, float], result: Result) -> None:
        """Put the result into the run's summary, and finish the run."""
        self._run.summary.update(numbers | {"found": result.found, "stop_reason": result.stop_reason})
        self._run.finish()


class MLflow(Logger):
    """Log to a run of MLflow.

    Args:
        tracking_uri: where, such as ``sqlite:///mlflow.db`` or the address of a server.
        experiment: the name of the experiment; made where there is none.
    """

    def __init__(self, tracking_uri: str = "sqlite:///mlflow.db", experiment: str = "evometa") -> None:
        module = _library("mlflow", "mlflow")
        self._entities = module.entities
        self._client: Any = module.MlflowClient(tracking_uri=tracking_uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment = found.experiment_id if found else self._client.create_experiment(experiment)
        self._run: str | None = None

    def begin(self, settings: dict[str, str]) -> None:
        """Begin the run with the settings as its parameters, or continue the one that this callback began."""
        if self._run is not None:
            self._client.set_terminated(self._run, status="RUNNING")
            return
        self._run = self._client.create_run(self._experiment).info.run_id
        params = [self._entities.Param(name, value[:500]) for name, value in settings.items()]
        self._client.log_batch(self._run, params=params)

    def log(self, generation: int, values: dict[str, float]) -> None:
        """Log the columns of a generation as metrics of one step."""
        metrics = [self._entities.Metric(_allowed(name), value, 0, generation) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def finish(self, numbers: dict[str, float], result: Result) -> None:
        """Log the result, and end the run."""
        for name, value in numbers.items():
            self._client.log_metric(self._run, f"result/{name}", value, step=result.generations)
        self._client.set_tag(self._run, "found", result.found[:5000])
        self._client.set_terminated(self._run)


def _allowed(name: str) -> str:
    """Return a name with the characters that MLflow allows."""
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "_" for letter in name)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"This callback expects the package {package}, which is not installed ({error}); pip install {package}."
        ) from error
