"""Simulators learned from rollouts of a real system, beside what knows the system and what knows only its ranges.

Each seed is another real system. On it, CMA-ES finds the distribution of simulators in which a controller is trained
that works on the real system, from ten real rollouts a generation. The mean of its last ten centers is evaluated on
test rollouts, each of a newly trained controller, beside: the oracle, trained in the real system itself with its dry
friction and backlash, or in the simulator with the real system's hidden parameters, whichever is better; uniform domain
randomisation over the whole ranges; that over the share of the ranges around their middle that is best on other
systems; the middle alone; and the controller's gains searched on the real system without a simulator, with as many real
rollouts. All systems share one compiled program.

    python benchmarks/simulators.py                    # 3 seeds
    python benchmarks/simulators.py --generations 50
"""

import argparse
import dataclasses
import functools
import statistics
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from _engine import centers
from _measure import mean_and_error, note, parse_arguments, print_table
from numpy.typing import NDArray

import evometa as em
from evometa.problems import SimulatorParameters
from evometa.problems.simulators.driven_swing_up import DrivenSwingUp
from evometa.problems.simulators.simulator_parameters import SPREAD, RealSystem, around_middle
from evometa.problems.simulators.swing_up_controller import GAINS
from evometa.strategies import CMAES

POPULATION = 10
OTHERS = 1_000
"""The number of the first of the other systems, on which a width is tuned."""
WIDTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclasses.dataclass(frozen=True)
class Oracle(SimulatorParameters):
    """Training in a simulator that has what the real system has."""

    def simulator(self, parameters: Mapping[str, Any]) -> DrivenSwingUp:
        """Return the real system with the given parameters."""
        simulator = super().simulator(parameters)
        return dataclasses.replace(simulator, dry_friction=self.dry_friction, backlash=self.backlash)


@functools.partial(jax.jit, static_argnums=0)
def trained(problem: SimulatorParameters, omega: Any, keys: Any, tasks: Any) -> jax.Array:
    """Return the return of a newly trained controller in each task, ``[N]``."""
    return jax.vmap(lambda key, task: problem.evaluate_task(key, omega, task).fitness)(keys, tasks)


@functools.partial(jax.jit, static_argnums=(0, 1))
def searched(problem: SimulatorParameters, generations: int, parameters: Any, key: Any) -> Any:
    """Return the ω that a search finds for a real system, the mean of the last ten centers."""
    space, strategy = problem.space, CMAES(population_size=POPULATION)

    def losses(key: Any, genotypes: Any) -> Any:
        task = RealSystem(key, parameters)
        return -jax.vmap(lambda one: problem.evaluate_task(key, space.decode(one), task).fitness)(genotypes)

    found = centers(strategy, strategy.init(key, space), losses, key, generations)
    return space.decode(found[-10:].mean(axis=0))


@functools.partial(jax.jit, static_argnums=(0, 1))
def without_simulator(problem: SimulatorParameters, generations: int, parameters: Any, key: Any, keys: Any) -> Any:
    """Return the returns of a controller whose gains are searched on the real system, ``[N]``."""
    strategy, space = CMAES(population_size=POPULATION), em.Box((GAINS,), start=0.0, scale=SPREAD)
    middle = problem.init(key, around_middle(0.0), RealSystem(key, parameters))

    def tried(logs: Any, key: Any) -> Any:
        return problem.real_rollout(RealSystem(key, parameters), middle._replace(logs=logs)).rewards.sum()

    def losses(key: Any, genotypes: Any) -> Any:
        return -jax.vmap(lambda one: tried(space.decode(one), key))(genotypes)

    found = centers(strategy, strategy.init(key, space), losses, key, generations)
    return jax.vmap(tried, (None, 0))(space.decode(found[-10:].mean(axis=0)), keys)


def returns(problem: SimulatorParameters, rollouts: int, omega: Any, key: Any) -> NDArray[Any]:
    """Return the real return of newly trained controllers, ``[rollouts]``."""
    keys = jax.random.split(key, rollouts)
    # The program is the same for all systems.
    return np.asarray(trained(dataclasses.replace(problem, system=0), omega, keys, jax.vmap(problem.sample_task)(keys)))


def tuned_width(problem: SimulatorParameters, systems: int, rollouts: int) -> float:
    """Return the width around the middle that is best on other systems."""
    others = [dataclasses.replace(problem, system=OTHERS + number) for number in range(systems)]
    key = jax.random.key(1)
    means = {
        width: np.mean([returns(other, rollouts, around_middle(width), key).mean() for other in others])
        for width in WIDTHS
    }
    return max(WIDTHS, key=means.__getitem__)


shown = functools.partial(mean_and_error, digits=1)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=60, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed, which is the number of the system")
    parser.add_argument("--rollouts", type=int, default=16, help="test rollouts")
    parser.add_argument("--others", type=int, default=4, help="systems on which the width is tuned")
    parser.add_argument("--inner-steps", type=int, default=SimulatorParameters().inner_steps)
    arguments = parse_arguments(parser, "--generations 2 --seeds 1 --rollouts 2 --others 1 --inner-steps 2")
    key, seeds = jax.random.key(2026), range(arguments.first, arguments.first + arguments.seeds)
    width = tuned_width(SimulatorParameters(inner_steps=arguments.inner_steps), arguments.others, arguments.rollouts)
    names = (
        "oracle",
        "uniform randomisation",
        f"best width ({width:g})",
        "middle",
        "without simulator",
        "learned",
    )
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for seed in seeds:
        problem = SimulatorParameters(inner_steps=arguments.inner_steps, system=seed)
        oracle = Oracle(inner_steps=arguments.inner_steps, system=seed)
        exact = around_middle(0.0) | {"center": problem.sample_task(key).parameters}
        both = [returns(place, arguments.rollouts, exact, key) for place in (oracle, problem)]
        found["oracle"].append(max(both, key=np.mean))
        for name, share in zip(names[1:4], (1.0, width, 0.0), strict=True):
            found[name].append(returns(problem, arguments.rollouts, around_middle(share), key))
        base, parameters = dataclasses.replace(problem, system=0), problem.sample_task(key).parameters
        omega = searched(base, arguments.generations, parameters, jax.random.key(seed))
        found["learned"].append(returns(problem, arguments.rollouts, omega, key))
        keys = jax.random.split(key, arguments.rollouts)
        direct = without_simulator(base, arguments.generations, parameters, jax.random.key(seed), keys)
        found["without simulator"].append(np.asarray(direct))
        note(f"system {seed}: " + ", ".join(f"{name} {shown(values[-1])}" for name, values in found.items()))
    best = [values.mean() for values in found["oracle"]]
    rows = []
    for name, values in found.items():
        shares = [each.mean() / top for each, top in zip(values, best, strict=True)]
        rows.append([name, *map(shown, values), f"{statistics.mean(v.mean() for v in values):.1f}",
                     f"{statistics.mean(shares):.0%}"])  # fmt: skip
    print(
        f"\nReturn on the real system, at most 100, over {arguments.rollouts} test rollouts; "
        f"{POPULATION * arguments.generations} real rollouts a search; share of the oracle's return (to reach: 90 %)\n"
    )
    print_table(["trained in", *(f"system {seed}" for seed in seeds), "mean", "share"], rows)


if __name__ == "__main__":
    main()
