"""Less work for bad candidates: halving and pruning against whole evaluations, and against Optuna's median pruner.

Two problems of hyperparameter optimization, the same inner steps for all sides:

- ``digits-hyperparameters`` (compiled): CMA-ES with whole evaluations, CMA-ES with ``halving=Halving()``, and Optuna's
  TPE with its median pruner, which is told the loss after every tenth of the steps;
- ``boosting-hyperparameters`` (plain Python, trees as inner steps, reported every 25): CMA-ES with whole evaluations,
  with ``pruning=ASHA()`` and with ``MedianPruning()``, and Optuna likewise.

Figures are held-out losses, means over seeds, after shares of the budget: of what the final selection of evometa chose
on digits (which is part of its budget), of the center of CMA-ES on boosting, and of the best trial that Optuna did not
prune. Each trial of Optuna has tasks or folds of its own, as each generation of CMA-ES has.

    taskset -c 0 python benchmarks/halving.py --keep halving.json --picture halving.png
    python benchmarks/halving.py digits-hyperparameters --seeds 1 --budget 3  # a quick look
"""

import _one_core  # isort: skip  # noqa: F401
import argparse
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _engine import center_of, mean_fitness, pieces
from _measure import Kept, mean_and_error, parse_arguments, peer, print_table

import evometa as em
from evometa.plots import style
from evometa.problems import BoostingHyperparameters, DigitsHyperparameters
from evometa.problems.hyperparameters.boosting_hyperparameters import split

SHARES = (0.1, 0.2, 0.4, 1.0)
"""Of the budget, after which the figures are taken."""
TREES = 25
"""From one report of boosting to the next."""
DIGITS = DigitsHyperparameters()


@dataclasses.dataclass(frozen=True)
class StagedBoosting(BoostingHyperparameters):
    """Gradient boosting that reports its loss on the folds every 25 trees; a tree in one fold is an inner step."""

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Any:
        """Return the loss after all trees."""
        for step, found in self.stages(rng, omega):
            self.report(step, found.fitness)
        return found

    def stages(self, rng: np.random.Generator, omega: Any) -> Iterator[tuple[int, Any]]:
        """Yield the number of trees so far in all folds, and the evaluation with them."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.model_selection import StratifiedKFold

        x, y, _, _ = split(self.data_set)
        seed = int(rng.integers(2**31))
        folds = list(StratifiedKFold(self.folds, shuffle=True, random_state=seed).split(x, y))
        models = [
            HistGradientBoostingClassifier(
                learning_rate=float(omega["learning_rate"]),
                max_leaf_nodes=round(float(omega["leaves"])),
                min_samples_leaf=round(float(omega["min_samples_leaf"])),
                l2_regularization=float(omega["l2"]),
                max_features=min(1.0, float(omega["feature_fraction"])),
                early_stopping=False,
                random_state=seed % 2**31,
                warm_start=True,
            )
            for _ in folds
        ]
        total, predicted = round(float(omega["trees"])), np.empty(len(y))
        for trees in [*range(TREES, total, TREES), total]:
            for model, (train, left_out) in zip(models, folds, strict=True):
                model.set_params(max_iter=trees).fit(x[train], y[train])
                predicted[left_out] = model.predict_proba(x[left_out])[:, 1]
            yield trees * self.folds, self._score(y, predicted)


Curve = list[float]
"""Held-out losses after each share of the budget."""


def digits_budget(evaluations: int) -> int:
    """Return the inner steps of so many whole generations of 16."""
    return evaluations * 16 * DIGITS.inner_steps_per_evaluation


def digits_held_out(omega: Any, tasks: int) -> float:
    """Return the loss of an ω on held-out tasks."""
    return mean_fitness(DIGITS, omega, tasks)


def digits_search(halving: em.Halving | None) -> Callable[[int, argparse.Namespace], Curve]:
    """Return what measures a search of evometa."""

    def measure(seed: int, arguments: argparse.Namespace) -> Curve:
        search = em.Search(DIGITS, em.strategies.CMAES(16), seed=seed, halving=halving, progress=False)
        found = []
        for share in SHARES:  # after each of them comes a final selection, which is part of the budget
            limit = max(share * digits_budget(arguments.budget), 1.5 * digits_budget(1))
            omega = search.run(inner_steps=round(limit)).selected_omega
            found.append(digits_held_out(omega, arguments.tasks))
        return found

    return measure


def optuna_digits(seed: int, arguments: argparse.Namespace) -> Curve:
    """Measure Optuna on digits."""
    every = DIGITS.inner_steps // 10
    draw, begin, piece = pieces(DIGITS, every)

    def stages(number: int, omega: Any) -> Iterator[tuple[int, float]]:
        omega = {name: np.float32(value) for name, value in omega.items()}
        tasks = draw(jax.random.key(1_000_000 * (seed + 1) + number))
        learners = begin(omega, tasks)
        for start in range(0, DIGITS.inner_steps, every):
            loss, learners = piece(omega, tasks, learners, np.int32(start))
            yield (start + every) * DIGITS.num_tasks, float(loss)

    best = tuned_by_optuna(seed, DIGITS.space, stages, digits_budget(arguments.budget))
    return [digits_held_out(omega, arguments.tasks) for omega in best]


def boosting_budget(evaluations: int) -> int:
    """Return the trees of so many generations of 8 with 50 trees in each fold."""
    return evaluations * 8 * 50 * StagedBoosting().folds


def boosting_held_out(omega: Any, calls: int) -> float:
    """Return the loss of an ω on what is held out."""
    problem = BoostingHyperparameters()
    found = [problem.evaluate_test(np.random.default_rng((2026, call)), omega).fitness for call in range(calls)]
    return float(np.mean(found))


def boosting_search(pruning: Any) -> Callable[[int, argparse.Namespace], Curve]:
    """Return what measures a search of evometa."""

    def measure(seed: int, arguments: argparse.Namespace) -> Curve:
        budget, centers = boosting_budget(arguments.budget), dict[int, Any]()

        def note(report: Any) -> bool:
            spent = int(report.rows["inner_steps"][-1])
            centers[spent] = center_of(report.search)
            return spent >= budget

        em.Search(
            StagedBoosting(),
            em.strategies.CMAES(8),
            seed=seed,
            pruning=pruning,
            validation_share=0.0,
            workers=0,
            callbacks=[note],
            progress=False,
        ).run(generations=100_000)
        at = [max((spent for spent in centers if spent <= share * budget), default=min(centers)) for share in SHARES]
        return [boosting_held_out(centers[spent], arguments.calls) for spent in at]

    return measure


def optuna_boosting(seed: int, arguments: argparse.Namespace) -> Curve:
    """Measure Optuna on boosting."""
    problem = StagedBoosting()

    def stages(number: int, omega: Any) -> Iterator[tuple[int, float]]:
        for step, found in problem.stages(np.random.default_rng((seed, number)), omega):
            yield step, float(found.fitness)

    best = tuned_by_optuna(seed, problem.space, stages, boosting_budget(arguments.budget))
    return [boosting_held_out(omega, arguments.calls) for omega in best]


def tuned_by_optuna(
    seed: int, space: Any, stages: Callable[[int, Any], Iterator[tuple[int, float]]], budget: int
) -> list[Any]:
    """Return the best ω of TPE with the median pruner after each share of a budget of inner steps."""
    optuna: Any = peer("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spent = 0

    def objective(trial: Any) -> float:
        nonlocal spent
        omega = {
            name: trial.suggest_float(name, *(float(np.ravel(end)[0]) for end in (part.low, part.high)), log=part.log)
            for name, part in space.spaces.items()
        }
        before, step, loss = spent, 0, float("nan")
        for step, loss in stages(trial.number, omega):
            spent = before + step
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner())
    found: list[Any] = []
    while len(found) < len(SHARES):
        study.optimize(objective, n_trials=1, catch=(ValueError,))
        while len(found) < len(SHARES) and spent >= SHARES[len(found)] * budget:
            found.append(dict(study.best_params))
    return found


WAYS: dict[str, dict[str, Callable[[int, argparse.Namespace], Curve]]] = {
    "digits-hyperparameters": {
        "CMA-ES, whole evaluations": digits_search(None),
        "CMA-ES, halving 3 × 3": digits_search(em.Halving(3, 3)),
        "Optuna: TPE, median pruner": optuna_digits,
    },
    "boosting-hyperparameters": {
        "CMA-ES, whole evaluations": boosting_search(em.MedianPruning(startup=10**9)),  # which counts, and stops none
        "CMA-ES, ASHA": boosting_search(em.ASHA(first=75, reduction=3)),
        "CMA-ES, median": boosting_search(em.MedianPruning()),
        "Optuna: TPE, median pruner": optuna_boosting,
    },
}
BUDGETS = {"digits-hyperparameters": 12, "boosting-hyperparameters": 20}
COLOURS = {
    "whole": style.GREY,
    "halving": style.BLUE,
    "ASHA": style.BLUE,
    "CMA-ES, median": style.GREEN,
    "TPE": style.ORANGE,
}


def main() -> None:
    """Measure, print one table for each problem, and draw all in one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=[], help=f"{', '.join(WAYS)}; both by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, help="in generations of whole evaluations; else what is usual")
    parser.add_argument("--tasks", type=int, default=64, help="held-out, for each figure of digits")
    parser.add_argument("--calls", type=int, default=5, help="held-out, for each figure of boosting")
    parser.add_argument("--ways", type=int, default=4, help="of each problem, at most")
    parser.add_argument("--keep", type=Path, help="a file with what was measured already")
    parser.add_argument("--picture", type=Path, help="a file to draw to")
    arguments = parse_arguments(parser, "boosting-hyperparameters --seeds 1 --budget 0 --calls 1 --ways 1")
    kept, curves, budgets = Kept(arguments.keep), dict[str, dict[str, np.ndarray]](), dict[str, int]()
    given = arguments.budget
    for name in arguments.problems or WAYS:
        ways = dict(list(WAYS[name].items())[: arguments.ways])
        budgets[name] = arguments.budget = BUDGETS[name] if given is None else given
        if peer("optuna") is None:
            ways = {way: measure for way, measure in ways.items() if "Optuna" not in way}
        curves[name] = {
            way: np.array(
                [
                    kept.get_or(
                        f"{name}, {way}, budget {arguments.budget}, seed {seed}",
                        lambda measure=measure, seed=seed: measure(seed, arguments),
                    )
                    for seed in range(arguments.seeds)
                ]
            )
            for way, measure in ways.items()
        }
        steps = (digits_budget if name.startswith("digits") else boosting_budget)(arguments.budget)
        print_table(
            [name, *(f"{round(share * steps):,} steps" for share in SHARES)],
            [[way, *(mean_and_error(column) for column in curve.T)] for way, curve in curves[name].items()],
        )
        print()
    if arguments.picture is not None:
        draw(curves, budgets).savefig(arguments.picture)


def draw(curves: dict[str, dict[str, Any]], budgets: dict[str, int]) -> Any:
    """Return the picture: held-out loss over inner steps, means over seeds and standard errors."""
    figure = style.figure(5.2 * len(curves), 4.0)
    for axes, (name, ways) in zip(np.ravel(figure.subplots(1, len(curves))), curves.items(), strict=True):
        steps = np.array(SHARES) * (digits_budget if name.startswith("digits") else boosting_budget)(budgets[name])
        if max(map(np.max, ways.values())) > 10 * min(map(np.min, ways.values())):
            axes.set_yscale("log")
        for way, curve in ways.items():
            colour = next(colour for part, colour in COLOURS.items() if part in way)
            mean, error = curve.mean(axis=0), curve.std(axis=0) / max(len(curve) - 1, 1) ** 0.5
            axes.plot(steps, mean, "o-", color=colour, label=way, markersize=4)
            axes.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
        style.label_axes(axes, x="inner_steps", y="held-out loss")
        axes.set_title(name, fontsize=10)
        axes.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
