"""AuxiliaryTasks: tasks made to be useful are, tasks made to be useless are not, and losses add up."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from evometa import ConfigurationError
from evometa.problems import AuxiliaryTasks
from evometa.problems.shared.digits import digits
from evometa.problems.training_data.auxiliary_tasks import NAMES

KEY = jax.random.key(0)
SMALL = AuxiliaryTasks(inner_steps=4, labelled=20, batch_size=16)


def omega(weight: Any, fade: float = 0.0, power: float = 1.0) -> dict[str, Any]:
    given = {"weight": weight, "fade": fade, "power": power, "learning_rate": 0.1}
    return {name: np.asarray(value, np.float32) for name, value in given.items()}


def test_five_questions_follow_from_the_digit_and_five_from_nothing() -> None:
    labels = digits().labels[digits().training]
    answers = np.asarray(jax.jit(SMALL.sample_task)(KEY).drawn.answers)
    np.testing.assert_array_equal(answers[:, 0], labels % 2)
    np.testing.assert_array_equal(answers[:, 1], labels >= 5)
    np.testing.assert_array_equal(answers[:, 2], np.isin(labels, (0, 6, 8, 9)))
    np.testing.assert_array_equal(answers[:, 4], np.isin(labels, (2, 3, 5, 7)))
    np.testing.assert_array_equal(answers[:, :3].mean(0), answers[:, 5:8].mean(0))
    for useless in answers[:, 5:].T:
        shares = [useless[labels == digit].mean() - useless.mean() for digit in range(10)]
        assert np.abs(shares).max() < 4 * 0.5 / np.sqrt(90)  # four standard errors
    others = np.asarray(jax.jit(SMALL.sample_task)(jax.random.key(1)).drawn.answers)
    np.testing.assert_array_equal(others[:, :5], answers[:, :5])
    assert (np.mean(others[:, 5:] != answers[:, 5:], axis=0) > 0.3).all()


def test_the_main_task_sees_few_examples_and_the_others_all() -> None:
    task = jax.jit(AuxiliaryTasks(labelled=20).sample_task)(KEY)
    assert len(np.unique(task.drawn.labelled)) == 20
    assert len(np.unique(task.drawn.unlabelled)) > 1000  # of 1077, in 4800 draws
    np.testing.assert_array_equal(task.evaluation_rows, digits().validation)
    np.testing.assert_array_equal(jax.jit(SMALL.sample_test_task)(KEY).evaluation_rows, digits().test)


def test_losses_add_up_as_omega_says() -> None:
    data, task = digits(), jax.jit(SMALL.sample_task)(KEY)
    images, labels = data.features[data.training], data.labels[data.training]
    labelled, asked = np.asarray(task.drawn.labelled)[2], np.asarray(task.drawn.unlabelled)[2]
    training_loss = jax.jit(SMALL.training_loss)

    def loss(*given: Any) -> float:
        return float(training_loss(omega(*given), task.drawn, task.weights, np.int32(2)))

    @jax.jit
    def expected(weights: Any) -> Any:
        few, many = (SMALL.network.run(weights, images[rows]) for rows in (labelled, asked))
        main = optax.softmax_cross_entropy_with_integer_labels(few[:, :10], labels[labelled]).mean()
        return main, optax.sigmoid_binary_cross_entropy(many[:, 10:], task.drawn.answers[asked]).mean(0)

    main, others = jax.device_get(expected(task.weights))
    none = np.zeros(len(NAMES))
    assert loss(none) == pytest.approx(float(main), rel=1e-5)
    for number in (0, 4, 9):
        one = np.where(np.arange(len(NAMES)) == number, 2.0, 0.0)
        assert loss(one) == pytest.approx(float(main + 2 * others[number]), rel=1e-5)
        # Half of the four steps are over.
        assert loss(one, 1.0, 2.0) == pytest.approx(float(main + others[number] ** 2), rel=1e-5)


def test_auxiliary_tasks_leave_the_outputs_of_the_main_task_alone() -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    slope = jax.jit(jax.grad(SMALL.training_loss, argnums=2))
    alone, beside = (slope(omega(np.full(10, w)), task.drawn, task.weights, np.int32(0)) for w in (0.0, 1.0))
    heads = [np.asarray(each["Dense_1"]["kernel"]) for each in (alone, beside)]
    np.testing.assert_allclose(heads[0][:, :10], heads[1][:, :10], rtol=1e-5, atol=1e-7)
    assert not np.any(heads[0][:, 10:])
    assert np.any(heads[1][:, 10:])
    assert np.any(alone["Dense_0"]["kernel"] != beside["Dense_0"]["kernel"])
    assert jax.eval_shape(SMALL.logits, task.weights, np.zeros((3, 64), np.float32)).shape == (3, 10)


@pytest.mark.parametrize("settings", [{"labelled": 0}, {"batch_size": 0}])
def test_bad_settings_are_refused_in_words(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"to be a whole number of at least 1"):
        AuxiliaryTasks(**settings)
