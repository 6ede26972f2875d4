"""Names and values as a table of HTML, which notebooks show."""

import math
from collections.abc import Iterable, Sequence
from html import escape


def facts_table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns."""
    body = "".join(f"<tr><th style='text-align:left'>{escape(name)}</th>{_cell(value)}</tr>" for name, value in rows)
    return f"<table>{body}</table>"


def columns_table(names: Sequence[str], rows: Sequence[Sequence[float]], gap: int | None = None) -> str:
    """Return a table of numbers with headers; missing ones (NaN) are empty cells.

    Args:
        names: the headers.
        rows: the numbers of each row.
        gap: the number of rows after which others were left out, shown as dots.
    """
    lines = [f"<tr>{''.join(_cell('' if math.isnan(value) else f'{value:.6g}') for value in row)}</tr>" for row in rows]
    if gap is not None:
        lines.insert(gap, f"<tr>{_cell('⋮') * len(names)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f"<div style='overflow-x:auto'>{table}</div>"  # wider than most pages


def _cell(value: str) -> str:
    return f"<td style='text-align:left'>{escape(value)}</td>"
