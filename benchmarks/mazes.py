"""Mazes: a layout learned from walks to many goals, and a recurrent explorer that remembers a maze.

Layout: each seed has a maze of its own, in which costs of passages are searched by CMA-ES; 300 ways to held-out goals
beside the same planner without knowledge and with the costs found in the next seed's maze.

Explorer: each seed is one search of limited time; its center plays two episodes in each of 1,000 held-out mazes, with a
map or a gated recurrent unit of 24 units as memory. Beside it are a robot that moves at random, one that moves at
random and turns back only at dead ends, and one that follows the wall on its right, which know nothing of a former
episode; and the map with weights set by hand, with which it goes to the nearest cell that it has not seen and, once it
knows the goal, there. All have the same time limit.

    python benchmarks/mazes.py                        # both, 3 seeds
    python benchmarks/mazes.py explorer --seconds 60
"""

import argparse
import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np
from _engine import draw_trials
from _measure import alone, mean_and_error, note, parse_arguments, print_table
from numpy.typing import NDArray

import evometa as em
from evometa.inner_training import learning_curve
from evometa.problems import MazeExplorer, MazeLayout
from evometa.problems.control.map_policy import FEATURES
from evometa.problems.control.mazes import distances, neighbours
from evometa.strategies import CMAES, OpenAIES

shown = functools.partial(mean_and_error, digits=2)


def layout(seconds: float, seeds: range, tasks: int, size: int, population: int) -> None:
    """Print the lengths of ways, in shortest ways."""
    problems = [MazeLayout(layout=seed, size=size) for seed in seeds]
    keys = jax.random.split(jax.random.key(2017), tasks)
    found = []
    for seed, problem in zip(seeds, problems, strict=True):
        with alone():
            result = em.Search(problem, CMAES(population_size=population), seed=seed).run(seconds=seconds)
        found.append(result.center_omega)
    rows = []
    for number, (seed, problem) in enumerate(zip(seeds, problems, strict=True)):
        ratios = jax.jit(jax.vmap(problem.evaluate_test, (0, None)))
        known = found[number], np.ones_like(found[number]), found[(number + 1) % len(found)]
        rows.append([str(seed), *(shown(ratios(keys, costs).fitness) for costs in known)])
    print(
        f"\nOne maze of {size} x {size}, ways to {tasks} held-out goals in shortest ways, {seconds:g} s a search. "
        "To reach: 1.3, which another maze's costs do not\n"
    )
    print_table(["maze", "its costs, found", "without knowledge", "costs of another maze"], rows)


@functools.partial(jax.jit, static_argnums=0)
def moves(problem: MazeExplorer, omega: Any, trials: Any) -> jax.Array:
    """Return the moves of each episode, ``[N, episodes]``."""
    after = tuple(range(1, problem.inner_steps + 1))
    return jax.lax.map(
        lambda one: learning_curve(problem, one[0], omega, one[1], after)[0],
        (trials.keys, trials.tasks),
        batch_size=100,
    )


Memory = Literal["map", "gru"]
Choose = Callable[[list[int], int], int]
"""From the open sides of a cell and the last direction to the next."""


def walk(problem: MazeExplorer, task: Any, choose: Choose) -> int:
    """Return the moves of a rule from the start of a maze to its goal."""
    cell, heading, count = int(task.cell), 0, 0
    while cell != task.goal and count < problem.limit:
        heading = choose(np.flatnonzero(task.layout[cell]).tolist(), heading)
        cell, count = int(neighbours(problem.size)[cell, heading]), count + 1
    return count


def rules() -> dict[str, Choose]:
    """Return the rules beside the explorer."""
    rng = np.random.default_rng(0)

    def onward(sides: list[int], heading: int) -> int:
        return int(rng.choice([side for side in sides if side != (heading + 2) % 4] or sides))

    return {
        "random moves": lambda sides, heading: int(rng.choice(sides)),
        "random, turns back only at dead ends": onward,
        "follows the wall on its right": lambda sides, heading: next(
            side for turn in (1, 0, 3, 2) if (side := (heading + turn) % 4) in sides
        ),
    }


def by_hand() -> dict[str, NDArray[Any]]:
    """Return weights of two hidden units: any cell that was not seen is worth 400 moves less than the goal, others 800.

    The units tell whether a cell was seen and whether the goal was there; each has the sign of its input less 1 / 2.
    """
    hidden = np.zeros((FEATURES, 2), np.float32)
    hidden[0, 0], hidden[1, 1] = -8, 8
    output = np.asarray([20, 60], np.float32)
    return {
        "hidden": hidden,
        "hidden_bias": np.asarray([4, -4], np.float32),
        "output": output,
        "log_unknown": np.float32(math.log(2)),
    }


def explorer(seconds: float, seeds: range, tasks: int, size: int, population: int, memories: Sequence[Memory]) -> None:
    """Print the moves of each player."""
    problem = MazeExplorer(size=size)
    trials = draw_trials(problem, 2017, tasks, test=True)
    drawn = jax.device_get(trials.tasks)
    single = [jax.tree.map(operator.itemgetter(number), drawn) for number in range(tasks)]
    shortest = jax.jit(jax.vmap(lambda task: distances(task.layout, task.goal)[task.cell]))(trials.tasks)
    rows = [["shortest way", "", shown(shortest), "", ""]]
    for name, choose in rules().items():
        rows.append([name, "", shown([walk(problem, task, choose) for task in single]), "", ""])

    def add(name: str, generations: str, problem: MazeExplorer, omega: Any) -> None:
        found: NDArray[Any] = np.asarray(moves(problem, omega, trials))
        share = found[:, 1].mean() / found[:, 0].mean()
        rows.append([name, generations, *map(shown, found.T), f"{share:.2f}"])
        note(rows[-1])

    add("map, by hand", "", problem, by_hand())
    strategy = OpenAIES(population, sigma=0.2, learning_rate=0.05, shaping="pair_difference", tasks_per_pair=True)
    for memory in memories:
        one = dataclasses.replace(problem, memory=memory, units=24 if memory == "gru" else problem.units)
        for seed in seeds:
            with alone():
                result = em.Search(one, strategy, seed=seed).run(seconds=seconds)
            add(f"{memory}, evolved, seed {seed}", f"{result.generations:,}", one, result.center_omega)
    print(
        f"\nMazes of {size} x {size}, moves in {tasks:,} held-out mazes (at most {problem.limit}), {seconds:g} s a "
        "search. To reach: a second episode of .6 of the first, and shorter than those of the rules\n"
    )
    print_table(["player", "generations", "first episode", "second episode", "second / first"], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", choices=("layout", "explorer"), help="one of them; both by default")
    parser.add_argument("--seconds", type=float, help="of one search; 30 and 60")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--tasks", type=int, help="held-out ways or mazes; 300 and 1,000")
    parser.add_argument("--size", type=int, help="rows and columns; 7 and 5")
    parser.add_argument("--population", type=int, help="32 and 64")
    parser.add_argument("--memories", nargs="+", choices=("map", "gru"), default=["map", "gru"], help="of the explorer")
    arguments = parse_arguments(parser, "layout --seconds 0.1 --seeds 1 --tasks 20 --size 3 --population 4")
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    given = arguments.seconds, arguments.tasks, arguments.size, arguments.population
    if arguments.which in (None, "layout"):
        seconds, tasks, size, population = (own or usual for own, usual in zip(given, (30, 300, 7, 32), strict=True))
        layout(seconds, seeds, tasks, size, population)
    if arguments.which in (None, "explorer"):
        seconds, tasks, size, population = (own or usual for own, usual in zip(given, (60, 1000, 5, 64), strict=True))
        explorer(seconds, seeds, tasks, size, population, arguments.memories)


if __name__ == "__main__":
    main()
