"""XOR and two poles: the numbers are those of the papers, and of an independent integration."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from evometa.errors import ConfigurationError
from evometa.problems import XOR, DoublePole, DoublePoleNoVelocities
from evometa.problems.control.double_pole import Cart, inside, move
from evometa.topology import Network, RecurrentNetwork


def network(hidden: list[list[float]], output: list[float]) -> Network:
    """Return a network of two inputs with as many hidden nodes as rows."""
    return Network(jnp.array(hidden, jnp.float32), jnp.array([output], jnp.float32), jnp.int32(len(hidden)))


def test_xor_of_a_hidden_node_is_solved_and_of_none_is_not() -> None:
    # The node is the conjunction; the output the disjunction without it: x + y - 2 (x and y) > 1/2.
    solver = network([[3.0, 3.0, -4.5, 0.0]], [3.0, 3.0, -1.5, -6.0])
    evaluate = jax.jit(XOR().evaluate)
    found = evaluate(jax.random.key(0), solver)
    assert found.metrics == {"solved": 1.0, "hidden": 1.0}
    outputs = 1 / (1 + np.exp(-4.9 * np.array([-1.5, 1.5, 1.5, -1.5])))
    assert float(found.fitness) == pytest.approx((4 - np.abs(outputs - [0, 1, 1, 0]).sum()) ** 2, rel=1e-4)
    disjunction = evaluate(jax.random.key(0), network([[0.0] * 4], [3.0, 3.0, -1.5, 0.0]))
    assert disjunction.metrics["solved"] == 0.0
    assert float(disjunction.fitness) == pytest.approx(9.0, abs=0.05)
    held_out = jax.jit(XOR().evaluate_test)(jax.random.key(1), solver)
    assert 12 < float(held_out.fitness) < float(found.fitness)
    assert float(held_out.metrics["right"]) > 0.95


def theirs(_: float, y: np.ndarray, force: float) -> list[float]:
    """Return the motion solved for cart and poles by a linear system, another way than Wieland's formulas.

    Uniform rods, half lengths and masses as published: M a + Σ m l (α cos θ - ω² sin θ) = F and, of each rod,
    4/3 l α + a cos θ = g sin θ - friction of the joint.
    """
    _, speed, *rest = y
    angles, spins = np.array(rest[:2]), np.array(rest[2:])
    lengths, masses = np.array([0.5, 0.05]), np.array([0.1, 0.01])
    matrix = np.zeros((3, 3))
    matrix[0] = [1.0 + masses.sum(), *(masses * lengths * np.cos(angles))]
    for pole in range(2):
        matrix[pole + 1, [0, pole + 1]] = np.cos(angles[pole]), 4 / 3 * lengths[pole]
    friction = 2e-6 * spins / (masses * lengths)
    right = [force + np.sum(masses * lengths * spins**2 * np.sin(angles)), *(9.8 * np.sin(angles) - friction)]
    acceleration, *turns = np.linalg.solve(matrix, right)
    return [speed, acceleration, *spins, *turns]


def test_the_motion_is_that_of_rods_on_a_cart() -> None:
    start = np.array([0.3, -0.4, 0.1, -0.2, 0.5, 1.5])
    cart = Cart(*map(jnp.float32, start[:2]), jnp.asarray(start[2:4], jnp.float32), jnp.asarray(start[4:], jnp.float32))
    moved = jax.jit(move)(cart, jnp.float32(0.8))
    expected = solve_ivp(theirs, (0, 0.02), start, args=(6.0,), rtol=1e-10, atol=1e-12).y[:, -1]
    found = np.concatenate([[moved.position, moved.speed], moved.angles, moved.spins])
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_bounds() -> None:
    still = Cart(jnp.float32(2.39), jnp.float32(0), jnp.array([0.62, -0.62], jnp.float32), jnp.zeros(2, jnp.float32))
    assert inside(still)
    assert not inside(still._replace(position=jnp.float32(-2.41)))
    assert not inside(still._replace(angles=jnp.array([0.0, 0.63], jnp.float32)))


def test_actions_are_counted_up_to_the_limit() -> None:
    # A network without weights pushes with no force, and the long pole falls; a good linear one balances both.
    blank = jax.tree.map(jnp.zeros_like, DoublePole().space.decode(DoublePole().space.sample(jax.random.key(0))))
    evaluate = jax.jit(DoublePole(limit=2000).evaluate)
    fallen = evaluate(jax.random.key(0), blank)
    start = np.array([0, 0, 0.07, 0, 0, 0])
    path = solve_ivp(theirs, (0, 5), start, args=(0.0,), max_step=0.02, dense_output=True)
    out = np.flatnonzero(np.abs(path.sol(np.arange(250) * 0.02)[2:4]).max(axis=0) > 36 * np.pi / 180)[0]
    assert abs(float(fallen.fitness) - out) <= 1
    assert fallen.metrics["solved"] == 0.0
    output = blank.output.at[0, :6].set(jnp.asarray(BALANCES, jnp.float32))
    steady = evaluate(jax.random.key(0), blank._replace(output=output))
    assert float(steady.fitness) == 2000
    assert steady.metrics["solved"] == 1.0


BALANCES = (-0.333, -0.294, -1.424, 1.036, -1.45, 0.356)
"""The linear-quadratic regulator of the motion near upright, for what the network sees."""


def test_refuses_no_actions() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("to be a whole number of at least 1, got 0")):
        DoublePole(limit=0)


def test_without_velocities_calm_counts_most_and_falling_little() -> None:
    still = RecurrentNetwork(
        *(jnp.zeros(shape, jnp.float32) for shape in ((0, 4), (1, 4), (0, 1), (1, 1))), nodes=jnp.int32(0)
    )  # its output is 1/2, no force
    problem = DoublePoleNoVelocities(limit=150)
    balanced = jax.jit(problem.balanced)
    upright = balanced(still, jnp.array([0.5, 0.0, 0.0, 0.0], jnp.float32))
    assert upright.metrics["solved"] == 1.0
    assert float(upright.fitness) == pytest.approx(0.1 + 0.9 * 0.75 / 50, rel=1e-4)  # 100 times half a metre
    fallen = balanced(still, jnp.array([0.0, 0.0, 0.07, 0.0], jnp.float32))
    unmoved = Network(jnp.zeros((0, 7)), jnp.zeros((1, 7)), jnp.int32(0))
    with_velocities = DoublePole(limit=150).evaluate(jax.random.key(0), unmoved)
    assert with_velocities.fitness < 100
    assert float(fallen.fitness) == pytest.approx(0.1 * float(with_velocities.fitness) / 150, rel=1e-5)
