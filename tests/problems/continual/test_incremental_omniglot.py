"""A stream has its classes one after the other, and the learner follows its rule, one image a step."""

import jax
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import IncrementalOmniglot

PROBLEM = IncrementalOmniglot(
    characters="glyphs", classes=3, inner_steps=6, queries=2, channels=(2, 3), learning_rate=0.1, restraint=0.5
)


def test_classes_come_one_after_the_other_and_no_drawing_comes_twice() -> None:
    task = jax.device_get(jax.jit(PROBLEM.sample_test_task)(jax.random.key(0)))
    known = PROBLEM.parts[1].images
    rows = np.round(255 * np.concatenate([task.stream.reshape(3, 2, 21, 21), task.query], axis=1)).astype(np.uint8)
    found = [[np.argwhere((known == image).all(axis=(2, 3)))[0].tolist() for image in row] for row in rows]
    for row in found:
        assert len({character for character, _ in row}) == 1
        assert len({drawer for _, drawer in row}) == 4
    assert len({row[0][0] for row in found}) == 3


def test_training_classes_are_turned_by_quarters() -> None:
    task = jax.device_get(jax.jit(PROBLEM.sample_task)(jax.random.key(1)))
    known = PROBLEM.parts[0].images
    for images in np.concatenate([task.stream.reshape(3, 2, 21, 21), task.query], axis=1):
        turned = [
            [bool((known == np.round(255 * np.rot90(image, quarters)).astype(np.uint8)).all(axis=(2, 3)).any())]
            for quarters in range(4)
            for image in images[:1]
        ]
        assert sum(map(any, turned)) == 1


def test_the_classifier_learns_by_the_rule() -> None:
    key = jax.random.key(2)

    @jax.jit
    def everything() -> object:
        task, omega = PROBLEM.sample_test_task(key), PROBLEM.space.decode(PROBLEM.space.start(key))
        omega |= {"log_rate": np.float32(1.0), "log_restraint": np.log(np.float32(0.5))}
        query = PROBLEM.features(omega, task.query.reshape(-1, 21, 21))
        found = PROBLEM.evaluate_task(key, omega, task), PROBLEM.forgetting(key, omega, task)
        return PROBLEM.features(omega, task.stream), query, *found

    stream, query, evaluation, forgetting = jax.device_get(everything())  # type: ignore[misc]
    kernel, labels, after = np.zeros((stream.shape[1], 3)), np.repeat(np.arange(3), 2), []
    for number, features in enumerate(stream):
        chances = np.exp(features @ kernel)
        kernel += 0.1 * np.e * np.outer(features, np.eye(3)[number // 2] - 0.25 * chances / chances.sum())
        after.append(((query @ kernel).argmax(axis=1) == labels).reshape(3, 2).mean(axis=1))
    np.testing.assert_allclose(forgetting, after[1::2])
    logits = query @ kernel
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert float(evaluation.fitness) == pytest.approx(-np.log(chances[np.arange(6), labels]).mean(), rel=1e-4)
    assert float(evaluation.metrics["accuracy"]) == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_what_does_not_divide_or_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"multiple of classes, got inner_steps=7 and classes=3\."):
        IncrementalOmniglot(classes=3, inner_steps=7)
    with pytest.raises(ConfigurationError, match="classes of at most the 84 characters"):
        IncrementalOmniglot(characters="glyphs", classes=85, inner_steps=85).sample_test_task(jax.random.key(0))
