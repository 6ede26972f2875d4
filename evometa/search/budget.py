"""What a search costs: evaluations and inner steps, counted for generations, validations and the final selection.

The unit that all of them share is the *task*: one ω evaluated on one task (or with one draw, where there are no tasks).
A candidate of a generation takes T of them, a validation as many as it averages. The prices say what each part costs,
and how many tasks the final selection may use: a share of what the search itself has used.
"""

import dataclasses
import math

SHARE = 0.25
"""What validations and final selections may cost by default, as a share of the search's own cost."""
UNBOUNDED = 1e9
"""A share that bounds nothing."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """A number of evaluations, and of learner updates in them."""

    evaluations: int = 0
    inner_steps: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.evaluations + other.evaluations, self.inner_steps + other.inner_steps)

    def __mul__(self, times: int) -> "Cost":
        return Cost(self.evaluations * times, self.inner_steps * times)


@dataclasses.dataclass(frozen=True)
class SelectionPlan:
    """How large a final selection is."""

    candidates: int
    """Candidates that take part, the center and the best so far first."""
    tasks: int
    """Tasks that each is evaluated on, training and held-out ones alike."""
    total: int
    """Tasks in all."""


@dataclasses.dataclass(frozen=True)
class Prices:
    """What the parts of a search cost.

    Args:
        generation: of one generation, as it is planned; what each one took in the end is counted.
        tasks_per_evaluation: T.
        inner_steps_per_task: S, learner updates of one ω on one task; 0 without inner training.
        validation_tasks: tasks of each kind that a validation averages, at most.
        kinds: 2 where there are held-out tasks besides training tasks, otherwise 1.
        validate_every: generations from one validation to the next.
        finalists: candidates kept for the final selection besides the center and the best.
        share: what validations and final selections together may cost, as a share of the search's own cost; 0: there
            are none.
    """

    generation: Cost
    tasks_per_evaluation: int
    inner_steps_per_task: int
    validation_tasks: int
    kinds: int
    validate_every: int
    finalists: int
    share: float

    def of_tasks(self, tasks: int) -> Cost:
        """Return the cost of evaluating one ω on so many tasks; T of them count as one evaluation."""
        return Cost(-(-tasks // self.tasks_per_evaluation), tasks * self.inner_steps_per_task)

    def tasks_of(self, own: Cost) -> int:
        """Return how many tasks a cost of generations is worth."""
        if self.inner_steps_per_task and own.inner_steps:
            return own.inner_steps // self.inner_steps_per_task
        return own.evaluations * self.tasks_per_evaluation

    @property
    def tasks_in_validation(self) -> int:
        """Tasks of each kind that a validation between generations averages: no more than half of the share pays for.

        At least those of one evaluation (or :attr:`validation_tasks`, where they are fewer).
        """
        allowed = self.share / 2 * self.tasks_of(self.generation * self.validate_every) / self.kinds
        return self._within(int(allowed))

    def validations(self, done: int, generations: int) -> int:
        """Return how many validations there are in the generations that follow ``done`` ones."""
        return (done + generations) // self.validate_every - done // self.validate_every

    def selection(self, own: Cost, spent: int, candidates: int | None = None) -> SelectionPlan:
        """Return how large the final selection of a search is.

        Candidates are given up before tasks are fewer than those of one evaluation; the center and the best always take
        part. Held-out tasks are for the center and the selected one.

        Args:
            own: cost of the generations so far.
            spent: tasks that validations and earlier selections took.
            candidates: how many there are; None: as many as there may be.
        """
        count = self.finalists + 2 if candidates is None else candidates
        allowed = int(self.share * self.tasks_of(own)) - spent
        held_out = 2 * (self.kinds - 1)
        least = self._within(0)
        while count > 2 and allowed // (count + held_out) < least:
            count -= 1
        tasks = self._within(allowed // (count + held_out))
        return SelectionPlan(count, tasks, tasks * (count + held_out))

    def _within(self, tasks: int) -> int:
        """Return a number of tasks between that of one evaluation and :attr:`validation_tasks`; few sizes compile.

        A share of 0 pays for none.
        """
        if not self.share:
            return 0
        if tasks >= self.validation_tasks:
            return self.validation_tasks
        least = min(self.tasks_per_evaluation, self.validation_tasks)
        return least if tasks <= least else max(least, 2 ** int(math.log2(tasks)))
