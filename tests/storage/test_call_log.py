"""The log of an asynchronous search is JSON that others read, and what is read back from it is what was written."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa.errors import EvometaWarning
from evometa.executors.executor import Outcome, failed
from evometa.storage.call_log import CALLS, CallLog

OUTCOMES = [
    Outcome(
        0.1 + 0.2,
        {"loss": math.nan, "size": -math.inf, "steps": 3.0},
        None,
        {"objectives": [1e-300, 2.0]},
        seconds=1 / 3,
    ),
    failed("raised: ValueError: ä", "Traceback\n  ...", kind="raised"),
    Outcome(-0.0, {}, None, evaluations=2, drew=False, reports=[(1, (0.5,)), (2, (0.25,))], stopped_at=2),
]


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, lines: bytes) -> None:
        with (self.path / CALLS).open("ab") as file:
            file.write(lines)


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is not JSON")


def test_everything_is_read_back_to_the_bit(tmp_path: Path) -> None:
    genotypes = [(np.float64(1 / 3) * np.arange(3), np.int32(number)) for number in range(4)]
    log = CallLog()
    log.begin(Folder(tmp_path), genotypes[0], after=0)
    for number, genotype in enumerate(genotypes):
        assert log.ask(genotype, [(0, 3, number)]) == number
    for number, outcome in zip((2, 0, 3), OUTCOMES, strict=True):
        log.complete(number, [outcome])
    for line in (tmp_path / CALLS).read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    again = CallLog()
    again.begin(Folder(tmp_path), genotypes[0], after=1)
    assert (again.asked, list(again.open)) == (4, [1])
    assert [candidate.number for candidate in again.completed] == [0, 3]
    np.testing.assert_equal([candidate.outcomes[0] for candidate in log.completed], OUTCOMES)
    np.testing.assert_equal([candidate.outcomes[0] for candidate in again.completed], OUTCOMES[1:])
    for candidate in again.completed:
        for leaf, other in zip(candidate.genotype, genotypes[candidate.number], strict=True):
            assert (leaf.dtype, leaf.tobytes()) == (other.dtype, other.tobytes())
    first = CallLog()
    first.begin(Folder(tmp_path), genotypes[0], after=0)
    np.testing.assert_equal(first.completed[0].outcomes[0], OUTCOMES[0])
    assert math.copysign(1.0, first.completed[2].outcomes[0].fitness) == -1.0


@pytest.mark.parametrize(
    "line",
    ["[1]", '{"completed": 0, "outcomes": []}', '{"completed": 0, "outcomes": [{"fitness": "a"}]}', '{"asked": 1}'],
)
def test_a_line_that_says_nothing_sound_ends_the_log(line: str, tmp_path: Path) -> None:
    sound = '{"asked": 0, "seed": [[0]], "genotype": [[1.0]]}\n'
    (tmp_path / CALLS).write_text(f"{sound}{line}\n")
    log = CallLog()
    with pytest.warns(EvometaWarning, match="are damaged; the calls that they recorded are made again"):
        log.begin(Folder(tmp_path), np.zeros(1), after=0)
    assert (list(log.open), log.completed) == ([0], [])
    assert (tmp_path / CALLS).read_text() == sound
