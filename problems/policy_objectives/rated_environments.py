"""Environments by name, each with the returns between which an agent is rated, so that ratings can be averaged."""

from typing import NamedTuple

from evometa.environments import Environment, Gymnax
from evometa.errors import ConfigurationError, nearest
from evometa.problems.control.cart_pole_swing_up import SwingUp
from evometa.problems.control.point_robot import PointRobot
from evometa.types import Scalar

OWN: dict[str, Environment] = {"cart-pole-swing-up": SwingUp(), "navigation": PointRobot(visible=True)}
"""The environments that need no other package."""
RETURNS = {
    "cart-pole-swing-up": (0.0, 935.0),
    "navigation": (-40.0, -2.5),
    "CartPole-v1": (20.0, 500.0),
    "Pendulum-v1": (-1250.0, -150.0),
    "Acrobot-v1": (-500.0, -80.0),
    "Reacher-misc": (10.0, 20.0),
}
"""Mean returns of an untrained agent and of a good one, rounded."""


class RatedEnvironment(NamedTuple):
    """An environment with the mean returns that are rated 0 and 1."""

    environment: Environment
    untrained: float
    good: float

    def rating(self, mean_return: Scalar) -> Scalar:
        """Return what a mean return is worth: 0 that of an untrained agent, 1 that of a good one."""
        return (mean_return - self.untrained) / (self.good - self.untrained)


def rated_environment(name: str) -> RatedEnvironment:
    """Return the environment of a name.

    Args:
        name: a name of :data:`RETURNS`; those with an upper-case first letter are gymnax's.

    Raises:
        ConfigurationError: an unknown name, or one of gymnax's where that is not installed.
    """
    if name not in RETURNS:
        raise ConfigurationError(
            f"Expected an environment with known returns to rate agents by, got {name!r}. {nearest(name, RETURNS)} To "
            "train agents elsewhere, override rated_environments in a subclass."
        )
    return RatedEnvironment(OWN.get(name) or Gymnax(name), *RETURNS[name])
