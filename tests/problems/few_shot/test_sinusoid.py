"""Sinusoid tasks, and the learner that adapts to them, against numbers computed independently."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.backend.precision import enable_x64
from evometa.problems import Sinusoid, adaptation_curves

KEY = jax.random.key(5)


def start(problem: Sinusoid) -> Any:
    return jax.device_get(jax.jit(lambda: problem.space.decode(problem.space.start(KEY)))())


def test_tasks_are_those_of_the_paper() -> None:
    @jax.jit
    def draw() -> Any:
        tasks = jax.vmap(Sinusoid().sample_task)(jax.random.split(KEY, 4000))
        return tasks, tasks.at(tasks.phase + np.pi / 2)

    tasks, tops = jax.device_get(draw())
    for values, low, high in (
        (tasks.amplitude, 0.1, 5.0),
        (tasks.phase, 0.0, np.pi),
        (tasks.support_x, -5.0, 5.0),
        (tasks.query_x, -5.0, 5.0),
    ):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        deviation = (high - low) / 12**0.5
        assert abs(values.mean() - (low + high) / 2) < 4 * deviation / values.size**0.5
    np.testing.assert_allclose(tops, tasks.amplitude, rtol=1e-5)
    held_out = jax.eval_shape(Sinusoid(test_queries=7).sample_test_task, KEY)
    assert (held_out.support_x.shape, held_out.query_x.shape) == ((10, 1), (7, 1))


def numpy_step(weights: Any, x: Any, y: Any, rates: Any) -> tuple[Any, float]:
    """Return the weights after one step of gradient descent on the mean squared error, and the error before it."""
    names = sorted(weights)
    activations = [x]
    for i, name in enumerate(names):
        z = activations[-1] @ weights[name]["kernel"] + weights[name]["bias"]
        activations.append(np.maximum(z, 0) if i < len(names) - 1 else z)
    delta = 2 * (activations[-1] - y) / len(x)
    updated = {}
    for i, name in reversed(list(enumerate(names))):
        gradient = {"kernel": activations[i].T @ delta, "bias": delta.sum(0)}
        updated[name] = {part: weights[name][part] - rates[name][part] * gradient[part] for part in gradient}
        delta = (delta @ weights[name]["kernel"].T) * (activations[i] > 0)
    return updated, float(np.mean((activations[-1] - y) ** 2))


@pytest.mark.parametrize("learn_rates", [False, True])
def test_inner_steps_are_gradient_descent(learn_rates: bool) -> None:
    problem = Sinusoid(hidden=(6, 5), shots=4, learn_rates=learn_rates)
    omega = start(problem)
    rates = jax.tree.map(lambda _: 0.01, omega["weights"])
    if learn_rates:
        assert all((v == 0).all() for v in jax.tree.leaves(omega["log_rates"]))  # a search starts at 0.01 everywhere
        leaves, structure = jax.tree.flatten(omega["log_rates"])
        changed = np.linspace(-1, 1, len(leaves), dtype=np.float32)
        omega["log_rates"] = jax.tree.unflatten(structure, list(changed))
        rates = jax.tree.map(lambda v: 0.01 * np.exp(v), omega["log_rates"])

    @jax.jit
    def trained(omega: Any) -> Any:
        task = problem.sample_task(KEY)
        points = (task.query_x, task.at(task.query_x)), (task.support_x, task.at(task.support_x))
        return points, learning_curve(problem, KEY, omega, task, (0, 2))

    points, (losses, learner) = trained(omega)

    weights = jax.tree.map(lambda w: np.asarray(w, np.float64), omega["weights"])
    query, support = jax.tree.map(lambda part: np.asarray(part, np.float64), points)
    before = numpy_step(weights, *query, rates)[1]
    for _ in range(2):
        weights = numpy_step(weights, *support, rates)[0]
    np.testing.assert_allclose(losses, [before, numpy_step(weights, *query, rates)[1]], rtol=1e-4)
    jax.tree.map(lambda found, expected: np.testing.assert_allclose(found, expected, atol=1e-5), learner, weights)


def test_the_start_follows_the_seed_and_the_network() -> None:
    space = Sinusoid().space

    @jax.jit
    def drawn() -> Any:
        starts = jax.vmap(space.start)(jax.random.split(KEY, 200))
        return starts, jax.vmap(space.decode)(starts)["weights"]["Dense_1"]["kernel"]

    starts, kernel = jax.device_get(drawn())
    assert space.size == 1 * 40 + 40 + 40 * 40 + 40 + 40 * 1 + 1
    np.testing.assert_allclose(kernel.std(), 40**-0.5, rtol=0.01)
    assert (starts[0] != starts[1]).any()
    assert Sinusoid(learn_rates=True).space.size == space.size + 6


def test_inner_training_stays_float32_under_x64() -> None:
    problem = Sinusoid(hidden=(3,), learn_rates=True)

    def run(key: Any) -> Any:
        task = problem.sample_task(key)
        return task, problem.evaluate_task(key, problem.space.decode(problem.space.start(key)), task).fitness

    with enable_x64(True):
        shapes = jax.tree.leaves(jax.eval_shape(run, jax.random.key(0)))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype("float32")}


def test_adaptation_curves_show_the_learner_of_that_task() -> None:
    problem = Sinusoid(hidden=(8,))
    omega = start(problem)
    curves = adaptation_curves(problem, omega, KEY, steps=(0, 1, 4), points=11)
    np.testing.assert_allclose(curves.x, np.linspace(-5, 5, 11), rtol=1e-6)
    np.testing.assert_allclose(
        curves.predictions[0], problem.predict(omega["weights"], jnp.asarray(curves.x[:, None]))[:, 0], rtol=1e-5
    )
    np.testing.assert_allclose(curves.errors, ((curves.predictions - curves.truth) ** 2).mean(1), rtol=1e-6)
    # Four steps of the numpy network on the recorded support points lead to the last curve.
    weights = jax.tree.map(np.asarray, omega["weights"])
    rates = jax.tree.map(lambda _: 0.01, weights)
    for _ in range(4):
        weights = numpy_step(weights, curves.support_x[:, None], curves.support_y[:, None], rates)[0]
    np.testing.assert_allclose(
        curves.predictions[2], problem.predict(weights, jnp.asarray(curves.x[:, None]))[:, 0], atol=1e-4
    )
    assert isinstance(curves.predictions, np.ndarray)
    with pytest.raises(ConfigurationError, match="ascending steps"):
        adaptation_curves(problem, omega, KEY, steps=(1, 0))


@pytest.mark.parametrize("settings", [{"shots": 0}, {"hidden": (40, 0)}, {"learning_rate": 0.0}])
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"Sinusoid expects .*{next(iter(settings))}"):
        Sinusoid(**settings)
