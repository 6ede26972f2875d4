"""Curriculum: the teacher's difficulty is the leave-one-out loss, and examples are drawn as ω says."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import Curriculum
from evometa.problems.shared.classification import table
from evometa.problems.training_data.curriculum import RIDGE

KEY = jax.random.key(0)
WINE = Curriculum(data_set="wine", inner_steps=3, batch_size=16)


def omega(pool: Any, skew: Any = (1.0, 1.0), bend: float = 1.0) -> dict[str, jax.Array]:
    given = {"pool": pool, "skew": skew, "bend": bend, "learning_rate": 0.1}
    return {name: jnp.asarray(value, jnp.float32) for name, value in given.items()}


def test_difficulty_is_what_a_teacher_without_the_example_leaves_of_its_label() -> None:
    data = table("wine")
    labels = np.asarray(WINE.noisy_labels(KEY))
    found = np.asarray(WINE.difficulty(jnp.asarray(labels)))
    x = np.c_[data.features[data.training], np.ones(len(labels))].astype(float)
    y = np.eye(3)[labels]
    for left_out in (0, 17, 50):
        rest = np.arange(len(labels)) != left_out
        weights = np.linalg.solve(x[rest].T @ x[rest] + RIDGE * np.eye(x.shape[1]), x[rest].T @ y[rest])
        assert found[left_out] == pytest.approx(1 - (x[left_out] @ weights)[labels[left_out]], abs=1e-3)


def test_wrong_labels_come_last_and_are_as_many_as_asked() -> None:
    problem = Curriculum(label_noise=0.4, inner_steps=1)
    drawn = jax.jit(problem.sample_task)(KEY).drawn
    wrong = np.asarray(drawn.labels) != problem.data.labels[drawn.order]
    np.testing.assert_array_equal(np.sort(drawn.order), np.sort(problem.data.training))
    assert wrong.mean() == pytest.approx(0.4, abs=0.045)  # three standard errors
    ranks = np.arange(len(wrong))
    after = (ranks[wrong][:, None] > ranks[~wrong]).mean()
    assert after > 0.85


def test_places_move_from_the_first_settings_to_the_last() -> None:
    quantiles = jnp.linspace(0, 1, 1000, endpoint=False)
    count = len(WINE.data.training)

    def places(progress: float, *given: Any) -> Any:
        return np.asarray(WINE.places(omega(*given), quantiles, progress))

    uniform = np.bincount(places(0.5, (1.0, 1.0)), minlength=count)
    assert np.ptp(uniform) <= 1  # all as often, up to rounding
    assert places(0.0, (0.2, 0.8)).max() == int(0.2 * count * 0.999)
    assert places(1.0, (0.2, 0.8)).max() == int(0.8 * count * 0.999)
    assert places(0.5, (0.2, 0.8)).max() == int(0.4 * count * 0.999)  # the geometric mean
    assert places(0.25, (0.2, 0.8), (1.0, 1.0), 0.5).max() == int(0.4 * count * 0.999)  # half-way by then
    easy, hard = places(0.0, (1.0, 1.0), (4.0, 0.25)).mean(), places(1.0, (1.0, 1.0), (4.0, 0.25)).mean()
    assert easy == pytest.approx(count / 5, rel=0.05)  # the mean of u^s is 1 / (1 + s)
    assert hard == pytest.approx(count * 4 / 5, rel=0.05)


def test_a_step_descends_the_loss_of_the_examples_at_these_places() -> None:
    task = jax.jit(WINE.sample_task)(KEY)
    settings = omega((0.1, 0.1))
    loss = float(WINE.training_loss(settings, task.drawn, task.weights, jnp.int32(1)))
    places = np.asarray(WINE.places(settings, task.drawn.quantiles[1], 1 / 3))
    rows, labels = np.asarray(task.drawn.order)[places], np.asarray(task.drawn.labels)[places]
    logits = np.asarray(WINE.logits(task.weights, jnp.asarray(WINE.data.features[rows])), float)
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(16), labels]
    assert loss == pytest.approx(expected.mean(), rel=1e-5)
    assert places.max() < 0.1 * len(WINE.data.training)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"label_noise": 1.0}, "to be a number of at least 0 and below 1, got 1.0"),
        ({"batch_size": 0}, "to be a whole number of at least 1, got 0"),
        ({"data_set": "iris"}, "'digits', 'wine', 'breast_cancer' or 'synthetic', got 'iris'; nearest: digits"),
    ],
)
def test_bad_settings_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Curriculum(**settings)
