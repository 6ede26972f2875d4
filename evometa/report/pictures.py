"""Pictures of the selected ω of a run, for its report and for ``evometa plot``."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.static_leaves import pack, unpack
from evometa.errors import EvometaError
from evometa.inner_training import learning_curve
from evometa.plots import over_steps, topology
from evometa.problem import HostProblem, InnerTraining, overrides, precision_of
from evometa.search.members import first_omega
from evometa.sharing.run import Run
from evometa.topology import Network, RecurrentNetwork
from evometa.types import Key, Omega

TASKS = 8
"""Held-out tasks on which learners are trained for a picture."""
MOST_STEPS = 512
"""Inner steps up to which the loss is drawn after each; of longer training after some of them."""


def pictures(run: Run, seed: int = 0) -> dict[str, Any]:
    """Draw what the selected ω does: the problem's own pictures, or else a network or the training of learners.

    Args:
        run: a run with a result.
        seed: the seed of the tasks in the pictures.

    Returns:
        Matplotlib figures and animations by name.

    Raises:
        EvometaError: the problem or its data are not here.
    """
    problem, omega = run.problem, run.selected_omega
    if omega is None:
        return {}
    if isinstance(problem, HostProblem):
        return dict(problem.pictures(np.random.default_rng(seed), omega))
    key = jax.random.key(seed)
    own = dict(problem.pictures(key, omega))
    if own:
        return own
    if isinstance(omega, Network | RecurrentNetwork):
        return {"network": topology(omega)}
    trains = isinstance(problem, InnerTraining) and not overrides(problem, "evaluate_task")
    return {"training": _training(run, problem, key, omega)} if trains else {}


def start_of(run: Run) -> Omega | None:
    """Return the ω at which the search began; None where that cannot be said."""
    try:
        return first_omega(run.path, run.manifest, run.problem, run.strategy)
    except EvometaError:
        return None


def _training(run: Run, problem: Any, key: Key, found: Omega) -> Any:
    """Draw the loss of learners on held-out tasks, with the ω found and with that at which the search began."""
    steps = _steps(problem.inner_steps)

    @jax.jit
    def losses(omega: Any, keys: Key) -> jax.Array:
        def one(key: Key) -> jax.Array:
            key_task, key_learner = jax.random.split(key)
            return learning_curve(problem, key_learner, unpack(omega), problem.sample_test_task(key_task), steps)[0]

        curves: jax.Array = jax.lax.map(one, keys)
        return curves

    with precision_of(problem):
        keys = jax.random.split(key, TASKS)
        omegas = {"start of the search": start_of(run), "found": found}
        curves = {name: losses(pack(omega), keys) for name, omega in omegas.items() if omega is not None}
        drawn = {name: np.asarray(jnp.asarray(values), np.float64) for name, values in curves.items()}
    return over_steps(drawn, y="loss on held-out tasks", steps=steps)


def _steps(last: int) -> tuple[int, ...]:
    if last <= MOST_STEPS:
        return tuple(range(1, last + 1))
    return tuple(sorted({round(step) for step in np.geomspace(1, last, 12)}))
