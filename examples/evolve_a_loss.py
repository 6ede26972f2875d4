"""Evolve a loss function for noisy labels, plot it, and export it as plain Python.

python examples/evolve_a_loss.py
"""

from pathlib import Path

import evometa as em
from evometa.expressions import source
from evometa.plots import losses, tree
from evometa.problems import LearnedLoss
from evometa.strategies import GeneticProgramming


def main(generations: int = 20, population_size: int = 128, steps: int = 200, folder: str = "found_loss") -> em.Result:
    """Search; write the loss as a module, and plot it beside cross-entropy and as a tree."""
    problem = LearnedLoss(label_noise=0.4, inner_steps=steps)
    result = em.Search(problem, GeneticProgramming(population_size), seed=0).run(generations=generations)
    found = result.selected_omega
    print(f"{found}\nerror on held-out images: {result.selected_held_out:.3f}")
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "loss.py").write_text(source(found.primitives, found.tree, name="loss"))
    losses(found).savefig(out / "loss.png", dpi=150)
    tree(found.primitives, found.tree).savefig(out / "tree.png", dpi=150)
    return result


if __name__ == "__main__":
    main()
