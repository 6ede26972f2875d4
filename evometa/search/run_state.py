"""What a search has done and found so far, in one object that its parts change in turn."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.executors.memory import Memory
from evometa.search.generation import SearchState
from evometa.search.selection import FinalSelection
from evometa.storage.call_log import CallLog
from evometa.storage.failures import Failure
from evometa.storage.history import COUNTS, History
from evometa.storage.result import Counters


@dataclasses.dataclass
class RunState:
    """What a search has done and found so far; the loop advances it, a checkpoint restores it."""

    counters: Counters
    """What is counted over the run's life."""
    state: SearchState | None = None
    """What changes from generation to generation; None before there is anything worth keeping."""
    failures: dict[str, Failure] = dataclasses.field(default_factory=dict)
    """Of what candidates of a plain-Python problem failed, kind by kind."""
    memory: Memory = dataclasses.field(default_factory=Memory)
    """What is known of candidates of a plain-Python problem."""
    calls: CallLog | None = None
    """The candidates of an asynchronous search that no generation contains yet; None of others."""
    selection: FinalSelection = dataclasses.field(default_factory=FinalSelection)
    """Makes the final selections, and remembers what it has evaluated."""
    rows: list[dict[str, NDArray[Any]]] = dataclasses.field(default_factory=list)
    """The history of a search without a run directory: the columns of each dispatch, and its ``seconds``."""

    @property
    def history(self) -> History:
        """The history that is kept in memory."""
        names = [name for name in (self.rows[0] if self.rows else dict.fromkeys(COUNTS)) if name != "seconds"]
        columns = {name: np.concatenate([np.empty(0), *(rows[name] for rows in self.rows)]) for name in names}
        ends = [[rows["generation"][-1], rows["seconds"][0]] for rows in self.rows if len(rows["generation"])]
        generations, seconds = np.array(ends, np.float64).reshape(len(ends), 2).T
        return History(columns, {"generation": generations, "seconds": seconds})
