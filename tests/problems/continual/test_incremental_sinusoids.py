"""Functions that are held out are others, and the learner is linear regression by SGD, one function after the other."""

import jax
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problems import IncrementalSinusoids
from evometa.problems.continual.incremental_sinusoids import AMPLITUDES, HELD_OUT, IDENTITIES, PHASES, TRAINING, waves

PROBLEM = IncrementalSinusoids(
    functions=3, inner_steps=6, batch_size=4, test_batch_size=5, queries=7, hidden=(4, 3), learning_rate=0.1
)


def test_held_out_functions_are_others_in_range() -> None:
    training, held_out = waves()
    assert (len(training.phases), len(held_out.phases)) == (TRAINING, HELD_OUT)
    assert not set(training.amplitudes.tolist()) & set(held_out.amplitudes.tolist())
    for values, (low, high) in zip(np.concatenate([training, held_out], axis=1), (AMPLITUDES, PHASES), strict=True):
        assert low <= values.min() < low + 0.1 * (high - low) < high - 0.1 * (high - low) < values.max() <= high


def test_the_output_is_trained_by_sgd_on_one_function_after_the_other() -> None:
    key = jax.random.key(0)

    @jax.jit
    def everything() -> object:
        task, omega = PROBLEM.sample_test_task(key), PROBLEM.space.decode(PROBLEM.space.start(key))
        features = [PROBLEM.features(omega, part.inputs) for part in task]
        return task, features, omega["head"]["Dense_0"], learning_curve(PROBLEM, key, omega, task, (6,))

    task, (stream, query), head, ((error,), _) = jax.device_get(everything())  # type: ignore[misc]
    identities = np.argmax(task.stream.inputs[:, :, 1:], axis=2)
    assert task.stream.inputs.shape == (6, 5, 1 + IDENTITIES)
    assert (identities == identities[:, :1]).all()
    assert identities[::2, 0].tolist() == identities[1::2, 0].tolist()
    assert len(set(identities[::2, 0])) == 3
    kernel, bias = head["kernel"], head["bias"]
    for features, labels in zip(stream, task.stream.labels, strict=True):
        wrong = features @ kernel + bias - labels
        kernel, bias = kernel - 0.1 * 2 * features.T @ wrong / 5, bias - 0.1 * 2 * wrong.mean(axis=0)
    expected = np.mean((query @ kernel + bias - task.query.labels) ** 2)
    assert float(error) == pytest.approx(expected, rel=1e-4)


def test_labels_are_waves_of_the_identity() -> None:
    task = jax.device_get(jax.jit(PROBLEM.sample_task)(jax.random.key(1)))
    for number in range(3):
        stream = [leaf[2 * number : 2 * number + 2].reshape(8, -1) for leaf in task.stream]
        x = np.concatenate([stream[0][:, 0], task.query.inputs[number, :, 0]])
        labels = np.concatenate([stream[1][:, 0], task.query.labels[number, :, 0]])
        columns = np.stack([np.sin(x), np.cos(x)], axis=1)  # amplitude · sin(x + phase) is a sum of both
        (sine, cosine), *_ = np.linalg.lstsq(columns, labels)
        np.testing.assert_allclose(columns @ (sine, cosine), labels, atol=1e-4)
        assert np.isclose(np.hypot(sine, cosine), waves()[0].amplitudes, atol=1e-3).any()


def test_steps_that_do_not_divide_among_functions_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"multiple of their number, got functions=3 and inner_steps=7\."):
        IncrementalSinusoids(functions=3, inner_steps=7)
