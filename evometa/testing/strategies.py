"""The checks of a strategy: what the search relies on, and progress on a sphere."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.evaluation_plan import WindowedEvaluation
from evometa.naming import describe, rebuild
from evometa.spaces import Box, Categorical, Dict, Integer, Space, VectorSpace
from evometa.spaces.base import JOINT
from evometa.strategy import Feedback, Strategy, require_space, tell_population
from evometa.testing.promises import alike, close, compiled, equal, frozen, match, nans, require, traces_to

SEED = 7


def check_strategy(strategy: Strategy[Any], space: Space | None = None, *, generations: int = 60) -> None:
    """Check that a strategy keeps the contract of :class:`~evometa.Strategy`.

    Shapes, types and structure of state and genotypes; purity; ``jit``, loops and ``vmap``, with one compilation for
    all generations; a sound state after failed candidates, ties and extreme fitness, and progress from there; other
    candidates after a generation in which all failed; the same
    bits after an interruption; progress on a sphere, whose optimum is on the bounds where the space has any, and on
    the same with noise, where the space is a vector space. Under ``jax_enable_x64`` the same is asked of float64.

    Args:
        strategy: an instance, with the smallest sensible population.
        space: what to search; None: four unbounded real numbers, or where the strategy refuses those a mixed space.
        generations: how long to search the sphere, more than two.

    Raises:
        ContractError: the first promise that is not kept.
        ConfigurationError: the strategy cannot search the space.
    """
    if space is None:
        space = Box((4,), start=np.zeros(4))
        if strategy.incompatibility(space):
            space = Dict({"real": Box((2,), 0.0, 1.0), "integer": Integer(0, 9), "category": Categorical(3)})
    require_space(strategy, space)
    require(
        not strategy.asks_in_python,
        f"{type(strategy).__name__} asks in plain Python, and only what is compiled is checked",
    )
    _StrategyCheck(strategy, space).run(generations)


class _Searched(NamedTuple):
    """Some generations of a search, and where they ended."""

    state: Any
    genotypes: Any
    """Candidates of the last generation."""
    fitness: Any
    """Their squared distance from the goal ``[P]``."""
    bests: Any
    """Best fitness of each generation ``[G]``."""
    found: Any
    """The fitness, without noise, of what seemed to be the best."""
    center: Any
    """The strategy's center, or None."""
    center_fitness: Any


class _StrategyCheck:
    """The checks of one strategy on one space; everything runs in three programs, since most time is compilation."""

    def __init__(self, strategy: Strategy[Any], space: Space) -> None:
        self.strategy, self.space, self.name = strategy, space, type(strategy).__name__
        self.key = jax.random.key(SEED)
        self.traces = {"init": 0, "search": 0}
        self.begin, self.search = compiled(self.beginning), compiled(self.generations)

    def beginning(self, seed: Any) -> tuple[Any, Any, Any]:
        """Return the state before the first generation, the goal, and the fitness where the space starts."""
        self.traces["init"] += 1
        key = jax.random.key(seed)
        start = self.space.start(key)
        goal = self.goal_from(start)
        return (
            self.strategy.init(key, self.space),
            goal,
            self.fitness(jax.tree.map(lambda leaf: leaf[None], start), goal),
        )

    def goal_from(self, start: Any) -> Any:
        """Return the optimum: the upper bound, or a unit away from the start; None in spaces without vectors."""
        if not isinstance(self.space, VectorSpace):
            return None
        upper = self.space.coordinates.upper
        goal = jnp.where(np.isfinite(upper), np.nan_to_num(upper, posinf=0.0), start + 1.0)
        if self.space.blocks:  # whose optimum is the item with the largest number first
            joint = self.space.coordinates.kind == JOINT
            goal = self.space.repair(jnp.where(joint, jnp.linspace(1.0, 0.0, self.space.size), goal))
        return goal.astype(start.dtype)

    def tell(self, key: Any, state: Any, genotypes: Any, fitness: Any) -> Any:
        """Tell the strategy a fitness, and the other feedback it requires: made up, but consistent with the fitness."""
        return tell_population(
            self.strategy, key, state, genotypes, made_up_feedback(self.strategy, genotypes, fitness)
        )

    def run(self, generations: int) -> None:
        self.declaration()
        self.shapes()
        self.state, self.goal, self.start_fitness = jax.device_get(self.begin(SEED))  # as when it is resumed
        self.vmap(generations)
        self.draws_anew(generations)
        hard = self.hard_fitness(generations)
        require(
            set(self.traces.values()) == {1}, f"{self.name} expects one compilation for all generations: {self.traces}"
        )
        self.searches(generations, hard)

    def declaration(self) -> None:
        size = self.strategy.population_size
        require(frozen(self.strategy), f"{self.name} expects to be a frozen dataclass")
        require(
            isinstance(size, int) and size >= 1,
            f"{self.name}.population_size expects a whole number of at least 1, got {size}",
        )
        require(self.strategy.members_per_task_set >= 0, f"{self.name}.members_per_task_set expects 0 or more")
        rebuilt = rebuild(describe(self.strategy))
        require(
            rebuilt == self.strategy and hash(rebuilt) == hash(self.strategy),
            f"{self.name} expects to be rebuilt from its own fields, equal and with the same hash",
        )

    def shapes(self) -> None:
        key, size = jax.eval_shape(jax.random.key, 0), self.strategy.population_size
        state = jax.eval_shape(lambda k: self.strategy.init(k, self.space), key)
        for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
            where = f"{self.name}'s state{jax.tree_util.keystr(path)}"
            require(not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key), f"{where} expects plain arrays, not keys")
            if jnp.issubdtype(leaf.dtype, jnp.floating):
                wanted = jnp.result_type(float)
                require(leaf.dtype == wanted, f"{where} expects JAX's default float {wanted}, got {leaf.dtype}")
        one = jax.eval_shape(self.space.start, key)
        points = jax.tree.map(lambda s: jax.ShapeDtypeStruct((3, *s.shape), s.dtype), one)
        alike(f"{self.name}.begun's state", state, jax.eval_shape(self.strategy.begun, state, points))
        population = jax.tree.map(lambda s: jax.ShapeDtypeStruct((size, *s.shape), s.dtype), one)
        self.population = population
        asks, (genotypes, asked) = jax.make_jaxpr(self.strategy.ask, return_shape=True)(key, state)
        alike(f"{self.name}.ask's genotypes", population, genotypes)
        alike(f"{self.name}.ask's state", state, asked)
        fitness = jax.ShapeDtypeStruct((size,), jnp.result_type(float))
        feedback = jax.eval_shape(lambda *given: made_up_feedback(self.strategy, *given), genotypes, fitness)
        given = key, asked, genotypes, feedback
        tells, told = jax.make_jaxpr(self.strategy.tell, return_shape=True)(*given)
        alike(f"{self.name}.tell's state", state, told)
        center = jax.eval_shape(self.strategy.center, state)
        if center is not None:
            alike(f"{self.name}.center", one, center)
        stop = jax.eval_shape(self.strategy.stop, state)
        alike(f"{self.name}.stop", jax.ShapeDtypeStruct((), jnp.int32), stop)
        for name, value in jax.eval_shape(self.strategy.diagnostics, state).items():
            require(value.shape == (), f"{self.name}.diagnostics expects scalars, and {name!r} has shape {value.shape}")
        require(
            traces_to(asks, self.strategy.ask, key, state) and traces_to(tells, self.strategy.tell, *given),
            f"{self.name} expects ask and tell to depend on their arguments alone, and two calls compute differently",
        )

    def generations(
        self, goal: Any, state: Any, first: Any, count: Any, noise: Any, told: Any, bests: Any
    ) -> _Searched:
        """Search the sphere; a fitness ``told`` that is not NaN stands in for it."""
        self.traces["search"] += 1

        def one(number: Any, carry: Any) -> Any:
            state, *_, bests, seeming, found = carry
            key_ask, key_tell, key_noise = self.keys(number)
            genotypes, state = self.strategy.ask(key_ask, state)
            values = self.fitness(genotypes, goal)
            noisy = values + noise * jax.random.normal(key_noise, values.shape, values.dtype)
            winner = jnp.argmin(noisy)
            found = jnp.where(noisy[winner] < seeming, values[winner], found)
            seeming = jnp.minimum(noisy[winner], seeming)
            state = self.tell(key_tell, state, genotypes, jnp.where(jnp.isnan(told), noisy, told))
            return state, genotypes, values, bests.at[number].set(jnp.min(values)), seeming, found

        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), self.population)
        infinity = jnp.full((), jnp.inf, bests.dtype)
        begun = state, nothing, jnp.zeros_like(told), bests, infinity, infinity
        state, genotypes, values, bests, _, found = jax.lax.fori_loop(first, first + count, one, begun)
        center = self.strategy.center(state)
        fitness = None if center is None else self.fitness(jax.tree.map(lambda leaf: leaf[None], center), goal)
        return _Searched(state, genotypes, values, bests, found, center, fitness)

    def keys(self, number: Any) -> Any:
        """Return the keys of one generation: to ask, to tell, and of the noise."""
        return jax.random.split(jax.random.fold_in(self.key, number), 3)

    def fitness(self, genotypes: Any, goal: Any) -> Any:
        """Return the squared distance from the goal ``[P]``, or in spaces without vectors the sum of all numbers."""
        if isinstance(self.space, VectorSpace):
            return jnp.sum(
                (jax.vmap(self.space.repair)(genotypes) - goal[None]) ** 2, axis=1, dtype=jnp.result_type(float)
            )
        sizes = [jnp.sum(jnp.abs(leaf), axis=range(1, leaf.ndim)) for leaf in jax.tree.leaves(genotypes)]
        return jnp.asarray(sum(sizes), jnp.result_type(float))

    def many(
        self, state: Any, first: int, count: int, length: int, noise: float = 0.0, told: Any = math.nan
    ) -> _Searched:
        """Search ``count`` of ``length`` generations."""
        dtype = jnp.result_type(float)
        told = np.broadcast_to(np.asarray(told, dtype), (self.strategy.population_size,))
        bests = np.full(length, np.inf, dtype)
        found: _Searched = self.search(self.goal, state, first, count, np.asarray(noise, dtype), told, bests)
        return found

    def hard_fitness(self, length: int) -> dict[str, Any]:
        """Tell fitness that is hard to bear; return the states that a search gets better from."""
        size = self.strategy.population_size
        number, large = np.arange(size), float(jnp.finfo(jnp.result_type(float)).max)
        poor = 1e3 + number  # so that strategies which keep the best find better on the sphere
        cases = {
            "one candidate failed": np.where((number == size // 2) & (size > 1), np.inf, poor),
            "every second candidate failed": np.where(number % 2 == 1, np.inf, poor),
            "all candidates failed but one": np.where(number == 0, poor, np.inf),
            "all candidates failed": np.full(size, np.inf),
            "equal fitness": np.full(size, poor[0]),
            "the largest fitness there is": np.where(number % 2 == 0, large, poor),
            "the largest and the smallest fitness there are": np.where(number % 2 == 0, large, -large),
        }
        states = {}
        for case, fitness in cases.items():
            state = self.many(self.state, 0, 3, length, told=fitness).state
            then = self.many(state, 3, 1, length, told=fitness)
            after = f"after three generations with {case}"
            shown = {"candidates": then.genotypes, "center": then.center}
            for what, tree in shown.items():
                finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(tree)))
                require(finite, f"{self.name} expects finite {what} {after}")
            # What is NaN at the start, such as evosax's best so far, may stay so.
            require(nans(state) <= nans(self.state), f"{self.name} expects no NaN in its state {after}")
            if np.min(fitness) >= poor[0]:
                states[after] = state
        return states

    def draws_anew(self, length: int) -> None:
        """See that what has failed as a whole is not asked for again."""
        failed = self.many(self.state, 0, 1, length, told=np.inf)
        after = failed.state
        if isinstance(self.strategy.evaluation, WindowedEvaluation):  # the episodes of pairs that failed end
            unrolled: Any = self.strategy
            after = compiled(unrolled.begin_episodes)(after, np.ones(self.strategy.population_size // 2, bool))
        require(
            not match(equal, failed.genotypes, self.many(after, 1, 1, length).genotypes),
            f"{self.name} expects to ask for other candidates after a generation in which every candidate failed",
        )

    def vmap(self, length: int) -> None:
        def first(seed: Any, number: Any) -> Any:
            state = self.strategy.init(jax.random.key(seed), self.space)
            return self.strategy.ask(self.keys(number)[0], state)[0]

        second = self.many(jax.device_get(self.begin(SEED + 1)[0]), 1, 1, length).genotypes
        both = compiled(jax.vmap(first))(np.array([SEED, SEED + 1]), np.array([0, 1]))
        batched = jax.tree.map(lambda leaf: np.asarray(leaf)[1], both)
        require(match(close, second, batched), f"{self.name} expects that vmap over searches changes nothing")

    def searches(self, generations: int, hard: dict[str, Any]) -> None:
        """Search in one piece and in two, with noise and from hard states, and see that each got somewhere."""
        whole = self.many(self.state, 0, generations, generations)
        half = jax.device_get(self.many(self.state, 0, 2, generations).state)
        require(
            match(equal, whole.state, self.many(half, 2, generations - 2, generations).state),
            f"{self.name} expects its state to hold all that an interrupted search needs, and resuming changes the end",
        )
        if not isinstance(self.space, VectorSpace):
            return
        first, best = float(whole.bests[0]), float(np.min(whole.bests))
        require(best < first, f"{self.name} expects progress on a sphere, whose best fitness remained {first:.4g}")
        if whole.center is not None:
            before, now = self.start_fitness.item(), whole.center_fitness.item()
            require(now < before, f"{self.name}.center expects progress on a sphere, and went from {before} to {now}")
        drawn = np.asarray(self.many(self.state, 0, 1, generations).fitness)
        typical = float(np.mean(drawn))
        # On a sphere an evolution strategy bears noise of about P/D of the fitness, no more (Arnold & Beyer 2001).
        share = min(0.1, self.strategy.population_size / (4 * self.space.size))
        noise = min(share * typical, float(np.std(drawn)))
        found = self.many(self.state, 0, generations, generations, noise=noise).found
        require(
            float(found) < typical,
            f"{self.name} expects progress on a sphere with noise, and what seemed best has fitness {float(found):.4g} "
            f"where the first generation has {typical:.4g} on average",
        )
        for after, hardened in hard.items():
            worst, *rest = np.asarray(self.many(hardened, 0, generations, generations).bests)
            # A state may already be better than a first generation by luck; then it need not get better at once.
            require(
                min(rest) < max(worst, first),
                f"{self.name} expects progress on a sphere {after}, and the best fitness remained {worst:.4g}",
            )


def made_up_feedback(strategy: Strategy[Any], genotypes: Any, fitness: Any) -> Feedback:
    """Return feedback with all that a strategy requires, from a fitness ``[P]``.

    Two objectives, the fitness and a size; constraints that all candidates keep; two measures between 0 and 1; the
    gradient of a sphere around one.
    """
    failed = ~jnp.isfinite(fitness)
    flat = jnp.concatenate([leaf.reshape(len(fitness), -1) for leaf in jax.tree.leaves(genotypes)], axis=1)
    numbers = jnp.clip(flat, -1e3, 1e3).astype(fitness.dtype)
    size = jnp.mean(numbers**2, axis=1)
    vectors = {
        "objectives": jnp.where(failed[:, None], jnp.inf, jnp.stack([fitness, size], axis=1)),
        "constraints": jnp.where(failed[:, None], jnp.inf, -jnp.ones_like(size)[:, None]),
        "measures": jnp.where(failed[:, None], 0.0, jax.nn.sigmoid(numbers[:, jnp.array([0, -1])])),
        "gradient": jax.tree.map(lambda leaf: jnp.where(failed[:, None], 0.0, 2 * (leaf - 1)), genotypes),
    }
    return Feedback(fitness, **{name: vectors[name] for name in strategy.required_feedback})
