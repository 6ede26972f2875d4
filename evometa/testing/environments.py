"""The checks of an environment, on a few steps with random actions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.precision import key_of, whole_seed
from evometa.environments import Continuous, Discrete, Environment, Transition
from evometa.testing.promises import alike, compiled, frozen, pure, require


def check_environment(environment: Environment, *, seed: int = 0, steps: int = 100) -> None:
    """Check that an environment keeps its contract, on episodes of random actions.

    States keep their structure, shapes and types from step to step; observations are finite vectors, rewards finite
    numbers, and the end of an episode a bool; all follow from the arguments alone, so that an episode can be batched
    and played again.

    Args:
        environment: an instance.
        seed: seed of starts and actions.
        steps: how many steps to play, in episodes that begin anew when one ends.

    Raises:
        ContractError: the first promise that is not kept.
    """
    name, key = type(environment).__name__, key_of(whole_seed("check_environment", seed))
    require(
        frozen(environment), f"{name} expects to be a frozen dataclass: put @dataclasses.dataclass(frozen=True) above"
    )
    actions = environment.actions
    require(
        isinstance(actions, Discrete | Continuous),
        f"{name}.actions expects Discrete or Continuous, got {type(actions).__name__}",
    )
    if isinstance(actions, Continuous):
        fits = len(actions.low) == len(actions.high) and bool(np.all(np.less(actions.low, actions.high)))
        require(fits, f"{name}.actions expects low < high in each coordinate, got {actions.low} and {actions.high}")
    require(environment.max_steps >= 1, f"{name}.max_steps expects at least 1, got {environment.max_steps}")

    state = jax.eval_shape(environment.reset, key)
    seen = jax.eval_shape(environment.observe, state)
    require(
        getattr(seen, "ndim", None) == 1 and seen.dtype == jnp.float32,
        f"{name}.observe expects a vector of float32, got {seen}",
    )

    def drawn(key: Any) -> Any:
        if isinstance(actions, Discrete):
            return jax.random.randint(key, (), 0, actions.count)
        low, high = np.asarray(actions.low, np.float32), np.asarray(actions.high, np.float32)
        return jax.random.uniform(key, low.shape, jnp.float32, low, high)

    action = jax.eval_shape(drawn, key)
    after = jax.eval_shape(environment.step, key, state, action)
    require(isinstance(after, Transition), f"{name}.step expects a Transition, got {type(after).__name__}")
    alike(f"{name}.step: state", state, after.state)
    for word, value, kind in (("reward", after.reward, jnp.floating), ("terminated", after.terminated, jnp.bool_)):
        fits = getattr(value, "shape", None) == () and jnp.issubdtype(value.dtype, kind)
        require(fits, f"{name}.step: {word} expects a scalar {'bool' if kind is jnp.bool_ else 'float'}, got {value}")
    require(
        pure(environment.reset, key) and pure(environment.step, key, *jax.tree.map(_zeros, (state, action))),
        f"{name} expects pure functions: reset or step depend on something besides their arguments",
    )

    def move(state: Any, key: Any) -> tuple[Any, Any]:
        key_action, key_step, key_reset = jax.random.split(key, 3)
        after = environment.step(key_step, state, drawn(key_action))
        new = environment.reset(key_reset)
        following = jax.tree.map(lambda new, old: jnp.where(after.terminated, new, old), new, after.state)
        return following, (environment.observe(after.state), after.reward)

    def episodes(key: Any) -> Any:
        return jax.lax.scan(move, environment.reset(key), jax.random.split(key, steps))[1]

    observations, rewards = jax.device_get(compiled(jax.vmap(episodes))(jax.random.split(key, 2)))
    for word, values in (("observations", observations), ("rewards", rewards)):
        bad = np.argwhere(~np.isfinite(values.reshape(2, steps, -1)).all((0, 2)))
        step = int(bad[0, 0]) + 1 if len(bad) else 0
        require(not step, f"{name} expects finite {word}, got NaN or infinity at step {step} of random actions")


def _zeros(shape: Any) -> Any:
    return jnp.zeros(shape.shape, shape.dtype)
