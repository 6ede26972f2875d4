"""Where the characters of few-shot tasks come from: Omniglot's files, or synthetic glyphs."""

import os
from typing import Literal

from evometa.errors import ConfigurationError
from evometa.problems.few_shot.characters import Characters
from evometa.problems.few_shot.glyphs import glyphs
from evometa.problems.few_shot.omniglot import find, omniglot

Source = Literal["omniglot", "glyphs"]
"""The files of Omniglot, or characters made of random strokes."""


def characters(source: Source, directory: str | os.PathLike[str] | None = None) -> tuple[Characters, Characters]:
    """Return the characters for training, and the held-out ones, which belong to other alphabets.

    Args:
        source: where they come from.
        directory: the folder with Omniglot's files; None: the one that the environment variable EVOMETA_DATA names.

    Raises:
        ConfigurationError: a file is missing or damaged.
    """
    return glyphs() if source == "glyphs" else omniglot(directory)


def available(source: Source, directory: str | os.PathLike[str] | None = None) -> bool:
    """Return whether the files that a source needs, if any, are present."""
    try:
        return source == "glyphs" or bool(find(directory))
    except ConfigurationError:
        return False
