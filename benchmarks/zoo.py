"""Makes the entries of ``evometa.zoo``: runs the command of each, evaluates what was found, and writes its card.

An entry's results are of held-out tasks and shifted distributions that its search never saw. A run that is there
already is used as it is.

    python benchmarks/zoo.py                          # all entries, in runs/zoo
    python benchmarks/zoo.py update-rule --tasks 1000
"""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from _measure import parse_arguments, print_table

import evometa as em
from evometa import zoo
from evometa.cli.main import main as evometa
from evometa.zoo.card import Card, write_entry

APACHE = "Apache-2.0, like evometa; nothing else went into it"


class Entry(NamedTuple):
    """What is searched for an entry."""

    summary: str
    command: str
    unit: str
    licence: str = APACHE


ENTRIES = {
    "learned-evolution-strategy": Entry(
        "An evolution strategy whose recombination weights and learning rates are made by small networks (LES): "
        "evometa.strategies.LearnedES.",
        "evometa run learned-evolution-strategy --seconds 240",
        "log10 of the best value after 50 generations over that at the start",
    ),
    "learned-optimizer": Entry(
        "A network that maps gradients and momenta to steps, meta-trained on small networks on digits: an "
        "optax.GradientTransformation whose updates are added as they are.",
        "evometa run learned-optimizer --seconds 240",
        "mean cross-entropy over 200 steps, in nats",
    ),
    "update-rule": Entry(
        "A formula of gradient and moving averages in the place of Adam's: an optax.GradientTransformation without a "
        "learning rate.",
        "evometa run learned-update-rule --seconds 180",
        "cross-entropy in nats after 100 steps",
    ),
    "noisy-label-loss": Entry(
        "A formula of prediction and label with which networks are trained although 40 % of the labels are wrong: a "
        "function of probabilities and labels [B, C].",
        "evometa run learned-loss --label-noise 0.4 --seconds 180",
        "error rate with correct labels",
    ),
    "noisy-label-taylor-loss": Entry(
        "The Taylor polynomial of prediction and label that serves the same: a function of probabilities and labels "
        "[B, C].",
        "evometa run learned-loss-taylor --label-noise 0.4 --seconds 120",
        "error rate with correct labels",
    ),
    "activation": Entry(
        "A formula of x in the place of ReLU: a function of arrays.",
        "evometa run learned-activation --seconds 120",
        "cross-entropy in nats",
    ),
    "omniglot-embedding": Entry(
        "A convolutional network that maps characters [N, 28, 28] to features whose class means are prototypes.",
        "evometa run omniglot-prototypes --seconds 150",
        "loss of 20-way one-shot recognition",
        "Apache-2.0, like evometa; trained on Omniglot (Lake et al. 2015), which is under the MIT licence",
    ),
    "acrobot-policy": Entry(
        "A policy for gymnax's Acrobot-v1: a function from observations to actions.",
        "evometa run gymnax-policy --name Acrobot-v1 --seconds 30",
        "return of an episode",
    ),
    "swing-up-policy": Entry(
        "A policy that swings a pole up and balances it on a cart: a function from observations to actions.",
        "evometa run cart-pole-swing-up --seconds 90",
        "return of an episode",
    ),
}


def main() -> None:
    """Make the entries and print their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", nargs="*", choices=[*ENTRIES, []], default=[], help="some of them; all by default")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="where the runs are")
    parser.add_argument("--tasks", type=int, default=1000, help="tasks of each distribution")
    parser.add_argument("--output", type=Path, default=zoo.FOLDER, help="where the entries are written")
    parser.add_argument("--generations", type=int, help="the limit of each search, instead of the entry's seconds")
    parser.add_argument("--temporary", action="store_true", help="keep nothing: neither runs nor entries")
    arguments = parse_arguments(parser, "learned-evolution-strategy --generations 1 --tasks 2 --temporary")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.temporary:
            arguments.runs, arguments.output = Path(folder) / "runs", Path(folder) / "zoo"
        rows = [row for name in arguments.entries or ENTRIES for row in make(name, arguments)]
    print_table(["entry", "distribution", "result", "unit"], rows)


def make(name: str, arguments: argparse.Namespace) -> list[list[str]]:
    """Make one entry; return the rows of its results."""
    entry, folder = ENTRIES[name], arguments.runs / name
    if not folder.exists():
        words = shlex.split(entry.command)[1:]
        if arguments.generations:
            words[-2:] = ["--generations", str(arguments.generations)]
        status = evometa([*words, "--run-directory", str(folder)])
        if status:
            sys.exit(status)
    run = em.load(folder)
    scores = em.generalization(run.problem, run.selected_omega, tasks=arguments.tasks, seed=1)
    results = {score.distribution: f"{score.fitness:.4g} ± {score.standard_error:.2g}" for score in scores}
    card = Card(
        entry.summary,
        entry.command,
        {f"{distribution} ({entry.unit})": result for distribution, result in results.items()},
        f"python benchmarks/zoo.py {name} --tasks {arguments.tasks}",
        entry.licence,
    )
    write_entry(folder, arguments.output / name, card)
    return [[name, distribution, result, entry.unit] for distribution, result in results.items()]


if __name__ == "__main__":
    main()
