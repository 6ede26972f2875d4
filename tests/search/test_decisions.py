"""A search stops at the first limit, never beyond it, and says which it was."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest

from evometa import ConfigurationError, Search
from evometa.naming import load
from evometa.search.budget import Cost, Prices
from evometa.search.decisions import CALLBACK, INTERRUPTED, Decider, Limits, Pace
from evometa.search.generation import CONTINUE, FIRST_STRATEGY_STOP, TARGET_REACHED
from evometa.storage.result import Counters

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Hill, Chase, Walk = (load(f"{TOYS}:{name}") for name in ("Bowl", "Hill", "Chase", "Walk"))


def search(problem: Any, **options: Any) -> Search:
    return Search(problem, Walk(population_size=4), validation_tasks=2, **options)


@pytest.fixture(scope="module")
def chase() -> Search:
    """One search, compiled once, that continues from test to test; limits count over its life."""
    return search(Chase(num_tasks=3, inner_steps=4))


def test_counted_limits_are_kept_with_validations_and_named(chase: Search) -> None:
    result = chase.run(generations=3)
    assert (result.generations, result.stop_reason, result.stop_code) == (
        3,
        "the limit of 3 generations was reached",
        "generations",
    )
    result = chase.run(evaluations=90)
    assert (result.stop_reason, result.stop_code) == ("the limit of 90 evaluations was reached", "evaluations")
    assert result.evaluations == 4 * result.generations
    used = result.evaluations + result.validation_evaluations
    assert 90 - 4 - result.validation_evaluations < used <= 90
    result = chase.run(inner_steps=2000)  # a generation is 4 · 3 · 4 = 48 inner steps
    assert result.stop_reason == "the limit of 2,000 inner steps was reached"
    assert result.inner_steps == 48 * result.generations
    used = result.inner_steps + result.validation_inner_steps
    assert 2000 - 48 - result.validation_inner_steps < used <= 2000
    assert result.validation_inner_steps == 4 * result.validation_tasks
    assert len(chase.history) == result.generations


def test_the_first_of_several_limits_counts(chase: Search) -> None:
    done = chase.run(generations=1).generations
    result = chase.run(generations=1000, evaluations=10**6, inner_steps=10**9, seconds=1e9)
    assert (result.generations, result.stop_code) == (1000, "generations")
    assert done < 1000


def test_a_limit_that_is_behind_does_nothing(chase: Search) -> None:
    before = chase.run(generations=1).generations
    result = chase.run(generations=5)
    assert (result.generations, result.stop_reason) == (before, "the limit of 5 generations was reached")


def test_seconds_run_out(chase: Search) -> None:
    spent = chase.run(generations=1).seconds
    result = chase.run(seconds=spent + 0.2)
    assert result.stop_reason == f"{spent + 0.2:g} seconds passed"
    assert result.seconds >= spent + 0.2
    assert result.stop_code == "seconds"


@pytest.mark.parametrize(("problem", "target"), [(Bowl(), 0.2), (Hill(), -0.2)])
def test_a_target_is_reached_in_either_direction_within_a_dispatch(problem: Any, target: float) -> None:
    one = search(problem)
    result = one.run(generations=10_000, target=target)
    assert result.stop_reason == f"the target fitness {target:g} was reached"
    assert 1 < result.generations < 10_000
    best = one.history["best_so_far"]
    reached = best <= target if target > 0 else best >= target
    assert reached[-1]
    assert not reached[:-1].any()  # not one generation more
    assert result.best_fitness == pytest.approx(best[-1], rel=1e-6)
    assert one.run(generations=10_000, target=target).generations == result.generations
    assert one.run(generations=result.generations + 5).generations == result.generations + 5


def test_a_strategy_stops_by_itself_in_its_own_words() -> None:
    one = Search(Bowl(), Walk(patience=7), validation_tasks=2)
    result = one.run(generations=50)
    assert (result.generations, result.stop_reason) == (7, "tired: the walk was long enough")
    assert one.run(generations=50).generations == 7


def test_a_callback_sees_every_generation_once_and_can_stop() -> None:
    seen: list[Any] = []
    statuses = []

    def watch(report: Any) -> bool:
        seen.extend(report.rows["generation"].tolist())
        statuses.append(report.status)
        return len(statuses) == 3

    result = search(Bowl(), callbacks=[lambda report: None, watch]).run(generations=10**6)
    assert result.stop_reason == "a callback asked to stop"
    assert seen == list(range(1, result.generations + 1))
    assert [status.generation for status in statuses] == sorted({status.generation for status in statuses})
    assert statuses[-1].of == 10**6


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({}, "expects at least one limit: generations, evaluations, inner_steps, seconds or target"),
        ({"inner_steps": 10}, "got inner_steps=10 for a problem without inner training"),
    ],
)
def test_limits_that_are_none_are_refused(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Limits(**limits).require_reachable(prices(Cost(4, 0)))


def test_dispatches_grow_to_a_second_and_never_past_a_limit() -> None:
    pace = Pace()
    assert pace.generations(math.inf, math.inf, 4096) == 1  # until a speed is known
    assert pace.seconds_for(10) is None
    pace.learn(1, 0.01)
    assert pace.generations(math.inf, math.inf, 4096) == 100
    assert pace.generations(7, math.inf, 4096) == 7
    assert pace.generations(math.inf, 0.05, 4096) == 5
    assert pace.generations(math.inf, -1.0, 4096) == 1
    assert pace.seconds_for(50) == pytest.approx(0.5)
    pace.learn(100, 1e-9)
    assert pace.generations(math.inf, math.inf, 4096) == 4096
    pace.learn(0, 5.0)  # nothing was done, nothing is learnt
    assert pace.generations(math.inf, math.inf, 4096) == 4096


def prices(generation: Cost, **settings: Any) -> Prices:
    """Prices without validations, of a problem that evaluates a candidate on one task, unless the settings say more."""
    given = {
        "tasks_per_evaluation": 1,
        "inner_steps_per_task": 0,
        "validation_tasks": 0,
        "kinds": 1,
        "validate_every": 10,
        "finalists": 0,
        "share": 0.25,
    }
    return Prices(generation, **given | settings)


def test_what_is_left_is_what_fits_under_every_limit() -> None:
    counters = Counters(generation=2, evaluations=20, inner_steps=200)
    for generations, evaluations, steps in itertools.product((None, 5), (None, 39, 40), (None, 299)):
        if generations is evaluations is steps is None:
            continue
        limits = Limits(generations, evaluations, steps, seconds=1.0)
        expected = min(
            math.inf if generations is None else 3,
            math.inf if evaluations is None else (evaluations - 20) // 10,
            math.inf if steps is None else 0,
        )
        assert limits.generations_left(counters, prices(Cost(10, 100))) == expected
        assert (limits.reached(counters, prices(Cost(10, 100))) is not None) == (expected < 1)


def test_validations_and_the_final_selection_count_in_what_is_left() -> None:
    each = prices(Cost(10, 0), validation_tasks=8, kinds=2, validate_every=5, finalists=2)
    # A validation is 6 · 2 tasks: half of the share of 5 generations; the selection at most a quarter in all.
    assert each.tasks_in_validation == 2
    for limit in (30, 100, 1000, 12345):
        left = int(Limits(evaluations=limit).generations_left(Counters(), each))
        for generations, fits in ((left, True), (left + 1, False)):
            own = Cost(10 * generations)
            validations = each.validations(0, generations) * 2 * each.tasks_in_validation
            total = own.evaluations + validations + each.selection(own, validations).total
            assert (total <= limit) == fits


def test_the_final_selection_costs_a_share_and_gives_up_candidates_before_tasks() -> None:
    each = prices(
        Cost(32, 32 * 16 * 5),
        tasks_per_evaluation=16,
        inner_steps_per_task=5,
        validation_tasks=256,
        kinds=2,
        finalists=8,
    )
    large = each.selection(Cost(10**6, 10**6 * 80), 0)
    assert (large.candidates, large.tasks, large.total) == (10, 256, 12 * 256)
    for generations in (1, 3, 10, 30, 100):
        own = each.generation * generations
        plan = each.selection(own, 0)
        assert plan.total <= max(0.25 * 512 * generations, 4 * 16)
        assert plan.tasks == 256 or plan.tasks.bit_count() == 1
        assert plan.tasks >= 16
        assert plan.candidates >= 2
    assert each.selection(each.generation, 10**9).total == 4 * 16  # nothing is left: center and best, as one evaluation


def test_decisions_are_made_in_one_place() -> None:
    limits = Limits(generations=100, target=1.5)
    own = ("tired: it walked enough",)
    decider = Decider(limits, prices(Cost(4, 0)), own, checkpoint_seconds=30.0, saved=0, now=0.0)
    assert decider.decide(Counters(), now=0.0) == (1, False, None)  # one generation until a speed is known
    decider.pace.learn(1, 0.1)
    assert decider.decide(Counters(generation=1), now=1.0) == (10, False, None)
    assert decider.decide(Counters(generation=11), now=31.0) == (10, True, None)  # a checkpoint is due
    assert decider.decide(Counters(generation=11), now=62.0).checkpoint is False  # and there is nothing new
    for given, code in (
        ({"code": TARGET_REACHED}, "target"),
        ({"code": FIRST_STRATEGY_STOP}, "strategy:tired"),
        ({"asked": True}, CALLBACK.code),
        ({"interrupted": True, "code": TARGET_REACHED}, INTERRUPTED.code),
        ({"code": TARGET_REACHED, "asked": True}, "target"),
    ):
        decision = decider.decide(Counters(generation=12), now=62.0, **given)  # type: ignore[arg-type]
        assert decision.generations == 0
        assert decision.stop is not None
        assert decision.stop.code == code
    assert decider.decide(Counters(generation=100), now=62.0, code=CONTINUE).stop == (
        "generations",
        "the limit of 100 generations was reached",
    )
