"""Distil a thousand digits into ten images, with and without gradients, and plot them.

python examples/distill_digits.py
"""

from pathlib import Path

import jax
import numpy as np

import evometa as em
from evometa.plots import style
from evometa.problems import DatasetDistillation
from evometa.strategies import Gradient, OpenAIES


def main(generations: int = 300, population_size: int = 256, steps: int = 10, file: str = "distilled.png") -> Path:
    """Search by two strategies from real images, and plot the real and the distilled images of each class."""
    problem = DatasetDistillation(inner_steps=steps)
    strategies = {
        "OpenAIES": OpenAIES(population_size, sigma=0.03, learning_rate=0.02),
        "Gradient": Gradient(learning_rate=0.03),
    }
    rows = {}
    for name, strategy in strategies.items():
        search = em.Search(problem, strategy, seed=0, validate_every=generations, validation_tasks=32, finalists=0)
        result = search.run(generations=generations)
        accuracy = result.metrics["held_out/accuracy"]
        print(f"{name}: a network trained on ten images classifies {accuracy:.1%} of held-out digits correctly")
        rows[f"{name}, {accuracy:.1%}"] = result.selected_omega["images"]
    rows = {"real images": np.asarray(problem.real(jax.random.key(0))), **rows}

    picture = style.figure(width=8.0, height=0.9 * len(rows))
    grid = picture.subplots(len(rows), 10)
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        for place, image in zip(axes, images, strict=True):
            place.imshow(image.reshape(8, 8), cmap="gray_r", vmin=min(0, images.min()), vmax=images.max())
            place.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name.replace(", ", "\n"), rotation=0, ha="right", va="center")
    picture.savefig(file, dpi=150)
    return Path(file)


if __name__ == "__main__":
    main()
