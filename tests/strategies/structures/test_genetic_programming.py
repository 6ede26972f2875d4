"""GeneticProgramming: which candidates it evaluates, what it keeps, and that no candidate causes a compilation."""

import dataclasses
import itertools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evometa as em
from evometa import Box, ConfigurationError, Evaluation, HostProblem
from evometa.expressions import LOSS_PRIMITIVES, Expression, PrimitiveSet, check_tree, parse
from evometa.expressions.behaviour import behaviour
from evometa.expressions.tree import sizes
from evometa.problem import Problem
from evometa.strategies import GeneticProgramming, Reevaluated, Restarts
from evometa.strategies.structures.constant_gradient import ConstantTuning, tuning_evaluator
from evometa.strategies.structures.lexicase import lexicase
from evometa.strategy import Feedback, require_space
from evometa.testing import check_strategy

KEY = jax.random.key(1)
SMALL = Expression(PrimitiveSet(("x",)), max_size=15, max_depth=6)
LOSS = Expression(PrimitiveSet(), max_size=15, differentiated=("prediction",))
X = np.linspace(-1.0, 1.0, 20, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class Curve(Problem):
    """The squared distance of an expression from a curve; with ``points`` each point's is an objective."""

    slope: float = 1.0
    points: bool = False
    start: str | None = None

    @property
    def space(self) -> Expression:
        return Expression(PrimitiveSet(("x",)), max_size=15, start=self.start)

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        x = jnp.asarray(X)
        errors = (omega(x) - self.slope * (x**2 + x)) ** 2
        return Evaluation(jnp.mean(errors), objectives=errors if self.points else None)


def test_keeps_the_contract() -> None:
    check_strategy(GeneticProgramming(9, proposals=2, tuned=3, cases=2, elites=1), SMALL, generations=4)


def generations(strategy: GeneticProgramming, space: Expression, count: int) -> list[Any]:
    """Return the populations of a search whose fitness is the size."""

    @jax.jit
    def step(key: Any, state: Any) -> Any:
        genotypes, state = strategy.ask(key, state)
        return genotypes, strategy.tell(key, state, genotypes, Feedback(jnp.asarray(sizes(genotypes), float)))

    state, found = jax.jit(lambda: strategy.init(KEY, space))(), []
    for number in range(count):
        genotypes, state = step(jax.random.fold_in(KEY, number), state)
        found.append(jax.device_get(genotypes))
    return found


def test_children_are_new_and_alive_and_elites_come_first() -> None:
    populations = generations(GeneticProgramming(24, elites=2, proposals=6), LOSS, 4)
    behave = jax.jit(lambda trees: jax.lax.map(LOSS.behaviour, trees))
    seen = [behave(one) for one in populations]
    assert all(np.asarray(each.alive).all() for each in seen)
    children = np.concatenate([np.asarray(each.fingerprint)[2 * (number > 0) :] for number, each in enumerate(seen)])
    assert len(set(children.tolist())) == len(children)
    size = [np.asarray(jax.jit(sizes)(one)) for one in populations]
    for before, after in itertools.pairwise(size):
        np.testing.assert_array_equal(after[:2], np.sort(before)[:2])
    for number in range(24):
        check_tree(LOSS.primitives, jax.tree.map(lambda leaf, i=number: leaf[i], populations[-1]), 17)
    drawn = jax.jit(jax.vmap(LOSS.sample))(jax.random.split(KEY, 24))
    assert not np.asarray(behave(drawn).alive).all()  # it is not that all are


def test_behaviour_tells_what_expressions_do_and_not_how_they_are_written() -> None:
    behave = jax.jit(LOSS.behaviour)

    def of(given: str) -> Any:
        return behave(parse(LOSS.primitives, given, 15))

    same = [
        of(given) for given in ("square(sub(prediction, label))", "mul(sub(label, prediction), sub(label, prediction))")
    ]
    assert same[0].fingerprint == same[1].fingerprint
    assert of("add(square(sub(prediction, label)), label)").fingerprint == same[0].fingerprint  # the same gradient
    assert of("mul(1.01, square(sub(prediction, label)))").fingerprint != same[0].fingerprint
    assert not of("square(label)").alive
    assert not of("sign(sub(prediction, label))").alive
    program = SMALL.decode(parse(SMALL.primitives, "x", 15))
    alive = jax.jit(lambda x: behaviour(program, (x,), ()).alive)
    assert alive(np.ones(2, np.float32))
    assert not alive(np.array([1.0, np.inf], np.float32))


def test_the_smaller_of_equals_comes_first_and_parsimony_is_a_price() -> None:
    strategy = GeneticProgramming(12)
    trees = jax.jit(jax.vmap(SMALL.sample))(jax.random.split(KEY, 12))
    count = np.asarray(jax.jit(sizes)(trees))
    state = jax.jit(lambda: strategy.init(KEY, SMALL))()

    def order(strategy: GeneticProgramming, fitness: Any) -> Any:
        tell = jax.jit(lambda fitness: sizes(strategy.tell(KEY, state, trees, Feedback(fitness)).parents))
        return np.asarray(tell(fitness.astype(np.float32)))

    np.testing.assert_array_equal(order(strategy, np.zeros(12)), np.sort(count))
    large = np.where(count == count.max(), -0.5, 0.0)
    assert order(strategy, large)[0] == count.max()
    assert order(dataclasses.replace(strategy, parsimony=1.0), large)[0] == count.min()


def test_no_candidate_causes_a_compilation_and_the_archive_is_the_front_of_error_and_size() -> None:
    search = em.Search(Curve(), GeneticProgramming(64), seed=3, progress=False)
    search.run(generations=2)
    search.run(generations=4)
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, _, **__: compiled.append(name))
    try:
        result = search.run(generations=30)
        after = [name for name in compiled if "backend_compile" in name]
        jax.jit(lambda x: x + 41.0)(1.0)
        assert any("backend_compile" in name for name in compiled)  # the listener hears
    finally:
        jax.monitoring.clear_event_listeners()
    assert after == []
    assert result.archive is not None
    errors, nodes = np.asarray(result.archive.objectives).T
    assert (np.diff(nodes) > 0).all()
    assert (np.diff(errors) < 0).all()
    assert errors[-1] == pytest.approx(result.best_fitness)
    assert result.best_fitness < 1e-10, str(result.best_omega)


def test_constants_of_the_best_tree_are_tuned() -> None:
    problem = Curve(slope=2.7182817, start="mul(1.0, add(square(x), x))")
    options: dict[str, Any] = {"seed": 0, "progress": False}
    found = em.Search(problem, GeneticProgramming(24, tuned=16), **options).run(generations=60)
    assert found.best_fitness < 1e-6, str(found.best_omega)  # 0.3 for the start, whose constant is 1


@dataclasses.dataclass(frozen=True)
class Likeness(Curve):
    """The same to be maximised, of few primitives."""

    direction = "maximize"

    @property
    def space(self) -> Expression:
        primitives = [p for p in LOSS_PRIMITIVES if p.name in ("add", "mul", "square")]
        return Expression(PrimitiveSet(("x",), tuple(primitives)), max_size=15, start=self.start)

    def evaluate(self, key: Any, omega: Any) -> Any:
        return -super().evaluate(key, omega).fitness


def test_a_gradient_finds_the_constants_of_a_tree() -> None:
    problem = Likeness(slope=2.7182817)
    space = problem.space
    tuning = tuning_evaluator(ConstantTuning(1, 16), problem, space)
    tree = parse(space.primitives, "mul(1.0, add(square(x), mul(0.5, x)))", 15)
    tuned = jax.jit(tuning.tune)(KEY[None], tree)
    np.testing.assert_array_equal(tuned.op, tree.op)
    np.testing.assert_allclose(tuned.constant[jnp.array([1, 6])], [2.7182817, 1.0], rtol=1e-3)
    lost = parse(space.primitives, "mul(1e30, mul(1e30, x))", 15)  # no gradient that is a number
    np.testing.assert_array_equal(jax.jit(tuning.tune)(KEY[None], lost).constant, lost.constant)


def test_trees_tuned_by_gradient_are_candidates_of_the_next_generation() -> None:
    problem = Likeness(slope=2.7182817, start="mul(1.0, add(square(x), x))")
    strategy = GeneticProgramming(24, tuned=4, tuning="gradient")
    search = em.Search(problem, strategy, seed=0, progress=False, devices=1)
    assert search.run(generations=1).best_fitness < -0.1
    found = search.run(generations=3)
    assert found.best_fitness > -1e-9, str(found.best_omega)
    assert found.archive is not None
    assert found.archive.objective_names == ("fitness", "size")
    fitness, nodes = np.asarray(found.archive.objectives).T  # the size is not turned with the direction of the fitness
    np.testing.assert_array_equal(fitness, found.archive.fitness)
    assert (np.diff(fitness) > 0).all()
    assert (np.diff(nodes) > 0).all()
    assert nodes[0] >= 1


def test_constants_are_not_tuned_by_a_gradient_that_there_is_not() -> None:
    class ByHand(HostProblem):
        space = Curve().space

        def evaluate(self, rng: Any, omega: Any) -> float:
            return 0.0

    with pytest.raises(ConfigurationError, match="ByHand is none: it is evaluated by plain Python; use tuning='cmaes'"):
        em.Search(ByHand(), GeneticProgramming(8, tuned=2, tuning="gradient"))
    assert Reevaluated(GeneticProgramming(8, tuned=2)).required_feedback == ()
    with pytest.raises(ConfigurationError, match="is ConstantTuning, which it cannot forward"):
        Reevaluated(GeneticProgramming(8, tuned=2, tuning="gradient"))


def test_lexicase_takes_specialists_and_cases_are_those_of_the_problem() -> None:
    middling = [[5.0, 5.0], [5.1, 4.9], [4.9, 5.1], [5.05, 5.05]]
    cases = jnp.array([[0.0, 9.0], [9.0, 0.0], *middling, [jnp.inf, jnp.inf]])
    chosen = np.bincount(np.asarray(jax.jit(lexicase, static_argnums=2)(KEY, cases, 400)), minlength=7)
    assert chosen[0] + chosen[1] == 400
    assert min(chosen[:2]) > 150
    with pytest.raises(ConfigurationError, match="cases"):
        em.Search(Curve(points=True), GeneticProgramming(48, cases=7), progress=False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GeneticProgramming(1), "to be a whole number of at least 2, got 1"),
        (lambda: GeneticProgramming(4, elites=3, tuned=2), "fewer elites and tuned members than population_size"),
        (lambda: GeneticProgramming(8, tuned=1), "tuned >= 2"),
        (
            lambda: GeneticProgramming(8, tuned=1, tuning="newton"),
            "tuning (which constants they try) to be 'cmaes' or 'gradient', got 'newton'",
        ),  # type: ignore[arg-type]
        (lambda: GeneticProgramming(8, crossover_rate=1.5), "to be a number from 0 to 1, got 1.5"),
        (lambda: GeneticProgramming(8, proposals=0), "to be a whole number of at least 1, got 0"),
        (lambda: GeneticProgramming(8, parsimony=-1.0), "to be a number of at least 0, got -1.0"),
        (lambda: require_space(GeneticProgramming(8), Box((2,))), "searches expressions (Expression), got Box"),
    ],
)
def test_bad_settings_are_refused_in_words(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()


def test_it_begins_anew_where_it_gets_no_further() -> None:
    # Every fitness is the same, so that each third generation is the last of its run.
    space = Expression(PrimitiveSet(("x",)), max_size=15, start="mul(x, x)")
    strategy = Restarts(GeneticProgramming(8, proposals=1), patience=2)

    @jax.jit
    def generation(key: Any, state: Any) -> Any:
        trees, state = strategy.ask(key, state)
        return trees, strategy.tell(key, state, trees, Feedback(jnp.ones(8)))

    state, found = jax.jit(lambda: strategy.init(KEY, space))(), []
    for number in range(7):
        trees, state = generation(jax.random.fold_in(KEY, number), state)
        found.append(jax.device_get(trees))
    assert int(state.restarts) == 2
    begun = parse(space.primitives, "mul(x, x)", 15)
    at_start = [bool((trees.op[0] == begun.op).all()) for trees in found]
    assert at_start[0]
    assert not any(at_start[3::3])  # new runs begin at draws
