"""Names and values as a table of HTML, which notebooks show."""

from collections.abc import Iterable, Sequence
from html import escape


def facts_table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns."""
    body = "".join(f"<tr><th style='text-align:left'>{escape(name)}</th>{_cell(value)}</tr>" for name, value in rows)
    return f"<table>{body}</table>"


def columns_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with headers."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(f'{value:.6g}') for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: str) -> str:
    return f"<td style='text-align:left'>{escape(value)}</td>"
