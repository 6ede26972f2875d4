"""The drive of the cart-pole, the controller's regulator, and what is hidden of the real system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from evometa.problems import SimulatorParameters, SwingUp
from evometa.problems.control.cart_pole_swing_up import Cart
from evometa.problems.simulators.driven_swing_up import SUBSTEPS, Driven, DrivenSwingUp
from evometa.problems.simulators.simulator_parameters import RANGES, draw_parameters
from evometa.problems.simulators.swing_up_controller import design

KEY = jax.random.key(0)
PROBLEM = SimulatorParameters(inner_steps=2, simulators=2)


def speeds(environment: DrivenSwingUp, commands: list[float], cart: Cart) -> list[float]:
    """Return the cart's speed after each command."""
    state = environment.reset(KEY)._replace(cart=cart)
    step = jax.jit(lambda state, command: environment.step(KEY, state, command).state)
    found = []
    for command in commands:
        state = step(state, jnp.array([command], jnp.float32))
        found.append(float(state.cart.speed))
    return found


def cart(speed: float = 0.0, angle: float = np.pi) -> Cart:
    return Cart(jnp.float32(0), jnp.float32(speed), jnp.float32(angle), jnp.float32(0))


def test_without_a_drive_it_is_the_swing_up() -> None:
    driven, plain = DrivenSwingUp(), SwingUp()
    state = driven.reset(KEY)
    expected, rewards = state.cart, []
    for _ in range(SUBSTEPS):
        expected, reward, _ = plain.step(KEY, expected, jnp.array([0.7]))
        rewards.append(float(reward))
    after = driven.step(KEY, state, jnp.array([0.7]))
    np.testing.assert_allclose(after.state.cart, expected, rtol=1e-5)
    assert float(after.reward) == pytest.approx(np.mean(rewards), rel=1e-4)


def test_a_command_acts_when_the_delay_is_over() -> None:
    light = {"pole_mass": 1e-6, "cart_mass": 1.0, "friction": 0.0}
    # A force of 10 N on 1 kg: 0.1 m/s in each of four substeps, of which a delay of 0.05 s leaves 0, 3 and 4.
    found = speeds(DrivenSwingUp(delay=0.05, **light), [1.0, 1.0, 1.0], cart())
    np.testing.assert_allclose(found, [0.0, 0.3, 0.7], atol=1e-4)


def test_dry_friction_is_the_same_at_all_speeds_and_the_play_takes_its_time() -> None:
    light = {"pole_mass": 1e-6, "cart_mass": 1.0, "friction": 0.0}
    for speed in (1.0, 2.0):
        (found,) = speeds(DrivenSwingUp(dry_friction=2.0, **light), [0.0], cart(speed))
        assert found == pytest.approx(speed - 2.0 * 0.04, abs=1e-4)
    # Half of a play of 0.04 s is crossed at the whole force in two substeps, the last of which transmits already.
    found = speeds(DrivenSwingUp(backlash=0.04, **light), [1.0, 1.0, -1.0, -0.5], cart())
    np.testing.assert_allclose(found, [0.3, 0.7, 0.6, 0.4], atol=1e-4)


def test_the_regulator_is_optimal_for_the_linearised_simulator() -> None:
    simulator = DrivenSwingUp(delay=0.03)
    controller = jax.jit(lambda: design(simulator))()

    def after(seen: np.ndarray, command: float) -> np.ndarray:
        state = Driven(Cart(*map(jnp.float32, seen[:4])), jnp.array([*seen[4:], 0.0], jnp.float32), jnp.float32(0))
        new = step(state, jnp.array([command], jnp.float32))
        return np.array([*new.cart, *new.commands[:2]], np.float64)

    step = jax.jit(lambda state, command: simulator.step(KEY, state, command).state)
    small = 1e-2
    a = np.stack([(after(e, 0.0) - after(-e, 0.0)) / (2 * small) for e in small * np.eye(6)], axis=1)
    b = ((after(np.zeros(6), small) - after(np.zeros(6), -small)) / (2 * small))[:, None]
    costs = np.diag([0.2, 0.05, 1.0, 0.1, 1e-9, 1e-9])
    value = solve_discrete_are(a, b, costs, np.array([[0.1]]))
    expected = np.linalg.solve(0.1 + b.T @ value @ b, b.T @ value @ a)[0]
    np.testing.assert_allclose(controller.gains[4:] * controller.signs[4:], expected, rtol=0.02, atol=0.01)


def test_the_real_system_is_within_the_ranges_and_has_what_simulators_lack() -> None:
    systems = [SimulatorParameters(system=number).hidden for number in range(20)]
    for name, (low, high) in RANGES.items():
        hidden = [system[name] for system in systems]
        assert low < min(hidden) < max(hidden) < high
        assert len(set(hidden)) == len(hidden)
    simulator = PROBLEM.draw_simulator(KEY, PROBLEM.space.decode(PROBLEM.space.start(KEY)))
    assert simulator.dry_friction == simulator.backlash == 0.0 < PROBLEM.dry_friction


def test_simulators_are_drawn_from_the_ranges_of_omega() -> None:
    omega = {
        "center": {name: jnp.float32(low + 0.25 * (high - low)) for name, (low, high) in RANGES.items()},
        "width": {name: jnp.float32(0.0 if name == "gravity" else 1.0) for name in RANGES},
    }
    drawn = jax.jit(jax.vmap(draw_parameters, (0, None)))(jax.random.split(KEY, 500), omega)
    np.testing.assert_allclose(drawn["gravity"], 8.0)
    low, high = RANGES["length"]
    # Uniform from -0.25 to 0.75 of the range, a quarter of which is clipped.
    assert float(drawn["length"].min()) == pytest.approx(low)
    assert (np.asarray(drawn["length"]) == np.float32(low)).mean() == pytest.approx(0.25, abs=0.06)
    assert float(drawn["length"].max()) == pytest.approx(low + 0.75 * (high - low), abs=0.01)
