"""Mazes are connected, walks are as long as they say, and what is learned of a maze shortens them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.environments import Agent, play, record
from evometa.inner_training import learning_curve
from evometa.problems import Maze, MazeExplorer, MazeLayout
from evometa.problems.control.map_policy import MapPolicy
from evometa.problems.control.maze_layout import CLOSED
from evometa.problems.control.mazes import distances, draw_layout, neighbours, passages
from evometa.testing import check_environment

SIZE = 4


@pytest.fixture(scope="module")
def mazes() -> Any:
    """Ten trees, ten mazes with loops, and the distances to cell 3 in each."""

    @jax.jit
    def draw() -> Any:
        keys = jax.random.split(jax.random.key(0), 10)
        kinds = [jax.vmap(draw_layout, (0, None, None))(keys, SIZE, loops) for loops in (0.0, 0.5)]
        layouts = jnp.concatenate(kinds)
        return layouts, jax.vmap(lambda layout: distances(layout, 3))(layouts)

    return jax.device_get(draw())


def test_a_maze_without_loops_is_a_tree_and_all_walls_have_two_sides(mazes: Any) -> None:
    layouts, _ = mazes
    beyond = neighbours(SIZE)
    assert (layouts[:10].sum(axis=(1, 2)) == 2 * (SIZE**2 - 1)).all()
    assert (layouts[10:].sum(axis=(1, 2)) > 2 * (SIZE**2 - 1)).all()
    for cell in range(SIZE**2):
        for side in range(4):
            assert (layouts[:, cell, side] == layouts[:, beyond[cell, side], (side + 2) % 4]).all() or (
                beyond[cell, side] == cell and not layouts[:, cell, side].any()
            )


def test_distances_are_those_of_a_breadth_first_search(mazes: Any) -> None:
    for layout, found in zip(*mazes, strict=True):
        known, edge = {3: 0}, [3]
        while edge:
            cell = edge.pop(0)
            for other in neighbours(SIZE)[cell][layout[cell]].tolist():
                if other not in known:
                    known[other] = known[cell] + 1
                    edge.append(other)
        assert found.tolist() == [known[cell] for cell in range(SIZE**2)]


def test_the_maze_keeps_the_contract() -> None:
    check_environment(Maze(size=3, max_steps=9), steps=9)


def test_who_knows_the_layout_takes_the_shortest_ways_as_expected_and_others_arrive_later() -> None:
    problem = MazeLayout(size=SIZE, loops=0.0)
    pairs, sides = passages(SIZE)
    costs = np.ones(len(pairs), np.float32)
    costs[sides[~problem.maze.layout & (sides >= 0)]] = CLOSED
    known = jax.jit(jax.vmap(problem.evaluate_test, (0, None)))
    keys = jax.random.split(jax.random.key(1), 20)
    assert (known(keys, costs).fitness == 1).all()
    twice = jax.jit(jax.vmap(problem.evaluate, (0, None)))(keys, np.where(costs < CLOSED, np.float32(2), costs))
    np.testing.assert_allclose(twice.fitness, 1 + problem.surprise * np.log(2) ** 2, rtol=1e-5)
    evaluation = known(keys, np.ones_like(costs))
    assert 1.2 < evaluation.fitness.mean() < 10
    assert evaluation.metrics["moves"].max() < problem.limit
    way = problem.record(np.ones_like(costs), jnp.int32(0), jnp.int32(SIZE**2 - 1))
    assert way[0] == 0
    assert way[-1] == SIZE**2 - 1


def test_goals_of_tests_are_no_goals_of_the_search() -> None:
    maze = MazeLayout(size=SIZE).maze
    assert sorted([*maze.goals, *maze.test_goals]) == list(range(SIZE**2))
    assert len(maze.test_goals) == SIZE**2 // 4


def test_who_has_the_whole_map_takes_the_shortest_way_to_the_goal() -> None:
    environment, policy = Maze(SIZE, loops=0.3, max_steps=30), MapPolicy(SIZE, units=2)
    # The first unit tells cells with the goal from others, the second does nothing.
    hidden = jnp.zeros((5, 2)).at[1, 0].set(8)
    weights = policy.draw(jax.random.key(0)) | {"hidden": hidden, "output": jnp.asarray([5.0, 0.0])}

    def walk(key: Any) -> Any:
        task = environment.reset(key)
        there = jnp.arange(SIZE**2) == task.goal
        parts = task.layout, jnp.ones((SIZE**2, 1)), there[:, None]
        known = jnp.concatenate(parts, axis=1).reshape(SIZE, SIZE, 6)
        with_map, _ = play(environment, policy, weights, key, Agent(known), task)
        return -with_map.total, distances(task.layout, task.goal)[task.cell]

    moves, shortest = jax.jit(jax.vmap(walk))(jax.random.split(jax.random.key(5), 30))
    assert (moves == shortest).all()


def test_the_map_holds_what_was_seen_and_nothing_else() -> None:
    environment, policy = Maze(SIZE, max_steps=6), MapPolicy(SIZE, units=4)

    @jax.jit
    def run(key: Any) -> Any:
        return record(environment, policy, policy.draw(key), key, Agent.new(policy))

    episode, agent = jax.device_get(run(jax.random.key(0)))
    memory, seen = agent.memory.reshape(-1, 6), np.unique(episode.states.cell[episode.running])
    assert 1 < len(seen) <= 6
    np.testing.assert_array_equal(np.flatnonzero(memory[:, 4]), seen)
    np.testing.assert_array_equal(memory[seen, :4], episode.states.layout[0, seen])
    np.testing.assert_array_equal(memory[seen, 5], seen == episode.states.goal[0])
    assert not np.delete(memory, seen, axis=0).any()


def test_the_explorer_keeps_its_memory_from_one_episode_to_the_next() -> None:
    problem = MazeExplorer(size=3, units=4, memory="gru", limit=9)
    key = jax.random.key(4)

    @jax.jit
    def run() -> Any:
        omega, task = jax.tree.map(lambda leaf: 3 * leaf, problem.policy.draw(key)), problem.sample_test_task(key)
        return omega, task, learning_curve(problem, key, omega, task, (1, 2))[0]

    omega, task, moves = jax.device_get(run())
    policy, environment = problem.policy, problem.environment
    memory = policy.memory()
    for found in moves:
        state, count = task, 0
        for _ in range(problem.limit):
            outputs, memory = policy.run(omega, memory, environment.observe(state))
            if state.cell == task.goal:
                break
            count += 1
            side = next(s % 4 for s in range(int(np.argmax(outputs)), 8) if task.layout[state.cell, s % 4])
            state = state._replace(cell=np.int32(neighbours(3)[state.cell, side]), heading=np.int32(side))
        assert found == count
