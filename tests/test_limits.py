"""A search stops at the first limit, never beyond it, and says which it was."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest

from evometa import ConfigurationError, Search
from evometa.limits import Limits, Pace
from evometa.naming import load
from evometa.result import Counters

TOYS = Path(__file__).with_name("toys.py")
Bowl, Hill, Chase, Walk = (load(f"{TOYS}:{name}") for name in ("Bowl", "Hill", "Chase", "Walk"))


def search(problem: Any, **options: Any) -> Search:
    return Search(problem, Walk(population_size=4), validation_tasks=2, **options)


@pytest.fixture(scope="module")
def chase() -> Search:
    """One search, compiled once, that goes on from test to test; limits count over its life."""
    return search(Chase(num_tasks=3, inner_steps=4))


def test_counted_limits_are_kept_exactly_and_named(chase: Search) -> None:
    result = chase.run(generations=3)
    assert (result.generations, result.stop_reason) == (3, "the limit of 3 generations was reached")
    result = chase.run(evaluations=27)  # 6 generations are 24 evaluations, and a seventh would make 28
    assert (result.evaluations, result.stop_reason) == (24, "the limit of 27 evaluations was reached")
    result = chase.run(inner_steps=48 * 10 - 1)  # a generation is 4 · 3 · 4 = 48 inner steps
    assert (result.inner_steps, result.stop_reason) == (48 * 9, "the limit of 479 inner steps was reached")
    assert (result.generations, result.evaluations) == (9, 36)
    assert len(chase.history) == 9


def test_the_first_of_several_limits_counts(chase: Search) -> None:
    result = chase.run(generations=1000, evaluations=4 * 12, inner_steps=10**9, seconds=1e9)
    assert (result.generations, result.stop_reason) == (12, "the limit of 48 evaluations was reached")


def test_a_limit_that_is_behind_does_nothing(chase: Search) -> None:
    before = chase.run(generations=12).generations
    result = chase.run(generations=5)
    assert (result.generations, result.stop_reason) == (before, "the limit of 5 generations was reached")


def test_seconds_run_out(chase: Search) -> None:
    spent = chase.run(generations=1).seconds
    result = chase.run(seconds=spent + 0.2)
    assert result.stop_reason == f"{spent + 0.2:g} seconds passed"
    assert result.seconds >= spent + 0.2
    assert result.generations > 12


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
        ({"generations": 0}, r"limits above zero, got \{'generations': 0\}"),
        ({"evaluations": -5, "seconds": 1.0}, r"limits above zero, got \{'evaluations': -5\}"),
        ({"seconds": math.nan}, "limits above zero"),
        ({"inner_steps": 10}, "got inner_steps=10 for a problem without inner training"),
    ],
)
def test_limits_that_are_none_are_refused(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Limits(**limits).reached(Counters(), 4, 0)


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


def test_what_is_left_is_what_fits_under_every_limit() -> None:
    counters = Counters(generation=2, evaluations=20, inner_steps=200)
    for generations, evaluations, steps in itertools.product((None, 5), (None, 39, 40), (None, 299)):
        limits = Limits(generations, evaluations, steps, seconds=1.0)
        expected = min(
            math.inf if generations is None else 3,
            math.inf if evaluations is None else (evaluations - 20) // 10,
            math.inf if steps is None else 0,
        )
        assert limits.generations_left(counters, 10, 10) == expected
        assert (limits.reached(counters, 10, 10) is not None) == (expected < 1)
