"""Strategies as Optuna samplers: which candidate each trial gets, and what the strategy is told of it."""

import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from evometa import AskTell, ConfigurationError
from evometa.interop.distributions import space_of, values_of
from evometa.interop.optuna import CANDIDATE, EvometaSampler
from evometa.naming import load
from evometa.strategies import CMAES, NSGA2, PES, AugmentedLagrangian, MAPElites

optuna.logging.set_verbosity(optuna.logging.ERROR)
STRATEGY = load(f"{Path(__file__).parents[1] / 'toys.py'}:Walk")(4)
SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "kind": optuna.distributions.CategoricalDistribution(["adam", None, 3]),
    "rate": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
    "share": optuna.distributions.FloatDistribution(0.1, 0.7, step=0.2),
    "units": optuna.distributions.IntDistribution(8, 64, step=8),
    "width": optuna.distributions.IntDistribution(1, 1000, log=True),
}


def cost(values: dict[str, Any]) -> float:
    return abs(values["units"] - 32) + abs(np.log10(values["rate"]) + 2) + values["share"] + (values["kind"] is None)


def objective(trial: optuna.Trial) -> float:
    """Like a user's; about one trial of five is pruned and one fails."""
    values = {name: trial._suggest(name, each) for name, each in SPACE.items()}
    kind = int(values["rate"] * 1e7) % 5
    if kind == 0:
        raise optuna.TrialPruned
    return float("nan") if kind == 1 else -cost(values)


def study_of(sampler: optuna.samplers.BaseSampler, **settings: Any) -> optuna.Study:
    study = optuna.create_study(sampler=sampler, **settings)
    study.add_trial(  # so that the space is known from the first trial on
        optuna.trial.create_trial(
            params=values_of(SPACE, first_omega()), distributions=SPACE, values=[0.0] * len(study.directions)
        )
    )
    return study


def first_omega() -> Any:
    return {
        "kind": np.int32(0),
        "rate": np.float64(0.5),
        "share": np.int32(3),
        "units": np.int32(64),
        "width": np.int32(9),
    }


def candidates(study: optuna.Study) -> list[tuple[int, int]]:
    return [tuple(trial.system_attrs[CANDIDATE][1:3]) for trial in study.trials if CANDIDATE in trial.system_attrs]


@pytest.fixture(scope="module")
def whole() -> optuna.Study:
    study = study_of(EvometaSampler(STRATEGY, seed=1), direction="maximize")
    study.optimize(objective, n_trials=18)
    return study


def test_trials_are_the_candidates_of_the_strategy_and_it_is_told_their_values(whole: optuna.Study) -> None:
    assert candidates(whole) == [(1 + i // 4, i % 4) for i in range(18)]
    states = Counter(trial.state.name for trial in whole.trials)
    assert min(states["PRUNED"], states["FAIL"], states["COMPLETE"]) > 0
    loop = AskTell(space_of(SPACE), STRATEGY, 1)
    for generation in range(4):
        trials = whole.trials[1 + 4 * generation : 5 + 4 * generation]
        assert [trial.params for trial in trials] == [values_of(SPACE, omega) for omega in loop.ask()]
        loop.tell([-trial.value if trial.state.name == "COMPLETE" else None for trial in trials])
    assert -loop.best_fitness == max(trial.value for trial in whole.trials[1:17] if trial.state.name == "COMPLETE")
    kinds = {name: {type(trial.params[name]) for trial in whole.trials} for name in SPACE}
    assert kinds["units"] == kinds["width"] == {int}
    assert kinds["rate"] == kinds["share"] == {float}
    assert {round(trial.params["share"], 9) for trial in whole.trials} <= {0.1, 0.3, 0.5, 0.7}


def test_a_study_continues_with_another_sampler_object_as_if_nothing_had_happened(whole: optuna.Study) -> None:
    study = study_of(EvometaSampler(STRATEGY, seed=1), direction="maximize")
    study.optimize(objective, n_trials=6)
    study.sampler = EvometaSampler(STRATEGY, seed=1)  # as after loading the study in another process
    study.optimize(objective, n_trials=12)
    assert [trial.params for trial in study.trials] == [trial.params for trial in whole.trials]


def test_outstanding_candidates_are_handed_out_again_and_the_first_to_end_counts() -> None:
    study = study_of(EvometaSampler(STRATEGY, seed=1))
    trials = [study.ask(SPACE) for _ in range(4)]
    for number in (0, 2, 3):
        study.tell(trials[number], 1.0)
    again = [study.ask(SPACE), study.ask(SPACE)]
    assert candidates(study)[4:] == [(1, 1), (1, 1)]
    assert again[0].params == again[1].params == trials[1].params
    study.tell(again[1], -5.0)
    following = study.ask(SPACE)
    study.tell(trials[1], -7.0)  # too late
    study.tell(again[0], state=optuna.trial.TrialState.FAIL)
    study.sampler = EvometaSampler(STRATEGY, seed=1)
    assert candidates(study)[6] == (2, 0)
    rest = [study.ask(SPACE) for _ in range(3)]
    loop = AskTell(space_of(SPACE), STRATEGY, 1)
    loop.ask()
    loop.tell([1.0, -5.0, 1.0, 1.0])
    assert [trial.params for trial in (following, *rest)] == [values_of(SPACE, omega) for omega in loop.ask()]


def test_enqueued_and_copied_trials_are_no_candidates() -> None:
    study = study_of(EvometaSampler(STRATEGY, seed=1))
    study.enqueue_trial({"units": 16})
    study.optimize(objective, n_trials=2)
    assert study.trials[1].params["units"] == 16
    assert [CANDIDATE in trial.system_attrs for trial in study.trials] == [False, False, True]
    study.add_trial(study.trials[2])  # as Optuna's callback that retries failed trials does
    study.optimize(objective, n_trials=1)
    assert [trial.system_attrs[CANDIDATE][1:3] for trial in study.trials if CANDIDATE in trial.system_attrs] == [
        [1, 0],
        [1, 0],
        [1, 1],
    ]


def test_parallel_trials_complete_every_generation() -> None:
    study = study_of(EvometaSampler(STRATEGY, seed=1))
    study.optimize(objective, n_trials=16, n_jobs=3)
    given = candidates(study)
    last = max(generation for generation, _ in given)
    assert {(g, m) for g in range(1, last) for m in range(4)} <= set(given)
    assert last >= 3
    assert len(given) == 16


def conditional(trial: optuna.Trial) -> float:
    """A space that a later trial shows to be smaller, and from trial 8 on another range."""
    x = trial.suggest_float("x", 0.0, 1.0 if trial.number < 8 else 2.0)
    y = trial.suggest_float("y", 0.0, 1.0)
    z = trial.suggest_int("z", 1, 3) if trial.number % 2 == 0 else 0
    return x + y + z


def test_the_space_is_what_all_trials_share() -> None:
    study = optuna.create_study(sampler=EvometaSampler(STRATEGY))
    study.optimize(conditional, n_trials=13)
    loops = [trial.system_attrs.get(CANDIDATE, [None])[0] for trial in study.trials]
    assert loops[0] is None  # nothing is known yet
    assert loops[1] != loops[2]  # the second trial has no z
    assert len(set(loops[2:9])) == 1
    assert len(set(loops[9:])) == 1  # x is gone too
    assert candidates(study)[8:] == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert all(0.0 <= trial.params["y"] <= 1.0 for trial in study.trials)
    # What is drawn at random is the same in whatever process, and another number in each trial.
    z, trials = optuna.distributions.IntDistribution(1, 10**6), study.trials
    drawn = [EvometaSampler(STRATEGY, seed=1).sample_independent(study, trials[i], "z", z) for i in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_several_objectives() -> None:
    sampler = EvometaSampler(NSGA2(4), seed=2)
    study = study_of(sampler, directions=["minimize", "maximize"])
    study.optimize(lambda trial: (-objective(trial), -cost(trial.params)), n_trials=5)
    (loop,) = sampler._loops.values()
    assert loop.archive is not None
    told = {
        (t.values[0], -t.values[1])  # to be minimised
        for t in study.trials[1:5]
        if t.state.name == "COMPLETE"
    }
    assert {tuple(row) for row in loop.archive.objectives.tolist()} <= told  # type: ignore[union-attr]
    assert loop.failed == 4 - len(told)
    assert candidates(study)[4] == (2, 0)
    for wrong, settings in ((NSGA2(4), {}), (STRATEGY, {"directions": ["minimize", "maximize"]})):
        study = study_of(EvometaSampler(wrong), **settings)
        with pytest.raises(ConfigurationError, match=r"expects a strategy for the study's \d objectives"):
            study.ask(SPACE)


def outside(trial: optuna.trial.FrozenTrial) -> list[float]:
    """Kept where ``x`` is at least 1."""
    return [1.0 - trial.params["x"], -9.0]


@pytest.mark.parametrize(("way", "best"), [("constraints_func", 1.0), ("set_constraint", 1.0), ("none", 0.0)])
def test_constraints_are_told(way: str, best: float) -> None:
    if way == "set_constraint" and not hasattr(optuna.Trial, "set_constraint"):
        pytest.skip("Optuna 4 has no set_constraint")

    def squares(trial: optuna.Trial) -> float:
        x, y = (trial.suggest_float(name, -2.0, 2.0) for name in "xy")
        if way == "set_constraint":
            trial.set_constraint("low", 1.0 - x)
        return x**2 + y**2

    def sampler() -> EvometaSampler:
        return EvometaSampler(CMAES(6), seed=1, constraints_func=outside if way == "constraints_func" else None)

    study = optuna.create_study(sampler=sampler())
    study.optimize(squares, n_trials=60)
    study.sampler = sampler()  # as after loading the study in another process
    study.optimize(squares, n_trials=31)
    assert best <= study.best_value < best + 0.02
    assert len({trial.system_attrs[CANDIDATE][0] for trial in study.trials[1:]}) == 1


def test_what_does_not_fit_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"such as CMAES\(8\), got <class"):
        EvometaSampler(CMAES)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="MAPElites requires measures; use another one, or AskTell"):
        EvometaSampler(MAPElites(4, cells=(2,), low=(0.0,), high=(1.0,)))
    with pytest.raises(ConfigurationError, match="expects trials with constraints for AugmentedLagrangian, got none"):
        study_of(EvometaSampler(AugmentedLagrangian(STRATEGY))).ask(SPACE)
    with pytest.raises(ConfigurationError, match=r"a list of numbers, got \[1.0\]"):
        EvometaSampler(STRATEGY, constraints_func=[1.0])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="CMAES searches real vectors only"):
        study_of(EvometaSampler(CMAES(4))).ask(SPACE)
    with pytest.raises(ConfigurationError, match="PES"):
        study_of(EvometaSampler(PES(4))).ask(SPACE)
    monkeypatch.delitem(sys.modules, "evometa.interop.optuna")
    monkeypatch.setitem(sys.modules, "optuna.distributions", None)
    with pytest.raises(ImportError, match=r'pip install "evometa\[optuna\]"'):
        importlib.import_module("evometa.interop.optuna")
