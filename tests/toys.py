"""Small problems and strategies that many tests share, each with an answer that is known beforehand.

A user's own file as the engine sees it: tests load its classes by ``path:Class``, and so do the processes they start.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa import (
    Box,
    Categorical,
    Dict,
    Evaluation,
    Fixed,
    HostProblem,
    InnerTraining,
    Integer,
    Like,
    Permutation,
    Problem,
    Space,
    Strategy,
    When,
)


@dataclasses.dataclass(frozen=True)
class Bowl(Problem):
    """Squared distance to (1, ..., 1), plus noise that depends on the key alone."""

    dimension: int = 4
    noise: float = 0.0

    @property
    def space(self) -> Space:
        return Box((self.dimension,))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum((omega - 1.0) ** 2) + self.noise * jax.random.normal(key)


class Bent(Bowl):
    """The same, a hundred higher."""

    def evaluate(self, key: Any, omega: Any) -> Any:
        return 100.0 + super().evaluate(key, omega)


class Hill(Bowl):
    """The same upside down, to be maximised; its top is 0."""

    direction = "maximize"

    def evaluate(self, key: Any, omega: Any) -> Any:
        return -super().evaluate(key, omega)


class Cliff(Bowl):
    """The bowl, with every kind of failure: NaN where ω₀ < -0.5, inf where ω₁ > 0.5 and -inf where ω₂ > 0.5."""

    @property
    def space(self) -> Space:
        return Box((self.dimension,), start=jnp.zeros(self.dimension))

    def evaluate(self, key: Any, omega: Any) -> Any:
        fitness = super().evaluate(key, omega)
        fitness = jnp.where(omega[0] < -0.5, jnp.nan, fitness)
        fitness = jnp.where(omega[1] > 0.5, jnp.inf, fitness)
        return jnp.where(omega[2] > 0.5, -jnp.inf, fitness)


class Abyss(Bowl):
    """Every candidate fails."""

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(omega) * jnp.nan


class Key(Bowl):
    """The fitness is a number drawn from the key, whatever ω is; ω is told as a metric."""

    def evaluate(self, key: Any, omega: Any) -> Any:
        return Evaluation(jax.random.uniform(key), {"omega": omega[0]})

    def evaluate_test(self, key: Any, omega: Any) -> Any:
        return Evaluation(-jax.random.uniform(key), {"omega": omega[0]})


@dataclasses.dataclass(frozen=True)
class Chase(InnerTraining):
    """A learner moves the share ``rate`` of its way to the task's target at each step.

    With ω = w₀ the loss after s steps is (1 - rate)^(2s) (w₀ - target)²: a learning curve in closed form.
    """

    num_tasks: int = 3
    inner_steps: int = 4
    rate: float = 0.25

    @property
    def space(self) -> Space:
        return Box((), low=-3.0, high=3.0)

    def sample_task(self, key: Any) -> Any:
        return jax.random.normal(key)

    def sample_test_task(self, key: Any) -> Any:
        return 10.0 + jax.random.normal(key)

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return omega

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner + self.rate * (task - learner)

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return (learner - task) ** 2

    def metrics(self, key: Any, omega: Any, task: Any, learner: Any) -> Mapping[str, Any]:
        return {"distance": jnp.abs(learner - task)}


class Fragile(Chase):
    """A negative ω breaks its learner."""

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return jnp.where(omega < 0, jnp.nan, super().step(key, omega, task, learner))


class HoldsAKey(Chase):
    """Its learner holds a key, which no array is."""

    metrics = InnerTraining.metrics

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return {"w": omega, "key": key}

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner["w"]


@dataclasses.dataclass(frozen=True)
class Waves(InnerTraining):
    """A small network learns sine waves by noisy gradient steps; ω = its first weights and a log learning rate.

    Matrix products, random numbers in every method, several shapes: what could differ between two layouts does.
    """

    num_tasks: int = 3
    inner_steps: int = 2
    width: int = 16

    @property
    def space(self) -> Space:
        rate = Box((), low=1e-3, high=1e-1, log=True, dtype=jnp.float32)
        return Dict({"rate": rate, "weights": Like(self._draw)})

    def _draw(self, key: Any) -> Any:
        noise = jax.random.normal(key, (2, self.width), jnp.float32)
        return {"in": noise[:1], "out": noise[1:].T / self.width**0.5}

    def sample_task(self, key: Any) -> Any:
        x = jax.random.uniform(key, (2, 5, 1), jnp.float32, -3.0, 3.0)
        return {"x": x, "y": jnp.sin(x + x[0, 0])}

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return jax.tree.map(lambda w: w + 0.01 * _noise(key, w.shape), omega["weights"])

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        gradient = jax.grad(_error)(learner, task["x"][0], task["y"][0] + _noise(key, (5, 1)))
        return jax.tree.map(lambda w, g: w - omega["rate"] * g, learner, gradient)

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return _error(learner, task["x"][1], task["y"][1] + _noise(key, (5, 1)))


@dataclasses.dataclass(frozen=True)
class Lines(InnerTraining):
    """The loss after s steps is ω₀ + ω₁ s on every task, and NaN from step ω₂ on where that is above 0."""

    num_tasks: int = 2
    inner_steps: int = 9

    @property
    def space(self) -> Space:
        return Box((3,))

    def sample_task(self, key: Any) -> Any:
        return jnp.float32(0.0)

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return {"value": omega[0] + task, "steps": jnp.float32(0.0)}

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        steps = learner["steps"] + 1.0
        broken = (omega[2] > 0) & (steps >= omega[2])
        return {"value": jnp.where(broken, jnp.nan, learner["value"] + omega[1]), "steps": steps}

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner["value"]

    def metrics(self, key: Any, omega: Any, task: Any, learner: Any) -> Mapping[str, Any]:
        return {"steps": learner["steps"]}


class Gains(Lines):
    """The same upside down, to be maximised."""

    direction = "maximize"

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return super().init(key, -omega, task)

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return super().step(key, omega * jnp.array([1, -1, 1]), task, learner)


class Goals(Lines):
    """Two objectives: the loss, and ω₁ with its sign changed."""

    def evaluate_learner(self, key: Any, omega: Any, task: Any, learner: Any, fitness: Any) -> Evaluation:
        return Evaluation(fitness, objectives=jnp.stack([fitness, -omega[1]]))


def _noise(key: Any, shape: tuple[int, ...]) -> Any:
    return jax.random.uniform(key, shape, jnp.float32, -0.1, 0.1)


def _error(weights: Any, x: Any, y: Any) -> Any:
    return jnp.mean((jnp.tanh(x @ weights["in"]) @ weights["out"] - y) ** 2)


@dataclasses.dataclass(frozen=True)
class Careless(Chase):
    """Draws its tasks without a type, so that under x64 they, and then the learners, are float64."""

    @property
    def space(self) -> Space:
        return Box((), low=-3.0, high=3.0, dtype=jnp.float32)

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return omega + jnp.zeros(())


@dataclasses.dataclass(frozen=True)
class Errand(HostProblem):
    """A bowl in plain Python over a mixed space, with noise; a candidate whose integer is 0 raises."""

    metric_names: ClassVar[tuple[str, ...]] = ("draw",)

    @property
    def space(self) -> Space:
        return Dict({"x": Box((2,), low=-2.0, high=2.0), "n": Integer(0, 3)})

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Evaluation:
        if omega["n"] == 0:
            raise ValueError("no candidates with n = 0")
        draw = rng.normal()
        return Evaluation(float(np.sum((omega["x"] - 1.0) ** 2)) + float(omega["n"]) + 0.1 * draw, {"draw": draw})

    def evaluate_test(self, rng: np.random.Generator, omega: Any) -> Evaluation:
        return Evaluation(100.0 + float(np.sum(omega["x"] ** 2)), {"draw": rng.normal()})


@dataclasses.dataclass(frozen=True)
class Fence(HostProblem):
    """A line in plain Python that must not go below -1."""

    vector_lengths: ClassVar[Mapping[str, int]] = {"constraints": 1}

    @property
    def space(self) -> Space:
        return Box((), -2.0, 2.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Evaluation:
        x = float(omega)
        return Evaluation(x, constraints=[-1.0 - x])


class Liar(Fence):
    """Says that it has three constraints, and has one."""

    vector_lengths: ClassVar[Mapping[str, int]] = {"constraints": 3}


class WalkState(NamedTuple):
    """Arrays of every kind that a checkpoint must hold."""

    position: jax.Array
    told: jax.Array
    nothing: jax.Array
    improved: jax.Array


@dataclasses.dataclass(frozen=True)
class Walk(Strategy[WalkState]):
    """Moves to the best candidate of a generation and stops by itself after ``patience``."""

    population_size: int = 4
    patience: int = 10**9
    stop_reasons: ClassVar[tuple[str, ...]] = ("lost: never", "tired: the walk was long enough")

    def init(self, key: Any, space: Space) -> WalkState:
        return WalkState(space.start(key), jnp.int32(0), jnp.zeros((0, 2)), jnp.asarray(False))

    def ask(self, key: Any, state: WalkState) -> Any:
        noise = jax.random.normal(key, (self.population_size, *state.position.shape), state.position.dtype)
        return state.position + 0.1 * noise, state

    def tell(self, key: Any, state: WalkState, genotypes: Any, feedback: Any) -> WalkState:
        fitness = feedback.fitness
        return state._replace(
            position=genotypes[jnp.argmin(fitness)], told=state.told + 1, improved=jnp.min(fitness) < 1.0
        )

    def stop(self, state: WalkState) -> Any:
        return jnp.where(state.told >= self.patience, 2, 0).astype(jnp.int32)


@dataclasses.dataclass(frozen=True)
class Tuned(HostProblem):
    """Settings of a training run in plain Python, some of which are active beside others; best with momentum."""

    @property
    def space(self) -> Space:
        return Dict(
            {
                "optimizer": Categorical(["adam", "sgd"], start="adam"),
                "momentum": When("optimizer", "sgd", Box((), 0.5, 1.0)),
                "batch": Integer(16, 64, step=16),
                "order": Permutation(3),
                "epochs": Fixed(3),
            }
        )

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        expected = {"optimizer", "batch", "order", "epochs"} | ({"momentum"} if omega["optimizer"] == 1 else set())
        if set(omega) != expected or omega["epochs"] != 3:
            raise ValueError(f"other parts than those that are active: {sorted(omega)}")
        return abs(float(omega["batch"]) - 32.0) / 16 + float(omega["order"][0]) - float(omega.get("momentum", 0.0))


@dataclasses.dataclass(frozen=True)
class HostNoise(HostProblem):
    """The fitness is a draw from a normal distribution, whatever ω is; how many calls an evaluation averages is set."""

    num_tasks: int | None = None

    @property
    def space(self) -> Space:
        return Box((2,), -1.0, 1.0)

    def evaluate(self, rng: Any, omega: Any) -> float:
        return float(rng.normal())


@dataclasses.dataclass(frozen=True)
class Course(HostProblem):
    """Reports ω₀ + ω₁ s after each step s, and returns what it reported last; 9 steps.

    Args:
        swallows: how it treats what ends a call: "" not at all, "Exception", "BaseException", and "loops", which goes
            on after it.
    """

    swallows: str = ""

    @property
    def space(self) -> Space:
        return Box((2,), -1.0, 1.0)

    @property
    def inner_steps_per_evaluation(self) -> int:
        return 9

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        value = float(omega[0])
        for step in range(1, 10):
            value += float(omega[1])
            try:
                self.report(step, value)
            except Exception:
                if self.swallows != "Exception":
                    raise
            except BaseException:
                if self.swallows == "BaseException":
                    return -1000.0
                if self.swallows != "loops":
                    raise
        return value


class Climb(Course):
    """The same upside down, to be maximised."""

    direction = "maximize"

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return super().evaluate(rng, -omega)


class Diverging(Course):
    """Reports NaN after the third step."""

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        for step in range(1, 10):
            self.report(step, 1.0 if step < 3 else math.nan)
        return 0.0


class Two(Course):
    """Two objectives: that of the course, and |ω₀ - 1|."""

    vector_lengths: ClassVar[Mapping[str, int]] = {"objectives": 2}

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Evaluation:
        for step in range(1, 10):
            value = float(omega[0] + step * omega[1])
            found = Evaluation(value, objectives=[value, abs(float(omega[0]) - 1.0)])
            self.report(step, found)
        return found
