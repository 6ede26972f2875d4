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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

from evometa.problem import Evaluation, InnerTraining, Problem
from evometa.spaces import Space
from evometa.types import Genotype, Key, Task

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
    count = jax.tree.leaves(items)[0].shape[0]
    chunks = -(-count // (len(devices) * chunk))
    padding = len(devices) * chunks * chunk - count

    def walk(shared: Any, items: Any) -> Any:
        one = functools.partial(function, shared)
        if chunk == 1:
            return jax.lax.map(one, items)
        blocks = jax.tree.map(lambda leaf: leaf.reshape(chunks, chunk, *leaf.shape[1:]), items)
        results = jax.lax.map(jax.vmap(one), blocks)
        return jax.tree.map(lambda leaf: leaf.reshape(chunks * chunk, *leaf.shape[2:]), results)

    if padding:
        items = jax.tree.map(
            lambda leaf: jnp.concatenate([leaf, jnp.broadcast_to(leaf[:1], (padding, *leaf.shape[1:]))]), items
        )
    if len(devices) > 1:
        # Results are gathered before anyone reduces over them: sums over candidates then have one order, whatever
        # the number of devices.
        mesh = jax.make_mesh((len(devices),), (MEMBERS,), axis_types=(AxisType.Auto,), devices=devices)
        split = PartitionSpec(MEMBERS)
        walk = jax.shard_map(walk, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False)
        results = replicate(walk(shared, items), mesh)
    else:
        results = walk(shared, items)
    return jax.tree.map(lambda leaf: leaf[:count], results)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Give every device of a mesh the whole of each array."""
    return jax.lax.with_sharding_constraint(tree, jax.sharding.NamedSharding(mesh, PartitionSpec()))


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

    def population(self, key: Key, genotypes: Genotype) -> Evaluation:
        """Judge a population of genotypes ``[P, ...]``; fitness and metrics have shape ``[P]``."""
        count = jax.tree.leaves(genotypes)[0].shape[0]
        if not self.members_per_task_set:
            shared = self.draw(key)
            return Evaluation(*self._map(self.judge, shared, genotypes))
        sets = -(-count // self.members_per_task_set)
        shared = jax.vmap(self.draw)(jax.random.split(key, sets))

        def one(shared: Any, item: Any) -> Evaluation:
            number, genotype = item
            return self.judge(jax.tree.map(lambda leaf: leaf[number], shared), genotype)

        return Evaluation(*self._map(one, shared, (jnp.arange(count) // self.members_per_task_set, genotypes)))

    def draw(self, key: Key) -> TaskSet | Key:
        """Draw what a generation's candidates share: T tasks for inner training, else just the key."""
        if isinstance(self.problem, InnerTraining):
            return draw_tasks(self.problem, key, self.problem.num_tasks, test=False)
        return key

    def judge(self, shared: TaskSet | Key, genotype: Genotype) -> Evaluation:
        """Judge one genotype on what the generation shares; scalars."""
        omega = self.space.decode(self.space.repair(genotype))
        if not isinstance(self.problem, InnerTraining):
            return as_evaluation(self.problem.evaluate(shared, omega))
        one = functools.partial(_on_task, self.problem, omega)
        return Evaluation(*jax.tree.map(functools.partial(jnp.mean, axis=0), jax.vmap(one)(shared)))

    def validate(self, key: Key, genotype: Genotype, count: int, *, test: bool) -> Evaluation:
        """Judge one genotype on ``count`` fresh tasks of the training or the held-out distribution; scalars.

        A problem without tasks is evaluated once.
        """
        if not isinstance(self.problem, InnerTraining):
            omega = self.space.decode(self.space.repair(genotype))
            return as_evaluation((self.problem.evaluate_test if test else self.problem.evaluate)(key, omega))  # type: ignore[union-attr]

        def one(genotype: Genotype, task: Any) -> Evaluation:
            assert isinstance(self.problem, InnerTraining)
            return _on_task(self.problem, self.space.decode(self.space.repair(genotype)), task)

        tasks = draw_tasks(self.problem, key, count, test=test)
        results = self._map(one, genotype, tasks, chunk=min(count, self.chunk * self.problem.num_tasks))
        return Evaluation(*jax.tree.map(jnp.mean, results))

    def _map(self, function: Callable[[Any, Any], Any], shared: Any, items: Any, chunk: int | None = None) -> Any:
        return map_chunks(function, shared, items, chunk=chunk or self.chunk, devices=self.devices)


def _on_task(problem: InnerTraining, omega: Any, task: TaskSet) -> Evaluation:
    return problem.evaluate_task(task.keys, omega, task.tasks)


def draw_tasks(problem: InnerTraining, key: Key, count: int, *, test: bool) -> TaskSet:
    """Draw ``count`` tasks and a key for the learners of each; leading axis ``count``."""
    key_tasks, key_learners = jax.random.split(key)
    sample = problem.sample_test_task if test else problem.sample_task
    return TaskSet(jax.random.split(key_learners, count), jax.vmap(sample)(jax.random.split(key_tasks, count)))


def as_evaluation(result: Any) -> Evaluation:
    """Give a bare fitness the form of an evaluation without metrics."""
    return result if isinstance(result, Evaluation) else Evaluation(result, {})
