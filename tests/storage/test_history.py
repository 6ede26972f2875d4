"""The history's files hold exactly the recorded rows, whatever happened in between."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evometa import RunDirectoryError
from evometa.storage import history
from evometa.storage.history import COUNTS, HISTORY, TIMING, Table, format_rows

COLUMNS = (*COUNTS, "best", "held_out")


def rows(first: int, last: int) -> bytes:
    number = np.arange(first, last + 1)
    counts = np.stack([number, 8 * number, 24 * number, number % 3], axis=1)
    values = np.stack([1.0 / number, np.where(number % 2, np.nan, number)], axis=1).astype(np.float32)
    return format_rows(counts, values)


def written(folder: Path, *pieces: bytes, after: int = 0) -> bytes:
    table = Table(folder / HISTORY, COLUMNS, after=after)
    for piece in pieces:
        table.append(piece)
    table.flush()
    table.close()
    return (folder / HISTORY).read_bytes()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_numbers_are_read_back_to_the_bit(data: Any) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    shape = (data.draw(st.integers(1, 4)), 3)
    counts = data.draw(arrays.arrays(np.int64, (shape[0], 2)))
    values = data.draw(arrays.arrays(dtype, shape))
    cells = [line.split(b",") for line in format_rows(counts, values).splitlines()]
    found = np.array([[float(cell) if cell else math.nan for cell in line[2:]] for line in cells]).astype(dtype)
    assert [[int(cell) for cell in line[:2]] for line in cells] == counts.tolist()
    finite = np.isfinite(values)
    assert found[finite].tobytes() == values[finite].tobytes()
    assert np.isnan(found[~finite]).all()  # empty cells


def test_pandas_reads_the_history(tmp_path: Path) -> None:
    written(tmp_path, rows(1, 5))
    frame = pd.read_csv(tmp_path / HISTORY)
    assert list(frame) == list(COLUMNS)
    assert frame["generation"].tolist() == [1, 2, 3, 4, 5]
    assert frame["inner_steps"].dtype == np.int64
    np.testing.assert_array_equal(frame["held_out"], [math.nan, 2.0, math.nan, 4.0, math.nan])
    np.testing.assert_array_equal(frame["best"].astype(np.float32), (1 / np.arange(1, 6)).astype(np.float32))


def test_pieces_and_interruptions_leave_no_trace(tmp_path: Path) -> None:
    whole = written(tmp_path, rows(1, 120))
    (tmp_path / HISTORY).unlink()
    written(tmp_path, rows(1, 30), rows(31, 31), rows(32, 70))
    written(tmp_path, rows(41, 99), after=40)  # the checkpoint was of generation 40
    assert written(tmp_path, rows(100, 120), after=99) == whole
    assert written(tmp_path, rows(1, 120), after=0) == whole  # and none at all: from the start


@pytest.mark.parametrize("kept", [0, 1, 9, 10, 11, 99, 120])
def test_rows_beyond_the_checkpoint_are_cut_wherever_it_is(tmp_path: Path, kept: int) -> None:
    written(tmp_path, rows(1, 120))
    assert written(tmp_path, after=kept) == ",".join(COLUMNS).encode() + b"\n" + (rows(1, kept) if kept else b"")


def test_a_long_history_is_cut_and_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_BLOCK", 100)  # several blocks from the end to the checkpoint
    whole = written(tmp_path, rows(1, 120))
    inode = (tmp_path / HISTORY).stat().st_ino
    assert written(tmp_path, after=120) == whole
    assert written(tmp_path, rows(41, 120), after=40) == whole
    assert (tmp_path / HISTORY).stat().st_ino == inode


def test_an_incomplete_row_is_dropped(tmp_path: Path) -> None:
    for part in (b"6,48,1", b"6", b"6,48,144,0,0.1666,", rows(6, 6)[:-1]):
        whole = written(tmp_path, rows(1, 5))
        (tmp_path / HISTORY).write_bytes(whole + part)
        (tmp_path / TIMING).write_text("generation,seconds\n5,1.5\n")
        assert len(history.read(tmp_path)) == 5
        assert written(tmp_path, rows(6, 9), after=5) == written(tmp_path, after=9)
        (tmp_path / HISTORY).unlink()


def test_a_history_that_lost_rows_is_refused_not_continued_with_a_gap(tmp_path: Path) -> None:
    written(tmp_path, rows(1, 5))
    with pytest.raises(RunDirectoryError, match="expected to reach generation 8, where the checkpoint is"):
        Table(tmp_path / HISTORY, COLUMNS, after=8)
    (tmp_path / HISTORY).unlink()
    with pytest.raises(RunDirectoryError, match="expected to reach generation 8"):
        Table(tmp_path / HISTORY, COLUMNS, after=8)


@pytest.mark.parametrize("damaged", [b"\xec\x00\x82\n\xd4,1\n", b"generation,evaluations\nx,1\n", b"a\rb\n"])
@pytest.mark.parametrize("complete", [True, False])
def test_a_damaged_table_is_refused_and_left_as_it_is(damaged: bytes, complete: bool, tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_bytes(damaged)
    remedy = "or start a new run" if complete else "or remove it"
    with pytest.raises(RunDirectoryError, match=f"is damaged; restore the file from a copy, {remedy}"):
        Table(tmp_path / HISTORY, COLUMNS, after=5, complete=complete)
    assert (tmp_path / HISTORY).read_bytes() == damaged
    (tmp_path / TIMING).write_bytes(b"generation,seconds\n")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        history.read(tmp_path)


def test_an_emptied_table_is_no_history(tmp_path: Path) -> None:
    written(tmp_path, rows(1, 5))
    (tmp_path / TIMING).write_bytes(b"")
    with pytest.raises(RunDirectoryError, match=f"{TIMING} was expected to hold a run's history and cannot be read"):
        history.read(tmp_path)


def test_other_columns_are_refused_without_changing_the_file(tmp_path: Path) -> None:
    before = written(tmp_path, rows(1, 5))
    with pytest.raises(RunDirectoryError, match="continue the run with the version that began it"):
        Table(tmp_path / HISTORY, (*COUNTS, "best"), after=5)
    assert (tmp_path / HISTORY).read_bytes() == before


def test_names_with_commas_and_quotes_are_columns_like_others(tmp_path: Path) -> None:
    columns = (*COUNTS, "best/error, top-5", 'strategy/the "good" share')
    Table(tmp_path / HISTORY, columns, after=0).close()
    with open(tmp_path / HISTORY, "ab") as file:
        file.write(rows(1, 3))
    Table(tmp_path / TIMING, ("generation", "seconds"), after=0).close()
    assert list(pd.read_csv(tmp_path / HISTORY)) == list(columns) == list(history.read(tmp_path).columns)
    before = (tmp_path / HISTORY).read_bytes()
    Table(tmp_path / HISTORY, columns, after=3).close()
    assert (tmp_path / HISTORY).read_bytes() == before


def test_commas_in_the_names_of_older_histories_are_recognised(tmp_path: Path) -> None:
    columns = (*COUNTS, "best/error, top-5, best", "feasible")
    (tmp_path / HISTORY).write_bytes(",".join(columns).encode() + b"\n" + rows(1, 3))
    (tmp_path / TIMING).write_text("generation,seconds\n")
    assert list(history.read(tmp_path).columns) == list(columns)
    np.testing.assert_array_equal(history.read(tmp_path)["feasible"], [np.nan, 2.0, np.nan])
    Table(tmp_path / HISTORY, columns, after=2).close()
    assert (tmp_path / HISTORY).read_text().startswith('generation,evaluations,inner_steps,failed,"best/error, ')
    assert len(history.read(tmp_path)) == 2


def test_reading_gives_columns_and_the_time_of_each_generation(tmp_path: Path) -> None:
    written(tmp_path, rows(1, 6))
    (tmp_path / TIMING).write_text("generation,seconds\n2,1\n6,3\n")
    found = history.read(tmp_path)
    assert len(found) == 6
    assert "held_out" in found
    assert "strategy/sigma" not in found
    assert found["failed"].dtype == np.int64
    np.testing.assert_allclose(found["best"], 1 / np.arange(1, 7), rtol=1e-6)
    np.testing.assert_allclose(found.seconds, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    written(tmp_path)
    assert len(history.read(tmp_path)) == 0


def test_a_folder_without_a_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="expected to hold a run's history and cannot be read"):
        history.read(tmp_path)


@pytest.mark.parametrize("count", [1, 40, 2000])
def test_the_newest_values_are_those_of_the_last_rows(count: int, tmp_path: Path) -> None:
    assert history.newest(tmp_path) is None
    written(tmp_path, rows(1, count))
    (tmp_path / TIMING).write_bytes(b"generation,seconds\n1,0.5\n2,0.7\n3,")
    with open(tmp_path / HISTORY, "ab") as file:
        file.write(b"9999,1")  # a row that is being written
    found, whole = history.newest(tmp_path), history.read(tmp_path)
    assert found is not None
    assert (found["generation"], found["seconds"]) == (count, 0.7)
    for name in COLUMNS:
        known = whole[name][np.isfinite(whole[name])]
        np.testing.assert_equal(found[name], known[-1] if known.size else math.nan)
    (tmp_path / HISTORY).write_bytes(b"generation,best\n" + bytes(3 * 2**20))
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        history.newest(tmp_path)


def test_a_notebook_shows_both_ends_and_leaves_missing_numbers_empty() -> None:
    numbers = np.arange(1.0, 13.0)
    columns = {"generation": numbers, "held_out": np.where(numbers == 12, 0.25, np.nan), "center": numbers * np.nan}
    table = history.History(columns, {})._repr_html_()
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    assert cells[:5] == [[f"{number}", ""] for number in range(1, 6)]
    assert cells[5] == ["⋮", "⋮"]
    assert cells[6:] == [[f"{number}", ""] for number in range(8, 12)] + [["12", "0.25"]]
    assert "center" not in table  # was never measured
