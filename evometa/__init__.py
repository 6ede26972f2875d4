"""evometa: meta-learning by evolution.

An inner loop trains a learner; an outer loop searches over ω, anything that the inner loop takes as given. A problem
(:class:`Problem`, :class:`InnerTraining`, :class:`HostProblem`) evaluates ω and names its space (:class:`Box`,
:class:`Like`, :class:`Integer`, :class:`Categorical`, :class:`Dict`), a strategy (:mod:`evometa.strategies`) proposes
candidates, and a :class:`Search` runs both::

    import evometa as em

    search = em.Search(em.problems.Sinusoid(), em.strategies.OpenAIES(population_size=512), run_directory="runs/sine")
    search.run(generations=2000)
    em.plots.fitness("runs/sine").savefig("sine.png")

Importing the package makes JAX use one CPU device per core (:mod:`evometa.backend.devices`). The subpackages
``strategies``, ``problems``, ``plots``, ``zoo`` and ``distributed``, and the contract checks in ``testing``, are
imported at their first use.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evometa import distributed, plots, problems, strategies, testing, zoo
    from evometa.asynchronous import AsynchronousStrategy
    from evometa.backend.convolution import conv2d
    from evometa.card import ProblemCard, Recipe
    from evometa.errors import (
        CandidateFailed,
        ConfigurationError,
        EvaluationError,
        EvometaError,
        EvometaWarning,
        IgnoredFeedbackWarning,
        RunDirectoryError,
    )
    from evometa.evaluation.training_evaluator import replay
    from evometa.executors.ray_settings import Ray
    from evometa.halving import Halving
    from evometa.inner_training import learning_curve
    from evometa.objectives import At, Final, Mean
    from evometa.problem import Evaluation, HostProblem, InnerTraining, Problem
    from evometa.pruning import ASHA, MedianPruning, Pruning
    from evometa.reporting import Stopped
    from evometa.search.ask_tell import AskTell
    from evometa.search.callbacks import Callback, Report
    from evometa.search.decisions import StopReason
    from evometa.search.generalization import DistributionScore, generalization
    from evometa.search.search import Search
    from evometa.search.several_seeds import SeveralSeeds
    from evometa.search.start import Start
    from evometa.sharing.run import Run, load
    from evometa.spaces import (
        Box,
        Categorical,
        Dict,
        Fixed,
        Integer,
        Like,
        Permutation,
        Space,
        Subset,
        VectorSpace,
        When,
    )
    from evometa.storage.result import Archive, Result
    from evometa.storage.result_file import load_result
    from evometa.strategy import Feedback, Strategy, TrainsPopulation, Unrolled


def request_cpu_devices() -> None:
    """Make JAX use one CPU device for each core (:mod:`evometa.backend.devices`); before its backend starts."""
    importlib.import_module("evometa.backend.devices").request_cpu_devices()


__version__ = "0.1.0"

__all__ = [
    "ASHA",
    "Archive",
    "AskTell",
    "AsynchronousStrategy",
    "At",
    "Box",
    "Callback",
    "CandidateFailed",
    "Categorical",
    "ConfigurationError",
    "Dict",
    "DistributionScore",
    "Evaluation",
    "EvaluationError",
    "EvometaError",
    "EvometaWarning",
    "Feedback",
    "Final",
    "Fixed",
    "Halving",
    "HostProblem",
    "IgnoredFeedbackWarning",
    "InnerTraining",
    "Integer",
    "Like",
    "Mean",
    "MedianPruning",
    "Permutation",
    "Problem",
    "ProblemCard",
    "Pruning",
    "Ray",
    "Recipe",
    "Report",
    "Result",
    "Run",
    "RunDirectoryError",
    "Search",
    "SeveralSeeds",
    "Space",
    "Start",
    "StopReason",
    "Stopped",
    "Strategy",
    "Subset",
    "TrainsPopulation",
    "Unrolled",
    "VectorSpace",
    "When",
    "__version__",
    "conv2d",
    "distributed",
    "generalization",
    "learning_curve",
    "load",
    "load_result",
    "plots",
    "problems",
    "replay",
    "strategies",
    "testing",
    "zoo",
]

_SUBPACKAGES = ("distributed", "plots", "problems", "strategies", "testing", "zoo")
_PLACES = {
    "ASHA": "evometa.pruning",
    "Archive": "evometa.storage.result",
    "AskTell": "evometa.search.ask_tell",
    "AsynchronousStrategy": "evometa.asynchronous",
    "At": "evometa.objectives",
    "Box": "evometa.spaces",
    "Callback": "evometa.search.callbacks",
    "Categorical": "evometa.spaces",
    "ConfigurationError": "evometa.errors",
    "Dict": "evometa.spaces",
    "DistributionScore": "evometa.search.generalization",
    "Evaluation": "evometa.problem",
    "CandidateFailed": "evometa.errors",
    "EvaluationError": "evometa.errors",
    "EvometaError": "evometa.errors",
    "EvometaWarning": "evometa.errors",
    "Feedback": "evometa.strategy",
    "Final": "evometa.objectives",
    "Fixed": "evometa.spaces",
    "Halving": "evometa.halving",
    "HostProblem": "evometa.problem",
    "IgnoredFeedbackWarning": "evometa.errors",
    "InnerTraining": "evometa.problem",
    "Integer": "evometa.spaces",
    "Like": "evometa.spaces",
    "Mean": "evometa.objectives",
    "MedianPruning": "evometa.pruning",
    "Permutation": "evometa.spaces",
    "Problem": "evometa.problem",
    "ProblemCard": "evometa.card",
    "Pruning": "evometa.pruning",
    "Ray": "evometa.executors.ray_settings",
    "Recipe": "evometa.card",
    "Report": "evometa.search.callbacks",
    "Result": "evometa.storage.result",
    "Run": "evometa.sharing.run",
    "RunDirectoryError": "evometa.errors",
    "Search": "evometa.search.search",
    "SeveralSeeds": "evometa.search.several_seeds",
    "Start": "evometa.search.start",
    "Space": "evometa.spaces",
    "StopReason": "evometa.search.decisions",
    "Stopped": "evometa.reporting",
    "Strategy": "evometa.strategy",
    "Subset": "evometa.spaces",
    "TrainsPopulation": "evometa.strategy",
    "Unrolled": "evometa.strategy",
    "VectorSpace": "evometa.spaces",
    "When": "evometa.spaces",
    "conv2d": "evometa.backend.convolution",
    "generalization": "evometa.search.generalization",
    "learning_curve": "evometa.inner_training",
    "load": "evometa.sharing.run",
    "load_result": "evometa.storage.result_file",
    "replay": "evometa.evaluation.training_evaluator",
}
"""Where each public name is defined; it is imported at its first use."""


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"evometa.{name}")
    if name in _PLACES:
        value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
        return value
    raise AttributeError(f"module 'evometa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if Path(sys.argv[0] if sys.argv else "").name != "evometa":  # the command line imports JAX when it needs it
    request_cpu_devices()
