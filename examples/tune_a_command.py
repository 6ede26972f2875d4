"""Tune a training script without touching it: it takes options, and prints a loss.

Run it with ``python examples/tune_a_command.py``. From a shell, for a script of your own::

    evometa run --command 'python train.py --lr {lr} --momentum {momentum}' --space space.json --metric val_loss

The script below minimises a narrow valley by gradient descent; the best rate and momentum are known.
"""

import sys
import tempfile
from pathlib import Path

import evometa as em

SCRIPT = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--momentum", type=float, default=0.0)
options = parser.parse_args()

x, velocity = [1.0, 1.0], [0.0, 0.0]
for step in range(20):
    for i, curvature in enumerate((1.0, 20.0)):
        velocity[i] = options.momentum * velocity[i] - options.lr * curvature * x[i]
        x[i] += velocity[i]
    print(f"step {step} val_loss: {0.5 * x[0] ** 2 + 10 * x[1] ** 2}")
"""
SPACE = {
    "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "method": {"choices": ["plain", "heavy-ball"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"method": "heavy-ball"}},
}


def main(generations: int = 10, population_size: int = 12) -> em.Result:
    """Search, and print what was found."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.py").write_text(SCRIPT)
        problem = em.problems.CommandProblem(
            (sys.executable, "train.py", "--lr", "{lr}", "--momentum", "{momentum}"),
            SPACE,
            "val_loss",
            environment=("METHOD={method}",),  # the script does not need it
            start_directory=Path(folder),
            time_limit=30.0,
        )
        strategy = em.strategies.GeneticAlgorithm(population_size=population_size)
        result = em.Search(problem, strategy, seed=0).run(generations=generations)
    print(f"val_loss {result.best_fitness:.3g} with {problem.export(result.best_omega)}")
    return result


if __name__ == "__main__":
    main()
