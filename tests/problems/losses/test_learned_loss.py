"""LearnedLoss: cross-entropy as an expression is cross-entropy, and labels are wrong as often as asked."""

import dataclasses
import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.expressions import Tree, compile_tree, parse
from evometa.problems import LearnedLoss
from evometa.problems.losses.learned_loss import CROSS_ENTROPY
from evometa.problems.shared.classification import table
from evometa.problems.shared.networks import cross_entropy

KEY = jax.random.key(0)
SMALL = LearnedLoss(num_tasks=2, inner_steps=4, learning_rate=0.3, hidden=(8,), batch_size=16)


def program(problem: LearnedLoss, given: str) -> Any:
    primitives = problem.space.primitives
    return compile_tree(primitives, parse(primitives, given, problem.max_size))


@pytest.mark.parametrize("data_set", ["digits", "wine", "breast_cancer"])
def test_cross_entropy_as_an_expression_is_a_step_down_cross_entropy(data_set: Any) -> None:
    problem = dataclasses.replace(SMALL, data_set=data_set)
    data, task = table(data_set), jax.jit(problem.sample_task)(KEY)
    omega = program(problem, CROSS_ENTROPY)
    learner = jax.jit(lambda task: problem.init(KEY, omega, task))(task)
    after = jax.jit(lambda task, learner: problem.step(KEY, omega, task, learner))(task, learner)
    rows = np.asarray(task.batches)[0]

    def error(weights: Any) -> Any:
        return cross_entropy(problem.network.run(weights, jnp.asarray(data.features)[rows]), data.targets[rows])

    gradient = jax.jit(jax.grad(error))(learner.weights)
    expected = jax.tree.map(lambda w, g: np.asarray(w) - 0.3 * np.asarray(g), learner.weights, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), after.weights, expected)
    assert after.steps == 1


def test_labels_are_wrong_as_often_as_asked_and_evaluated_by_right_ones() -> None:
    data = table("digits")
    noisy = dataclasses.replace(SMALL, label_noise=0.4)
    classes = np.asarray(jax.jit(noisy.sample_task)(KEY).labels)
    assert np.mean(classes != data.labels) == pytest.approx(0.4, abs=0.04)
    assert set(classes.tolist()) == set(range(10))
    np.testing.assert_array_equal(jax.jit(SMALL.sample_task)(KEY).labels, data.labels)
    seen = (
        jax.jit(noisy.sample_task)(KEY).evaluation_rows,
        jax.jit(noisy.sample_test_task)(KEY).evaluation_rows,
        jax.jit(noisy.sample_task)(KEY).batches,
    )
    parts = [set(np.asarray(rows).ravel().tolist()) for rows in seen]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]


def test_a_loss_that_is_not_finite_fails_alone() -> None:
    evaluator = FullEvaluator(SMALL, SMALL.space, 0, 1, (jax.local_devices()[0],))
    given = ["mul(1e30, mul(1e30, square(prediction)))", CROSS_ENTROPY]
    trees = [parse(SMALL.space.primitives, one, SMALL.max_size) for one in given]
    evaluate = jax.jit(functools.partial(evaluator.population, KEY))
    both = evaluate(Tree(*(np.stack(leaves) for leaves in zip(*trees, strict=True))))
    alone = evaluate(jax.tree.map(lambda leaf: np.asarray(leaf)[None], trees[1]))
    assert not np.isfinite(both.fitness[0])
    assert both.fitness[1] == alone.fitness[0]
    assert both.metrics["accuracy"][1] == pytest.approx(1 - float(both.fitness[1]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"label_noise": 1.0}, "to be a number of at least 0 and below 1, got 1.0"),
        ({"learning_rate": 0.0}, "to be a number above 0, got 0.0"),
        ({"data_set": "iris"}, "'digits', 'wine', 'breast_cancer' or 'synthetic', got 'iris'; nearest: digits"),
        ({"hidden": (0,)}, "to be a tuple of whole numbers of at least 1"),
    ],
)
def test_bad_settings_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        LearnedLoss(**settings)
