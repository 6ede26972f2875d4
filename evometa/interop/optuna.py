"""``EvometaSampler``: any strategy of evometa as a sampler of Optuna.

A generation's candidates are handed out as trials ask for them, and the strategy is told when each has a trial that
ended. Which trial evaluates which candidate stands in the trial's system attributes, and the candidates of a generation
follow from seed, strategy and the values of the generations before. So whatever process opens the study finds the
sampler where it was, and nothing but the trials is stored.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from evometa import naming
from evometa.backend.precision import whole_seed
from evometa.errors import ConfigurationError
from evometa.problem import Evaluation
from evometa.search.ask_tell import AskTell
from evometa.strategy import Strategy

try:
    from optuna.distributions import BaseDistribution, distribution_to_json
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.samplers._base import _process_constraints_after_trial
    from optuna.search_space import intersection_search_space
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise ImportError('evometa.interop.optuna needs Optuna, which pip install "evometa[optuna]" brings.') from error

from evometa.interop.distributions import space_of, values_of

CANDIDATE = "evometa:candidate"
"""The system attribute of a trial that evaluates a candidate."""
CONSTRAINTS = "constraints"
"""Optuna's own: the system attribute with what ``constraints_func`` returned, and before a colon and the name of a
constraint that ``Trial.set_constraint`` has set."""


class _Candidate(NamedTuple):
    """What a trial evaluates; the content of the system attribute."""

    loop: str
    """Names search space, strategy and seed."""
    generation: int
    member: int
    trial: int
    """The trial's own number: Optuna copies the attributes of a failed trial to the one that retries it."""


class EvometaSampler(BaseSampler):
    """Sample the parameters of an Optuna study by a strategy of evometa.

    **Search space.** It is the intersection of those of the completed trials, as Optuna's CMA-ES sampler has it. So the
    first trial, and parameters that not every trial has (conditional ones), are drawn at random. Where a later trial
    shows that the space is smaller, or a range differs, the strategy begins anew in the space that all trials share.

    **Generations.** The strategy is told once each of its P candidates has a trial that ended. A trial that is pruned
    or fails is a failed candidate, which strategies rank last. While all candidates are handed out and some have not
    ended, further trials (``n_jobs``, several processes) evaluate the candidates again that are outstanding, the rarest
    first; the first trial to end counts. So no process waits, and none that was killed holds up the others. With a
    population of a multiple of the number of workers, few trials are spent that way.

    Trials with values that were enqueued (``study.enqueue_trial``) are no candidates, so the strategy is not told of
    them, nor of trials of other samplers.

    **Constraints.** Those that the objective sets (``trial.set_constraint``, from Optuna 5 on) or ``constraints_func``
    returns; one is kept where it is 0 or less. Candidates that keep all come before the others, as in any search of
    evometa. Where a completed trial has a constraint that none had before, the strategy begins anew; a trial without it
    counts as one that keeps it, as in Optuna.

    **Objectives.** One, in the direction of the study; several for strategies that require objectives, such as
    :class:`~evometa.strategies.NSGA2`.

    **Resuming.** A sampler with the same strategy and seed continues a stored study where it was, bit for bit.

    Args:
        strategy: the strategy, such as ``CMAES(8)`` for floats, ``CMAwM(8)`` or ``GeneticAlgorithm(16)`` for all.
        seed: seed of everything, a whole number of 64 bits.
        constraints_func: returns the constraints of a trial, a list of numbers, as Optuna's samplers take it: called
            after each trial that completed, with its parameters and user attributes, and stored where Optuna looks for
            them, so that ``study.best_trial`` and Optuna's plots heed them.

    Raises:
        ConfigurationError: the strategy needs more than fitness, objectives and constraints. What does not fit the
            study's parameters, objectives or constraints is refused at the first trial that it samples.
    """

    def __init__(
        self,
        strategy: Strategy[Any],
        *,
        seed: int = 0,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
    ) -> None:
        if not isinstance(strategy, Strategy):
            raise ConfigurationError(
                f"EvometaSampler expects an instance of a strategy, such as CMAES(8), got {strategy!r}."
            )
        more = [name for name in strategy.required_feedback if name not in ("objectives", "constraints")]
        if more:
            raise ConfigurationError(
                "EvometaSampler expects a strategy that needs no more than fitness, objectives and constraints, and "
                f"{type(strategy).__name__} requires {' and '.join(more)}; use another one, or AskTell."
            )
        self.strategy, self.seed = strategy, whole_seed("EvometaSampler", seed)
        if constraints_func is not None and not callable(constraints_func):
            raise ConfigurationError(
                "EvometaSampler expects constraints_func as a function from a trial to a list of numbers, got "
                f"{constraints_func!r}."
            )
        self.constraints_func = constraints_func
        self._described = [naming.describe(strategy), self.seed]
        self._loops: dict[tuple[str, str], AskTell] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what follows from the study, and the lock."""
        return {"strategy": self.strategy, "seed": self.seed, "constraints_func": self.constraints_func}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Begin with what the study says."""
        self.__init__(**state)  # type: ignore[misc]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that all completed trials have and that can vary; none for an enqueued trial."""
        if "fixed_params" in trial.system_attrs:
            return {}
        shared = intersection_search_space(_trials(study))
        return {name: each for name, each in shared.items() if not each.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of a candidate of the present generation."""
        if not search_space:
            return {}
        constraints = _names(_trials(study))
        name = self._name(search_space, constraints)
        with self._lock:
            loop = self._loop(study, name, search_space, constraints)
            tried = self._told(loop, study, name, constraints)
            open_ = [
                i for i in range(self.strategy.population_size) if not any(t.state.is_finished() for t in tried[i])
            ]
            member = min(open_, key=lambda i: len(tried[i]))
            candidate = _Candidate(name, loop.generation + 1, member, trial.number)
            study._storage.set_trial_system_attr(trial._trial_id, CANDIDATE, list(candidate))
            return values_of(search_space, loop.ask()[member])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a parameter at random that not all trials have; another number in each trial, whatever process asks."""
        drawn = hashlib.sha256(json.dumps([self.seed, trial.number, param_name]).encode()).digest()
        sampler = RandomSampler(seed=int.from_bytes(drawn[:4]))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Store the constraints of a trial that ends, where a function computes them."""
        if self.constraints_func is not None:
            _process_constraints_after_trial(self.constraints_func, study, trial, state)

    def _name(self, search_space: Mapping[str, BaseDistribution], constraints: Sequence[str]) -> str:
        """Return what names the loop of a search space and constraints with this strategy and seed."""
        written = [[name, distribution_to_json(each)] for name, each in sorted(search_space.items())]
        parts = [written, self._described, *([constraints] if constraints else [])]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _loop(
        self, study: Study, name: str, search_space: Mapping[str, BaseDistribution], constraints: Sequence[str]
    ) -> AskTell:
        place = study.study_name, name
        if place not in self._loops:
            count = len(study.directions)
            if (count > 1) != ("objectives" in self.strategy.required_feedback):
                raise ConfigurationError(
                    f"EvometaSampler expects a strategy for the study's {count} objectives, got "
                    f"{type(self.strategy).__name__}; use NSGA2 for several, and another strategy for one."
                )
            if "constraints" in self.strategy.required_feedback and not constraints:
                raise ConfigurationError(
                    f"EvometaSampler expects trials with constraints for {type(self.strategy).__name__}, got none; "
                    "give constraints_func, or use another strategy."
                )
            lengths = {"objectives": count} if count > 1 else {}
            lengths |= {"constraints": len(constraints)} if constraints else {}
            space = space_of(search_space)
            self._loops = {place: AskTell(space, self.strategy, self.seed, vector_lengths=lengths)}
        return self._loops[place]

    def _told(self, loop: AskTell, study: Study, name: str, constraints: Sequence[str]) -> list[list[FrozenTrial]]:
        """Tell a loop of all generations that are complete; return the trials of each member of the next one."""
        tried: dict[tuple[int, int], list[FrozenTrial]] = {}
        for trial in _trials(study):
            if (candidate := _candidate(trial)) and candidate.loop == name:
                tried.setdefault((candidate.generation, candidate.member), []).append(trial)
        while True:
            members = range(self.strategy.population_size)
            trials = [tried.get((loop.generation + 1, member), []) for member in members]
            ended = [[trial for trial in each if trial.state.is_finished()] for each in trials]
            if not all(ended):
                return trials
            loop.ask()
            loop.tell([_result(_first(each), study.directions, constraints) for each in ended])


def _trials(study: Study) -> list[FrozenTrial]:
    """Return all trials of a study, also where a pruner lets the sampler see only some."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def _candidate(trial: FrozenTrial) -> _Candidate | None:
    written = trial.system_attrs.get(CANDIDATE)
    candidate = _Candidate(*written) if written else None
    return candidate if candidate and candidate.trial == trial.number else None


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """Return the constraints of a trial by name; those of a list are named by their places."""
    listed = trial.system_attrs.get(CONSTRAINTS) or ()
    prefix = f"{CONSTRAINTS}:"
    named = {key.removeprefix(prefix): value for key, value in trial.system_attrs.items() if key.startswith(prefix)}
    return {f"{place}": value for place, value in enumerate(listed)} | named


def _names(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return the names of all constraints that completed trials have."""
    complete = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    return sorted({name for trial in complete for name in _constraints(trial)})


def _first(trials: list[FrozenTrial]) -> FrozenTrial:
    """Return the one that ended first, which stays the first whatever ends later."""
    return min(trials, key=lambda trial: (trial.datetime_complete, trial.number))


def _result(trial: FrozenTrial, directions: Sequence[StudyDirection], constraints: Sequence[str]) -> Evaluation | None:
    """Return what the strategy is told of a trial: values to be minimised, or that it failed."""
    if trial.state != TrialState.COMPLETE:
        return None
    signs = [-1.0 if direction == StudyDirection.MAXIMIZE else 1.0 for direction in directions]
    values = [sign * value for sign, value in zip(signs, trial.values, strict=True)]
    own = _constraints(trial)
    return Evaluation(
        values[0],
        objectives=values if len(values) > 1 else None,
        constraints=[own.get(name, 0.0) for name in constraints] or None,
    )
