"""Population evaluation: one compiled program for candidates × tasks × inner steps.

The population is split over devices, each device walks its share in *chunks* (``lax.map``), a chunk's candidates and
all their tasks are batched (``vmap``), and inner steps are a ``scan``. A small chunk keeps its working set in a
core's cache, which on a CPU is worth several times the speed of batching the whole population at once.

**What is guaranteed.** Tasks and keys depend on (seed, generation) alone. A chunk is always the same compiled body
over exactly ``chunk`` candidates (the last one is padded, and the padding dropped), so with the same chunk size a
candidate's fitness is equal to the last bit whatever the number of devices and the population around it. Another chunk
size may choose other matrix kernels: the same draws and the same mathematics, equal to rounding.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from evometa.problem import Evaluation, InnerTraining, Problem
from evometa.space import Space
from evometa.types import Genotype, Key, Omega, Task

MEMBERS = "members"


class TaskSet(NamedTuple):
    """The tasks one candidate is judged on, with the keys of their learners; leading axis T."""

    keys: Key
    tasks: Task


def map_chunks(
    function: Callable[[Any, Any], Any], shared: Any, items: Any, *, chunk: int, devices: tuple[jax.Device, ...]
) -> Any:
    """Return ``function(shared, item)`` for every item, in chunks, spread over devices.

    Args:
        function: from what all items share and one item to a pytree of arrays.
        shared: a pytree every device gets whole.
        items: a pytree whose leaves have the same leading axis ``N``.
        chunk: items batched at a time.
        devices: where to run; the items of each are consecutive.

    Returns:
        A pytree with leading axis ``N``.
    """

    def walk(shared: Any, items: Any) -> Any:
        one = functools.partial(function, shared)
        if chunk == 1:
            return _loop(one, items)
        blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, chunk, *leaf.shape[1:]), items)
        results = _loop(jax.vmap(one), blocks)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)

    return spread(walk, shared, items, devices=devices, multiple=chunk)


def spread(
    walk: Callable[[Any, Any], Any], shared: Any, items: Any, *, devices: tuple[jax.Device, ...], multiple: int = 1
) -> Any:
    """Return ``walk(shared, share)`` of each device's share of the items, as one.

    Args:
        walk: from what all items share and consecutive items to a pytree of arrays with the items' leading axis.
        shared: a pytree every device gets whole.
        items: a pytree whose leaves have the same leading axis ``N``.
        devices: where to run.
        multiple: what the number of items on each device is a multiple of; padded, and the padding dropped.

    Returns:
        A pytree with leading axis ``N``.
    """
    count = jax.tree.leaves(items)[0].shape[0]
    padding = -count % (len(devices) * multiple)
    if padding:
        items = jax.tree.map(
            lambda leaf: jnp.concatenate([leaf, jnp.broadcast_to(leaf[:1], (padding, *leaf.shape[1:]))]), items
        )
    if len(devices) > 1:
        split = PartitionSpec(MEMBERS)
        mesh = mesh_of(devices)
        walk = jax.shard_map(walk, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False)
    results = on_every_device(walk(shared, items), devices)
    return jax.tree.map(lambda leaf: leaf[:count], results)


def _loop(function: Callable[[Any], Any], blocks: Any) -> Any:
    """Return the function of each block, computed in a loop that the compiler cannot dissolve.

    A loop of a single round would be fused with what surrounds it, and its arithmetic rounded in another way. So the
    number of rounds is hidden from the compiler, and a single block gets a second one that no round takes.
    """
    count = jax.tree.leaves(blocks)[0].shape[0]
    if count == 1:
        blocks = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), blocks)

    def block(number: int | jax.Array) -> Any:
        return function(jax.tree.map(lambda leaf: leaf[number], blocks))

    def one(number: jax.Array, results: Any) -> Any:
        return jax.tree.map(lambda all_, new: all_.at[number].set(new), results, block(number))

    empty = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), jax.eval_shape(lambda: block(0)))
    return jax.lax.fori_loop(0, jax.lax.optimization_barrier(jnp.int32(count)), one, empty)


def mesh_of(devices: tuple[jax.Device, ...]) -> Mesh:
    """Return the mesh of several devices, its one axis named ``MEMBERS``."""
    return jax.make_mesh((len(devices),), (MEMBERS,), axis_types=(AxisType.Auto,), devices=devices)


def on_every_device(tree: Any, devices: tuple[jax.Device, ...]) -> Any:
    """Give every device the whole of each array, computed by then.

    What is computed from it is then the same program whatever the number of devices: sums have one order, and the
    compiler cannot fuse them into what came before in one way here and in another there.
    """
    if len(devices) > 1:
        tree = jax.lax.with_sharding_constraint(tree, NamedSharding(mesh_of(devices), PartitionSpec()))
    return jax.lax.optimization_barrier(tree)


class Work(NamedTuple):
    """What judging one candidate takes: a function, and the shapes of its two arguments."""

    function: Callable[[Any, Any], Any]
    shared: Any
    """What all candidates share."""
    item: Any
    """What one candidate brings."""


class Judge(Protocol):
    """Judges one ω; what differs between a problem with tasks and one without."""

    def draw(self, key: Key) -> Any:
        """Draw what the candidates of one generation share."""

    def one(self, shared: Any, omega: Omega) -> Evaluation:
        """Judge one ω on what the generation shares; scalars."""

    def trials(self, key: Key, count: int, *, test: bool) -> Any:
        """Draw up to ``count`` trials for a validation; leading axis."""

    def on_trial(self, omega: Omega, trial: Any, *, test: bool) -> Evaluation:
        """Judge one ω on one trial; scalars."""

    @property
    def trials_per_candidate(self) -> int:
        """How many trials cost as much memory as one candidate."""


@dataclasses.dataclass(frozen=True, eq=False)
class TaskJudge:
    """Judges by inner training: the candidates of a generation share T tasks."""

    problem: InnerTraining

    @property
    def trials_per_candidate(self) -> int:
        """T."""
        return self.problem.num_tasks

    def draw(self, key: Key) -> TaskSet:
        """Draw T training tasks."""
        return self.trials(key, self.problem.num_tasks, test=False)

    def one(self, shared: TaskSet, omega: Omega) -> Evaluation:
        """Train a learner on each task; fitness and metrics are means over tasks."""
        results = jax.vmap(functools.partial(self.on_trial, omega))(shared)
        return Evaluation(*jax.tree.map(functools.partial(jnp.mean, axis=0), results))

    def trials(self, key: Key, count: int, *, test: bool) -> TaskSet:
        """Draw tasks and a key for the learners of each."""
        key_tasks, key_learners = jax.random.split(key)
        sample = self.problem.sample_test_task if test else self.problem.sample_task
        return TaskSet(jax.random.split(key_learners, count), jax.vmap(sample)(jax.random.split(key_tasks, count)))

    def on_trial(self, omega: Omega, trial: TaskSet, *, test: bool = False) -> Evaluation:
        """Train a learner on one task."""
        return self.problem.evaluate_task(trial.keys, omega, trial.tasks)


@dataclasses.dataclass(frozen=True, eq=False)
class PlainJudge:
    """Judges by the problem's own function: the candidates of a generation share its key."""

    problem: Problem
    trials_per_candidate: int = 1

    def draw(self, key: Key) -> Key:
        """Return the key itself."""
        return key

    def one(self, shared: Key, omega: Omega) -> Evaluation:
        """Evaluate one ω."""
        return self.on_trial(omega, shared)

    def trials(self, key: Key, count: int, *, test: bool) -> Key:
        """Return the key of a single evaluation, which is all that a problem without tasks asks for."""
        return key[None]

    def on_trial(self, omega: Omega, trial: Key, *, test: bool = False) -> Evaluation:
        """Evaluate one ω, on what is held out if asked to."""
        evaluate: Callable[..., Any] = getattr(self.problem, "evaluate_test") if test else self.problem.evaluate  # noqa: B009
        result = evaluate(trial, omega)
        return result if isinstance(result, Evaluation) else Evaluation(result, {})


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluator:
    """Judges populations, and single genotypes on many tasks, for one problem on chosen devices.

    Args:
        problem: the problem.
        space: its space.
        members_per_task_set: consecutive candidates that share tasks; 0 for all.
        chunk: candidates batched at a time on each device.
        devices: the devices to spread the population over.
    """

    problem: Problem | InnerTraining
    space: Space
    members_per_task_set: int
    chunk: int
    devices: tuple[jax.Device, ...]

    @property
    def judge(self) -> Judge:
        """What judges one ω."""
        return TaskJudge(self.problem) if isinstance(self.problem, InnerTraining) else PlainJudge(self.problem)

    def omega(self, genotype: Genotype) -> Omega:
        """Return what a genotype stands for."""
        return self.space.decode(self.space.repair(genotype))

    def work(self) -> Work:
        """Return what judging one candidate takes."""
        key = jax.eval_shape(jax.random.key, 0)
        judge = self.judge

        def one(shared: Any, genotype: Genotype) -> Evaluation:
            return judge.one(shared, self.omega(genotype))

        return Work(one, jax.eval_shape(judge.draw, key), jax.eval_shape(self.space.sample, key))

    def population(self, key: Key, genotypes: Genotype) -> Evaluation:
        """Judge a population of genotypes ``[P, ...]``; fitness and metrics have shape ``[P]``."""
        judge, count = self.judge, jax.tree.leaves(genotypes)[0].shape[0]
        items: Any = genotypes
        omega: Callable[[Any], Omega] = self.omega
        if hasattr(self.problem, "evaluate_population") and not self.members_per_task_set:
            together = self.problem.evaluate_population
            return spread(lambda key, own: together(key, jax.vmap(self.omega)(own)), key, items, devices=self.devices)
        if self.space.branches:  # not in turning genotypes into ω, which is cheaper for all at once
            items, omega = jax.vmap(self.omega)(genotypes), lambda one: one
        if not self.members_per_task_set:
            alone = self._map(lambda shared, item: judge.one(shared, omega(item)), judge.draw(key), items, self.chunk)
            return Evaluation(*alone)
        sets = -(-count // self.members_per_task_set)
        shared = jax.vmap(judge.draw)(jax.random.split(key, sets))

        def one(shared: Any, item: Any) -> Evaluation:
            number, own = item
            return judge.one(jax.tree.map(lambda leaf: leaf[number], shared), omega(own))

        numbered = (jnp.arange(count) // self.members_per_task_set, items)
        return Evaluation(*self._map(one, shared, numbered, self.chunk))

    def validate(self, key: Key, genotype: Genotype, count: int, *, test: bool) -> Evaluation:
        """Judge one genotype on ``count`` fresh tasks of the training or the held-out distribution; scalars.

        A problem without tasks is evaluated once.
        """
        judge = self.judge
        results = self._map(
            functools.partial(judge.on_trial, test=test),
            self.omega(genotype),
            judge.trials(key, count, test=test),
            min(count, self.chunk * judge.trials_per_candidate),
        )
        return Evaluation(*jax.tree.map(functools.partial(jnp.mean, axis=0), results))

    def _map(self, function: Callable[[Any, Any], Any], shared: Any, items: Any, chunk: int) -> Any:
        return map_chunks(function, shared, items, chunk=chunk, devices=self.devices)


class Judging(Protocol):
    """How a strategy has its population judged, generation after generation."""

    @property
    def inner_steps_per_evaluation(self) -> int:
        """Learner updates that judging one candidate in one generation costs."""

    def work(self) -> Work:
        """Return what judging one candidate takes."""

    def initial(self) -> Any:
        """Return what is carried into the first generation, a pytree of arrays; part of every checkpoint."""

    def prepare(self, state: Any, carried: Any) -> tuple[Any, Any]:
        """Return the strategy's state and what is carried, as they are before a population is asked for."""

    def population(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> tuple[Evaluation, Any]:
        """Judge a population.

        Args:
            root: key of the search, the same in every generation.
            key: key of the generation.
            carried: from the generation before.
            genotypes: ``[P, ...]``.

        Returns:
            The judgements, leading axis P, and what is carried into the next generation.
        """


@dataclasses.dataclass(frozen=True, eq=False)
class Whole:
    """Judges each population from scratch, as the problem says; nothing is carried."""

    evaluator: Evaluator

    @property
    def inner_steps_per_evaluation(self) -> int:
        """The problem's own."""
        return self.evaluator.problem.inner_steps_per_evaluation

    def work(self) -> Work:
        """Return what judging one candidate takes."""
        return self.evaluator.work()

    def initial(self) -> tuple[()]:
        """Return nothing."""
        return ()

    def prepare(self, state: Any, carried: Any) -> tuple[Any, Any]:
        """Return both as they are."""
        return state, carried

    def population(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> tuple[Evaluation, Any]:
        """Judge a population on the generation's tasks."""
        return self.evaluator.population(key, genotypes), carried
