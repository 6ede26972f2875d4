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
``strategies``, ``problems``, ``plots`` and ``zoo``, and the contract checks in ``testing``, are imported at their first
use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from evometa.backend.convolution import conv2d
from evometa.backend.devices import request_cpu_devices
from evometa.card import ProblemCard, Recipe
from evometa.errors import (
    ConfigurationError,
    EvaluationError,
    EvometaError,
    EvometaWarning,
    IgnoredFeedbackWarning,
    RunDirectoryError,
)
from evometa.evaluation.training_evaluator import replay
from evometa.inner_training import learning_curve
from evometa.objectives import At, Final, Mean
from evometa.problem import Evaluation, HostProblem, InnerTraining, Problem
from evometa.search.ask_tell import AskTell
from evometa.search.callbacks import Callback, Report
from evometa.search.decisions import StopReason
from evometa.search.generalization import DistributionScore, generalization
from evometa.search.search import Search
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

if TYPE_CHECKING:
    from evometa import plots, problems, strategies, testing, zoo

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "AskTell",
    "At",
    "Box",
    "Callback",
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
    "HostProblem",
    "IgnoredFeedbackWarning",
    "InnerTraining",
    "Integer",
    "Like",
    "Mean",
    "Permutation",
    "Problem",
    "ProblemCard",
    "Recipe",
    "Report",
    "Result",
    "Run",
    "RunDirectoryError",
    "Search",
    "Space",
    "StopReason",
    "Strategy",
    "Subset",
    "TrainsPopulation",
    "Unrolled",
    "VectorSpace",
    "When",
    "__version__",
    "conv2d",
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

_LOADED_AT_FIRST_USE = ("plots", "problems", "strategies", "testing", "zoo")

request_cpu_devices()  # nothing imported above starts JAX's backend


def __getattr__(name: str) -> Any:
    if name in _LOADED_AT_FIRST_USE:
        return importlib.import_module(f"evometa.{name}")
    raise AttributeError(f"module 'evometa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
