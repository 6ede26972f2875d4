"""Learn to recognise characters from one example each, and plot an episode of a held-out alphabet.

Without an argument the characters are synthetic, so nothing needs to be downloaded; with a folder that has Omniglot's
files, they are handwritten:

python examples/one_shot_characters.py
python examples/one_shot_characters.py FOLDER
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp

import evometa as em
from evometa.problems import OmniglotPrototypes
from evometa.strategies import Gradient


def main(generations: int = 1500, data_directory: str | None = None, folder: str = "characters") -> em.Result:
    """Search for an embedding; plot the fitness, and the classification of a held-out episode."""
    problem = OmniglotPrototypes(characters="omniglot" if data_directory else "glyphs", data_directory=data_directory)
    strategy = Gradient(learning_rate=0.005, decay_generations=generations, learning_rate_final=0.05)
    result = em.Search(problem, strategy, run_directory=Path(folder) / "run", overwrite=True).run(
        generations=generations
    )

    omega, task = result.center_omega, jax.jit(problem.sample_test_task)(jax.random.key(1))
    learner = problem.init(jax.random.key(0), omega, task)  # the class prototypes
    logits = problem.classify(omega, learner, task.query.reshape(-1, *task.query.shape[2:]))
    predicted = jnp.argmax(logits, axis=1).reshape(problem.ways, problem.queries)
    em.plots.episode(task.support, task.query, predicted).savefig(Path(folder) / "episode.png")
    em.plots.fitness(Path(folder) / "run").savefig(Path(folder) / "fitness.png")
    return result


if __name__ == "__main__":
    main(data_directory=sys.argv[1] if len(sys.argv) > 1 else None)
