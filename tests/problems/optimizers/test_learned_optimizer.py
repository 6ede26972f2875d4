"""A learned optimizer computes its equations for each weight, and is evaluated on held-out data."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.backend.precision import enable_x64
from evometa.inner_training import begin
from evometa.problems import LearnedOptimizer
from evometa.problems.optimizers.base_tasks import WORST_LOSS, Quadratic
from evometa.problems.optimizers.learned_optimizer import TIME_SCALES
from evometa.problems.shared.digits import digits

KEY = jax.random.key(4)
SMALL = LearnedOptimizer(inner_steps=3, batch_size=8, hidden=(5,), optimizer_hidden=(4, 3))


def drawn(problem: LearnedOptimizer) -> Any:
    return jax.jit(lambda: problem.space.decode(problem.space.start(KEY)))()


def begun(problem: LearnedOptimizer, omega: Any, task: Any) -> Any:
    return jax.jit(lambda task: begin(problem, KEY, omega, task))(task)


def reference(problem: LearnedOptimizer, omega: Any, tensors: list[Any], gradients: list[list[Any]]) -> list[Any]:
    """Apply the optimizer to each weight by itself, by the equations of the docstring, in float64."""
    layers = [(np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)) for layer in omega]
    tensors = [np.asarray(w, np.float64) for w in tensors]
    for t in range(len(gradients)):
        past = [[np.asarray(g, np.float64) for g in step] for step in gradients[: t + 1]]
        for i, w in enumerate(tensors):

            def decayed(decay: float, power: int, i: int = i, past: Any = past) -> Any:
                shares = np.array([(1 - decay) * decay**age for age in range(len(past))][::-1])
                return sum(s * step[i] ** power for s, step in zip(shares, past, strict=True)) / shares.sum()

            momenta = [decayed(decay, 1) for decay in problem.momenta]
            features = [past[-1][i], w, *momenta]
            features = [f / np.sqrt(np.mean(f**2) + 1e-5) for f in features]
            features += [m / (np.sqrt(decayed(r, 2)) + 1e-8) for r in problem.second_moments for m in momenta]
            time = np.tanh(t / TIME_SCALES.astype(np.float64) - 1)
            new = np.empty_like(w)
            for place in np.ndindex(w.shape):
                x = np.concatenate([[f[place] for f in features], time])
                for number, (kernel, bias) in enumerate(layers):
                    x = kernel @ (np.maximum(x, 0) if number else x) + bias
                new[place] = w[place] - problem.step_scale * x[0] * np.exp(problem.step_scale * x[1])
            tensors[i] = new
    return tensors


@pytest.mark.parametrize(
    "settings",
    [{}, {"momenta": (0.1, 0.9), "second_moments": ()}, {"second_moments": (0.9, 0.99), "hidden": ()}],
    ids=["default", "no second moments", "two second moments"],
)
def test_each_weight_is_moved_as_the_description_says(settings: Any) -> None:
    problem = dataclasses.replace(SMALL, step_scale=0.5, **settings)
    omega = drawn(problem)
    learner = begun(problem, omega, jax.jit(problem.sample_task)(KEY))
    shapes = jax.tree.leaves(problem._shapes)
    ends = np.cumsum([leaf.size for leaf in shapes])[:-1]

    def tensors(vector: Any) -> list[Any]:
        parts = np.split(np.asarray(vector), ends)
        return [part.reshape(leaf.shape) for part, leaf in zip(parts, shapes, strict=True)]

    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal(learner.weights.shape, np.float32) for _ in range(3)]
    expected = reference(problem, omega, tensors(learner.weights), [tensors(g) for g in gradients])
    update = jax.jit(problem.update)
    for gradient in gradients:
        learner = update(omega, learner, gradient)
    for found, right in zip(tensors(learner.weights), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=2e-4, atol=2e-5)


def test_adam_is_one_of_them() -> None:
    # Two hidden units carry the positive and the negative part of one feature: momentum 0.9 over second moment 0.999.
    problem = LearnedOptimizer(inner_steps=30, optimizer_hidden=(2,), momenta=(0.5, 0.9), step_scale=0.01)
    feature = 2 + 2 + 1
    first = np.zeros((2, problem.num_features + len(TIME_SCALES)), np.float32)
    first[:, feature] = [1, -1]
    layers = [(first, np.zeros(2)), (np.array([[1, -1], [0, 0]]), np.zeros(2))]
    omega = [{"kernel": jnp.asarray(k, jnp.float32), "bias": jnp.asarray(b, jnp.float32)} for k, b in layers]
    task = jax.jit(problem.sample_test_task)(KEY)
    losses, learner = jax.jit(lambda: learning_curve(problem, KEY, omega, task, (0, 30)))()

    start = begun(problem, omega, task)
    optimizer, weights = optax.adam(0.01), start.weights
    state = optimizer.init(weights)
    data = digits()

    def error(weights: Any, rows: Any) -> Any:
        logits = problem.trained.network.run(problem._tensors(weights), jnp.asarray(data.features)[rows])
        return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(data.labels)[rows]).mean()

    @jax.jit
    def step(weights: Any, state: Any, rows: Any) -> Any:
        updates, state = optimizer.update(jax.grad(error)(weights, rows), state, weights)
        return optax.apply_updates(weights, updates), state

    for i in range(30):
        weights, state = step(weights, state, start.order[(np.arange(128) + 128 * i) % 1077])
    np.testing.assert_allclose(learner.weights, weights, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(losses[1], jax.jit(error)(weights, data.test), rtol=1e-3)
    assert losses[1] < 0.8 < 2 < losses[0]


def test_what_is_trained_on_and_what_is_evaluated_on() -> None:
    data, problem = digits(), SMALL
    order = begun(problem, drawn(problem), jax.jit(problem.sample_task)(KEY)).order
    np.testing.assert_array_equal(np.sort(order), np.sort(data.training))
    assert np.any(np.asarray(order) != data.training)

    def rows(task: Any) -> Any:
        """The row of each image of the task; all images differ."""
        equal = (np.asarray(task.images)[:, None] == data.features).all(axis=2)
        assert (equal.sum(axis=1) == 1).all()
        return equal.argmax(axis=1)

    task, held_out = jax.jit(problem.sample_task)(KEY), jax.jit(problem.sample_test_task)(KEY)
    assert len(task.images) == 8
    assert np.isin(rows(task), data.validation).all()
    np.testing.assert_array_equal(rows(held_out), data.test)
    np.testing.assert_array_equal(held_out.targets, data.targets[data.test])
    assert np.any(rows(task) != rows(jax.jit(problem.sample_task)(jax.random.key(5))))


def test_a_diverged_learner_is_as_bad_as_it_gets_and_no_worse() -> None:
    problem, task = SMALL, jax.jit(SMALL.sample_task)(KEY)
    omega = drawn(problem)
    learner, evaluate = begun(problem, omega, task), jax.jit(problem.loss)
    assert 2 < float(evaluate(KEY, omega, task, learner)) < WORST_LOSS
    for worse in (1e20 * np.asarray(learner.weights), np.nan * np.asarray(learner.weights)):
        loss = evaluate(KEY, omega, task, learner._replace(weights=worse))
        np.testing.assert_allclose(loss, 1.5 * np.log(10), rtol=1e-6)


def test_one_optimizer_trains_networks_of_any_size() -> None:
    wide = dataclasses.replace(SMALL, hidden=(16, 7), inner_steps=6, batch_size=2000)
    omega = drawn(SMALL)
    assert wide.space.size == SMALL.space.size
    evaluation = jax.jit(lambda omega: wide.evaluate_task(KEY, omega, wide.sample_test_task(KEY)))(omega)
    assert jnp.isfinite(evaluation.fitness)
    assert set(evaluation.metrics) == {"accuracy", "final_loss"}


def test_quadratics_are_trained_alike() -> None:
    problem = dataclasses.replace(SMALL, base="quadratics", dimension=3, step_scale=0.5)
    assert problem.space.size == SMALL.space.size
    omega, task = drawn(problem), jax.jit(problem.sample_test_task)(KEY)
    matrix, target = (np.asarray(part, np.float64) for part in task)
    learner, step, evaluate = begun(problem, omega, task), jax.jit(problem.step), jax.jit(problem.loss)
    weights = [np.asarray(learner.weights)]
    gradients: list[list[Any]] = []
    for _ in range(2):
        gradients.append([2 / 3 * matrix.T @ (matrix @ weights[0] - target)])
        learner = step(KEY, omega, task, learner)
        weights = [np.asarray(learner.weights, np.float64)]
    first = [np.asarray(begun(problem, omega, task).weights)]
    np.testing.assert_allclose(weights[0], reference(problem, omega, first, gradients)[0], rtol=1e-3, atol=1e-4)
    loss = np.mean((matrix @ weights[0] - target) ** 2)
    np.testing.assert_allclose(evaluate(KEY, omega, task, learner), min(loss, 6.0), rtol=1e-4)
    far = learner._replace(weights=np.full(3, 1e30, np.float32))
    assert float(evaluate(KEY, omega, task, far)) == 6.0  # half as much again as 4, the mean at the start
    starts = jax.jit(jax.vmap(lambda key: problem.trained.loss(jax.random.normal(key, (3,)), problem.sample_task(key))))
    found = np.asarray(starts(jax.random.split(KEY, 20_000)))
    assert abs(found.mean() - 4) < 4 * found.std() / np.sqrt(len(found))
    assert isinstance(task, Quadratic)


def test_time_stands_still() -> None:
    problem = dataclasses.replace(SMALL, time_stops=7)
    omega = drawn(problem)
    learner = begun(problem, omega, jax.jit(problem.sample_task)(KEY))
    gradient = np.random.default_rng(0).standard_normal(learner.weights.shape, np.float32)

    def moved(problem: LearnedOptimizer, steps: int) -> Any:
        # Momenta as they would be after the same gradient many times, so that time is all that differs.
        last = learner._replace(
            momenta=np.broadcast_to(gradient, learner.momenta.shape),
            second_moments=np.broadcast_to(gradient**2, learner.second_moments.shape),
            steps=np.int32(steps),
        )
        return np.asarray(jax.jit(problem.update)(omega, last, gradient).weights) - np.asarray(learner.weights)

    late = 10**6  # by then nothing is left of the moments' bias
    np.testing.assert_allclose(moved(problem, late), moved(problem, 2 * late), rtol=1e-5, atol=1e-8)
    seen = dataclasses.replace(SMALL, time_stops=late)
    assert np.abs(moved(problem, late) - moved(seen, late)).max() > 1e-5


def test_shifted_tasks_are_longer_and_larger() -> None:
    shifted = SMALL.shifted()
    assert (shifted["twice the steps"].inner_steps, shifted["wider network"].hidden) == (6, (20,))
    assert dataclasses.replace(SMALL, base="quadratics").shifted()["more dimensions"].dimension == 20


def test_inner_training_stays_float32_under_x64() -> None:
    def run(key: Any) -> Any:
        omega, task = SMALL.space.decode(SMALL.space.start(key)), SMALL.sample_task(key)
        losses, learner = learning_curve(SMALL, key, omega, task, (3,))
        return omega, task, learner[:3], losses

    with enable_x64(True):
        shapes = jax.tree.leaves(jax.eval_shape(run, jax.random.key(0)))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base": "cubics"}, "to be 'digits' or 'quadratics', got 'cubics'"),
        ({"batch_size": 0}, r"of at\s+least 1"),
        ({"dimension": 0}, "at least 1"),
        ({"hidden": (4, 0)}, "least 1"),
        ({"optimizer_hidden": ()}, "to be a tuple of 1 or more whole numbers of at least 1"),
        ({"momenta": (0.9, 1.0)}, "to be a tuple of numbers of at least 0 and below 1"),
        ({"second_moments": (-0.1,)}, "to be a tuple of numbers of at least 0 and below 1"),
        ({"step_scale": 0.0}, "to be a number above 0, got 0.0"),
        ({"time_stops": -1}, "to be a whole number of at least 0 or None, got -1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        LearnedOptimizer(**settings)
