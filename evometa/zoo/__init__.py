"""What evometa itself found, ready to use: an evolution strategy, optimizers, losses, embeddings, policies.

::

    import evometa as em

    print(em.zoo.names())
    optimizer = em.zoo.load("learned-optimizer")  # an optax.GradientTransformation

Each entry is the run directory of a search without history and checkpoints, with ``card.json`` beside its manifest: the
command that finds it again, its results on held-out tasks and its licence. Nothing is claimed beyond these.
"""

import json
from pathlib import Path
from typing import Any

from evometa.errors import ConfigurationError, nearest
from evometa.sharing.run import Run
from evometa.sharing.run import load as load_run
from evometa.zoo.card import CARD, Card

__all__ = ["Card", "card", "load", "names", "run"]

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all entries."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}"))


def load(name: str) -> Any:
    """Return the usable thing of an entry, as :meth:`BaseProblem.export` makes it of the selected ω.

    Raises:
        ConfigurationError: there is no such entry.
    """
    return run(name).export()


def run(name: str) -> Run:
    """Return an entry as the run that found it: problem, strategy, ω, result.

    Raises:
        ConfigurationError: there is no such entry.
    """
    if name not in names():
        raise ConfigurationError(f"The zoo has no entry {name!r}. {nearest(name, names())}")
    return load_run(FOLDER / name)


def card(name: str) -> Card:
    """Return the card of an entry: what it is, the command that finds it, its results, its licence."""
    return Card(**json.loads((run(name).path / CARD).read_text(encoding="utf-8")))
