"""Every strategy keeps the contract, in both precisions, and refuses what it cannot do, with a reason."""

import dataclasses
import re
from typing import Any

import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Dict, Integer
from evometa.strategies import CMAES, PGPE, SNES, AugmentedLagrangian, OpenAIES, RandomSearch, Restarts
from evometa.strategy import Strategy, require_space
from evometa.testing import check_strategy

# In single precision tests/testing/test_contracts.py checks every strategy with eight candidates.
SMALLEST = [CMAES(2), OpenAIES(2, learning_rate=0.1, weight_decay=0.1, sigma_final=0.5, decay_generations=1000)]
DOUBLE = [
    CMAES(8),
    OpenAIES(8, shaping="pair_difference", optimizer="momentum", tasks_per_pair=True),
    SNES(9),
    PGPE(8),
    RandomSearch(5),
]


@pytest.mark.parametrize("strategy", SMALLEST, ids=lambda s: type(s).__name__)
def test_keeps_the_contract_with_two_candidates(strategy: Strategy[Any]) -> None:
    check_strategy(strategy)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("strategy", DOUBLE, ids=lambda s: type(s).__name__)
def test_keeps_the_contract_in_double_precision(strategy: Strategy[Any]) -> None:
    check_strategy(strategy)


def test_random_search_takes_mixed_spaces() -> None:
    check_strategy(RandomSearch(4), Dict({"real": Box((2,), 0, 1), "integer": Integer(0, 9)}))


@pytest.mark.parametrize("strategy", [CMAES(), OpenAIES(), SNES(), PGPE()], ids=lambda s: type(s).__name__)
def test_refuses_integers(strategy: Strategy[Any]) -> None:
    words = (
        f"{type(strategy).__name__} searches real vectors only (Box, Like, Dict of these), and Integer holds integers, "
        "categories or structures; use CMAwM, GeneticAlgorithm or RandomSearch, or describe those parts as a Box."
    )
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        require_space(strategy, Integer(0, 3))


@pytest.mark.parametrize(
    ("strategy", "settings", "words"),
    [
        (CMAES, {"population_size": 1}, "to be a whole number of at least 2, got 1"),
        (CMAES, {"sigma": 0.0}, "to be a number above 0, got 0.0"),
        (CMAES, {"tolx": -1.0}, "to be a number of at least 0, got -1.0"),
        (OpenAIES, {"population_size": 7}, "to be an even whole number of at least 2, got 7"),
        (OpenAIES, {"learning_rate": float("nan")}, "to be a number above 0, got nan"),
        (OpenAIES, {"decay_generations": 0}, "to be a whole number of at least 1, got 0"),
        (OpenAIES, {"weight_decay": -0.1}, "to be a number of at least 0, got -0.1"),
        (OpenAIES, {"sigma_final": 1.5}, "to be a number above 0 and of at most 1, got 1.5"),
        (SNES, {"sigma_learning_rate": -1.0}, "to be a number above 0 or None, got -1.0"),
        (PGPE, {"population_size": -4}, "to be an even whole number of at least 2, got -4"),
        (PGPE, {"max_speed": 0.0}, "to be a number above 0, got 0.0"),
        (RandomSearch, {"population_size": 0}, "to be a whole number of at least 1, got 0"),
    ],
)
def test_refuses_settings(strategy: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        strategy(**settings)


@dataclasses.dataclass(frozen=True)
class NoDefaults(Strategy[Any]):
    population_size: int
    stop_reasons: tuple[str, ...] = ("bored: nothing happens",)

    init = ask = tell = RandomSearch.init  # type: ignore[assignment]


def test_the_population_size_may_be_a_field_without_a_default() -> None:
    assert NoDefaults(3).population_size == 3
    with pytest.raises(ConfigurationError, match="NoDefaults expects population_size, got none"):
        NoDefaults()  # type: ignore[call-arg]


def test_properties_of_the_contract_may_be_fields_class_variables_or_properties() -> None:
    assert NoDefaults(3).stop_reasons == ("bored: nothing happens",)
    assert (RandomSearch(3).stop_reasons, RandomSearch(3).required_feedback) == ((), ())
    assert Restarts(CMAES(4)).population_size == 4
    assert AugmentedLagrangian(CMAES(4)).required_feedback == ("constraints",)
    assert (CMAES(4).constraint_handling, Restarts(CMAES(4)).constraint_handling) == ("ranked", "own")
