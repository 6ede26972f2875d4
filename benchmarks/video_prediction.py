"""Clips that are continued after adaptation to their first frames, beside what needs no learning and no adaptation.

Each seed is one search of limited time, by the gradient or by evolution; its center is evaluated on held-out clips,
with its steps of adaptation and before them. "Without steps" is a search of as long for weights that are never adapted.
Random weights take their steps with the rate that is best on training clips. Linear extrapolation is that of each
pixel, from the last two frames, kept between paper and ink. A registration finds the shift, or the shift and the turn,
between the last two frames at which their correlation is greatest, and moves the last frame on by it; the steps of its
grid are a quarter of a pixel and 2.5 degrees.

    python benchmarks/video_prediction.py                    # 3 seeds
    python benchmarks/video_prediction.py --source omniglot --strategies gradient
"""

import argparse
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import draw_trials, mean_fitness
from _measure import Kept, alone, mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.problems import VideoPrediction
from evometa.problems.vision.clips import Clip, sampled
from evometa.strategies import Averaged, Gradient, SepCMAES

SEED = 2026
RATES = np.geomspace(0.03, 30, 13)
SHIFTS = np.arange(-2.5, 2.51, 0.25)
TURNS = np.radians(np.arange(-30, 30.1, 2.5))
EVOLUTION = SepCMAES(64, sigma=0.1)
Scores = dict[str, float]
"""Mean squared error in each distribution of clips."""


def last_frame(problem: VideoPrediction, clip: Clip) -> jax.Array:
    """Repeat the last frame."""
    return jnp.broadcast_to(clip.seen[-1], clip.future.shape)


def linear(problem: VideoPrediction, clip: Clip) -> jax.Array:
    """Extrapolate each pixel linearly."""
    change = jnp.arange(1, problem.predicted + 1)[:, None, None] * (clip.seen[-1] - clip.seen[-2])[None]
    return jnp.clip(clip.seen[-1][None] + change, 0, 1)


def registered(problem: VideoPrediction, clip: Clip, turns: np.ndarray) -> jax.Array:
    """Move on the last frame by the shift and the turn that relate it to the one before best."""
    before, now = clip.seen[-2], clip.seen[-1]
    grid = jnp.asarray(list(itertools.product(SHIFTS, SHIFTS, turns)), jnp.float32)

    def moved(frame: jax.Array, shift: jax.Array, angle: jax.Array) -> jax.Array:
        sine, cosine, centre = jnp.sin(angle), jnp.cos(angle), problem.centre(frame)
        away = problem.pixels - (centre + shift)[None]
        turned = away @ jnp.array([[cosine, sine], [-sine, cosine]])
        return sampled(frame[..., None], centre[None] + turned).reshape(frame.shape)

    def correlation(move: jax.Array) -> jax.Array:
        found = moved(before, move[:2], move[2])
        return jnp.sum(found * now) / (jnp.linalg.norm(found) + 1e-6)

    best = grid[jnp.argmax(jax.lax.map(correlation, grid, batch_size=1024))]
    numbers = jnp.arange(1, problem.predicted + 1, dtype=jnp.float32)
    return jax.vmap(lambda number: moved(now, number * best[:2], number * best[2]))(numbers)


Predictor = Callable[[VideoPrediction, Clip], jax.Array]
"""Returns the frames ``[N, H, W]`` that continue a clip."""
PREDICTORS: dict[str, Predictor] = {
    "last frame": last_frame,
    "linear extrapolation": linear,
    "shift by correlation": functools.partial(registered, turns=np.zeros(1)),
    "shift and turn by correlation": functools.partial(registered, turns=TURNS),
}


class Contest:
    """Distributions of clips, and how a predictor is measured on them.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.problem, self.arguments = VideoPrediction(characters=arguments.source), arguments
        every = {"held-out": self.problem, **self.problem.shifted()}
        self.places = dict(list(every.items())[: arguments.places])

    def plain(self, predict: Predictor) -> Scores:
        """Return the scores of what does not learn."""

        def score(place: VideoPrediction) -> float:
            clips = draw_trials(place, SEED, self.arguments.tasks, test=True).tasks
            errors = jax.jit(
                lambda clips: jax.lax.map(lambda one: jnp.mean((predict(place, one) - one.future) ** 2), clips)
            )
            return float(jnp.mean(errors(clips)))

        return {name: score(place) for name, place in self.places.items()}

    def scores(self, omega: Any, **changes: int) -> Scores:
        """Return the scores of one ω, for a problem with other settings where they are given."""
        places = {name: dataclasses.replace(place, **changes) for name, place in self.places.items()}
        return {name: mean_fitness(place, omega, self.arguments.tasks, seed=SEED) for name, place in places.items()}

    def random(self, seed: int) -> dict[str, Scores]:
        """Return the scores of random weights, adapted with the rate that is best on training clips."""
        weights = self.problem.space.decode(self.problem.space.sample(jax.random.key(seed)))["weights"]

        def with_rate(rate: float) -> Any:
            return {"weights": weights, "log_rates": jax.tree.map(lambda _: jnp.float32(math.log(rate)), weights)}

        def error(omega: Any) -> float:
            found = mean_fitness(self.problem, omega, self.arguments.tasks, test=False, seed=1)
            return found if math.isfinite(found) else math.inf

        return {"random weights": self.scores(min(map(with_rate, RATES), key=error))}

    def searched(self, strategy: str, seed: int) -> dict[str, Scores]:
        """Return the scores of the center of a search, adapted and before adaptation."""
        problem, chosen = self.problem, Averaged(Gradient(learning_rate=0.005), generations=50)
        if strategy == "evolution":
            problem, chosen = dataclasses.replace(problem, num_tasks=2), EVOLUTION
        if strategy == "without steps":
            problem = dataclasses.replace(problem, inner_steps=0)
        with alone():
            search = em.Search(problem, chosen, seed=seed, validation_share=0.0)
            result = search.run(seconds=self.arguments.seconds)
        note(f"{strategy}: {result.generations:,} generations")
        if strategy == "without steps":
            return {"gradient, without steps": self.scores(result.center_omega, inner_steps=0)}
        before = {f"{strategy}, before its steps": self.scores(result.center_omega, inner_steps=0)}
        return before | {f"{strategy}, {problem.inner_steps} steps": self.scores(result.center_omega)}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=200, help="held-out clips")
    parser.add_argument("--source", default="glyphs", choices=("glyphs", "omniglot", "digits"))
    kinds = ("without steps", "evolution", "gradient")
    parser.add_argument("--strategies", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--places", type=int, default=5, help="distributions of clips, the held-out ones first")
    parser.add_argument("--plain", type=int, default=len(PREDICTORS), help="predictors that do not learn")
    parser.add_argument("--keep", type=Path, help="a file to keep figures in; what is there is not measured again")
    smallest = "--seconds 0.1 --seeds 1 --tasks 2 --strategies evolution --places 1 --plain 3"
    arguments = parse_arguments(parser, smallest)

    contest, kept = Contest(arguments), Kept(arguments.keep)
    found: dict[str, list[Scores]] = {}
    for name, predict in list(PREDICTORS.items())[: arguments.plain]:
        found[name] = [kept.get_or(name, functools.partial(contest.plain, predict))]
    for seed in range(arguments.seeds):
        ways = {"random": contest.random} | {n: functools.partial(contest.searched, n) for n in arguments.strategies}
        for way, measure in ways.items():
            for name, scores in kept.get_or(f"{way}, seed {seed}", functools.partial(measure, seed)).items():
                found.setdefault(name, []).append(scores)
    rows = [
        [name, *(mean_and_error([1000 * each[place] for each in scores], 1) for place in contest.places)]
        for name, scores in found.items()
    ]
    print(
        f"\n{arguments.source}, {arguments.seconds:g} s a search, {arguments.seeds} seeds; 1,000 times the mean "
        f"squared error over the predicted frames of {arguments.tasks:,} clips. To reach: below all others\n"
    )
    print_table(["predictor", *contest.places], rows)


if __name__ == "__main__":
    main()
