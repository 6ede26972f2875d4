"""The picture of a learned policy objective: how it pulls at an action's probability."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.problems.policy_objectives.policy_objective import dpo, ppo
from evometa.types import Omega

if TYPE_CHECKING:
    from evometa.problems.policy_objectives.policy_objective import PolicyObjective

ADVANTAGES = (1.0, -1.0)


def drift_pictures(problem: "PolicyObjective", omega: Omega) -> dict[str, Any]:
    """Draw the derivative of the objective with respect to the ratio, for a good and for a bad action."""
    from evometa.plots import style

    ratios = np.linspace(0.3, 1.9, 320, dtype=np.float32)  # none of them is where PPO begins to clip
    drifts: dict[str, Callable[..., jax.Array]] = {
        "found": lambda ratio, advantage: problem.valid_drift(omega, ratio, advantage),
        "PPO": ppo,
        "DPO": dpo,
    }

    @jax.jit
    def pulls(advantage: jax.Array) -> dict[str, jax.Array]:
        def objective(drift: Callable[..., jax.Array], ratio: jax.Array) -> jax.Array:
            return jnp.sum(ratio * advantage - drift(ratio, jnp.broadcast_to(advantage, ratio.shape)))

        return {name: jax.grad(lambda r, drift=drift: objective(drift, r))(ratios) for name, drift in drifts.items()}

    picture = style.figure(width=8.0, height=3.2)
    for axes, advantage in zip(picture.subplots(1, 2), ADVANTAGES, strict=True):
        pull = pulls(jnp.float32(advantage))
        for name, color in zip(drifts, (style.BLUE, style.VERMILION, style.GREY), strict=True):
            axes.plot(ratios, pull[name], color=color, label=name, linewidth=2 if name == "found" else 1.2)
        style.label_axes(axes, x="new / old probability of the action", y="pull of the objective")
        axes.set_title(f"advantage {advantage:+g}", fontsize="medium")
        axes.set_ylim(-2.0, 2.0)
    picture.axes[0].legend()
    return {"objective": picture}
