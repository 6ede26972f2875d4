"""CSV files as other programs write them are read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evometa import ConfigurationError
from evometa.problems.functions.csv_tables import Columns, identifiers, read_columns

FRAME = pd.DataFrame({"témp": [0.5, -1.25, 3e-7, 40.0], "y": [1.0, 2.0, 3.5, -4.0]})


def read(
    path: Path,
    content: str | bytes,
    *,
    label: str = "",
    columns: tuple[str, ...] = (),
    weights: str = "",
    header: bool = True,
    drop_missing: bool = False,
) -> Columns:
    file = path / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_columns(file, label=label, columns=columns, weights=weights, header=header, drop_missing=drop_missing)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(tmp_path: Path, encoding: str, line_end: str) -> None:
    found = read(tmp_path, FRAME.to_csv(index=False, lineterminator=line_end).encode(encoding))
    assert (found.names, found.label_name) == (("témp",), "y")
    np.testing.assert_array_equal(found.columns[0], FRAME["témp"])
    np.testing.assert_array_equal(found.label, FRAME["y"])


@pytest.mark.parametrize(
    "text",
    [
        FRAME.to_csv(),  # with row numbers, whose header is empty
        FRAME.set_axis(["a", "b", "c", "d"]).to_csv(),  # with row names
        FRAME.reset_index(names="Unnamed: 0").to_csv(index=False),  # row numbers, read by pandas and written again
        FRAME.to_csv(sep=";", decimal=",", index=False),
        FRAME.to_csv(sep=";", index=False),
        FRAME.to_csv(sep="\t", decimal=","),
        FRAME.to_csv(sep=" ", index=False),
        FRAME.to_csv(sep="|", index=False),
        "sep=;\n" + FRAME.to_csv(sep=";", decimal=",", index=False),
        FRAME.to_csv().removeprefix(","),  # R: row names without a header
        FRAME.to_csv(index=False).replace("\n", ",\n"),  # a delimiter at the end of each line
        "# " + FRAME.to_csv(index=False),  # numpy.savetxt
        "# " + FRAME.to_csv(index=False, sep=" "),
        "# made by hand, 2020\n#\n" + FRAME.to_csv(index=False),
        "# made by hand, 2020\n# " + FRAME.to_csv(index=False),
        FRAME.to_csv(index=False).replace(",", "  ,  ").replace("\n", " \n\n"),
        FRAME.to_csv(index=False, quoting=1),
    ],
)
def test_what_other_programs_write(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert (found.names, found.label_name) == (("témp",), "y")
    np.testing.assert_array_equal(np.stack([found.columns[0], found.label], 1), FRAME.to_numpy())


def test_truth_values_are_1_and_0(tmp_path: Path) -> None:
    found = read(tmp_path, "a,y\nTrue,1\nFALSE,2\n")
    assert found.columns.tolist() == [[1.0, 0.0]]


def test_a_file_without_header_is_read_when_that_is_said(tmp_path: Path) -> None:
    rows = FRAME.to_csv(index=False, header=False)
    with pytest.raises(ConfigurationError, match=r"first line holds numbers, 0.5, 1.0; if the file has no header, say"):
        read(tmp_path, rows)
    found = read(tmp_path, rows, header=False)
    assert (found.names, found.label_name, len(found.label)) == (("x1",), "x2", 4)
    assert read(tmp_path, rows, header=False, label="x1").names == ("x2",)
    with pytest.raises(ConfigurationError, match=r"holds numbers, 1, 2; if"):
        read(tmp_path, "1,2\n3,4\n5,6\n")
    with pytest.raises(ConfigurationError, match=r"holds numbers, red, 2.5; if"):
        read(tmp_path, "red,2.5\nblue,4\ngreen,6\n")
    numbered = read(tmp_path, pd.DataFrame(FRAME.to_numpy()).to_csv())  # columns 0 and 1, and row numbers
    assert (numbered.names, numbered.label_name) == (("0",), "1")
    assert read(tmp_path, "1990,country\n1,4\n2,6\n").names == ("1990",)


def test_columns_of_text_and_missing_values(tmp_path: Path) -> None:
    text = "name,a,b,y\nann,1,2,3\nbob,2,,4\neve,3,NA,5\njoe,4,5,6\n"
    with pytest.raises(ConfigurationError, match=r"column 'name' expects a finite number, got 'ann'; .* columns=\("):
        read(tmp_path, text)
    assert read(tmp_path, text, columns=("a",)).columns.tolist() == [[1, 2, 3, 4]]
    with pytest.raises(ConfigurationError, match=r"line 3, column 'b' .* missing .*in 2 of 4 rows; .*drop_missing"):
        read(tmp_path, text, columns=("a", "b"))
    found = read(tmp_path, text, columns=("b", "a"), drop_missing=True)
    assert (found.columns.tolist(), found.label.tolist()) == ([[2, 5], [1, 4]], [3, 6])
    with pytest.raises(ConfigurationError, match="at least 2 rows below its header, got 0"):
        read(tmp_path, "a,y\n1,\n,2\n", drop_missing=True)


def test_weights_and_roles(tmp_path: Path) -> None:
    text = "a,b,y,w\n1,2,3,1\n2,4,4,0\n3,5,5,0.5\n"
    found = read(tmp_path, text, weights="w")
    assert (found.names, found.label_name) == (("a", "b"), "y")
    assert found.weights is not None
    assert (found.label.tolist(), found.weights.tolist()) == ([3, 5], [1, 0.5])
    for settings, message in (
        ({"weights": "v"}, "weights expects the name of a column.*got 'v'"),
        ({"columns": ("a", "c")}, "columns expects the name of a column.*'c'"),
        ({"columns": ("a", "w")}, "besides label and weights, each once, got 'w', and the label is 'w'"),
        ({"columns": ("a", "a")}, "each once, got 'a'"),
        ({"weights": "w", "label": "w"}, "weights and label expect two columns"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            read(tmp_path, text, **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="numbers >= 0 in column 'w', got -1"):
        read(tmp_path, text.replace(",0\n", ",-1\n"), weights="w")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\0\0", "is a workbook or another archive"),
        ("a;b\n1;2\n3;4;5\n", "expects 2 cells in line 3, got 3"),
        ("a;b\n1.5;2\n1,234;5\n", "got '1,234'"),  # a decimal comma or one thousand?
        ('a,b\n1.5,"2,5"\n3,4\n', "got '2,5'"),
        ("a,,b\n1,2,3\n4,5,6\n", "all different"),
        ("a,b\n" + "1" * 200_000 + ",2\n3,4\n", "cannot be read as a CSV file: field larger"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, content)


def test_identifiers_are_those_that_python_reads() -> None:
    # The micro sign is another letter than the Greek one, as which Python reads it.
    names = ("\u00b5m", "x²", "size of it", "2x", "if", "sin", "\u03bcm", "")
    assert identifiers(names, ("sin",)) == ("\u03bcm", "x2", "size_of_it", "_2x", "if_", "sin_", "\u03bcm_", "_")
