"""What the ranks of a search agree on after each dispatch, before anything follows from it.

The ranks compute the same numbers, but each has a clock of its own, and only one of them may have been asked to stop or
have found the disk full. So each tells the others how it stands; then all decide alike, by the clock of rank 0. A
search in one process agrees with itself.
"""

import time
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.backend import ranks
from evometa.errors import EvaluationError
from evometa.storage.files import NotWritten


class Standing(NamedTuple):
    """How a rank stands after a dispatch, and how all of them do."""

    seconds: float
    """Seconds of search so far."""
    now: float
    """The time on a monotonic clock."""
    spent: float
    """Seconds that the dispatch took."""
    interrupted: bool
    """Whether a signal asks the search to end."""
    asked: bool
    """Whether a callback does."""
    lost: bool
    """Whether rows could not be written."""
    digest: int
    """Of the rows of the dispatch."""


def digest(values: NDArray[np.generic], generation: int) -> int:
    """Return a number that tells the rows of a dispatch from other ones."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes(), generation) if ranks.count() > 1 else 0


def now() -> float:
    """Return the time on the monotonic clock of rank 0."""
    here = time.monotonic()
    return here if ranks.count() == 1 else float(ranks.agree([here])[0, 0])


def reach(own: Standing) -> Standing:
    """Return how all ranks stand, once every rank has said how it stands.

    Raises:
        EvaluationError: the ranks have not computed the same numbers.
    """
    if ranks.count() == 1:
        return own
    told = ranks.agree(own)
    other = np.flatnonzero(told[:, Standing._fields.index("digest")] != told[0, Standing._fields.index("digest")])
    if other.size:
        raise EvaluationError(
            f"The ranks of a search are expected to compute the same numbers to the last bit, and rank {other[0]} has "
            "computed other ones than rank 0, so their processors, versions of JAX or code differ; start all ranks on "
            "the same kind of machine with the same environment, then resume the run."
        )
    flags = {name: bool(told[:, Standing._fields.index(name)].any()) for name in ("interrupted", "asked", "lost")}
    return Standing(*told[0].tolist())._replace(**flags)


def require_written(error: NotWritten | None, *, lost: bool) -> None:
    """Raise NotWritten where rank 0, which writes, could not.

    Args:
        error: what it met; None on the other ranks, and where all went well.
        lost: whether there was an error, as all ranks agreed.
    """
    if error is not None:
        raise error
    if lost:
        raise NotWritten("Rank 0 could no longer write to the run directory; it says why.")
