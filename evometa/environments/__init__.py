"""Environments that step inside the compiled program, and agents that act in them.

A kit for control and reinforcement learning: an :class:`Environment` is a few pure functions of JAX, a :class:`Policy`
a network whose outputs are actions, and :func:`play` an episode of both, which a population shares in one program::

    @dataclasses.dataclass(frozen=True)
    class Corridor(Environment):
        max_steps: Count = 50

        actions = Discrete(2)

        def reset(self, key):
            return jax.random.uniform(key, (), minval=-1.0, maxval=1.0)

        def step(self, key, state, action):
            state = state + 0.1 * (2 * action - 1)
            return Transition(state, reward=-jnp.abs(state), terminated=jnp.abs(state) > 2)

        def observe(self, state):
            return state[None]

:func:`evometa.testing.check_environment` checks one of your own. A problem that searches the weights of its policy is
a subclass of :class:`evometa.problems.control.policy_search.PolicySearch` that names it::

    @dataclasses.dataclass(frozen=True)
    class WalkTheCorridor(PolicySearch):
        @property
        def environment(self):
            return Corridor()

====================== ====================================================================
file                   holds
====================== ====================================================================
:mod:`environment`     ``Environment``, ``Transition``, and the kinds of action
:mod:`arrays`          numpy or ``jax.numpy``, by the array
:mod:`gru`             a gated recurrent unit
:mod:`policy`          ``Policy``: a network, linear, with hidden layers or recurrent
:mod:`statistics`      running mean and variance of what an agent observed
:mod:`playing`         ``play`` an episode, or ``record`` it step by step
:mod:`acting`          ``ActingPolicy``: a found policy by itself
:mod:`gymnax_adapter`  ``Gymnax``: the environments of gymnax by their names
====================== ====================================================================
"""

from evometa.environments.acting import ActingPolicy
from evometa.environments.environment import Continuous, Discrete, Environment, State, Transition, actions_of
from evometa.environments.gru import GRU
from evometa.environments.gymnax_adapter import Gymnax
from evometa.environments.playing import Agent, Episode, Trajectory, play, record
from evometa.environments.policy import Policy
from evometa.environments.statistics import Statistics

__all__ = [
    "GRU",
    "ActingPolicy",
    "Agent",
    "Continuous",
    "Discrete",
    "Environment",
    "Episode",
    "Gymnax",
    "Policy",
    "State",
    "Statistics",
    "Trajectory",
    "Transition",
    "actions_of",
    "play",
    "record",
]
