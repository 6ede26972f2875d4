"""Problems whose tasks are made of characters."""

import dataclasses
from typing import Self

from evometa.problem import InnerTraining
from evometa.problems.few_shot.character_sources import Source, available, characters
from evometa.problems.few_shot.characters import Characters


@dataclasses.dataclass(frozen=True)
class CharacterTasks(InnerTraining):
    """Inner training on characters; those of held-out tasks belong to other alphabets."""

    characters: Source = "omniglot"
    data_directory: str | None = None

    @property
    def parts(self) -> tuple[Characters, Characters]:
        """The characters for training, and the held-out ones of other alphabets; read on first use."""
        return characters(self.characters, self.data_directory)

    def of_other_characters(self) -> dict[str, Self]:
        """Return the same problem with the other source of characters, by its name, where its files are present."""
        other: Source = "glyphs" if self.characters == "omniglot" else "omniglot"
        present = available(other, self.data_directory)
        return {other: dataclasses.replace(self, characters=other)} if present else {}
