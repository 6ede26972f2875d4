"""Learn a distribution of simulators in which a policy is trained that works on the real system.

Branch of meta-learning: environments. ω holds the ranges of a simulator's parameters; the inner loop trains a
controller in simulators drawn from them. The real system is only tried out: nothing of it is differentiated or known.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.inner_training import learning_curve
from evometa.problem import InnerTraining
from evometa.problems.shared.scalars import number
from evometa.problems.simulators.driven_swing_up import PERIOD, DrivenSwingUp
from evometa.problems.simulators.swing_up_controller import GAINS, Controller, Rollout, design, roll_out
from evometa.settings import Count, Natural, NonNegative
from evometa.spaces import Dict
from evometa.types import Key, Omega, Scalar

RANGES = {
    "gravity": (6.0, 14.0),
    "cart_mass": (0.25, 1.0),
    "pole_mass": (0.1, 0.7),
    "length": (0.4, 1.2),
    "friction": (0.0, 1.0),
    "delay": (0.0, 0.05),
}
"""What is known of the real system: the range of each parameter, in the units of :class:`DrivenSwingUp`."""
UNITS = {"gravity": "m/s²", "length": "m", "cart_mass": "kg", "pole_mass": "kg", "friction": "N·s/m", "delay": "s"}
SPREAD, SHRINKING = np.array([0.8] * 4 + [0.15] * 6, np.float32), 0.85
"""Standard deviation of the logarithms of gains at the start of training, and its factor in each step."""
DESCENDANTS, PARENTS = 48, 8
"""Of the evolution strategy that trains the controller."""


class RealSystem(NamedTuple):
    """A task: a rollout of the real system."""

    start: Key
    """The key of its start."""
    parameters: dict[str, Scalar]
    """The hidden parameters; float32."""


class Trainee(NamedTuple):
    """A learner: a controller in training; float32."""

    designed: Controller
    """The controller before its training."""
    logs: jax.Array
    """``[GAINS]``, logarithms of the factors of the gains."""
    spread: Scalar
    """Standard deviation of the next changes."""


@dataclasses.dataclass(frozen=True)
class SimulatorParameters(InnerTraining):
    """Learn in which simulators to train a controller, from rollouts of the real system.

    The cart-pole swing-up of :class:`DrivenSwingUp`. ω holds a center and a width for each of gravity, the masses of
    cart and pole, the pole's length, viscous friction and delay: simulators are drawn uniformly from center ± width / 2
    of the parameter's range, and clipped to that. The learner is a controller of ten gains (:func:`design`), trained by
    an evolution strategy: each of the ``inner_steps`` tries 48 changed controllers in ``simulators`` new simulators and
    averages the best 8. The fitness, to be maximised, is the return of one rollout of the trained controller on the
    real system, at most 100; so a generation of 10 candidates takes 10 real rollouts. The real system has parameters
    within the ranges, and two effects that no simulator has: dry friction and backlash.

    Paper: Muratore et al., "Data-efficient domain randomization with Bayesian optimization", 2021, learn a
    distribution of simulators from real returns, too; their systems and results are others.

    Result, mean of 3 real systems after 800 real rollouts (``benchmarks/simulators.py --generations 80``): a return of
    62.6, 91% of that of a controller trained in the real system itself or with its hidden parameters (69.0).
    Uniform randomisation over the whole ranges has 36.1; the ten gains searched on the real system without a
    simulator have 58.2.

    Args:
        system: number of the real system, which its hidden parameters follow from.
        dry_friction: dry friction of the real system in newtons.
        backlash: seconds that the whole force needs to cross the play of the real system's drive.
        start_deviation: standard deviation of position, speed, angle and spin at the start.
        simulators: how many simulators each step of training draws.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="environments: simulators",
        omega="ranges of a simulator's parameters",
        learner="controller, evolution in the simulators",
        paper="Muratore et al. 2021",
        recipe=Recipe("CMAES", {"population_size": 10}, {"seconds": 120}),
    )

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"

    num_tasks: int = 1
    inner_steps: int = 20
    system: Natural = 0
    dry_friction: NonNegative = 1.0
    backlash: NonNegative = 0.01
    start_deviation: NonNegative = 0.1
    simulators: Count = 3

    @property
    def space(self) -> Dict:
        """Center and width of each parameter's range; a search starts in the middle, at half the width."""
        centers = {name: number(low, high, (low + high) / 2) for name, (low, high) in RANGES.items()}
        widths = {name: number(0.0, 1.0, 0.5) for name in RANGES}
        return Dict(center=Dict(centers), width=Dict(widths))

    @property
    def hidden(self) -> dict[str, float]:
        """The parameters of the real system, in the middle 70 % of each range."""
        shares = np.random.default_rng(self.system).uniform(0.15, 0.85, len(RANGES))
        return {
            name: float(low + share * (high - low))
            for (name, (low, high)), share in zip(RANGES.items(), shares, strict=True)
        }

    def shifted(self) -> dict[str, "SimulatorParameters"]:
        """A real system with more of what the simulators lack, and starts that are further from rest."""
        return {
            "1.5 times the dry friction": dataclasses.replace(self, dry_friction=1.5 * self.dry_friction),
            "twice the backlash": dataclasses.replace(self, backlash=2 * self.backlash),
            "starts further away": dataclasses.replace(self, start_deviation=2 * self.start_deviation),
        }

    def sample_task(self, key: Key) -> RealSystem:
        """Draw the start of a rollout of the real system."""
        return RealSystem(key, {name: jnp.float32(value) for name, value in self.hidden.items()})

    def draw_simulator(self, key: Key, omega: Omega) -> DrivenSwingUp:
        """Draw a simulator from the ranges of an ω."""
        return self.simulator(draw_parameters(key, omega))

    def simulator(self, parameters: Mapping[str, Any]) -> DrivenSwingUp:
        """Return the simulator with the given parameters."""
        return DrivenSwingUp(**parameters, start_deviation=self.start_deviation)

    def init(self, key: Key, omega: Omega, task: RealSystem) -> Trainee:
        """Return the controller as it is designed for the center of the ranges."""
        return Trainee(design(self.simulator(omega["center"])), jnp.zeros(GAINS, jnp.float32), jnp.asarray(SPREAD))

    def step(self, key: Key, omega: Omega, task: RealSystem, learner: Trainee) -> Trainee:
        """Try changed controllers in newly drawn simulators, and average the best."""
        key_change, key_simulator, key_start = jax.random.split(key, 3)
        noise = jax.random.normal(key_change, (DESCENDANTS, GAINS), jnp.float32)
        logs = learner.logs[None] + learner.spread[None] * noise

        def simulated(key: Key, start: Key) -> jax.Array:
            simulator = self.draw_simulator(key, omega)
            return jax.vmap(lambda change: roll_out(simulator, learner.designed.scaled(change), start).rewards.sum())(
                logs
            )

        returns = jax.vmap(simulated)(*(jax.random.split(k, self.simulators) for k in (key_simulator, key_start)))
        _, best = jax.lax.top_k(returns.mean(axis=0), PARENTS)
        return Trainee(learner.designed, logs[best].mean(axis=0), SHRINKING * learner.spread)

    def loss(self, key: Key, omega: Omega, task: RealSystem, learner: Trainee) -> Scalar:
        """Return the return of a rollout of the real system."""
        return self.real_rollout(task, learner).rewards.sum()

    def real_rollout(self, task: RealSystem, learner: Trainee) -> Rollout:
        """Return a rollout of a learner's controller on the real system."""
        simulator = self.simulator(task.parameters)
        real = dataclasses.replace(simulator, dry_friction=self.dry_friction, backlash=self.backlash)
        return roll_out(real, learner.designed.scaled(learner.logs), task.start)

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the found simulators beside the hidden system, and what their controller does on it."""
        from evometa.plots import style

        key_drawn, key_trained = jax.random.split(key)
        drawn = jax.device_get(jax.vmap(draw_parameters, (0, None))(jax.random.split(key_drawn, 200), omega))
        hidden = self.hidden
        picture = style.figure(width=8.0, height=5.2)
        (first, second), (third, last) = picture.subplots(2, 2)
        pairs = (("length", "gravity"), ("cart_mass", "pole_mass"), ("delay", "friction"))
        for axes, (x, y) in zip((first, second, third), pairs, strict=True):
            axes.scatter(drawn[x], drawn[y], s=6, color=style.BLUE, alpha=0.5, label="found simulators")
            axes.scatter(hidden[x], hidden[y], s=120, marker="*", color=style.VERMILION, label="real system")
            style.label_axes(axes, x=f"{x} ({UNITS[x]})", y=f"{y} ({UNITS[y]})".replace("_", " "))
            axes.set(xlim=RANGES[x], ylim=RANGES[y])
        first.legend(fontsize="x-small")
        task = self.sample_test_task(key_trained)

        @jax.jit
        def upright(omega: Omega) -> jax.Array:
            _, learner = learning_curve(self, key_trained, omega, task, (self.inner_steps,))
            return jnp.cos(self.real_rollout(task, learner).states.cart.angle)

        seconds = PERIOD * np.arange(DrivenSwingUp().max_steps)
        for name, one, color in (
            ("found simulators", omega, style.BLUE),
            ("all simulators", around_middle(1.0), style.GREY),
        ):
            last.plot(seconds, upright(one), color=color, label=f"trained in {name}")
        style.label_axes(last, x="seconds", y="cosine of the real pole's angle")
        last.legend(fontsize="x-small", loc="center right", bbox_to_anchor=(1.0, 0.7))
        return {"simulators": picture}


def around_middle(width: float) -> dict[str, dict[str, Scalar]]:
    """Return the ω of uniform domain randomisation over a share of each range, around its middle."""
    middle = {name: jnp.float32((low + high) / 2) for name, (low, high) in RANGES.items()}
    return {"center": middle, "width": {name: jnp.float32(width) for name in RANGES}}


def draw_parameters(key: Key, omega: Omega) -> dict[str, Scalar]:
    """Draw the parameters of a simulator from the ranges of an ω."""
    draws = jax.random.uniform(key, (len(RANGES),), jnp.float32, -0.5, 0.5)
    found = {}
    for (name, (low, high)), draw in zip(RANGES.items(), draws, strict=True):
        value = omega["center"][name] + omega["width"][name] * (high - low) * draw
        found[name] = jnp.clip(value, low, high)
    return found
