"""The contract checks find violations of the contract, and name them."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Dict, Like, Space, Strategy, strategies
from evometa.naming import load
from evometa.strategy import Feedback
from evometa.testing import ContractError, check_problem_contract, check_strategy

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Errand, Walk = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Errand", "Walk"))


INSIDE = {"strategy": strategies.CMAES(8)}
SETTINGS = {
    "BIPOPCMAES": {"population_size": 8, "largest": 2},
    "CMAME": {"population_size": 8, "emitters": 2},
    "IPOPCMAES": {"population_size": 8, "largest": 2},
} | dict.fromkeys(("AugmentedLagrangian", "Averaged", "Reevaluated", "Restarts", "UHCMAES"), INSIDE)


EVERY = [
    name
    for name in strategies.__all__
    if issubclass(getattr(strategies, name), Strategy) and getattr(strategies, name).asks_in_python is not True
]


@pytest.mark.parametrize("name", EVERY)
def test_every_strategy_searches_bounded_and_nested_spaces(name: str) -> None:
    network = Like({"w": jnp.zeros((2, 2)), "b": jnp.zeros(2)})
    space = Dict({"rate": Box((), 1e-4, 1.0, log=True, start=1e-2), "network": network})
    strategy = getattr(strategies, name)(**SETTINGS.get(name, {"population_size": 8}))
    if strategy.incompatibility(space):
        pytest.skip(f"{name} refuses real vectors")
    with jax.numpy_rank_promotion("raise"):
        check_strategy(strategy, space)


@pytest.mark.parametrize("name", ["Bowl", "Hill", "Key", "Chase", "Waves"])
def test_the_toy_problems_keep_the_contract(name: str) -> None:
    check_problem_contract(load(f"{TOYS}:{name}")())


def test_the_toy_strategy_keeps_the_contract() -> None:
    check_strategy(Walk())


@dataclasses.dataclass(frozen=True)
class ForgetsPopulation(Walk):  # type: ignore[misc,valid-type]
    def ask(self, key: Any, state: Any) -> Any:
        genotypes, state = super().ask(key, state)
        return genotypes[1:], state


@dataclasses.dataclass(frozen=True)
class ChangesType(Walk):  # type: ignore[misc,valid-type]
    def tell(self, key: Any, state: Any, genotypes: Any, feedback: Feedback) -> Any:
        return super().tell(key, state, genotypes, feedback)._replace(told=jnp.float32(0))


@dataclasses.dataclass(frozen=True)
class LosesField(Walk):  # type: ignore[misc,valid-type]
    def tell(self, key: Any, state: Any, genotypes: Any, feedback: Feedback) -> Any:
        return tuple(super().tell(key, state, genotypes, feedback))[:-1]


class KeyState(NamedTuple):
    key: Any


@dataclasses.dataclass(frozen=True)
class KeepsKey(Walk):  # type: ignore[misc,valid-type]
    def init(self, key: Any, space: Space) -> Any:
        return KeyState(key)


@dataclasses.dataclass(frozen=True)
class Halves(Walk):  # type: ignore[misc,valid-type]
    def init(self, key: Any, space: Space) -> Any:
        state = super().init(key, space)
        return state._replace(position=state.position.astype(jnp.bfloat16))


@dataclasses.dataclass(frozen=True)
class ReadsTheWorld(Walk):  # type: ignore[misc,valid-type]
    def ask(self, key: Any, state: Any) -> Any:
        genotypes, state = super().ask(key, state)
        return genotypes + np.random.default_rng().normal(), state


@dataclasses.dataclass(frozen=True)
class Poisoned(Walk):  # type: ignore[misc,valid-type]
    def tell(self, key: Any, state: Any, genotypes: Any, feedback: Feedback) -> Any:
        weights = feedback.fitness / jnp.sum(feedback.fitness)
        return super().tell(key, state, genotypes, feedback)._replace(position=weights @ genotypes)


@dataclasses.dataclass(frozen=True)
class GoesAway(Walk):  # type: ignore[misc,valid-type]
    def tell(self, key: Any, state: Any, genotypes: Any, feedback: Feedback) -> Any:
        fitness = jnp.where(jnp.isinf(feedback.fitness), -1e9, feedback.fitness)
        return super().tell(key, state, genotypes, Feedback(-fitness))

    def ask(self, key: Any, state: Any) -> Any:
        genotypes, asked = super().ask(key, state)
        return genotypes - 0.5 * state.told, asked


@dataclasses.dataclass(frozen=True)
class PointsElsewhere(Walk):  # type: ignore[misc,valid-type]
    def center(self, state: Any) -> Any:
        return -10.0 * state.position


@dataclasses.dataclass(frozen=True)
class Vague(Walk):  # type: ignore[misc,valid-type]
    def stop(self, state: Any) -> Any:
        return state.told >= 3


class Undecorated(Strategy[Any]):
    population_size = 4

    def init(self, key: Any, space: Space) -> Any:
        return ()

    def ask(self, key: Any, state: Any) -> Any:
        return jnp.zeros((4, 4)), state

    def tell(self, key: Any, state: Any, genotypes: Any, feedback: Feedback) -> Any:
        return state


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (ForgetsPopulation(), r"ForgetsPopulation.ask's genotypes expects float32\[4, 4\], got float32\[3, 4\]"),
        (ChangesType(), r"ChangesType.tell's state.told expects int32\[\], got float32\[\]"),
        (LosesField(), "LosesField.tell's state expects the structure"),
        (KeepsKey(), "KeepsKey's state.key expects plain arrays, not keys"),
        (Halves(), "Halves's state.position expects JAX's default float float32, got bfloat16"),
        (ReadsTheWorld(), "ReadsTheWorld expects ask and tell to depend on their arguments alone"),
        (Poisoned(), "Poisoned expects finite candidates after three generations with one candidate failed"),
        (GoesAway(), "GoesAway expects progress on a sphere, whose best fitness remained"),
        (PointsElsewhere(), "PointsElsewhere.center expects progress on a sphere, and went from"),
        (Vague(), r"Vague.stop expects int32\[\], got bool\[\]"),
        (Undecorated(), "Undecorated expects to be a frozen dataclass"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_strategy_that_breaks_a_promise_is_told_which(strategy: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_strategy(strategy)


class AllFail(Bowl):  # type: ignore[misc,valid-type]
    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.nan * omega[0]


class Moody(Bowl):  # type: ignore[misc,valid-type]
    def evaluate(self, key: Any, omega: Any) -> Any:
        return super().evaluate(key, omega) + np.random.default_rng().normal()


class PutsOff(Bowl):  # type: ignore[misc,valid-type]
    def evaluate_population(self, key: Any, omegas: Any) -> Any:
        return super().evaluate_population(key, omegas) + 1.0


class PlaysFavourites(Bowl):  # type: ignore[misc,valid-type]
    def evaluate_population(self, key: Any, omegas: Any) -> Any:
        return super().evaluate_population(key, omegas) + jnp.arange(len(omegas))


@dataclasses.dataclass(frozen=True)
class Forgetful(Bowl):  # type: ignore[misc,valid-type]
    scale: float = dataclasses.field(default=1.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.random.default_rng().normal()))


class HeldOutFails(Chase):  # type: ignore[misc,valid-type]
    def sample_test_task(self, key: Any) -> Any:
        return jnp.inf * jnp.sign(jax.random.normal(key))


class RandomHost(Errand):  # type: ignore[misc,valid-type]
    def evaluate(self, rng: Any, omega: Any) -> Any:
        return super().evaluate(np.random.default_rng(), omega | {"n": 1})


class UnnamedMetric(Errand):  # type: ignore[misc,valid-type]
    metric_names = ()

    def evaluate(self, rng: Any, omega: Any) -> Any:
        return super().evaluate(rng, omega | {"n": 1})


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (AllFail(), "AllFail expects a finite fitness where its space starts, got nan"),
        (Moody(), "Moody expects its methods to depend on their arguments alone"),
        (PutsOff(), "PutsOff expects candidates to have the same fitness together as alone"),
        (PlaysFavourites(), "PlaysFavourites expects the same fitness for equal candidates"),
        (Forgetful(), "Forgetful expects to be rebuilt from its own fields"),
        (HeldOutFails(), "HeldOutFails expects a finite held-out fitness where it starts"),
        (RandomHost(), "RandomHost.evaluate expects the same fitness from the same seed"),
        (UnnamedMetric(), r"UnnamedMetric.evaluate expects the metrics \(\), .* got \('draw',\)"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_problem_that_breaks_a_promise_is_told_which(problem: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_problem_contract(problem)
