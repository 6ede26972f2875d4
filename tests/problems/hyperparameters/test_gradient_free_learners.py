"""Learners without gradients: the tree is scikit-learn's, the rule is the perceptron's, and nothing differentiates."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from evometa import Search
from evometa.errors import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problems import BinaryNetwork, DecisionTree
from evometa.problems.hyperparameters.binary_network import Learner, Training
from evometa.problems.hyperparameters.decision_tree import above
from evometa.problems.shared.classification import table
from evometa.strategies import SNES

FREE: dict[str, Any] = {"price": np.zeros(30), "min_gain": 1e-3, "min_leaf": 1.0, "smoothing": 1.0}


def grown(problem: DecisionTree, **changes: Any) -> tuple[Any, Any]:
    """Return a task and the tree that is grown on it."""
    task = problem.sample_task(jax.random.key(0))
    omega = jax.tree.map(jnp.float32, FREE | changes)
    return task, jax.jit(lambda: learning_curve(problem, jax.random.key(1), omega, task, (problem.inner_steps,)))()[1]


def test_a_free_tree_is_scikit_learns() -> None:
    problem = DecisionTree(num_tasks=1, inner_steps=3)
    task, tree = grown(problem)
    rows = np.flatnonzero(task.training)
    over, _ = above("breast_cancer", problem.cuts)
    labels = table("breast_cancer").labels
    theirs = DecisionTreeClassifier(max_depth=3, random_state=0).fit(over.T[rows], labels[rows])
    # Trees that tie at a split may differ; the impurity that is left, of all leaves together, must not.
    left = [impurity(np.asarray(tree.leaf)[rows], labels[rows]), impurity(theirs.apply(over.T[rows]), labels[rows])]
    assert left[0] == pytest.approx(left[1], abs=1e-3)


def impurity(leaves: np.ndarray, labels: np.ndarray) -> float:
    counts = [np.bincount(labels[leaves == leaf], minlength=2) for leaf in np.unique(leaves)]
    return float(sum(count.sum() - (count**2).sum() / count.sum() for count in counts))


def test_a_feature_that_is_too_dear_is_not_used() -> None:
    problem = DecisionTree(num_tasks=1, inner_steps=2)
    _, feature = above("breast_cancer", problem.cuts)
    _, tree = grown(problem)
    used = {int(feature[cut]) for cut in np.ravel(tree.splits) if cut < len(feature)}
    _, dear = grown(problem, price=np.isin(np.arange(30), list(used)) * 1e4)
    instead = {int(feature[cut]) for cut in np.ravel(dear.splits) if cut < len(feature)}
    assert used
    assert instead
    assert not used & instead


def test_leaves_keep_enough_examples_or_are_not_split() -> None:
    problem = DecisionTree(num_tasks=1, inner_steps=3)
    task, tree = grown(problem, min_leaf=30.0)
    sizes = np.bincount(np.asarray(tree.leaf)[np.flatnonzero(task.training)])
    assert sizes[sizes > 0].min() >= 30
    _, whole = grown(problem, min_gain=1e4)
    assert set(np.asarray(whole.leaf).tolist()) == {0}
    # A tree that is not split predicts the share of each class.
    share = float((task.training @ (table("breast_cancer").labels == 1) + 1) / (task.training.sum() + 2))
    omega = jax.tree.map(jnp.float32, FREE)
    np.testing.assert_allclose(problem.shares(omega, task, whole)[:, 1], share, rtol=1e-5)


def test_parts_to_grow_on_and_to_evaluate_on_are_apart() -> None:
    problem, data = DecisionTree(), table("breast_cancer")
    for draw in (problem.sample_task, problem.sample_test_task):
        task = draw(jax.random.key(3))
        assert not np.any(np.asarray(task.training * task.evaluation))
        assert not np.any(np.asarray(task.training)[data.test])
        assert float(task.evaluation.sum()) == len(data.test)


def test_one_step_of_the_rule_is_the_perceptrons() -> None:
    problem = BinaryNetwork(inner_steps=1, batch_size=1, units=1)
    data = table("digits")
    row = int(data.training[0])
    states = jax.random.normal(jax.random.key(0), (65, 10))
    omega = dict(zip(("margin", "reach", "push", "decay", "noise"), (0.0, 99.0, 1.0, 0.0, 0.0), strict=True))
    omega |= {"init_scale": 1.0, "threshold": 0.5}
    task = Training(states, jnp.array([[row]]), jnp.asarray(data.validation))
    after = jax.jit(problem.step)(
        jax.random.key(1), jax.tree.map(jnp.float32, omega), task, Learner(states, jnp.int32(0))
    )
    x = np.append(np.where(data.features[row] > 0.5, 1.0, -1.0), 1.0)
    expected = np.array(states)
    for unit in range(10):
        wanted = 1.0 if unit == data.labels[row] else -1.0
        if wanted * (x @ np.where(expected[:, unit] >= 0, 1.0, -1.0)) < 0:
            expected[:, unit] += wanted * x
    np.testing.assert_allclose(after.states, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "problem",
    [BinaryNetwork(num_tasks=2, inner_steps=3), DecisionTree(num_tasks=2, inner_steps=2)],
    ids=lambda p: type(p).__name__,
)
def test_a_search_differentiates_nothing(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was differentiated")

    for name in ("grad", "value_and_grad", "vjp", "jvp", "linearize", "jacfwd", "jacrev", "hessian"):
        monkeypatch.setattr(jax, name, refuse)
    with pytest.raises(AssertionError, match="differentiated"):
        jax.grad(lambda x: x)(1.0)
    one: Any = {"validation_share": 0.0, "population_chunk": 1, "devices": 1}  # the problem is compiled once
    result = Search(problem, SNES(4), **one).run(generations=2)
    assert np.isfinite(result.best_fitness)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DecisionTree(inner_steps=11), "to be a whole number from 0 to 10, got 11"),
        (lambda: DecisionTree(cuts=0), "to be a whole number of at least 1, got 0"),
        (
            lambda: DecisionTree(data_set="moons"),
            "data_set (a data set bundled with scikit-learn, or a synthetic one) to be 'digits'",
        ),  # type: ignore[arg-type]
        (lambda: BinaryNetwork(units=4), "an odd number of units"),
    ],
)
def test_refuses(make: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()
