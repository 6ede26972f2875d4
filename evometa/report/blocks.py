"""What a page consists of: sections of blocks, which the templates draw."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of a section; ``kind`` names the template that draws it."""

    kind: ClassVar[str]


@dataclasses.dataclass(frozen=True)
class Facts(Block):
    """Names and values in two columns."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Table(Block):
    """Rows under headers; numbers are set to the right."""

    kind: ClassVar[str] = "table"
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Chart(Block):
    """A chart of Plotly, as its JSON has it, with a sentence that says what it shows."""

    kind: ClassVar[str] = "chart"
    figure: dict[str, Any]
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Picture(Block):
    """An image as a data URI."""

    kind: ClassVar[str] = "picture"
    source: str
    text: str
    """What it shows, for those who do not see it."""


@dataclasses.dataclass(frozen=True)
class Code(Block):
    """Commands, formulas or tracebacks as they are typed; ``summary`` folds them under a line."""

    kind: ClassVar[str] = "code"
    text: str
    summary: str = ""


@dataclasses.dataclass(frozen=True)
class Formula(Block):
    """A formula as MathML."""

    kind: ClassVar[str] = "formula"
    mathml: str


@dataclasses.dataclass(frozen=True)
class Text(Block):
    """A sentence or two."""

    kind: ClassVar[str] = "text"
    text: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A titled part of the page."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The section's name in links."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number at the top of the page."""

    name: str
    value: str


@dataclasses.dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    subtitle: str
    figures: Sequence[Figure]
    sections: Sequence[Section]
