"""Pruning of plain-Python problems: calls report how they are doing, and bad ones are stopped.

A problem calls :meth:`evometa.HostProblem.report` while it trains. What is stopped is decided by *cutoffs* that travel
with each call: losses that it must not exceed after given steps. They follow from what candidates of earlier
generations have reported, in the order of the candidates. So no call waits for another, executors need to know nothing
of it, and a history is the same whatever the number of workers, wherever they are, and whichever is faster.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evometa.errors import ConfigurationError
from evometa.settings import Checked, Count, Natural, Several

Losses = tuple[float, ...]
"""What one report says, to be minimised: the fitness alone, or all objectives."""
Reports = Sequence[tuple[int, Losses]]
"""What a call reported: steps, ascending, and the losses after them."""


class Cutoff(NamedTuple):
    """What a call is held against after one step."""

    step: int
    places: int
    """It continues where fewer of the others are better (with several objectives: in a better front)."""
    others: tuple[Losses, ...]


class Cutoffs(NamedTuple):
    """What a call is held against."""

    best: bool
    """Whether the best loss so far is compared, instead of the newest."""
    after: tuple[Cutoff, ...] = ()
    """By steps, ascending; a report that comes later than a step is held against it, and of several only the last."""
    objectives: bool = False
    """Whether losses are the objectives, instead of the fitness."""

    def stops(self, reports: Reports) -> bool:
        """Return whether a call that has reported this is to be stopped after its newest report."""
        step, losses = reports[-1]
        before = reports[-2][0] if len(reports) > 1 else -1
        passed = [cutoff for cutoff in self.after if before < cutoff.step <= step]
        if self.best:
            losses = min(losses for _, losses in reports)
        return bool(passed) and _better(passed[-1].others, losses) >= passed[-1].places


def _better(others: Sequence[Losses], losses: Losses) -> int:
    """Return how many of others are in better fronts (Deb et al. 2002) than losses; of single ones, are smaller."""
    left = list(others)
    while any(_dominates(other, losses) for other in left):
        left = [one for one in left if any(_dominates(other, one) for other in left)]
    return len(others) - len(left)


def _dominates(one: Losses, other: Losses) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


class Pruning(metaclass=Checked):
    """Decides which calls of a plain-Python problem are stopped; the base of :class:`ASHA` and :class:`MedianPruning`.

    What it knows of earlier candidates is a list of losses for each step, the newest last.
    """

    window: int
    """The newest candidates, at each step, that are compared with."""

    @abc.abstractmethod
    def cutoffs(self, known: Mapping[str, Sequence[Losses]]) -> Cutoffs:
        """Return what the calls of a generation are held against.

        Args:
            known: losses of earlier candidates by step, as text.
        """

    @abc.abstractmethod
    def kept(self, reports: Reports, *, stopped: bool) -> Mapping[int, Losses]:
        """Return which losses of a candidate later ones are compared with, by step."""

    def learn(self, known: dict[str, list[Losses]], reports: Reports, *, stopped: bool) -> None:
        """Add what a candidate has reported to what is known, in place."""
        for step, losses in self.kept(reports, stopped=stopped).items():
            all_ = known.setdefault(str(step), [])
            all_.append(tuple(losses))
            del all_[: -self.window]

    @classmethod
    def from_word(cls, word: str) -> "Pruning":
        """Return what ``--pruning`` means: ``median`` or ``asha``, with or without settings: ``asha:reduction=4``."""
        name, _, rest = word.partition(":")
        kinds = _kinds()
        settings = [part.partition("=") for part in rest.split(",") if part]
        if name not in kinds or not all(value.isdecimal() for _, _, value in settings):
            raise ConfigurationError(
                "--pruning expects median or asha, with settings where needed, such as asha:reduction=4,window=50, got "
                f"{word}."
            )
        return kinds[name](**{key: int(value) for key, _, value in settings})

    def as_word(self) -> str:
        """Return the word that means this, by which a run directory keeps it.

        Raises:
            ConfigurationError: it is of a class of the user's own.
        """
        name = next((name for name, kind in _kinds().items() if type(self) is kind), None)
        if name is None:
            raise ConfigurationError(
                f"A run directory keeps ASHA and MedianPruning, got {type(self).__name__}; search without one."
            )
        return f"{name}:{','.join(f'{key}={value}' for key, value in vars(self).items())}"


@dataclasses.dataclass(frozen=True)
class ASHA(Pruning):
    """Stop all but the best 1/reduction at each rung: asynchronous successive halving (Li et al. 2020).

    Rungs are after first, first · reduction, first · reduction², ... steps. At each of them a candidate continues if it
    is among the best 1/reduction of itself and the newest candidates of earlier generations that got there. Where the
    paper compares with all that have arrived by then, this depends on the order of the candidates alone; so the first
    generation is not pruned. With several objectives, the best are those in a front behind fewer than a third of them.

    Args:
        first: the step of the first rung.
        reduction: how many times fewer candidates go further, with as many times more steps to the next rung.
        window: the newest candidates that got to a rung which are compared there; larger ones prune less while a search
            improves.
    """

    first: Count = 1
    reduction: Several = 3
    window: Count = 30

    def cutoffs(self, known: Mapping[str, Sequence[Losses]]) -> Cutoffs:
        """Return the others at each rung; of single losses only the worst that is among the best."""
        found = []
        for step, others in sorted((int(step), sorted(map(tuple, losses))) for step, losses in known.items()):
            promoted = -(-(len(others) + 1) // self.reduction)
            if promoted > len(others):
                continue
            single = len(others[0]) == 1
            found.append(Cutoff(step, 1, (others[promoted - 1],)) if single else Cutoff(step, promoted, tuple(others)))
        return Cutoffs(best=False, after=tuple(found))

    def kept(self, reports: Reports, *, stopped: bool) -> Mapping[int, Losses]:
        """Return the first losses at or after each rung."""
        found: dict[int, Losses] = {}
        rung = self.first
        for step, losses in reports:
            while rung <= step:
                found[rung] = losses
                rung *= self.reduction
        return found


@dataclasses.dataclass(frozen=True)
class MedianPruning(Pruning):
    """Stop a candidate whose best loss so far is above the median of the others at its step, as Optuna's median pruner.

    The others are candidates of earlier generations that went to the end.

    Args:
        startup: candidates that must have gone to the end before any is stopped.
        warmup: steps before which none is stopped.
        window: the newest such candidates that are compared.
    """

    startup: Natural = 5
    warmup: Natural = 0
    window: Count = 100

    def cutoffs(self, known: Mapping[str, Sequence[Losses]]) -> Cutoffs:
        """Return the median after each step."""
        steps = {int(step): sorted(loss for (loss,) in losses) for step, losses in known.items()}
        if max(map(len, steps.values()), default=0) < self.startup:
            return Cutoffs(best=True)
        late = [step for step in sorted(steps) if step >= self.warmup]
        return Cutoffs(best=True, after=tuple(Cutoff(step, 1, ((_median(steps[step]),),)) for step in late))

    def kept(self, reports: Reports, *, stopped: bool) -> Mapping[int, Losses]:
        """Return all losses of a candidate that went to the end."""
        return {} if stopped else dict(reports)


def _kinds() -> dict[str, type[Pruning]]:
    return {"asha": ASHA, "median": MedianPruning}


def _median(ascending: Sequence[float]) -> float:
    half, odd = divmod(len(ascending), 2)
    return ascending[half] if odd else math.fsum((0.5 * ascending[half - 1], 0.5 * ascending[half]))
