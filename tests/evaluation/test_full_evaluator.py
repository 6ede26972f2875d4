"""A candidate's fitness depends on its genotype, the generation's tasks and keys, and on nothing else."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.naming import load
from evometa.problem import Evaluation

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Key, Waves = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Key", "Waves"))
DEVICES = tuple(jax.local_devices())
KEY = jax.random.key(11)


def evaluator(problem: Any, chunk: int, devices: int = 1, members_per_task_set: int = 0) -> FullEvaluator:
    return FullEvaluator(problem, problem.space, members_per_task_set, chunk, DEVICES[:devices])


def fitness_of(problem: Any, genotypes: Any, chunk: int, devices: int = 1, members_per_task_set: int = 0) -> Any:
    return np.asarray(
        jax.jit(evaluator(problem, chunk, devices, members_per_task_set).population)(KEY, genotypes).fitness
    )


@pytest.fixture(scope="module")
def waves() -> tuple[Any, Any]:
    problem = Waves()
    return problem, jax.jit(jax.vmap(problem.space.sample))(jax.random.split(jax.random.key(1), 17))


@pytest.mark.bits
@pytest.mark.parametrize(
    ("chunk", "members_per_task_set", "counts"),
    [(1, 0, (17,)), (2, 0, (3, 17)), (4, 0, (1, 7, 17)), (2, 2, (17,))],
)
def test_devices_and_neighbours_change_no_bit(
    waves: tuple[Any, Any], chunk: int, members_per_task_set: int, counts: tuple[int, ...]
) -> None:
    problem, genotypes = waves
    alone = fitness_of(problem, genotypes, chunk, 1, members_per_task_set)
    assert len(np.unique(alone)) == 17
    for count in counts:  # on two devices: several chunks on each, one chunk on each, padding alone on the second
        spread = fitness_of(problem, genotypes[:count], chunk, 2, members_per_task_set)
        assert spread.tobytes() == alone[:count].tobytes()


def test_the_chunk_changes_rounding_at_most(waves: tuple[Any, Any]) -> None:
    problem, genotypes = waves
    expected = fitness_of(problem, genotypes[:7], 1)
    for chunk in (3, 8):
        np.testing.assert_allclose(fitness_of(problem, genotypes[:7], chunk), expected, rtol=1e-4)


def test_the_population_is_evaluated_as_each_candidate_is_by_hand() -> None:
    problem = Chase(inner_steps=2)
    starts = jnp.asarray([0.5, -2.0, 1.25])
    genotypes = (starts / 6.0)[:, None]  # the range of 6 is one unit
    found = jax.jit(evaluator(problem, 2, 2).population)(KEY, genotypes)
    # The mean over tasks of c (w - t)² is quadratic in w: three candidates determine the tasks' two moments.
    shrink = (1 - problem.rate) ** 4
    a, b, c = np.polyfit(starts, np.asarray(found.fitness) / shrink, 2)
    np.testing.assert_allclose(a, 1.0, rtol=1e-4)
    mean, square = -b / 2, c
    assert square > mean**2  # several tasks, and not one
    for start, distance in zip(starts, np.asarray(found.metrics["distance"]), strict=True):
        spread = np.sqrt(max(float(start) ** 2 - 2 * mean * float(start) + square, 0.0)) * (1 - problem.rate) ** 2
        assert distance <= spread * (1 + 1e-4)  # a mean of |x| is at most the root of the mean of x²


def test_order_is_kept_and_padding_never_seen() -> None:
    problem = Key(noise=0.0)
    # Fewer than devices or than a chunk; whole chunks alone; chunks and devices with padding; one candidate a chunk.
    for count, chunk, devices in (
        (1, 1, 2),
        (1, 3, 1),
        (2, 2, 2),
        (4, 2, 2),
        (5, 3, 1),
        (5, 2, 2),
        (7, 3, 2),
        (7, 1, 2),
    ):
        genotypes = np.arange(4.0 * count, dtype=np.float32).reshape(count, 4)
        found = jax.jit(evaluator(problem, chunk, devices).population)(KEY, genotypes)
        np.testing.assert_array_equal(found.metrics["omega"], 4.0 * np.arange(count))
        assert found.fitness.shape == (count,)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_problem_may_evaluate_the_population_at_once(devices: int) -> None:
    class Together(Bowl):  # type: ignore[misc, valid-type]
        def evaluate_population(self, key: Any, omegas: Any) -> Evaluation:
            order = jnp.argsort(jnp.argsort(omegas[:, 0]))  # of the device's share
            return Evaluation(10.0 * order, {"first": omegas[:, 0]})

    genotypes = jnp.array([[3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [5.0, 0.0], [4.0, 0.0]])
    problem = Together(dimension=2)
    result = jax.jit(evaluator(problem, 1, devices).population)(KEY, genotypes)
    # On two devices three are evaluated together, then two, and one that fills up and is dropped.
    assert result.fitness.tolist() == ([20, 0, 10, 40, 30] if devices == 1 else [20, 0, 10, 20, 10])
    assert result.metrics["first"].tolist() == [3, 1, 2, 5, 4]


def test_candidates_share_their_draws_by_generation_or_by_set() -> None:
    problem, genotypes = Key(), jnp.zeros((5, 4))
    everyone = fitness_of(problem, genotypes, 2)
    assert len(np.unique(everyone)) == 1
    pairs = fitness_of(problem, genotypes, 2, 2, members_per_task_set=2)
    assert pairs[0] == pairs[1] != pairs[2] == pairs[3] != pairs[4]
    other = jax.jit(evaluator(problem, 2).population)(jax.random.key(12), genotypes).fitness
    assert other[0] != everyone[0]


def test_learners_of_a_task_share_their_keys() -> None:
    problem = Waves()  # noisy in init, step and loss
    same = jax.jit(lambda: jnp.broadcast_to(problem.space.start(KEY), (5, problem.space.size)))()
    assert len(np.unique(fitness_of(problem, same, 1, 2))) == 1


def test_a_failed_candidate_disturbs_no_other() -> None:
    problem = Bowl()
    genotypes = jax.random.normal(KEY, (7, 4))
    broken = genotypes.at[0].set(jnp.nan).at[4].set(jnp.inf)
    expected, found = fitness_of(problem, genotypes, 2, 2), fitness_of(problem, broken, 2, 2)
    assert not np.isfinite(found[[0, 4]]).any()
    rest = [1, 2, 3, 5, 6]
    assert found[rest].tobytes() == expected[rest].tobytes()


def drawn_and_validated(evaluator: FullEvaluator, key: Any, genotype: Any, count: int, test: bool) -> Any:
    """Return the evaluation of a genotype on so many tasks of the training or the held-out distribution."""
    return evaluator.validate_on(genotype, evaluator.tasks.sample(key, count, test=test), test=test)


@pytest.mark.parametrize("count", [1, 5])
def test_validation_is_a_mean_over_tasks_of_the_distribution_asked_for(count: int) -> None:
    problem = Chase(num_tasks=2, inner_steps=1)
    genotype = jnp.asarray([0.5])  # ω = 3

    def validate(chunk: int, devices: int, *, test: bool) -> Any:
        return jax.jit(lambda key: drawn_and_validated(evaluator(problem, chunk, devices), key, genotype, count, test))(
            KEY
        )

    expected = validate(1, 1, test=True)
    for chunk, devices in ((2, 1), (1, 2), (3, 2)):
        found = validate(chunk, devices, test=True)
        np.testing.assert_allclose(found.fitness, expected.fitness, rtol=1e-5)
        np.testing.assert_allclose(found.metrics["distance"], expected.metrics["distance"], rtol=1e-5)
    # Held-out targets are near 10 and training targets near 0, 3/4 of the way is left after one step.
    np.testing.assert_allclose(expected.metrics["distance"], 0.75 * 7.0, atol=0.75 * 4 / count**0.5)
    np.testing.assert_allclose(validate(2, 2, test=False).metrics["distance"], 0.75 * 3.0, atol=0.75 * 4 / count**0.5)


def test_validation_of_a_problem_without_tasks_averages_draws_of_its_own_methods() -> None:
    genotype = jnp.zeros(4)
    one = evaluator(Key(), 4, 2)
    validate = jax.jit(
        lambda count, test: drawn_and_validated(one, KEY, genotype, count, test).fitness, static_argnums=(0, 1)
    )
    train = validate(1, False)
    assert train == jax.random.uniform(KEY)
    assert validate(1, True) == -train
    np.testing.assert_allclose(validate(9, False), mean_of_draws(9), rtol=1e-6)


def mean_of_draws(count: int) -> Any:
    """Return what so many evaluations of :class:`Key` come to in the mean."""
    return np.mean(jax.jit(lambda: jax.vmap(jax.random.uniform)(jax.random.split(KEY, count)))())


def test_a_noisy_problem_says_how_many_draws_an_evaluation_averages() -> None:
    @dataclasses.dataclass(frozen=True)
    class Several(Key):  # type: ignore[misc, valid-type]
        num_tasks: int = 5

    genotypes = jnp.zeros((4, 4))
    np.testing.assert_allclose(fitness_of(Several(), genotypes, 2), mean_of_draws(5), rtol=1e-6)
    pairs = fitness_of(Several(), genotypes, 2, members_per_task_set=2)
    assert pairs[0] == pairs[1] != pairs[2] == pairs[3]


def test_the_population_at_once_may_be_numbers_alone_and_averages_draws() -> None:
    @dataclasses.dataclass(frozen=True)
    class Together(Key):  # type: ignore[misc, valid-type]
        num_tasks: int = 3

        def evaluate_population(self, key: Any, omegas: Any) -> Any:
            return omegas[:, 0] + jax.random.uniform(key)

    genotypes = jnp.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(fitness_of(Together(), genotypes, 1), mean_of_draws(3) + np.array([0.0, 4.0]), rtol=1e-6)
