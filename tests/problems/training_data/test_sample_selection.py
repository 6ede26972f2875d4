"""SampleSelection: all examples count equally at the start, later as the scoring network says."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.problems import SampleSelection
from evometa.problems.shared.networks import cross_entropy

KEY = jax.random.key(0)
SMALL = SampleSelection(inner_steps=3, batch_size=16, hidden=(8,))


logits_of, training_loss = jax.jit(SMALL.logits), jax.jit(SMALL.training_loss)


def half(sign: float) -> Any:
    """Return the scorer whose output is 1000 · sign · (1/2 - rank)."""
    first, second = np.zeros((3, 8), np.float32), np.zeros((8, 1), np.float32)
    first[1, 0], second[0, 0] = 1.0, -1000.0 * sign
    scorer = [(first, np.zeros(8)), (second, np.full(1, 500.0 * sign))]
    return {f"Dense_{i}": {"kernel": k, "bias": np.asarray(b, np.float32)} for i, (k, b) in enumerate(scorer)}


def losses_of(task: Any, number: int) -> Any:
    data = SMALL.data
    rows = data.training[np.asarray(task.drawn.batches[number])]
    labels = np.asarray(task.drawn.labels)[np.asarray(task.drawn.batches[number])]
    logits = np.asarray(logits_of(task.weights, data.features[rows]), float)
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


def test_a_search_begins_with_plain_training() -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    start = jax.jit(lambda: SMALL.space.decode(SMALL.space.start(KEY)))()
    np.testing.assert_allclose(jax.jit(SMALL.weigh)(start, np.linspace(0, 5, 16, dtype=np.float32), 0.3), 0.5)
    loss = training_loss(start, task.drawn, task.weights, np.int32(1))
    assert float(loss) == pytest.approx(losses_of(task, 1).mean(), rel=1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_weights_are_what_the_scoring_network_makes_of_the_rank(sign: float) -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    omega = {"scorer": half(sign), "learning_rate": np.float32(0.1)}
    loss = training_loss(omega, task.drawn, task.weights, np.int32(2))
    ordered = np.sort(losses_of(task, 2))[:: int(sign)]
    # The one in the middle has a rank of exactly 1/2 and half a weight.
    shares = np.where(np.arange(16) < 8, 1.0, 0.0) if sign > 0 else np.where(np.arange(16) < 7, 1.0, 0.0)
    shares[8 if sign > 0 else 7] = 0.5
    assert float(loss) == pytest.approx(np.average(ordered, weights=shares), rel=1e-5)


def test_what_is_descended_is_the_losses_and_not_the_weights() -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    omega = {"scorer": half(1.0), "learning_rate": np.float32(0.1)}
    found = jax.jit(jax.grad(SMALL.training_loss, argnums=2))(omega, task.drawn, task.weights, np.int32(0))
    order = np.argsort(losses_of(task, 0))
    shares = np.zeros(16)
    shares[order] = [*[1.0] * 8, 0.5, *[0.0] * 7]
    places = np.asarray(task.drawn.batches[0])
    images = SMALL.data.features[SMALL.data.training][places]
    targets = np.eye(10, dtype=np.float32)[np.asarray(task.drawn.labels)[places]]

    def expected(weights: Any) -> Any:
        each = jax.vmap(lambda x, y: cross_entropy(SMALL.logits(weights, x[None]), y[None]))(images, targets)
        return jnp.average(each, weights=jnp.asarray(shares, jnp.float32))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
        found,
        jax.jit(jax.grad(expected))(task.weights),
    )


def test_wrong_labels_are_in_the_training_part_alone() -> None:
    data, task = SMALL.data, jax.jit(SMALL.sample_task)(KEY)
    wrong = np.asarray(task.drawn.labels) != data.labels[data.training]
    assert wrong.mean() == pytest.approx(0.4, abs=0.045)  # three standard errors
    assert (task.drawn.batches < len(data.training)).all()
    np.testing.assert_array_equal(task.evaluation_rows, data.validation)
    half_noise = jax.jit(SMALL.shifted()["half of the noise"].sample_task)(KEY)
    shifted = np.asarray(half_noise.drawn.labels) != data.labels[data.training]
    assert shifted.mean() == pytest.approx(0.2, abs=0.04)
