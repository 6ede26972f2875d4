"""One call of a plain-Python problem in this process: ω as its space has it, a generator of its own, what it returned.

Worker processes make their calls with this, and so does the in-process executor.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.backend import static_leaves
from evometa.errors import ConfigurationError
from evometa.executors.executor import Trial
from evometa.executors.reporter import Reporter
from evometa.executors.returned import file_of, raised, read_result
from evometa.executors.surroundings import seed_shared_generators
from evometa.problem import HostProblem, precision_of
from evometa.pruning import Cutoffs
from evometa.reporting import Stopped, listening
from evometa.types import Omega


class Restored(Protocol):
    """What a call may change and the next one must find as it was."""

    def restore(self) -> None:
        """Undo what a call changed."""


class Prepared(NamedTuple):
    """What a call is made with, which needs nothing of the calls before it."""

    omega: Omega
    rng: np.random.Generator
    state: Mapping[str, Any]
    """That of the generator, before it draws."""


class Calls:
    """Calls the methods of one problem.

    Args:
        problem: the problem.
        ends: asked of whatever a call raised: whether it is meant for the caller, rather than a failed candidate.
    """

    def __init__(self, problem: HostProblem, ends: Callable[[BaseException], bool] = lambda error: False) -> None:
        self._problem, self._ends = problem, ends
        self._space = problem.space
        self._shapes, self._structure = jax.tree.flatten(omega_structure(problem))

    def prepare(self, seed: Sequence[int], leaves: Sequence[NDArray[Any]]) -> Prepared:
        """Return what a call is made with, for :meth:`answer`; from any thread.

        Args:
            seed: seed of its generator.
            leaves: the arrays of ω, which the problem may change.
        """
        # Types that are not NumPy's own, such as bfloat16, arrive as plain bytes; [()] turns 0-d arrays into scalars.
        typed = [
            (leaf.view(shape.dtype) if leaf.dtype.kind == "V" else leaf)[()]
            for leaf, shape in zip(leaves, self._shapes, strict=True)
        ]
        omega = static_leaves.unpack(jax.tree.unflatten(self._structure, typed))
        rng = np.random.default_rng(seed)
        return Prepared(omega, rng, rng.bit_generator.state)

    def answer(
        self,
        method: str,
        seed: Sequence[int],
        leaves: Sequence[NDArray[Any]],
        surroundings: Sequence[Restored],
        cutoffs: Cutoffs | None = None,
        prepared: Prepared | None = None,
    ) -> dict[str, Any]:
        """Call a method; return what it returned as JSON, or why it failed.

        Args:
            method: the problem's method.
            seed: seed of its generator.
            leaves: the arrays of ω, which the problem may change.
            surroundings: restored after the call.
            cutoffs: what the call's reports are held against; None: nobody hears them.
            prepared: what :meth:`prepare` made of seed and leaves; None: that is done here.
        """
        begun = time.perf_counter()
        reporter = None if cutoffs is None else Reporter(self._problem, cutoffs)
        try:
            try:
                omega, rng, before = prepared or self.prepare(seed, leaves)
                omega = self._space.present(omega)
                evaluate = getattr(self._problem, method)
                seed_shared_generators(before["state"]["state"] % 2**32)
                with listening(reporter):
                    found = self._returned(method, evaluate, rng, omega, reporter)
                return found | {"drew": rng.bit_generator.state != before, "seconds": time.perf_counter() - begun}
            finally:
                for one in surroundings:
                    one.restore()
        except BaseException as error:  # SystemExit too: a candidate must not end its process
            if self._ends(error):
                raise
            return raised(error, file_of(self._problem)) | {"seconds": time.perf_counter() - begun}

    def _returned(
        self, method: str, evaluate: Callable[..., Any], rng: Any, omega: Omega, reporter: Reporter | None
    ) -> dict[str, Any]:
        """Return what a call returned, or what it had reported when it was stopped; whatever it does after that."""
        if reporter is None:
            return read_result(self._problem, method, evaluate(rng, omega))
        try:
            returned = evaluate(rng, omega)
        except (Exception, Stopped):
            if not reporter.stopped:
                raise
        if not reporter.stopped:
            return read_result(self._problem, method, returned) | {"reports": reporter.reports}
        return reporter.result()


def leaves_of(omega: Omega) -> list[Any]:
    """Return the arrays of ω."""
    return jax.tree.leaves(static_leaves.pack(omega))


def omega_structure(problem: HostProblem) -> Any:
    """Return ω as a pytree of shapes and types, without computing anything."""
    with precision_of(problem):
        space = problem.space
        key = jax.eval_shape(jax.random.key, 0)
        return static_leaves.pack(static_leaves.abstract(lambda key: space.decode(space.sample(key)), key))


def require_callable(executor: str, problem: HostProblem, trials: Sequence[Trial]) -> None:
    """Refuse trials that cannot be run.

    Raises:
        ConfigurationError: ``evaluate_test`` of a problem without one, or a budget, which the executor cannot keep.
    """
    for trial in trials:
        if trial.method == "evaluate_test" and not problem.has_test():
            raise ConfigurationError(
                f"{type(problem).__name__} expects a method evaluate_test(rng, omega) to be evaluated on "
                "what is held out, but has none; define it."
            )
        if trial.budget is not None:
            raise ConfigurationError(
                f"{executor} expects trials without a budget, which it cannot keep, got budget={trial.budget}."
            )
