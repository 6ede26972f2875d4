"""The card of an entry of the zoo."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from evometa.storage.manifest import MANIFEST
from evometa.storage.result_file import NUMBERS, RESULT

CARD = "card.json"


@dataclasses.dataclass(frozen=True)
class Card:
    """What an entry of the zoo is, and what is known of it."""

    summary: str
    """What it is and how to use it, in a sentence."""
    command: str
    """The command that finds it again."""
    results: dict[str, str]
    """Its results on held-out tasks and shifted distributions, by what was measured; with standard errors."""
    results_command: str
    """The command that printed them."""
    licence: str
    """Under what it may be used."""


def write_entry(run_directory: Path, entry: Path, card: Card) -> None:
    """Make an entry of a run: its manifest and its result, with a card.

    Args:
        run_directory: the run.
        entry: the folder to make; what is there is replaced.
        card: its card.
    """
    shutil.rmtree(entry, ignore_errors=True)
    entry.mkdir(parents=True)
    for name in (MANIFEST, RESULT, NUMBERS):
        shutil.copyfile(run_directory / name, entry / name)
    content: dict[str, Any] = dataclasses.asdict(card)
    (entry / CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
