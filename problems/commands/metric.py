"""The number in what a program printed or wrote: the last ``metric = value``, also of a line of JSON."""

import json
import re
from pathlib import Path
from typing import Any

from evometa.errors import nearest

LONGEST_LINE = 1 << 20
"""Bytes of a line without an end that are read as one."""
LARGEST_FILE = 1 << 24
"""Bytes of a metric file that are read, from its end."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf|nan)"


class MetricReader:
    """Reads a program's output piece by piece, and remembers the last value of one metric.

    Args:
        metric: the metric's name.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._bytes = metric.encode()
        self._pattern = re.compile(
            rf"(?<![\w.\-/]){re.escape(metric)}[\"']?\s*[=:]\s*[\"']?([^\s,;|\"']+(?:,\d[^\s;|\"']*)?)"
        )
        self._rest = b""
        self.value: Any = None
        """The last value, a number or the text that is none; None where there is none yet."""

    def feed(self, chunk: bytes) -> list[float]:
        """Take the next bytes of the output; return the numbers in its whole lines, the last one of each."""
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + chunk)
        found = []
        for line in lines:
            if self._look(line) and (value := number(self.value)) is not None:
                found.append(value)
        if len(self._rest) > LONGEST_LINE:  # the end stays, since a number may go on in the next bytes
            self._look(self._rest)
            self._rest = self._rest[-4096:]
        return found

    def end(self) -> Any:
        """Return the last value, after all of the output; None where there is none."""
        self._look(self._rest)
        self._rest = b""
        return self.value

    def _look(self, line: bytes) -> bool:
        """Take the value in a line; return whether there is one."""
        if self._bytes not in line:
            return False
        text = _COLOURS.sub("", line.decode(errors="replace")).strip()
        if text.startswith("{"):
            try:
                found = json.loads(text)
            except ValueError:
                found = None
            if isinstance(found, dict) and self._metric in found:
                value = found[self._metric]
                self.value = "null" if value is None else value
                return True
        values = self._pattern.findall(text)
        self.value = values[-1] if values else self.value
        return bool(values)


def number(value: Any) -> float | None:
    """Return the number that a value is, or that a text stands for; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value.rstrip(".)]}>")) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None


def in_file(path: Path, metric: str) -> Any:
    """Return the value in a file: JSON with that key, lines as of an output, or nothing but the number.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - LARGEST_FILE))
        content = file.read()
    try:
        found = json.loads(content)
        return found.get(metric) if isinstance(found, dict) else found
    except ValueError:
        reader = MetricReader(metric)
        reader.feed(content)
        value = reader.end()
        return value if value is not None or not content.strip() else _alone(content)


def _alone(content: bytes) -> str | None:
    """Return a text that may be a number by itself; None for longer ones."""
    text = content.decode(errors="replace").strip()
    return text if len(text) <= 64 and "\n" not in text and re.fullmatch(_NUMBER, text, re.IGNORECASE) else None


def similar(text: str, metric: str) -> str:
    """Return a sentence with the metrics most like a missing one that a text has; empty where it has none."""
    names = set(re.findall(rf"([A-Za-z_][\w./-]*)[\"']?\s*[=:]\s*[\"']?{_NUMBER}(?![\w.])", text[-(1 << 16) :]))
    return f" {nearest(metric, sorted(names)[:50])}" if names else ""
