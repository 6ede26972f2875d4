"""``AskTell``: a strategy for those who own their loop; they evaluate ω themselves, wherever they want."""

import dataclasses
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NoReturn

import jax
import numpy as np
from numpy.typing import NDArray

from evometa import naming
from evometa.backend.compilation_cache import use_compilation_cache
from evometa.backend.precision import precision, whole_seed
from evometa.errors import ConfigurationError, warn
from evometa.evaluation.checks import check_problem
from evometa.evaluation.compatibility import require_compatible, warn_of_ignored
from evometa.executors.executor import Outcome, failed
from evometa.executors.memory import Memory
from evometa.executors.returned import read_result
from evometa.problem import Evaluation, HostProblem
from evometa.search.debugging import engine
from evometa.search.decisions import StopReason, strategy_stop
from evometa.search.driver import ValidationSettings
from evometa.search.generation import CONTINUE
from evometa.search.search_result import archive_of
from evometa.search.start import Beginning, beginning, has_center, in_words
from evometa.search.starting import as_lists, from_lists
from evometa.search.stepped_driver import SteppedDriver
from evometa.settings import Checked, checked
from evometa.spaces import Space, VectorSpace
from evometa.storage.files import run_folder
from evometa.storage.loop_file import StoredLoop, read, write
from evometa.storage.manifest import random_numbers
from evometa.storage.result import Archive
from evometa.strategy import Strategy
from evometa.types import Genotype, Omega

_OTHER_SPACE = (
    "AskTell.restore expects the space that was saved, with the same shapes, bounds and units, got another one; give "
    "that one."
)


class AskTell(metaclass=Checked):
    """A strategy that is asked for candidates and told their fitness by whoever owns the loop.

    In full::

        loop = em.AskTell(space, em.strategies.CMAES(8), seed=0)
        while loop.stop_reason is None and loop.evaluations < 1000:
            omegas = loop.ask()
            loop.tell([evaluate(omega) for omega in omegas])
        print(loop.best_omega, loop.best_fitness)

    Its candidates are those of a :class:`~evometa.Search` for a :class:`~evometa.HostProblem` with this space, to the
    bit, if it is told the same fitness. Only, a search evaluates the given start of a space, or the best point of
    ``start``, before all others, so that its best so far may be that one. As there, all is computed in double
    precision whatever JAX's switch. There are no limits, no validation and no held-out evaluation: those are the
    owner's.

    Args:
        space: what ω may be.
        strategy: the strategy. Those that evaluate parts of inner training (PES, PBT) or follow gradients cannot be
            used, since only a search can provide that.
        seed: seed of everything, a whole number of 64 bits.
        direction: whether a smaller or a larger fitness is better.
        vector_lengths: how many objectives, constraints and measures each candidate is told with:
            ``{"objectives": 2}``, as in :attr:`HostProblem.vector_lengths`.
        start: where to begin, as for :class:`~evometa.Search`: a run directory, a :class:`~evometa.Start`, or a list of
            ω. Of several points a search distribution needs to know the fitness: give a Start with both.

    Raises:
        ConfigurationError: space and strategy do not fit together, or the start does not fit them; the message says
            why.
        RunDirectoryError: there is no such run to start from.
    """

    def __init__(
        self,
        space: Space,
        strategy: Strategy[Any],
        seed: int = 0,
        *,
        direction: Literal["minimize", "maximize"] = "minimize",
        vector_lengths: Mapping[str, int] = MappingProxyType({}),
        start: Any = None,
    ) -> None:
        self.space, self.strategy, self.seed = space, strategy, whole_seed("AskTell", seed)
        self.direction, self.vector_lengths = direction, dict(vector_lengths)
        self._problem = _stand_in(space, direction, self.vector_lengths)
        with precision(double=True):
            check_problem(self._problem)
            require_compatible(strategy, self._problem, space)
            warn_of_ignored(strategy, self._problem)
        self.generation = 0
        """Generations that it was told."""
        self.failed = 0
        """Candidates among them that failed."""
        begins = beginning(start, (), self._problem, space, strategy, "AskTell expects")
        with precision(double=True):
            if begins.size > 1 and not begins.ordered and has_center(strategy, space):
                raise ConfigurationError(
                    f"AskTell expects the fitness of the {begins.size} points of start, since a search distribution "
                    "begins at the best of them; give Start(points=[...], fitness=[...]), or one point."
                )
        self._begin(begins)

    def _begin(self, begins: Beginning) -> None:
        self._begins = begins
        self.beginning = "" if begins.record is None else in_words(begins.record)
        """Where it begins, in words; empty where that is the space's start or points of which nothing is known."""
        use_compilation_cache()
        nobody: Any = None  # evaluates, since the owner of the loop does
        with engine():
            self._driver = SteppedDriver(
                self._problem,
                begins.applied(self.space),
                self.strategy,
                nobody,
                self.seed,
                ValidationSettings(every=1, tasks=0, finalists=0, share=0.0),
                note=lambda text: None,
                failures={},
                memory=Memory(),
            )
            self._state = self._driver.initial()
        self._asked: Genotype | None = None

    # The loop.

    def ask(self) -> list[Omega]:
        """Return the P candidates of the next generation; the same ones until it is told.

        Each is an ω as :meth:`HostProblem.evaluate` gets it: leaves are numpy arrays, numpy's numbers where the space's
        shape is empty, and indices for choices, whose names ``space.readable(omega)`` has; only the parts that are
        active.
        """
        with engine():
            if self._asked is None:
                self._state, self._asked = self._driver.ask(self._state, self.generation + 1)
            return [self.space.present(omega) for omega in self._driver.omegas(self._asked)]

    def tell(self, results: Sequence[Any] | NDArray[Any]) -> None:
        """Tell what became of the candidates.

        Args:
            results: P fitness values in the order of :meth:`ask`, a list or an array. In place of a number there may be
                an :class:`~evometa.Evaluation`, which it must be where there are objectives, constraints or measures;
                its metrics are not used. A candidate whose result is None, NaN or infinite failed.

        Raises:
            ConfigurationError: nothing was asked for, or these are not P results. The candidates can be told again.
        """
        if self._asked is None:
            raise ConfigurationError("AskTell.tell expects candidates that were asked for, got none; call ask first.")
        outcomes = [self._outcome(i, result) for i, result in enumerate(self._listed(results))]
        with engine():
            self._state = self._driver.tell(self._state, self.generation + 1, self._asked, outcomes)
        self._asked = None
        self.generation += 1
        self.failed += sum(outcome.failure is not None for outcome in outcomes)

    def _listed(self, results: Any) -> list[Any]:
        size, several = (
            self.strategy.population_size,
            isinstance(results, Sequence) or bool(getattr(results, "shape", ())),
        )
        if not several or isinstance(results, Evaluation | str | bytes):
            raise ConfigurationError(
                f"AskTell.tell expects a list or array of {size} results, one of each candidate, got a "
                f"{type(results).__name__}."
            )
        listed = list(results if isinstance(results, Sequence) else np.asarray(results))
        if len(listed) != size:
            raise ConfigurationError(
                f"AskTell.tell expects {size} results, one of each candidate that ask returned, in their order, got "
                f"{len(listed)}; give None for those that failed."
            )
        return listed

    def _outcome(self, number: int, result: Any) -> Outcome:
        if result is None:
            return failed("no result")
        if isinstance(result, Evaluation):
            result = result._replace(metrics={})
        found = read_result(self._problem, "tell", result)
        if "error" in found:
            raise ConfigurationError(f"AskTell.{found['failure']} (of candidate {number}).".replace("to return ", ""))
        return failed(found["failure"]) if "failure" in found else Outcome(failure=None, **found)

    # What was found.

    @property
    def evaluations(self) -> int:
        """Candidates that it was told of, those that failed included."""
        return self.generation * self.strategy.population_size

    @property
    def best_omega(self) -> Omega | None:
        """The ω of the best fitness so far; while none has kept the constraints, the one that violates them least.

        None before there is one that did not fail.
        """
        return self._omega(self._state.best_genotype) if np.isfinite(self._state.best_fitness) else None

    @property
    def best_fitness(self) -> float:
        """Its fitness; NaN before there is one that keeps the constraints."""
        return self._driver.best_fitness(self._state)

    @property
    def center_omega(self) -> Omega | None:
        """The ω in the middle of the strategy's distribution, None for strategies without one.

        On a noisy problem it is a better answer than the best so far, which may be the luckiest.
        """
        with self._driver.precision():
            center = self.strategy.center(self._state.strategy)
        return None if center is None else self._omega(center)

    @property
    def archive(self) -> Archive | None:
        """The candidates that the strategy keeps as its answer, such as a Pareto front; None where that is one."""
        with engine(), self._driver.precision():
            return archive_of(self._driver, self._state)

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the strategy would stop a search now; None while it would not. It can be asked on nevertheless."""
        with engine():
            code = self._driver.stopped(self._state)
        return None if code == CONTINUE else strategy_stop(self.strategy.stop_reasons, code)

    def _omega(self, genotype: Genotype) -> Omega:
        with engine():
            omegas = self._driver.omegas(jax.tree.map(lambda leaf: np.asarray(leaf)[None], genotype))
        return self.space.present(omegas[0])

    # Save and restore.

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a file, from which :meth:`restore` continues as if nothing had happened.

        Also between :meth:`ask` and :meth:`tell`. The file is written atomically and needs no pickle.

        Raises:
            RunDirectoryError: it cannot be written.
            ConfigurationError: a setting of the strategy cannot be described, such as a lambda.
        """
        header = {
            "version": importlib.metadata.version("evometa"),
            "strategy": naming.describe(self.strategy),
            "seed": self.seed,
            "direction": self.direction,
            "vector_lengths": self.vector_lengths,
            "generation": self.generation,
            "failed": self.failed,
            "initial": as_lists(self._begins.genotypes),
            "start": self._begins.record,
            "asked": self._asked is not None,
            "random": random_numbers(),
        }
        write(run_folder(path), StoredLoop(header, self._arrays()))

    @classmethod
    @checked
    def restore(cls, path: str | os.PathLike[str], space: Space, strategy: Strategy[Any] | None = None) -> "AskTell":
        """Continue from a file that :meth:`save` has written; after :meth:`ask`, it returns what it had returned.

        Args:
            path: the file.
            space: the space, as it was.
            strategy: the strategy, as it was; None: the one that the file names.

        Raises:
            RunDirectoryError: the file cannot be read.
            ConfigurationError: it was written with another space or strategy.
        """
        header, arrays = read(run_folder(path))
        strategy = naming.rebuild(header["strategy"]) if strategy is None else strategy
        if naming.without_modules(naming.describe(strategy)) != naming.without_modules(header["strategy"]):
            raise ConfigurationError(
                f"AskTell.restore expects the strategy that was saved, with its settings, got {strategy}; give that "
                "one, or none, since the file names it."
            )
        if header["random"] != random_numbers():
            warn(
                f"The loop in {os.fspath(path)} continues with random numbers of JAX made as {random_numbers()}, and "
                f"began with {header['random']}, so its candidates are not those that it would have had.",
            )
        loop = cls(
            space, strategy, header["seed"], direction=header["direction"], vector_lengths=header["vector_lengths"]
        )
        if header.get("initial") is not None:  # files of before it could start elsewhere have none
            try:
                loop._begin(Beginning(from_lists(space, header["initial"]), header["start"]))
            except ConfigurationError:
                raise ConfigurationError(_OTHER_SPACE) from None
        loop._take(arrays, asked=header["asked"])
        loop.generation, loop.failed = header["generation"], header["failed"]
        return loop

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name: the state, the candidates asked for, and what the space is known by."""
        bounds = self.space.coordinates if isinstance(self.space, VectorSpace) else ()
        space = self._driver.decode(self._state.best_genotype), bounds
        trees = {"state": self._state, "asked": self._asked, "space": space}
        return {
            f"{name}/{number}": np.asarray(leaf)
            for name, tree in trees.items()
            for number, leaf in enumerate(jax.tree.leaves(tree))
            if hasattr(leaf, "dtype")
        }

    def _take(self, arrays: Mapping[str, NDArray[Any]], *, asked: bool) -> None:
        if asked:
            self.ask()  # for its form
        expected = self._arrays()
        same = {name: (leaf.shape, leaf.dtype) for name, leaf in expected.items()} == {
            name: (leaf.shape, leaf.dtype) for name, leaf in arrays.items()
        }
        if same:
            self._state, self._asked = (
                jax.tree.unflatten(jax.tree.structure(tree), [arrays[f"{name}/{i}"] for i in range(len(leaves))])
                for name, tree in (("state", self._state), ("asked", self._asked))
                for leaves in [jax.tree.leaves(tree)]
            )
            space = {name: leaf for name, leaf in self._arrays().items() if name.startswith("space/")}
            same = all(
                np.allclose(leaf, arrays[name], rtol=1e-6, atol=0.0, equal_nan=True) for name, leaf in space.items()
            )
        if not same:
            raise ConfigurationError(_OTHER_SPACE)


def _stand_in(own: Space, better: Literal["minimize", "maximize"], lengths: dict[str, int]) -> HostProblem:
    """Return the plain-Python problem that the owner of a loop evaluates; named as messages should name it."""

    @dataclasses.dataclass(frozen=True)
    class AskTell(HostProblem):
        direction: ClassVar[Literal["minimize", "maximize"]] = better
        vector_lengths: ClassVar[Mapping[str, int]] = lengths

        @property
        def space(self) -> Space:
            return own

        def evaluate(self, rng: Any, omega: Omega) -> NoReturn:
            raise NotImplementedError

    return AskTell()
