"""What problems export: the same computation as in the search, in other libraries' terms."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa import ConfigurationError
from evometa.environments import ActingPolicy, Continuous, Policy
from evometa.expressions import compile_tree, parse
from evometa.problems import LearnedLossTaylor, LearnedOptimizer, LearnedUpdateRule

RULE = (
    "if_then_else(less(gradient, 0.1), div(momentum, add(sqrt(second_moment), 1e-8)), "
    "max(min(tanh(weight), 0.3), sub(log(gradient), exp(square(sign(momentum))))))"
)
WEIGHTS = np.random.default_rng(0).normal(size=7).astype(np.float32)


def rule() -> Any:
    primitives = LearnedUpdateRule().space.primitives
    return compile_tree(primitives, parse(primitives, RULE))


def trained(optimizer: optax.GradientTransformation, tree: Any, gradients: Any, steps: int) -> Any:
    state = optimizer.init(tree)
    for _ in range(steps):
        updates, state = optimizer.update(gradients(tree), state, tree)
        tree = optax.apply_updates(tree, updates)
    return tree


def test_a_learned_optimizer_trains_as_in_the_search() -> None:
    problem = LearnedOptimizer(batch_size=8, hidden=(4,), optimizer_hidden=(4,))
    key = jax.random.key(0)
    omega = problem.space.sample(key)
    omega = problem.space.decode(omega)
    task = problem.sample_task(key)
    learner = problem.init(key, omega, task)
    order = learner.order
    first = problem.trained.draw(jax.random.split(key)[0], task)
    step = jax.jit(lambda learner: problem.step(key, omega, task, learner))
    steps = iter(range(3))

    def gradients(weights: Any) -> Any:
        done = jnp.int32(next(steps))
        return jax.grad(lambda weights: problem.trained.error(weights, task, order, done))(weights)

    found = trained(problem.export(omega), first, gradients, 3)
    for _ in range(3):
        learner = step(learner)
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(found)])
    np.testing.assert_allclose(flat, learner.weights, rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigurationError, match="params"):
        problem.export(omega).update(first, problem.export(omega).init(first))


def by_rule(steps: int) -> Any:
    optimizer = optax.chain(LearnedUpdateRule().export(rule()), optax.scale_by_learning_rate(0.01))
    tree = {"a": jnp.asarray(WEIGHTS[:3]), "b": jnp.asarray(WEIGHTS[3:])}
    found = trained(optimizer, tree, lambda tree: jax.tree.map(lambda leaf: jnp.sin(3 * leaf), tree), steps)
    return np.concatenate([found["a"], found["b"]])


def test_a_rule_trains_as_its_formula_says() -> None:
    weights = WEIGHTS.astype(float)
    momentum = second = np.zeros(7)
    for number in (1, 2):
        g = np.sin(3 * weights)
        momentum, second = 0.9 * momentum + 0.1 * g, 0.999 * second + 0.001 * g**2
        m, v = momentum / (1 - 0.9**number), second / (1 - 0.999**number)
        other = np.maximum(np.minimum(np.tanh(weights), 0.3), np.log(np.abs(g)) - np.exp(np.sign(m) ** 2))
        weights = weights - 0.01 * np.where(g < 0.1, m / (np.sqrt(v) + 1e-8), other)
    np.testing.assert_allclose(by_rule(2), weights, rtol=1e-4)


def test_a_rule_is_an_optimizer_of_torch(tmp_path: Path) -> None:
    source = LearnedUpdateRule().sources(rule())["torch"]
    compile(source, "rule.py", "exec")
    pytest.importorskip("torch")
    (tmp_path / "rule.py").write_text(source)
    reader = f"""
import torch, rule
weight = torch.nn.Parameter(torch.tensor({WEIGHTS.tolist()}))
optimizer = rule.FoundOptimizer([weight], lr=0.01)
for _ in range(5):
    weight.grad = torch.sin(3 * weight.detach())
    optimizer.step()
print(*weight.tolist())
"""
    done = subprocess.run([sys.executable, "-c", reader], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(word) for word in done.stdout.split()], by_rule(5), rtol=1e-4)


def test_a_policy_acts_and_forgets() -> None:
    policy = Policy(2, Continuous((-1.0,), (1.0,)), (4,), recurrent=True)
    act = ActingPolicy(policy, jax.tree.map(lambda leaf: 5 * leaf, policy.draw(jax.random.key(1))), normalize=True)
    observations = np.random.default_rng(1).normal(size=(6, 2))
    first = [float(act(seen)[0]) for seen in observations]
    act.reset()
    assert [float(act(seen)[0]) for seen in observations] == first
    assert not np.allclose([float(act(seen)[0]) for seen in observations], first)  # it remembers
    with pytest.raises(ConfigurationError, match="2 numbers, got 3"):
        act(np.zeros(3))


def test_a_loss_is_a_function() -> None:
    problem = LearnedLossTaylor()
    prediction, label = np.array([[0.2, 0.8]], np.float32), np.array([[0.0, 1.0]], np.float32)
    omega = jnp.arange(8, dtype=jnp.float32)
    expected = problem.example_loss(omega, jnp.asarray(prediction), jnp.asarray(label)).sum()
    np.testing.assert_allclose(problem.export(omega)(prediction, label), expected, rtol=1e-6)
