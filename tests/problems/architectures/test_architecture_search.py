"""Cells: the network is the one that ω describes, and the table holds the results of training."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problems import (
    ArchitectureSearch,
    ArchitectureTable,
    read_architecture_table,
    train_all,
    write_architecture_table,
)
from evometa.problems.shared.classification import components, table

PROBLEM = ArchitectureSearch(num_tasks=2, inner_steps=3, nodes=3, operations=("skip", "relu"))


def test_the_network_is_the_cell() -> None:
    problem = ArchitectureSearch(nodes=3)
    none, skip, linear, relu, tanh = range(5)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 16)).astype(np.float32)
    weights = {"edges": rng.normal(size=(3, 16, 16)) / 4, "biases": rng.normal(size=(3, 16)), "output": np.eye(16, 10)}
    layers = [lambda v, e=e: v @ weights["edges"][e] + weights["biases"][e] for e in range(3)]  # of 0→1, 0→2, 1→2
    expected = {
        (tanh, skip, relu): x + np.maximum(layers[2](np.tanh(layers[0](x))), 0),
        (linear, none, skip): layers[0](x),
        (skip, linear, none): layers[1](x),
        (none, none, tanh): np.broadcast_to(np.tanh(weights["biases"][2]), x.shape),
    }
    run = jax.jit(problem.predict)
    for omega, last in expected.items():
        found = run(jnp.array(omega), jax.tree.map(lambda w: jnp.asarray(w, jnp.float32), weights), x)
        np.testing.assert_allclose(found, last[:, :10], rtol=1e-4, atol=1e-5)


def test_components_explain_most_of_the_training_part() -> None:
    data, found = table("digits"), components("digits", 64)
    training = found[data.training]
    covariance = training.T @ training / len(training)
    variances = np.diag(covariance)
    assert variances[0] == pytest.approx(1.0, rel=1e-4)
    assert np.all(np.diff(variances) <= 1e-6)
    np.testing.assert_allclose(covariance - np.diag(variances), 0.0, atol=1e-4)


@pytest.fixture(scope="module")
def trained() -> Any:
    return train_all(PROBLEM, seed=3)


def test_a_table_holds_what_training_gives(trained: Any, tmp_path: Path) -> None:
    key_tasks, key_learners = jax.random.split(jax.random.key(3))
    omega, losses = jnp.array([1, 0, 1]), []
    train = jax.jit(lambda key, task: learning_curve(PROBLEM, key, omega, task, (3,))[1])
    for key, learner_key in zip(jax.random.split(key_tasks), jax.random.split(key_learners), strict=True):
        task, held_out = PROBLEM.sample_task(key), PROBLEM.sample_test_task(key)
        learner = train(learner_key, task)
        losses.append([PROBLEM.loss(key, omega, which, learner) for which in (task, held_out)])
    validation, test = np.mean(losses, axis=0)
    file = tmp_path / "cells.npz"
    write_architecture_table(trained, file)
    problem = ArchitectureTable(str(file))
    found, held_out = problem.evaluate(key_tasks, omega), problem.evaluate_test(key_tasks, omega)
    assert float(found.fitness) == pytest.approx(validation, rel=1e-4)
    assert float(held_out.fitness) == pytest.approx(test, rel=1e-4)
    assert float(found.metrics["regret"]) == pytest.approx(validation - trained.validation.min(), abs=1e-4)
    assert float(found.metrics["better"]) == np.sum(trained.validation < trained.validation[1, 0, 1]) / 8


def test_the_table_of_the_package_is_that_of_the_default_cells() -> None:
    held, problem = ArchitectureTable(), ArchitectureSearch()
    assert held.space.choices == problem.space.choices
    assert held.space.size == problem.space.size == 6
    losses = held.trained.validation
    assert losses.size == 5**6
    # Where nothing reaches the last node, all classes are equally likely.
    np.testing.assert_allclose(losses[:, :, :, 0, 0, 0], np.log(10), rtol=1e-5)
    # A linear network cannot be better than the best; training one cell again gives what the table says, but for the
    # draws: the deviation of a mean over 2 tasks from one over 4 is small beside the spread of the table.
    omega = jnp.array([2, 2, 3, 2, 1, 3])
    drawn = dataclasses.replace(problem, num_tasks=4)
    again = []
    for key in jax.random.split(jax.random.key(0), 2):
        curve = jax.jit(lambda key: learning_curve(drawn, key, omega, drawn.sample_task(key), (80,))[0])
        again.append(float(curve(key)[0]))
    assert np.mean(again) == pytest.approx(float(losses[tuple(omega)]), abs=0.1)
    assert float(losses[tuple(omega)]) < 0.5 * float(np.log(10))


def test_one_operation_is_one_architecture() -> None:
    problem = dataclasses.replace(PROBLEM, operations=("relu",))
    weights = problem.sample_task(jax.random.key(0)).weights
    space = problem.space
    omega = space.decode(space.sample(jax.random.key(1)))
    found = problem.predict(omega, weights, jnp.ones((1, 16)))
    layer = np.maximum(np.ones((1, 16)) @ weights["edges"], 0)[:, 0]
    last = layer[1] + np.maximum(layer[0] @ weights["edges"][2], 0)
    np.testing.assert_allclose(found[0], last @ weights["output"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"operations": ()},
            "to be a tuple of 1 or more strings",
        ),
        ({"nodes": 1}, "to be a whole number of at least 2, got 1"),
        ({"operations": ("relu", "tahn")}, "got 'tahn'. Nearest: tanh"),
        ({"operations": ("relu", "relu")}, "all different"),
        ({"width": 65}, "at most the number of features of digits, 64, got 65"),
        ({"batch_size": 0}, "to be a whole number of at least 1, got 0"),
        ({"data_set": "moons"}, "data_set (a data set bundled with scikit-learn, or a synthetic one) to be 'digits'"),
    ],
)
def test_refuses(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        ArchitectureSearch(**settings)


def test_refuses_what_is_no_table(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is none at"):
        ArchitectureTable(str(tmp_path / "nothing.npz"))
    (tmp_path / "words.npz").write_text("words")
    with pytest.raises(ConfigurationError, match=r"words\.npz is not one"):
        ArchitectureTable(str(tmp_path / "words.npz"))
    write_architecture_table(trained._replace(nodes=4), tmp_path / "cut.npz")
    with pytest.raises(ConfigurationError, match="a loss for each of 64 cells"):
        read_architecture_table(tmp_path / "cut.npz")
